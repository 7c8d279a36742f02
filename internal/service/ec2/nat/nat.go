// SPDX-License-Identifier: Apache-2.0

// Package nat is EC2's NAT gateways.
package nat

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// NATGateways are the operations on NAT gateways.
type NATGateways struct{ *service.Env }

// newGateway is a request for a NAT gateway with what it needs made beforehand.
type newGateway struct {
	in    *shape.CreateNatGatewayInput
	who   access.View
	id    string
	iface string
	now   time.Time
	tags  map[string]string
	// wanted are the addresses, the primary one first.
	wanted []wanted
}

// wanted is an address that a gateway is to have.
type wanted struct {
	// private is invalid for an address that is to be chosen.
	private netip.Addr
	// allocation is empty for an address of a private gateway, and association the id for
	// it otherwise.
	allocation, association string
}

// CreateNatGateway makes a NAT gateway in a subnet: one with elastic addresses, by which
// it reaches the internet, or a private one. What AWS finds out later makes it fail and is
// no error of the request.
func (a NATGateways) CreateNatGateway(ctx context.Context, in *shape.CreateNatGatewayInput) (*shape.CreateNatGatewayOutput, error) {
	who := access.From(ctx)
	n, err := a.newGateway(who, in)
	if err != nil {
		return nil, err
	}
	fingerprint := *in
	fingerprint.ClientToken = nil
	once := a.Idempotent(who, "CreateNatGateway", in.ClientToken, fingerprint)
	out, err := service.Create(ctx, once,
		func(tx *table.Txn, id string) (*model.NATGateway, error) {
			return request.Get(tx, who, state.NATGateways, id)
		},
		func(tx *table.Txn) (*model.NATGateway, error) { return a.create(tx, n) },
		created)
	if err != nil {
		return nil, request.Fault(err)
	}
	return &shape.CreateNatGatewayOutput{NatGateway: out, ClientToken: in.ClientToken}, nil
}

// newGateway checks what can be checked without looking at anything else.
func (a NATGateways) newGateway(who access.View, in *shape.CreateNatGatewayInput) (*newGateway, error) {
	if err := served(in); err != nil {
		return nil, err
	}
	n := &newGateway{in: in, who: who, id: a.NewID("nat"), iface: a.NewID("eni"), now: a.Now()}
	read := a.readPublic
	if n.private() {
		read = readPrivate
	}
	var err error
	if n.wanted, err = read(in); err != nil {
		return nil, err
	}
	if err := a.checkCount(len(n.wanted)); err != nil {
		return nil, err
	}
	n.tags, err = request.TagsFor(in.TagSpecifications, shape.ResourceTypeNatgateway)
	return n, err
}

func (n *newGateway) private() bool {
	return service.Value(n.in.ConnectivityType) == shape.ConnectivityTypePrivate
}

// served refuses gateways of whole regions, and the parameters that only those have.
func served(in *shape.CreateNatGatewayInput) error {
	switch {
	case service.Value(in.AvailabilityMode) == shape.AvailabilityModeRegional:
		return fault.EC2("UnsupportedOperation", "NAT gateways of AvailabilityMode regional are not served here; make a zonal one in a subnet of each availability zone")
	case in.VpcId != nil, len(in.AvailabilityZoneAddresses) > 0:
		return fault.EC2("UnsupportedOperation", "VpcId and AvailabilityZoneAddresses are of NAT gateways of AvailabilityMode regional, which are not served here; a zonal one has a SubnetId")
	case service.Value(in.SubnetId) == "":
		return fault.EC2("MissingParameter", "The request must contain the parameter SubnetId")
	}
	return nil
}

// readPublic reads the addresses of a gateway with elastic ones.
func (a NATGateways) readPublic(in *shape.CreateNatGatewayInput) ([]wanted, error) {
	switch {
	case service.Value(in.AllocationId) == "":
		return nil, fault.EC2("MissingParameter", "The request must contain the parameter AllocationId for a NAT gateway of ConnectivityType public")
	case in.SecondaryPrivateIpAddressCount != nil:
		return nil, fault.EC2("InvalidParameterCombination", "SecondaryPrivateIpAddressCount goes with ConnectivityType private only; name the elastic addresses with SecondaryAllocationIds")
	}
	primary, err := iface.ParseAddresses(named(in.PrivateIpAddress), netip.Addr.Is4, "IPv4")
	if err != nil {
		return nil, err
	}
	first := a.associating([]string{*in.AllocationId}, primary)
	rest, err := a.readAllocations(in.SecondaryAllocationIds, in.SecondaryPrivateIpAddresses, "SecondaryAllocationIds", "SecondaryPrivateIpAddresses")
	if err != nil {
		return nil, err
	}
	if slices.Contains(in.SecondaryAllocationIds, *in.AllocationId) {
		return nil, fault.EC2("InvalidParameterValue", "AllocationId %s is among SecondaryAllocationIds too", *in.AllocationId)
	}
	return distinct(append(first, rest...))
}

