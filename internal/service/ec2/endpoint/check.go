// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/iface"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// endpointFamilies are the address families by EC2's words for them.
var endpointFamilies = map[string]model.IPFamily{
	shape.IpAddressTypeIpv4:      model.FamilyIPv4,
	shape.IpAddressTypeIpv6:      model.FamilyIPv6,
	shape.IpAddressTypeDualstack: model.FamilyDualstack,
}

// kindOf is the type of endpoint that a request asks for, which is Gateway when it does not say.
func kindOf(in *shape.CreateVpcEndpointInput) string {
	return cmp.Or(service.Value(in.VpcEndpointType), shape.VpcEndpointTypeGateway)
}

// servedEndpoint refuses types of endpoints that are not served, and of the others the
// parameters that they do not have.
func servedEndpoint(who access.View, in *shape.CreateVpcEndpointInput) error {
	switch kind := kindOf(in); {
	case kind == shape.VpcEndpointTypeInterface:
		return servedInterface(who, in)
	case kind == shape.VpcEndpointTypeGateway:
		return servedGateway(who, in)
	case kind != shape.VpcEndpointTypeResource:
		return fault.EC2("InvalidParameter", "Endpoints of type %s are not served; VpcEndpointType, which is Gateway when it is not said, must be Gateway, Interface or Resource", kind)
	case in.ResourceConfigurationArn == nil:
		return fault.EC2("MissingParameter", "The request must contain the parameter ResourceConfigurationArn for an endpoint of type Resource")
	case in.ServiceName != nil, in.ServiceNetworkArn != nil, in.ServiceRegion != nil, in.PolicyDocument != nil, len(in.RouteTableIds) > 0:
		return fault.EC2("InvalidParameterCombination", "ServiceName, ServiceNetworkArn, ServiceRegion, PolicyDocument and RouteTableIds do not go with an endpoint of type Resource")
	}
	return nil
}

// parseConfiguration reads the ARN of a resource configuration, which must be in
// the caller's region.
func (a Endpoints) parseConfiguration(who access.View, arn string) (model.Ref, error) {
	p, err := model.ParseARN(arn)
	switch {
	case err != nil, p.Service != "vpc-lattice", p.Type != "resourceconfiguration", p.ID == "", p.Account == "":
		return model.Ref{}, fault.EC2("InvalidParameter", "ResourceConfigurationArn '%s' is not the ARN of a resource configuration", arn)
	case !slices.Contains(a.Regions, p.Region):
		return model.Ref{}, fault.EC2("InvalidParameter", "ResourceConfigurationArn '%s' names region %s, which is not served; served are %s", arn, p.Region, strings.Join(a.Regions, ", "))
	case p.Region != who.Region:
		return model.Ref{}, fault.EC2("InvalidParameter", "ResourceConfigurationArn '%s' names region %s; endpoint and resource configuration must be in the same region, %s", arn, p.Region, who.Region)
	}
	return model.Ref{Account: p.Account, Region: p.Region, ID: p.ID}, nil
}

// checkConfiguration sees that the resource can be used by this caller, from
// this VPC and these subnets, with this address type.
func checkConfiguration(tx *table.Txn, n *newEndpoint, v *model.VPC, subnets []*model.Subnet) error {
	arn := service.Value(n.in.ResourceConfigurationArn)
	r, ok := view.For(tx, n.who, state.ResourceConfigurations, n.configuration, share.CreateEndpoint)
	if !ok {
		return fault.EC2("InvalidParameter", "Resource configuration %s does not exist, or is not shared with account %s", arn, n.who.Account)
	}
	g, ok := state.ResourceGateways.Get(tx, r.Account, r.Region, r.Gateway)
	switch {
	case !ok, r.Deleting():
		return fault.EC2("InvalidParameter", "Resource configuration %s is being deleted", arn)
	case model.Ref{Account: g.Account, Region: g.Region, ID: g.VPC} == v.Ref():
		return fault.EC2("InvalidParameter", "The resource gateway of %s is in the endpoint's own VPC %s; it must be in another one", arn, v.ID)
	case r.Type == model.TypeChild:
		return fault.EC2("InvalidParameter", "Resource configuration %s is of type CHILD, which has endpoints by its group only; ResourceConfigurationArn must be that of the group %s", arn, r.Group)
	case r.IsGroup():
		if err := checkMembers(tx, n, r); err != nil {
			return err
		}
		return checkZones(tx, g, subnets)
	case r.Is4() && !n.family.Has4():
		return fault.EC2("InvalidParameter", "The resource of %s has an IPv4 address; IpAddressType must be ipv4 or dualstack (translation between address families is not served yet)", arn)
	case !r.Is4() && !n.family.Has6():
		return fault.EC2("InvalidParameter", "The resource of %s has an IPv6 address; IpAddressType must be ipv6 or dualstack (translation between address families is not served yet)", arn)
	}
	return checkZones(tx, g, subnets)
}

