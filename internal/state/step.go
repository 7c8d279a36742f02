// SPDX-License-Identifier: Apache-2.0

package state

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// MaxSteps is how many resource configurations a way can go through: one, and
// those to which endpoints in the VPCs of gateways lead on.
const MaxSteps = 8

// Step is where a way leads on: the address of a resource is that of an endpoint in
// the VPC of the resource's gateway.
type Step struct {
	// Association is the one of the endpoint that has the address.
	Association *model.EndpointAssociation
	Interface   *model.NetworkInterface
	// Next is the configuration that the association leads to.
	Next *model.ResourceConfiguration
}

// StepIn gives the step that begins at an address of a subnet; false says that the
// address is not one of an endpoint which leads anywhere.
func StepIn(tx *table.Txn, subnet model.Ref, addr netip.Addr) (Step, bool) {
	ni, ok := claimant(tx, subnet, addr)
	if !ok || ni.Type != model.InterfaceEndpoint || !slices.Contains(ni.All(), addr) {
		return Step{}, false
	}
	ep, ok := VPCEndpoints.Get(tx, ni.Account, ni.Region, ni.Owner)
	if !ok || ep.Deleting() {
		return Step{}, false
	}
	a, ok := associationAt(tx, ni, addr)
	if !ok {
		return Step{}, false
	}
	c := a.Configuration
	next, ok := ResourceConfigurations.Get(tx, c.Account, c.Region, c.ID)
	if !ok || next.Deleting() || next.Is4() != addr.Is4() {
		return Step{}, false
	}
	return Step{a, ni, next}, true
}

// InterfaceEndpointAt gives the endpoint of type Interface, with its interface, that has an
// address of a subnet; false says that none has, or that it leads nowhere.
func InterfaceEndpointAt(tx *table.Txn, subnet model.Ref, addr netip.Addr) (*model.VPCEndpoint, *model.NetworkInterface, bool) {
	ni, ok := claimant(tx, subnet, addr)
	if !ok || ni.Type != model.InterfaceEndpoint || !slices.Contains(ni.All(), addr) {
		return nil, nil, false
	}
	ep, ok := VPCEndpoints.Get(tx, ni.Account, ni.Region, ni.Owner)
	if !ok || ep.Type != model.EndpointInterface || ep.Deleting() || !ep.Accepted() || !slices.Contains(ep.Interfaces, ni.ID) {
		return nil, nil, false
	}
	return ep, ni, true
}

// BalancerAt gives the id of the load balancer that has an address of a subnet; false says
// that none has.
func BalancerAt(tx *table.Txn, subnet model.Ref, addr netip.Addr) (string, bool) {
	ni, ok := claimant(tx, subnet, addr)
	if !ok || ni.Type != model.InterfaceBalancer {
		return "", false
	}
	return ni.Owner, true
}

// ClaimOn gives the claim on an address of the subnet that an interface is in, whosever
// it is.
func ClaimOn(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr) (*model.AddressClaim, bool) {
	claim := ni.ClaimRef(addr)
	return AddressClaims.Get(tx, claim.Account, claim.Region, claim.ID)
}

// SubnetOf gives the subnet that an interface is in, whosever it is.
func SubnetOf(tx *table.Txn, ni *model.NetworkInterface) (*model.Subnet, bool) {
	s := ni.SubnetRef()
	return Subnets.Get(tx, s.Account, s.Region, s.ID)
}

// VPCOf gives the VPC that an interface is in, whosever it is.
func VPCOf(tx *table.Txn, ni *model.NetworkInterface) (*model.VPC, bool) {
	v := ni.VPCRef()
	return VPCs.Get(tx, v.Account, v.Region, v.ID)
}

// claimant gives the interface of a subnet that claims an address.
func claimant(tx *table.Txn, subnet model.Ref, addr netip.Addr) (*model.NetworkInterface, bool) {
	claim, ok := AddressClaims.Get(tx, subnet.Account, subnet.Region, model.AddressClaimID(subnet.ID, addr))
	if !ok || claim.Released() {
		return nil, false
	}
	has := claim.InterfaceRef()
	ni, ok := NetworkInterfaces.Get(tx, has.Account, has.Region, has.ID)
	return ni, ok && ni.SubnetRef() == subnet
}

