// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"cmp"
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// defaultAddresses is how many IPv4 addresses each interface of a gateway has
// when the request does not say.
const defaultAddresses = 16

// newGateway is a request for a gateway with what it needs made beforehand.
type newGateway struct {
	in         *shape.CreateResourceGatewayInput
	who        access.View
	id         string
	interfaces []string // ids, one per subnet
	now        time.Time
	family     model.IPFamily
	addresses  int
}

// CreateResourceGateway makes a gateway with one network interface in each of
// its subnets.
func (a *API) CreateResourceGateway(ctx context.Context, in *shape.CreateResourceGatewayInput) (*shape.CreateResourceGatewayOutput, error) {
	who := access.From(ctx)
	fingerprint := *in
	fingerprint.ClientToken = nil
	request := a.Idempotent(who, "CreateResourceGateway", in.ClientToken, fingerprint)
	n, err := a.newGateway(who, in)
	if err != nil {
		return nil, err
	}
	out, err := service.Create(ctx, request,
		func(tx *table.Txn, id string) (*model.ResourceGateway, error) {
			return replayed(tx, state.ResourceGateways, who, kindGateway, id)
		},
		func(tx *table.Txn) (*model.ResourceGateway, error) { return a.createGateway(tx, n) },
		createdGateway)
	return out, asFault(err)
}

// newGateway checks what can be checked without looking at anything else.
func (a *API) newGateway(who access.View, in *shape.CreateResourceGatewayInput) (*newGateway, error) {
	n := &newGateway{
		in: in, who: who, id: a.NewID("rgw"), now: a.Now(),
		family: model.IPFamily(cmp.Or(service.Value(in.IpAddressType), string(model.FamilyIPv4))),
	}
	switch {
	case in.VpcIdentifier == nil:
		return nil, fault.Validation("vpcIdentifier", "vpcIdentifier is required: the VPC that the resources are reached from")
	case len(in.SubnetIds) == 0:
		return nil, fault.Validation("subnetIds", "subnetIds is required: at least one subnet of the VPC")
	case !n.family.Has4() && in.Ipv4AddressesPerEni != nil:
		return nil, fault.Validation("ipv4AddressesPerEni", "a gateway with ipAddressType IPV6 has no IPv4 addresses; leave ipv4AddressesPerEni out")
	}
	if n.family.Has4() {
		n.addresses = int(cmp.Or(service.Value(in.Ipv4AddressesPerEni), defaultAddresses))
	}
	for range in.SubnetIds {
		n.interfaces = append(n.interfaces, a.NewID("eni"))
	}
	if err := service.CheckTagMap(in.Tags); err != nil {
		return nil, asFault(err)
	}
	return n, nil
}

// createGateway checks the request against the state and adds gateway and
// interfaces.
func (a *API) createGateway(tx *table.Txn, n *newGateway) (*model.ResourceGateway, error) {
	in, who := n.in, n.who
	vpc, ok := view.Get(tx, who, state.VPCs, *in.VpcIdentifier)
	if !ok {
		return nil, fault.NotFound(kindVPC, *in.VpcIdentifier)
	}
	if err := a.checkGatewayRoom(tx, n); err != nil {
		return nil, err
	}
	subnets, err := gatewaySubnets(tx, vpc, in.SubnetIds, n.family, in.ResourceConfigDnsResolution)
	if err != nil {
		return nil, err
	}
	groups, err := a.gatewayGroups(tx, vpc, in.SecurityGroupIds)
	if err != nil {
		return nil, err
	}
	g := &model.ResourceGateway{
		Meta: model.Meta{Account: who.Account, Region: who.Region, ID: n.id, CreatedAt: n.now, Tags: in.Tags},
		Name: *in.Name, VPC: vpc.ID, Subnets: in.SubnetIds, Groups: groups, Family: n.family,
		AddressesPerInterface: n.addresses, Interfaces: n.interfaces,
		DNSResolution: cmp.Or(service.Value(in.ResourceConfigDnsResolution), shape.ResourceConfigDnsResolutionPublic),
	}
	for i, subnet := range subnets {
		if _, err := a.Alloc().CreateInterface(tx, alloc.Params{
			ID: n.interfaces[i], CreatedAt: n.now, Subnet: subnet,
			Type: model.InterfaceGateway, Description: "VPC Lattice resource gateway " + n.id,
			Groups: groups, Owner: n.id, SourceDestCheck: true,
			IPv4: alloc.Want{Count: n.addresses}, Prefix6: n.family.Has6(),
		}); err != nil {
			return nil, err
		}
	}
	state.ResourceGateways.Put(tx, g)
	return g, nil
}