// checkWay sees that with the new endpoint, which may be where some resource
// configuration leads to, its way still comes to an end.
func checkWay(tx *table.Txn, n *newEndpoint) error {
	r, ok := state.ResourceConfigurations.Get(tx, n.configuration.Account, n.configuration.Region, n.configuration.ID)
	if !ok {
		return nil
	}
	if steps, ends := state.Steps(tx, r); !ends {
		return fault.EC2("InvalidParameter", "The resource of %s is an address of endpoint %s, from where the way leads back to where it has been, or on through more than %d resource configurations",
			service.Value(n.in.ResourceConfigurationArn), steps[0].Association.Endpoint.ID, state.MaxSteps)
	}
	return nil
}

// checkZones sees that endpoint and gateway have a zone in common.
func checkZones(tx *table.Txn, g *model.ResourceGateway, subnets []*model.Subnet) error {
	var there, here []string
	for _, id := range g.Subnets {
		if s, ok := state.Subnets.Get(tx, g.Account, g.Region, id); ok {
			there = append(there, s.ZoneID)
		}
	}
	for _, s := range subnets {
		if slices.Contains(there, s.ZoneID) {
			return nil
		}
		here = append(here, s.ZoneID)
	}
	return fault.EC2("InvalidParameter", "The endpoint's subnets are in zones %s and the resource gateway's in %s; at least one zone must be the same",
		strings.Join(here, ", "), strings.Join(there, ", "))
}

// endpointSubnets reads the subnets of a new endpoint: of the VPC, of different
// zones, and with the blocks that the address type needs.
func endpointSubnets(tx *table.Txn, who access.View, v *model.VPC, ids []string, family model.IPFamily) ([]*model.Subnet, error) {
	var subnets []*model.Subnet
	zones := make(map[string]string)
	for _, id := range ids {
		s, err := request.Get(tx, who, state.Subnets, id)
		if err != nil {
			return nil, err
		}
		if s.VPC != v.ID {
			return nil, fault.EC2("InvalidParameter", "Subnet %s is in VPC %s, not in %s", id, s.VPC, v.ID)
		}
		if other, taken := zones[s.ZoneID]; taken {
			return nil, fault.EC2("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone of %s: %s", id, other)
		}
		zones[s.ZoneID] = id
		if err := checkEndpointFamily(s, family); err != nil {
			return nil, err
		}
		subnets = append(subnets, s)
	}
	return subnets, nil
}

// checkEndpointFamily holds a subnet against the address type: ipv4 needs an
// IPv4 block, dualstack both, and ipv6 a subnet that has IPv6 only.
func checkEndpointFamily(s *model.Subnet, family model.IPFamily) error {
	has4, has6 := s.CIDR.IsValid(), s.CIDR6.Prefix.IsValid()
	kind := strings.ToLower(string(family))
	switch {
	case family.Has4() && !has4:
		return fault.EC2("InvalidParameter", "IpAddressType %s needs subnets with an IPv4 block; %s has none", kind, s.ID)
	case family.Has6() && !has6:
		return fault.EC2("InvalidParameter", "IpAddressType %s needs subnets with an IPv6 block; %s has none", kind, s.ID)
	case family == model.FamilyIPv6 && has4:
		return fault.EC2("InvalidParameter", "IpAddressType ipv6 needs subnets with IPv6 only; %s has an IPv4 block too (use dualstack)", s.ID)
	}
	return nil
}

func isIPv4(a netip.Addr) bool { return a.Is4() }
func isIPv6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }

// endpointAddress reads an address that a SubnetConfiguration names.
func endpointAddress(text *string, possible bool, family func(netip.Addr) bool) (alloc.Want, error) {
	if text == nil {
		return alloc.Want{}, nil
	}
	addresses, err := iface.ParseAddresses([]string{*text}, family, "endpoint")
	if err == nil && !possible {
		err = fault.EC2("InvalidParameter", "Address %s does not go with the endpoint's IpAddressType", *text)
	}
	return alloc.Want{Addresses: addresses}, err
}
