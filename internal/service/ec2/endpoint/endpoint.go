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

// newEndpoint is a request for a VPC endpoint with what it needs made beforehand. The
// configuration and the associations are those of one of type Resource.
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

// CreateVpcEndpoint makes an endpoint: an interface in each of its subnets. The addresses of
// one of type Resource lead to one resource configuration, or to the children of a group by
// an address for each, those of one of type Interface to a service.
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
		a.createdEndpoint)
	if err != nil {
		return nil, request.Fault(err)
	}
	if n.more {
		a.joinRest(ctx, who.Own(*out.VpcEndpointId))
	}
	if e, ok := view.Get(a.DB.Snapshot(), who, state.VPCEndpoints, n.id); ok && e.Acceptance != "" { // and not one of an earlier request
		Notify(ctx, e.Service.Account, Connects, e)
	}
	return &shape.CreateVpcEndpointOutput{VpcEndpoint: out, ClientToken: in.ClientToken}, nil
}

// newEndpoint checks what can be checked without looking at anything else.
func (a Endpoints) newEndpoint(who access.View, in *shape.CreateVpcEndpointInput) (*newEndpoint, error) {
	if err := servedEndpoint(who, in); err != nil {
		return nil, err
	}
	n := &newEndpoint{
		in: in, who: who, id: a.NewID("vpce"), now: a.Now(),
		association: a.NewID("rea"), ownAssociation: a.NewID("vpce-rsc-asc"),
		family: endpointFamilies[cmp.Or(service.Value(in.IpAddressType), shape.IpAddressTypeIpv4)],
	}
	var err error
	if in.ResourceConfigurationArn != nil {
		if n.configuration, err = a.parseConfiguration(who, *in.ResourceConfigurationArn); err != nil {
			return nil, err
		}
	} else if err = checkServiceDNS(in.DnsOptions, service.Value(in.VpcId), kindOf(in)); err != nil {
		return nil, err
	}
	if err = checkDNSOptions(in.DnsOptions, n.family); err != nil {
		return nil, err
	}
	if err = n.readSubnets(in.SubnetIds, in.SubnetConfigurations); err != nil {
		return nil, err
	}
	if len(n.subnets) == 0 && in.ResourceConfigurationArn != nil {
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter SubnetIds: at least one subnet of the VPC")
	}
	for range n.subnets {
		n.interfaces = append(n.interfaces, a.NewID("eni"))
	}
	n.tags, err = request.TagsFor(in.TagSpecifications, state.VPCEndpoints.Kind())
	return n, err
}

// readSubnets reads the subnets of a request and the addresses that it names there.
func (n *newEndpoint) readSubnets(ids []string, configurations []shape.SubnetConfiguration) error {
	n.subnets = slices.Clone(ids)
	n.addresses, n.addresses6 = make(map[string]alloc.Want), make(map[string]alloc.Want)
	for _, c := range configurations {
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
	return nil
}

// createEndpoint checks the request against the state and adds the endpoint,
// its interfaces and its association.
func (a Endpoints) createEndpoint(tx *table.Txn, n *newEndpoint) (*model.VPCEndpoint, error) {
	switch kindOf(n.in) {
	case model.EndpointInterface:
		return a.createInterfaceEndpoint(tx, n)
	case model.EndpointGateway:
		return a.createGatewayEndpoint(tx, n)
	}
	v, err := request.Get(tx, n.who, state.VPCs, service.Value(n.in.VpcId))
	if err != nil {
		return nil, err
	}
	if err := checkRoom(tx, v, model.EndpointResource, a.Quotas.EndpointsPerVPC); err != nil {
		return nil, err
	}
	subnets, groups, err := a.site(tx, n, v)
	if err != nil {
		return nil, err
	}
	if err := checkConfiguration(tx, n, v, subnets); err != nil {
		return nil, err
	}
	if err := a.createEndpointInterfaces(tx, n, subnets, groups); err != nil {
		return nil, err
	}
	e := n.row(v, model.EndpointResource, groups)
	e.Configuration = n.configuration
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

// checkRoom sees that a VPC can have one more endpoint of a type.
func checkRoom(tx *table.Txn, v *model.VPC, kind string, most int) error {
	has := 0
	for e := range state.VPCEndpointsByVPC.Rows(tx, v.Ref()) {
		if e.Type == kind {
			has++
		}
	}
	if has >= most {
		return fault.EC2("VpcEndpointLimitExceeded", "VPC %s has %d endpoints of type %s, the most it can have", v.ID, most, kind)
	}
	return nil
}

// site gives the subnets and the groups of a new endpoint.
func (a Endpoints) site(tx *table.Txn, n *newEndpoint, v *model.VPC) (subnets []*model.Subnet, groups []string, err error) {
	if subnets, err = endpointSubnets(tx, n.who, v, n.subnets, n.family); err != nil {
		return nil, nil, err
	}
	groups, err = group.ForInterface(tx, a.Env, n.who, v, n.in.SecurityGroupIds)
	return subnets, groups, err
}

// row is the row of a new endpoint, as far as it is alike for all types.
func (n *newEndpoint) row(v *model.VPC, kind string, groups []string) *model.VPCEndpoint {
	return &model.VPCEndpoint{
		Meta: model.Meta{Account: v.Account, Region: v.Region, ID: n.id, CreatedAt: n.now, UpdatedAt: n.now, Tags: n.tags},
		Type: kind, VPC: v.ID, Subnets: n.subnets, Groups: groups, Interfaces: n.interfaces,
		IPAddressType: cmp.Or(service.Value(n.in.IpAddressType), shape.IpAddressTypeIpv4),
	}
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

// DeleteVpcEndpoints starts the deletion of endpoints, each by itself, and tells
// which could not be deleted.
func (a Endpoints) DeleteVpcEndpoints(ctx context.Context, in *shape.DeleteVpcEndpointsInput) (*shape.DeleteVpcEndpointsOutput, error) {
	who, now := access.From(ctx), a.Now()
	found, told := make(map[string]bool), make(map[string]*model.VPCEndpoint)
	err := table.UpdateInParts(ctx, a.DB.Update, in.VpcEndpointIds, func(tx *table.Txn, ids []string) error {
		for _, id := range ids {
			var e *model.VPCEndpoint
			if e, found[id] = view.Get(tx, who, state.VPCEndpoints, id); found[id] && !e.Deleting() {
				if deleteEndpoint(tx, e, now); e.Acceptance != "" {
					told[id] = e
				}
			}
		}
		return nil
	})
	for _, e := range told {
		Notify(ctx, e.Service.Account, Deletes, e)
	}
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
	for _, id := range e.RouteTables {
		unroute(tx, e, id, now)
	}
	service.MarkDeleted(tx, state.VPCEndpoints, e, now)
	marked := 0
	for row := range state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()) {
		if marked++; marked > alloc.PerCommit(len(e.Interfaces)) {
			return
		}
		service.MarkDeleted(tx, state.EndpointAssociations, row, now)
	}
}