// readAllocations reads elastic addresses, with the private addresses for them or none.
func (a NATGateways) readAllocations(allocations, private []string, member, privateMember string) ([]wanted, error) {
	for i, id := range allocations {
		if slices.Contains(allocations[:i], id) {
			return nil, fault.EC2("InvalidParameterValue", "%s has %s twice", member, id)
		}
	}
	if len(private) > 0 && len(private) != len(allocations) {
		return nil, fault.EC2("InvalidParameterCombination", "%s has %d addresses and %s %d; there must be one for each, or none", privateMember, len(private), member, len(allocations))
	}
	addresses, err := iface.ParseAddresses(private, netip.Addr.Is4, "IPv4")
	if err != nil {
		return nil, err
	}
	return distinct(a.associating(allocations, addresses))
}

// associating pairs elastic addresses with private ones, of which there may be none.
func (a NATGateways) associating(allocations []string, private []netip.Addr) []wanted {
	list := make([]wanted, len(allocations))
	for i, id := range allocations {
		list[i] = wanted{allocation: id, association: a.NewID("eipassoc")}
		if len(private) > 0 {
			list[i].private = private[i]
		}
	}
	return list
}

// readPrivate reads the addresses of a private gateway.
func readPrivate(in *shape.CreateNatGatewayInput) ([]wanted, error) {
	if in.AllocationId != nil || len(in.SecondaryAllocationIds) > 0 {
		return nil, fault.EC2("InvalidParameterCombination", "AllocationId and SecondaryAllocationIds do not go with ConnectivityType private")
	}
	primary, err := iface.ParseAddresses(named(in.PrivateIpAddress), netip.Addr.Is4, "IPv4")
	if err != nil {
		return nil, err
	}
	list := make([]wanted, 1)
	if len(primary) > 0 {
		list[0].private = primary[0]
	}
	rest, err := readAddresses(in.SecondaryPrivateIpAddresses, in.SecondaryPrivateIpAddressCount, "SecondaryPrivateIpAddresses", "SecondaryPrivateIpAddressCount")
	if err != nil {
		return nil, err
	}
	return distinct(append(list, rest...))
}

// readAddresses reads private addresses, or the number of them.
func readAddresses(texts []string, count *int32, member, countMember string) ([]wanted, error) {
	if len(texts) > 0 && count != nil {
		return nil, fault.EC2("InvalidParameterCombination", "%s and %s exclude each other", countMember, member)
	}
	addresses, err := iface.ParseAddresses(texts, netip.Addr.Is4, "IPv4")
	if err != nil {
		return nil, err
	}
	list := make([]wanted, max(len(addresses), int(service.Value(count))))
	for i, addr := range addresses {
		list[i].private = addr
	}
	return distinct(list)
}

// distinct refuses to have an address twice.
func distinct(list []wanted) ([]wanted, error) {
	for i, w := range list {
		same := func(o wanted) bool { return o.private.IsValid() && o.private == w.private }
		if slices.ContainsFunc(list[:i], same) {
			return nil, fault.EC2("InvalidParameterValue", "The private IP address %s is there twice", w.private)
		}
	}
	return list, nil
}

func named(text *string) []string { return request.One(service.Value(text)) }

// checkCount bounds how many addresses a gateway has.
func (a NATGateways) checkCount(n int) error {
	if most := a.Quotas.AddressesPerNATGateway; n > most {
		return fault.EC2("PrivateIpAddressLimitExceeded", "A NAT gateway can have %d addresses, and would have %d", most, n)
	}
	return nil
}

// create checks the request against the state and adds the gateway, with its interface
// when nothing is against it.
func (a NATGateways) create(tx *table.Txn, n *newGateway) (*model.NATGateway, error) {
	s, err := request.Get(tx, n.who, state.Subnets, *n.in.SubnetId)
	if err != nil {
		return nil, err
	}
	if !s.CIDR.IsValid() {
		return nil, iface.Fault(&alloc.FamilyError{Subnet: s.ID, Family: 4})
	}
	if most := a.Quotas.NATGatewaysPerZone; inZone(tx, s) >= most {
		return nil, fault.EC2("NatGatewayLimitExceeded", "Performing this operation would exceed the limit of %d NAT gateways", most)
	}
	elastic, err := allocations(tx, n.who, n.wanted)
	if err != nil {
		return nil, err
	}
	g := &model.NATGateway{
		Meta: model.Meta{Account: s.Account, Region: s.Region, ID: n.id, CreatedAt: n.now, UpdatedAt: n.now, Tags: n.tags},
		VPC:  s.VPC, Subnet: s.ID, Private: n.private(),
	}
	if g.FailureCode, g.FailureMessage = failure(tx, s, g.Private, n.wanted, elastic); g.FailureCode != "" {
		g.GoneAt = n.now
		for _, w := range n.wanted {
			g.Addresses = append(g.Addresses, model.NATAddress{Private: w.private, Allocation: w.allocation})
		}
		state.NATGateways.Put(tx, g)
		return g, nil
	}
	ni, err := a.Alloc().CreateInterface(tx, alloc.Params{
		ID: n.iface, CreatedAt: n.now, Subnet: s, Type: model.InterfaceNAT,
		Description: "Interface for NAT Gateway " + n.id, Owner: n.id, IPv4: want(n.wanted),
	})
	if err != nil {
		return nil, iface.Fault(err)
	}
	list := place(n.wanted, ni.Addresses)
	ni = ni.Clone()
	for i, w := range list {
		ni.Addresses[i] = w.private
	}
	state.NetworkInterfaces.Put(tx, ni)
	g.Interface = ni.ID
	have(tx, g, ni, list, elastic)
	state.NATGateways.Put(tx, g)
	return g, nil
}