// subnetAt gives the subnet of a VPC that an address is in.
func subnetAt(tx *table.Txn, vpc model.Ref, addr netip.Addr) (*model.Subnet, bool) {
	for s := range SubnetsByVPC.Rows(tx, vpc) {
		if s.CIDR.Contains(addr) || s.CIDR6.Prefix.Contains(addr) {
			return s, true
		}
	}
	return nil, false
}

// InterfaceAt gives the interface that claims an address of a VPC.
func InterfaceAt(tx *table.Txn, vpc model.Ref, addr netip.Addr) (*model.NetworkInterface, bool) {
	s, ok := subnetAt(tx, vpc, addr)
	if !ok {
		return nil, false
	}
	return claimant(tx, s.Ref(), addr)
}

// ZoneAt gives the availability zone of the subnet of a VPC that an address is in; empty when
// it is in none.
func ZoneAt(tx *table.Txn, vpc model.Ref, addr netip.Addr) string {
	if s, ok := subnetAt(tx, vpc, addr); ok {
		return s.Zone
	}
	return ""
}

// GatewayAt gives the id of the resource gateway that has an address of a subnet, alone
// or by a prefix; false says that none has.
func GatewayAt(tx *table.Txn, subnet model.Ref, addr netip.Addr) (string, bool) {
	for _, claimed := range []netip.Addr{addr, model.PrefixOf(addr).Addr()} {
		if ni, ok := claimant(tx, subnet, claimed); ok && ni.Type == model.InterfaceGateway &&
			(ni.Prefix6.Contains(addr) || slices.Contains(ni.All(), addr)) {
			return ni.Owner, true
		}
	}
	return "", false
}

// associationAt gives the association that an address of an endpoint's interface
// leads through; false says that there is none, or that it is being deleted.
func associationAt(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr) (*model.EndpointAssociation, bool) {
	endpoint, owned := ni.Sibling(ni.Owner), false
	for a := range EndpointAssociationsByAddress.Rows(tx, Address{ni.Ref(), addr}) {
		if a.Endpoint == endpoint && !a.Deleting() {
			return a, true
		}
		owned = true
	}
	if owned {
		return nil, false
	}
	for a := range EndpointAssociationsByEndpoint.Rows(tx, endpoint) {
		if !a.Owns() && !a.Deleting() {
			return a, true
		}
	}
	return nil, false
}

// SubnetAt gives the subnet of a VPC that an address is in.
func SubnetAt(tx *table.Txn, vpc model.Ref, addr netip.Addr) (*model.Subnet, bool) {
	for s := range SubnetsByVPC.Rows(tx, vpc) {
		if s.CIDR.Contains(addr) || s.CIDR6.Prefix.Contains(addr) {
			return s, true
		}
	}
	return nil, false
}

// Steps gives the steps of a way after the one to the resource itself, as a rule
// none. False says that the way has no end: it comes back to where it has been, or
// has more than MaxSteps.
func Steps(tx *table.Txn, rc *model.ResourceConfiguration) (steps []Step, ends bool) {
	been := []model.Ref{rc.Ref()}
	for {
		gw, ok := ResourceGateways.Get(tx, rc.Account, rc.Region, rc.Gateway)
		if !ok {
			return steps, true
		}
		subnet, ok := SubnetAt(tx, gw.Sibling(gw.VPC), rc.IP)
		if !ok {
			return steps, true
		}
		step, ok := StepIn(tx, subnet.Ref(), rc.IP)
		if !ok {
			return steps, true
		}
		steps = append(steps, step)
		if slices.Contains(been, step.Next.Ref()) || len(been) == MaxSteps {
			return steps, false
		}
		been, rc = append(been, step.Next.Ref()), step.Next
	}
}