// checkGatewayRoom sees to the name's uniqueness and to the quota.
func (a *API) checkGatewayRoom(tx *table.Txn, n *newGateway) error {
	name := *n.in.Name
	for other := range state.ResourceGatewaysByName.Rows(tx, n.who.Own(name)) {
		return fault.Conflict(kindGateway, other.ID, "a resource gateway named %s exists already: %s", name, other.ID)
	}
	most := a.Quotas.GatewaysPerVPC
	if state.ResourceGatewaysByVPC.Count(tx, n.who.Own(*n.in.VpcIdentifier)) >= most {
		return fault.QuotaExceeded(kindGateway, "", "gateways-per-vpc", "%s has %d resource gateways, the most a VPC can have", *n.in.VpcIdentifier, most)
	}
	return nil
}

// gatewaySubnets reads the subnets of a new gateway: of the VPC, of different
// zones, and with the blocks that the address type needs.
func gatewaySubnets(tx *table.Txn, vpc *model.VPC, ids []string, family model.IPFamily, resolution *string) ([]*model.Subnet, error) {
	var subnets []*model.Subnet
	zones := make(map[string]string)
	for _, id := range ids {
		s, ok := state.Subnets.Get(tx, vpc.Account, vpc.Region, id)
		if !ok {
			return nil, fault.NotFound(kindSubnet, id)
		}
		if s.VPC != vpc.ID {
			return nil, fault.Validation("subnetIds", "subnet %s is in %s, not in %s", id, s.VPC, vpc.ID)
		}
		if other, taken := zones[s.ZoneID]; taken {
			return nil, fault.Validation("subnetIds", "subnets %s and %s are both in zone %s; a resource gateway has one subnet per zone", other, id, s.Zone)
		}
		zones[s.ZoneID] = id
		if err := checkGatewayFamily(s, family, service.Value(resolution)); err != nil {
			return nil, err
		}
		subnets = append(subnets, s)
	}
	return subnets, nil
}

// checkGatewayFamily holds a subnet against the address type: IPV4 needs an
// IPv4 block, IPV6 an IPv6 block, and DUALSTACK both. The guide says that IPV6
// needs subnets that have nothing else, but clients of AWS make such gateways in
// subnets with both.
func checkGatewayFamily(s *model.Subnet, family model.IPFamily, resolution string) error {
	has4, has6 := s.CIDR.IsValid(), s.CIDR6.Prefix.IsValid()
	switch {
	case family.Has4() && !has4:
		return fault.Validation("ipAddressType", "ipAddressType %s needs subnets with an IPv4 block; %s has none", family, s.ID)
	case family.Has6() && !has6:
		return fault.Validation("ipAddressType", "ipAddressType %s needs subnets with an IPv6 block; %s has none", family, s.ID)
	case resolution == shape.ResourceConfigDnsResolutionInVpc && !has4:
		return fault.Validation("resourceConfigDnsResolution", "IN_VPC is not possible with subnets that have IPv6 only, such as %s", s.ID)
	}
	return nil
}

// gatewayGroups checks the security groups of a gateway, and gives the VPC's
// default one when there are none.
func (a *API) gatewayGroups(tx *table.Txn, vpc *model.VPC, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return []string{vpc.DefaultGroup}, nil
	}
	if most := a.Quotas.GroupsPerGateway; len(ids) > most {
		return nil, fault.Validation("securityGroupIds", "%d security groups, a resource gateway can have %d", len(ids), most)
	}
	seen := make(map[string]bool)
	for _, id := range ids {
		g, ok := state.SecurityGroups.Get(tx, vpc.Account, vpc.Region, id)
		switch {
		case !ok:
			return nil, fault.NotFound(kindGroup, id)
		case g.VPC != vpc.ID:
			return nil, fault.Validation("securityGroupIds", "security group %s is in %s, not in %s", id, g.VPC, vpc.ID)
		case seen[id]:
			return nil, fault.Validation("securityGroupIds", "security group %s is named twice", id)
		}
		seen[id] = true
	}
	return ids, nil
}

func createdGateway(tx *table.Txn, g *model.ResourceGateway) *shape.CreateResourceGatewayOutput {
	state, _ := status(tx, &g.Meta)
	return &shape.CreateResourceGatewayOutput{
		Name: &g.Name, Id: &g.ID, Arn: new(g.ARN()), Status: &state,
		VpcIdentifier: &g.VPC, SubnetIds: g.Subnets, SecurityGroupIds: g.Groups,
		IpAddressType: new(string(g.Family)), Ipv4AddressesPerEni: service.Optional(int32(g.AddressesPerInterface)),
		ResourceConfigDnsResolution: &g.DNSResolution,
	}
}
