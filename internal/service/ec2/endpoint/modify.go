// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/group"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ModifyVpcEndpoint changes an endpoint and its interfaces. Of one of type Resource only the
// security groups and whether it has private DNS can be changed
// (https://docs.aws.amazon.com/vpc/latest/privatelink/use-resource-endpoint.html).
func (a Endpoints) ModifyVpcEndpoint(ctx context.Context, in *shape.ModifyVpcEndpointInput) (*shape.ModifyVpcEndpointOutput, error) {
	if service.Value(in.ResetPolicy) && in.PolicyDocument != nil {
		return nil, fault.EC2("InvalidParameterCombination", "ResetPolicy and PolicyDocument do not go together")
	}
	m := modification{a, access.From(ctx), in, make([]string, len(in.AddSubnetIds)+len(in.SubnetConfigurations))}
	for i := range m.ids {
		m.ids[i] = a.NewID("eni")
	}
	_, err := request.Change(ctx, a.Env, state.VPCEndpoints, service.Value(in.VpcEndpointId), func(tx *table.Txn, e *model.VPCEndpoint) error {
		switch {
		case e.Deleting():
			return fault.EC2("IncorrectState", "The Vpc Endpoint %s is being deleted", e.ID)
		case e.Type == model.EndpointResource:
			if err := modifiable(in); err != nil {
				return err
			}
		case e.Refused():
			return fault.EC2("IncorrectState", "The Vpc Endpoint %s is %s", e.ID, e.Acceptance)
		}
		return m.change(tx, e)
	})
	if err != nil {
		return nil, request.Fault(err)
	}
	return &shape.ModifyVpcEndpointOutput{Return: new(true)}, nil
}

// modifiable refuses what cannot be changed of an endpoint of type Resource.
func modifiable(in *shape.ModifyVpcEndpointInput) error {
	switch {
	case service.Value(in.ResetPolicy), in.PolicyDocument != nil, len(in.AddRouteTableIds) > 0, len(in.RemoveRouteTableIds) > 0,
		len(in.AddSubnetIds) > 0, len(in.RemoveSubnetIds) > 0, in.IpAddressType != nil, in.DnsOptions != nil, len(in.SubnetConfigurations) > 0:
		return fault.EC2("InvalidParameter", "Only the security groups and the private DNS of an endpoint of type Resource can be modified, with AddSecurityGroupIds, RemoveSecurityGroupIds and PrivateDnsEnabled")
	}
	return nil
}

// modification is a request to change an endpoint, with identifiers for as many interfaces as
// it may make.
type modification struct {
	Endpoints
	who access.View
	in  *shape.ModifyVpcEndpointInput
	ids []string
}

// change makes the caller's copy of an endpoint what the request asks for.
func (m modification) change(tx *table.Txn, e *model.VPCEndpoint) error {
	v, err := request.Get(tx, m.who, state.VPCs, e.VPC)
	if err != nil {
		return err
	}
	if e.Type != model.EndpointResource {
		if err := m.changeService(tx, v, e); err != nil {
			return err
		}
	}
	if err := m.switchPrivateDNS(tx, v, e, m.in.PrivateDnsEnabled); err != nil {
		return err
	}
	return m.changeGroups(tx, v, e)
}

// changeGroups changes the groups of an endpoint and of its interfaces.
func (m modification) changeGroups(tx *table.Txn, v *model.VPC, e *model.VPCEndpoint) error {
	if len(m.in.AddSecurityGroupIds)+len(m.in.RemoveSecurityGroupIds) == 0 {
		return nil
	}
	for _, id := range m.in.AddSecurityGroupIds {
		if !slices.Contains(e.Groups, id) {
			e.Groups = append(e.Groups, id)
		}
	}
	e.Groups = slices.DeleteFunc(e.Groups, func(id string) bool { return slices.Contains(m.in.RemoveSecurityGroupIds, id) })
	if len(e.Groups) == 0 {
		return fault.EC2("InvalidParameter", "The Vpc Endpoint %s would have no security group left; it must have at least one", e.ID)
	}
	if _, err := group.ForInterface(tx, m.Env, m.who, v, e.Groups); err != nil {
		return err
	}
	e.Update(e.UpdatedAt)
	alloc.Regroup(tx, &e.Meta, e.Interfaces, e.Groups)
	return nil
}

