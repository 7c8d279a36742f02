// SPDX-License-Identifier: Apache-2.0

// Package endpoint is EC2's VPC endpoints.
package endpoint

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/group"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Endpoints are the operations on VPC endpoints.
type Endpoints struct{ *service.Env }

// newEndpoint is a request for a VPC endpoint of type Resource with what it
// needs made beforehand.
type newEndpoint struct {
	in            *shape.CreateVpcEndpointInput
	who           access.View
	id            string
	now           time.Time
	tags          map[string]string
	configuration model.Ref
	family        model.IPFamily
	// subnets are the ids of the subnets, and addresses what is asked for in
	// each; interfaces are the ids of the interfaces there.
	subnets    []string
	addresses  map[string]alloc.Want
	addresses6 map[string]alloc.Want
	interfaces []string
	// association is the id of the association on the side of VPC Lattice, and
	// ownAssociation on this side.
	association, ownAssociation string
	// more says that the endpoint's group has children for which another transaction is
	// needed.
	more bool
}

// CreateVpcEndpoint makes an endpoint of type Resource, the only one served
// yet: an interface in each of its subnets, whose addresses lead to one resource
// configuration, or to the children of a group by an address for each.
func (a Endpoints) CreateVpcEndpoint(ctx context.Context, in *shape.CreateVpcEndpointInput) (*shape.CreateVpcEndpointOutput, error) {
	who := access.From(ctx)
	n, err := a.newEndpoint(who, in)
	if err != nil {
		return nil, err
	}
	fingerprint := *in
	fingerprint.ClientToken = nil
	once := a.Idempotent(who, "CreateVpcEndpoint", in.ClientToken, fingerprint)
	out, err := service.Create(ctx, once,
		func(tx *table.Txn, id string) (*model.VPCEndpoint, error) {
			return request.Get(tx, who, state.VPCEndpoints, id)
		},
		func(tx *table.Txn) (*model.VPCEndpoint, error) { return a.createEndpoint(tx, n) },
		createdEndpoint)
	if err != nil {
		return nil, request.Fault(err)
	}
	if n.more {
		a.joinRest(ctx, who.Own(*out.VpcEndpointId))
	}
	return &shape.CreateVpcEndpointOutput{VpcEndpoint: out, ClientToken: in.ClientToken}, nil
}

// newEndpoint checks what can be checked without looking at anything else.
func (a Endpoints) newEndpoint(who access.View, in *shape.CreateVpcEndpointInput) (*newEndpoint, error) {
	if err := servedEndpoint(in); err != nil {
		return nil, err
	}
	n := &newEndpoint{
		in: in, who: who, id: a.NewID("vpce"), now: a.Now(),
		association: a.NewID("rea"), ownAssociation: a.NewID("vpce-rsc-asc"),
		family: endpointFamilies[cmp.Or(service.Value(in.IpAddressType), shape.IpAddressTypeIpv4)],
	}
	var err error
	if n.configuration, err = a.parseConfiguration(who, service.Value(in.ResourceConfigurationArn)); err != nil {
		return nil, err
	}
	if err = checkDNSOptions(in.DnsOptions, n.family); err != nil {
		return nil, err
	}
	if err = n.readSubnets(); err != nil {
		return nil, err
	}
	for range n.subnets {
		n.interfaces = append(n.interfaces, a.NewID("eni"))
	}
	n.tags, err = request.TagsFor(in.TagSpecifications, state.VPCEndpoints.Kind())
	return n, err
}

// readSubnets reads the subnets of the request and the addresses that it names
// there.
func (n *newEndpoint) readSubnets() error {
	n.subnets = slices.Clone(n.in.SubnetIds)
	n.addresses, n.addresses6 = make(map[string]alloc.Want), make(map[string]alloc.Want)
	for _, c := range n.in.SubnetConfigurations {
		id := service.Value(c.SubnetId)
		if id == "" {
			return fault.EC2("MissingParameter", "Each SubnetConfiguration must contain a SubnetId")
		}
		if !slices.Contains(n.subnets, id) {
			n.subnets = append(n.subnets, id)
		}
		var err error
		if n.addresses[id], err = endpointAddress(c.Ipv4, n.family.Has4(), isIPv4); err != nil {
			return err
		}
		if n.addresses6[id], err = endpointAddress(c.Ipv6, n.family.Has6(), isIPv6); err != nil {
			return err
		}
	}
	if len(n.subnets) == 0 {
		return fault.EC2("MissingParameter", "The request must contain the parameter SubnetIds: at least one subnet of the VPC")
	}
	return nil
}