// inZone counts the gateways in the zone of a subnet that are not gone.
func inZone(tx *table.Txn, s *model.Subnet) (count int) {
	for g := range state.NATGateways.Scope(tx, s.Account, s.Region) {
		if in, ok := state.Subnets.Get(tx, g.Account, g.Region, g.Subnet); ok && !g.Gone() && in.Zone == s.Zone {
			count++
		}
	}
	return count
}

// allocations gives the elastic addresses that are wanted, in their order.
func allocations(tx *table.Txn, who access.View, list []wanted) ([]*model.ElasticAddress, error) {
	elastic := make([]*model.ElasticAddress, len(list))
	for i, w := range list {
		if w.allocation == "" {
			continue
		}
		var err error
		if elastic[i], err = request.Get(tx, who, state.ElasticAddresses, w.allocation); err != nil {
			return nil, err
		}
	}
	return elastic, nil
}

// failure says in the words of EC2 why a gateway cannot be made, if it cannot
// (https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html).
func failure(tx *table.Txn, s *model.Subnet, private bool, list []wanted, elastic []*model.ElasticAddress) (code, message string) {
	if !private && state.InternetGatewaysByVPC.Count(tx, s.Sibling(s.VPC)) == 0 {
		return "Gateway.NotAttached", "Network " + s.VPC + " has no Internet gateway attached"
	}
	if id := associated(elastic); id != "" {
		return "Resource.AlreadyAssociated", "Elastic IP address " + id + " is already associated"
	}
	if alloc.Free4(tx, s) < len(list) {
		return "InsufficientFreeAddressesInSubnet", "Subnet has insufficient free addresses to create this NAT gateway"
	}
	return "", ""
}

// associated gives the id of the first elastic address that something has, if any does.
func associated(elastic []*model.ElasticAddress) string {
	for _, e := range elastic {
		if e != nil && e.Association != "" {
			return e.ID
		}
	}
	return ""
}

// want asks for the addresses of an interface: those with a name first, but for the
// primary one.
func want(list []wanted) alloc.Want {
	w := alloc.Want{Count: len(list)}
	for _, each := range list {
		if each.private.IsValid() {
			w.Addresses = append(w.Addresses, each.private)
		}
	}
	return w
}

// place gives what is wanted without a name the addresses that were chosen for it.
func place(list []wanted, got []netip.Addr) []wanted {
	chosen := slices.DeleteFunc(slices.Clone(got), func(addr netip.Addr) bool {
		return slices.ContainsFunc(list, func(w wanted) bool { return w.private == addr })
	})
	list = slices.Clone(list)
	for i := range list {
		if !list[i].private.IsValid() {
			list[i].private, chosen = chosen[0], chosen[1:]
		}
	}
	return list
}

// have gives the caller's copy of a gateway addresses that its interface has, and those
// their elastic ones.
func have(tx *table.Txn, g *model.NATGateway, ni *model.NetworkInterface, list []wanted, elastic []*model.ElasticAddress) {
	for i, w := range list {
		g.Addresses = append(g.Addresses, model.NATAddress{Private: w.private, Allocation: w.allocation, Generation: g.Generation})
		if elastic[i] != nil {
			alloc.Associate(tx, elastic[i], w.association, ni, w.private, g.UpdatedAt)
		}
	}
}

// DeleteNatGateway starts the deletion of a gateway. Its elastic addresses are free when
// it is gone.
func (a NATGateways) DeleteNatGateway(ctx context.Context, in *shape.DeleteNatGatewayInput) (*shape.DeleteNatGatewayOutput, error) {
	who, id, now := access.From(ctx), service.Value(in.NatGatewayId), a.Now()
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, err := request.Get(tx, who, state.NATGateways, id)
		if err == nil {
			service.MarkDeleted(tx, state.NATGateways, g, now)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteNatGatewayOutput{NatGatewayId: &id}, nil
}