// changePolicy changes the policy of an endpoint to a service, which it gives.
func (m modification) changePolicy(tx *table.Txn, e *model.VPCEndpoint) (state.Offer, error) {
	offer, ok := state.OfferOf(tx, e)
	if !ok {
		return offer, fault.EC2("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", e.ServiceName)
	}
	if service.Value(m.in.ResetPolicy) {
		e.Policy = ""
	}
	if m.in.PolicyDocument != nil {
		return offer, setPolicy(e, offer, *m.in.PolicyDocument)
	}
	return offer, nil
}

// changeService changes what endpoints to services have alone.
func (m modification) changeService(tx *table.Txn, v *model.VPC, e *model.VPCEndpoint) error {
	in := m.in
	if e.Type == model.EndpointGateway {
		return m.changeGateway(tx, e)
	}
	if len(in.AddRouteTableIds)+len(in.RemoveRouteTableIds) > 0 {
		return fault.EC2("InvalidParameterCombination", "AddRouteTableIds and RemoveRouteTableIds do not go with an endpoint of type %s", e.Type)
	}
	offer, err := m.changePolicy(tx, e)
	if err != nil {
		return err
	}
	if service.Value(in.PrivateDnsEnabled) {
		if err := m.provides(offer); err != nil {
			return err
		}
	}
	if err := m.changeAddresses(tx, e, offer); err != nil {
		return err
	}
	if err := m.changeDNSOptions(e); err != nil {
		return err
	}
	return m.changeSubnets(tx, v, e)
}

// changeAddresses gives the interfaces of an endpoint an address of the other family, or takes
// that away.
func (m modification) changeAddresses(tx *table.Txn, e *model.VPCEndpoint, offer state.Offer) error {
	to := service.Value(m.in.IpAddressType)
	if to == "" || to == e.IPAddressType {
		return nil
	}
	family := endpointFamilies[to]
	if err := checkTakes(offer, family); err != nil {
		return err
	}
	for _, id := range e.Interfaces {
		ni, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, id)
		if !ok {
			continue
		}
		s, err := request.Get(tx, m.who, state.Subnets, ni.Subnet)
		if err != nil {
			return err
		}
		if err := checkEndpointFamily(s, family); err != nil {
			return err
		}
		ni = ni.Clone()
		if err := m.turn(tx, ni, s, family); err != nil {
			return err
		}
		state.NetworkInterfaces.Put(tx, ni)
	}
	e.IPAddressType = to
	e.Update(e.UpdatedAt)
	return nil
}

// turn gives the caller's copy of an interface one address of each of some families, and takes
// others away. These are free when nothing leads from them any more.
func (m modification) turn(tx *table.Txn, ni *model.NetworkInterface, s *model.Subnet, family model.IPFamily) error {
	var v4, v6 alloc.Want
	if family.Has4() && len(ni.Addresses) == 0 {
		v4.Count = 1
	}
	if family.Has6() && len(ni.Addresses6) == 0 {
		v6.Count = 1
	}
	if _, err := m.Alloc().Assign(tx, ni, s, v4, v6); err != nil {
		return iface.Fault(err)
	}
	for addresses, has := range map[*[]netip.Addr]bool{&ni.Addresses: family.Has4(), &ni.Addresses6: family.Has6()} {
		for _, addr := range *addresses {
			if !has {
				alloc.Release(tx, ni, addr, m.Now())
			}
		}
		if !has {
			*addresses = nil
		}
	}
	return nil
}