// createEndpoint checks the request against the state and adds the endpoint,
// its interfaces and its association.
func (a Endpoints) createEndpoint(tx *table.Txn, n *newEndpoint) (*model.VPCEndpoint, error) {
	v, err := request.Get(tx, n.who, state.VPCs, service.Value(n.in.VpcId))
	if err != nil {
		return nil, err
	}
	if most := a.Quotas.EndpointsPerVPC; state.VPCEndpointsByVPC.Count(tx, v.Ref()) >= most {
		return nil, fault.EC2("VpcEndpointLimitExceeded", "VPC %s has %d resource endpoints, the most it can have", v.ID, most)
	}
	subnets, err := endpointSubnets(tx, n.who, v, n.subnets, n.family)
	if err != nil {
		return nil, err
	}
	groups, err := group.ForInterface(tx, a.Env, n.who, v, n.in.SecurityGroupIds)
	if err != nil {
		return nil, err
	}
	if err := checkConfiguration(tx, n, v, subnets); err != nil {
		return nil, err
	}
	if err := a.createEndpointInterfaces(tx, n, subnets, groups); err != nil {
		return nil, err
	}
	e := &model.VPCEndpoint{
		Meta: model.Meta{Account: v.Account, Region: v.Region, ID: n.id, CreatedAt: n.now, UpdatedAt: n.now, Tags: n.tags},
		Type: shape.VpcEndpointTypeResource, VPC: v.ID, Subnets: n.subnets, Groups: groups, Interfaces: n.interfaces,
		IPAddressType: cmp.Or(service.Value(n.in.IpAddressType), shape.IpAddressTypeIpv4), Configuration: n.configuration,
	}
	setDNSOptions(e, n.in)
	r, ok := state.ResourceConfigurations.Get(tx, e.Configuration.Account, e.Configuration.Region, e.Configuration.ID)
	e.OfDatabase = ok && r.Type == model.TypeARN
	if err := a.checkPrivateDNS(tx, v, e); err != nil {
		return nil, err
	}
	state.VPCEndpoints.Put(tx, e)
	if ok && r.IsGroup() {
		n.more, err = a.joinGroup(tx, n, e, subnets)
		return e, err
	}
	state.EndpointAssociations.Put(tx, &model.EndpointAssociation{
		Meta: model.Meta{
			Account: n.configuration.Account, Region: n.configuration.Region, ID: n.association, CreatedAt: n.now, UpdatedAt: n.now,
		},
		EndpointSideID: n.ownAssociation, Endpoint: e.Ref(), Configuration: n.configuration,
	})
	return e, checkWay(tx, n)
}

// createEndpointInterfaces adds an interface with one address of each family in
// each subnet.
func (a Endpoints) createEndpointInterfaces(tx *table.Txn, n *newEndpoint, subnets []*model.Subnet, groups []string) error {
	for i, s := range subnets {
		p := alloc.Params{
			ID: n.interfaces[i], CreatedAt: n.now, Subnet: s, Type: model.InterfaceEndpoint,
			Description: "VPC Endpoint Interface " + n.id, Groups: groups, Owner: n.id, SourceDestCheck: true,
		}
		if n.family.Has4() {
			p.IPv4 = n.addresses[s.ID]
			p.IPv4.Count = 1
		}
		if n.family.Has6() {
			p.IPv6 = n.addresses6[s.ID]
			p.IPv6.Count = 1
		}
		if _, err := a.Alloc().CreateInterface(tx, p); err != nil {
			return iface.Fault(err)
		}
	}
	return nil
}