// changeDNSOptions changes which kinds of records the names have.
func (m modification) changeDNSOptions(e *model.VPCEndpoint) error {
	family := endpointFamilies[e.IPAddressType]
	if err := checkServiceDNS(m.in.DnsOptions, e.VPC, e.Type); err != nil {
		return err
	}
	if o := m.in.DnsOptions; o != nil && o.DnsRecordIpType != nil && *o.DnsRecordIpType != e.DNSRecordType {
		e.DNSRecordType = *o.DnsRecordIpType
		e.Update(e.UpdatedAt)
	}
	err := checkDNSOptions(&shape.DnsOptionsSpecification{DnsRecordIpType: service.Optional(e.DNSRecordType)}, family)
	if err != nil && m.in.DnsOptions == nil { // those of before do not go with the new addresses
		e.DNSRecordType, err = "", nil
	}
	return err
}

// changeSubnets gives an endpoint interfaces in more subnets, and takes those in others away.
// In a subnet where it has one that is to have another address it gets another one.
func (m modification) changeSubnets(tx *table.Txn, v *model.VPC, e *model.VPCEndpoint) error {
	n := &newEndpoint{in: &shape.CreateVpcEndpointInput{}, id: e.ID, now: m.Now(), family: endpointFamilies[e.IPAddressType]}
	if err := n.readSubnets(m.in.AddSubnetIds, m.in.SubnetConfigurations); err != nil {
		return err
	}
	gone := slices.Clone(m.in.RemoveSubnetIds)
	for _, id := range gone {
		if !slices.Contains(e.Subnets, id) {
			return fault.EC2("InvalidParameter", "Subnet %s, which RemoveSubnetIds names, is no subnet of the Vpc Endpoint %s", id, e.ID)
		}
	}
	n.subnets = slices.DeleteFunc(n.subnets, func(id string) bool {
		has := slices.Contains(e.Subnets, id) && !slices.Contains(gone, id)
		if has && !m.keeps(tx, e, id, n) {
			gone, has = append(gone, id), false
		}
		return has && !slices.Contains(m.in.AddSubnetIds, id)
	})
	if len(n.subnets)+len(gone) == 0 {
		return nil
	}
	m.giveUp(tx, e, gone)
	e.Subnets = append(e.Subnets, n.subnets...)
	all, err := endpointSubnets(tx, m.who, v, e.Subnets, n.family)
	if err != nil {
		return err
	}
	n.interfaces = m.ids[:len(n.subnets)]
	if err := m.createEndpointInterfaces(tx, n, all[len(all)-len(n.subnets):], e.Groups); err != nil {
		return err
	}
	e.Interfaces = append(e.Interfaces, n.interfaces...)
	e.Update(e.UpdatedAt)
	return nil
}

// keeps reports whether the addresses that a request names in a subnet are those that the
// endpoint has there.
func (m modification) keeps(tx *table.Txn, e *model.VPCEndpoint, subnet string, n *newEndpoint) bool {
	for _, id := range e.Interfaces {
		if ni, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, id); ok && ni.Subnet == subnet {
			return within(n.addresses[subnet].Addresses, ni.Addresses) && within(n.addresses6[subnet].Addresses, ni.Addresses6)
		}
	}
	return true
}

func within(some, all []netip.Addr) bool {
	return !slices.ContainsFunc(some, func(a netip.Addr) bool { return !slices.Contains(all, a) })
}

// giveUp takes the interfaces in some subnets away from the caller's copy of an endpoint. They
// go when nothing leads from their addresses any more.
func (m modification) giveUp(tx *table.Txn, e *model.VPCEndpoint, subnets []string) {
	e.Subnets = slices.DeleteFunc(e.Subnets, func(id string) bool { return slices.Contains(subnets, id) })
	for _, id := range slices.Clone(e.Interfaces) {
		ni, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, id)
		if !ok || !slices.Contains(subnets, ni.Subnet) {
			continue
		}
		e.Interfaces = slices.DeleteFunc(e.Interfaces, func(other string) bool { return other == id })
		e.Leaving = append(e.Leaving, id)
	}
}