// ModifyVpcEndpoint changes the security groups of an endpoint and its interfaces, and
// whether it has private DNS; nothing else of an endpoint of type Resource can be changed
// (https://docs.aws.amazon.com/vpc/latest/privatelink/use-resource-endpoint.html).
func (a Endpoints) ModifyVpcEndpoint(ctx context.Context, in *shape.ModifyVpcEndpointInput) (*shape.ModifyVpcEndpointOutput, error) {
	if err := modifiable(in); err != nil {
		return nil, err
	}
	_, err := request.Change(ctx, a.Env, state.VPCEndpoints, service.Value(in.VpcEndpointId), func(tx *table.Txn, e *model.VPCEndpoint) error {
		if e.Deleting() {
			return fault.EC2("IncorrectState", "The Vpc Endpoint %s is being deleted", e.ID)
		}
		return a.modifyEndpoint(tx, access.From(ctx), e, in)
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyVpcEndpointOutput{Return: new(true)}, nil
}

func modifiable(in *shape.ModifyVpcEndpointInput) error {
	switch {
	case service.Value(in.ResetPolicy), in.PolicyDocument != nil, len(in.AddRouteTableIds) > 0, len(in.RemoveRouteTableIds) > 0,
		len(in.AddSubnetIds) > 0, len(in.RemoveSubnetIds) > 0, in.IpAddressType != nil, in.DnsOptions != nil, len(in.SubnetConfigurations) > 0:
		return fault.EC2("InvalidParameter", "Only the security groups and the private DNS of an endpoint of type Resource can be modified, with AddSecurityGroupIds, RemoveSecurityGroupIds and PrivateDnsEnabled")
	}
	return nil
}

// modifyEndpoint changes the private DNS and the groups of the caller's copy of an endpoint,
// and the groups of its interfaces.
func (a Endpoints) modifyEndpoint(tx *table.Txn, who access.View, e *model.VPCEndpoint, in *shape.ModifyVpcEndpointInput) error {
	v, err := request.Get(tx, who, state.VPCs, e.VPC)
	if err != nil {
		return err
	}
	if err := a.switchPrivateDNS(tx, v, e, in.PrivateDnsEnabled); err != nil {
		return err
	}
	if len(in.AddSecurityGroupIds)+len(in.RemoveSecurityGroupIds) == 0 {
		return nil
	}
	for _, id := range in.AddSecurityGroupIds {
		if !slices.Contains(e.Groups, id) {
			e.Groups = append(e.Groups, id)
		}
	}
	e.Groups = slices.DeleteFunc(e.Groups, func(id string) bool { return slices.Contains(in.RemoveSecurityGroupIds, id) })
	if len(e.Groups) == 0 {
		return fault.EC2("InvalidParameter", "The Vpc Endpoint %s would have no security group left; it must have at least one", e.ID)
	}
	if _, err := group.ForInterface(tx, a.Env, who, v, e.Groups); err != nil {
		return err
	}
	e.Update(e.UpdatedAt)
	alloc.Regroup(tx, &e.Meta, e.Interfaces, e.Groups)
	return nil
}

// DeleteVpcEndpoints starts the deletion of endpoints, each by itself, and tells
// which could not be deleted.
func (a Endpoints) DeleteVpcEndpoints(ctx context.Context, in *shape.DeleteVpcEndpointsInput) (*shape.DeleteVpcEndpointsOutput, error) {
	who, now := access.From(ctx), a.Now()
	found := make(map[string]bool)
	err := table.UpdateInParts(ctx, a.DB.Update, in.VpcEndpointIds, func(tx *table.Txn, ids []string) error {
		for _, id := range ids {
			var e *model.VPCEndpoint
			if e, found[id] = view.Get(tx, who, state.VPCEndpoints, id); found[id] && !e.Deleting() {
				deleteEndpoint(tx, e, now)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &shape.DeleteVpcEndpointsOutput{Unsuccessful: []shape.UnsuccessfulItem{}}
	for _, id := range in.VpcEndpointIds {
		if found[id] {
			continue
		}
		out.Unsuccessful = append(out.Unsuccessful, shape.UnsuccessfulItem{
			ResourceId: new(id),
			Error: &shape.UnsuccessfulItemError{
				Code: new("InvalidVpcEndpoint.NotFound"), Message: new("The Vpc Endpoint Id '" + id + "' does not exist"),
			},
		})
	}
	return out, nil
}

// deleteEndpoint marks an endpoint and its associations, as many as a transaction takes:
// with the endpoint none of them leads anywhere, and a maker of rows marks the others.
func deleteEndpoint(tx *table.Txn, e *model.VPCEndpoint, now time.Time) {
	service.MarkDeleted(tx, state.VPCEndpoints, e, now)
	marked := 0
	for row := range state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()) {
		if marked++; marked > alloc.PerCommit(len(e.Interfaces)) {
			return
		}
		service.MarkDeleted(tx, state.EndpointAssociations, row, now)
	}
}
