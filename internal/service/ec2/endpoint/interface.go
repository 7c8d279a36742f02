// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// servedInterface refuses what does not go with an endpoint of type Interface.
func servedInterface(who access.View, in *shape.CreateVpcEndpointInput) error {
	switch {
	case in.ServiceName == nil:
		return fault.EC2("MissingParameter", "The request must contain the parameter ServiceName for an endpoint of type Interface")
	case in.ServiceNetworkArn != nil, in.ResourceConfigurationArn != nil, len(in.RouteTableIds) > 0:
		return fault.EC2("InvalidParameterCombination", "ServiceNetworkArn, ResourceConfigurationArn and RouteTableIds do not go with an endpoint of type Interface")
	case in.ServiceRegion != nil && *in.ServiceRegion != who.Region:
		return fault.EC2("InvalidParameter", "ServiceRegion is %s; endpoint and service must be in the same region, %s", *in.ServiceRegion, who.Region)
	}
	return nil
}

// offered gives the service that a request names, if the caller can have endpoints to it.
func offered(tx *table.Txn, who access.View, name string) (state.Offer, error) {
	offer, ok := view.OfferNamed(tx, who, name)
	if !ok || offer.Row != nil && offer.Row.Deleting() {
		return offer, fault.EC2("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
	}
	return offer, nil
}

// checkTakes sees that endpoints of the service can have addresses of the type.
func checkTakes(offer state.Offer, family model.IPFamily) error {
	if family.Has4() && !offer.Takes(true) || family.Has6() && !offer.Takes(false) {
		return fault.EC2("InvalidParameter", "The VPC endpoint service %s does not support the IP address type %s of the endpoint. It supports %s.",
			offer.Name, strings.ToLower(string(family)), strings.Join(offer.Row.Families, ", "))
	}
	return nil
}

// createInterfaceEndpoint adds an endpoint of type Interface with an interface in each of its
// subnets, of which there may be none yet.
func (a Endpoints) createInterfaceEndpoint(tx *table.Txn, n *newEndpoint) (*model.VPCEndpoint, error) {
	v, err := request.Get(tx, n.who, state.VPCs, service.Value(n.in.VpcId))
	if err != nil {
		return nil, err
	}
	offer, err := offered(tx, n.who, service.Value(n.in.ServiceName))
	if err != nil {
		return nil, err
	}
	if err := checkTakes(offer, n.family); err != nil {
		return nil, err
	}
	if err := checkRoom(tx, v, model.EndpointInterface, a.Quotas.InterfaceEndpointsPerVPC); err != nil {
		return nil, err
	}
	subnets, groups, err := a.site(tx, n, v)
	if err != nil {
		return nil, err
	}
	if err := a.createEndpointInterfaces(tx, n, subnets, groups); err != nil {
		return nil, err
	}
	e := n.row(v, model.EndpointInterface, groups)
	if err := a.leadTo(tx, n, e, offer); err != nil {
		return nil, err
	}
	if n.in.PolicyDocument != nil {
		if err := setPolicy(e, offer, *n.in.PolicyDocument); err != nil {
			return nil, err
		}
	}
	setDNSOptions(e, n.in)
	if n.in.PrivateDnsEnabled == nil {
		e.PrivateDNS = len(offer.PrivateNames(a.Naming())) > 0
	}
	if err := a.checkServiceNames(tx, v, e, offer); err != nil {
		return nil, err
	}
	state.VPCEndpoints.Put(tx, e)
	return e, nil
}

// leadTo notes what a new endpoint leads to, and whether its owner is asked. Where services
// are told by transit targets it gets one.
func (a Endpoints) leadTo(tx *table.Txn, n *newEndpoint, e *model.VPCEndpoint, offer state.Offer) error {
	e.ServiceName = offer.Name
	if offer.Row != nil {
		e.Service = offer.Row.Ref()
	}
	if offer.Row != nil && !offer.Row.Registered {
		e.Acceptance, e.AcceptanceAt = model.AcceptanceAccepted, n.now
		if offer.Row.Acceptance {
			e.Acceptance = model.AcceptancePending
		}
	}
	if !offer.Fronted() {
		return nil
	}
	index, err := a.Alloc().ClaimTransit(tx, model.SpaceTarget, model.TargetsPerHost, e.Ref())
	if err != nil {
		return err
	}
	e.Targets = []model.TransitTarget{{Host: a.Host, Index: index}}
	return nil
}

// checkServiceNames sees that an endpoint with private DNS can have it. The messages are
// EC2's.
func (a Endpoints) checkServiceNames(tx *table.Txn, v *model.VPC, e *model.VPCEndpoint, offer state.Offer) error {
	if e.PrivateDNS {
		if err := a.provides(offer); err != nil {
			return err
		}
	}
	return a.checkPrivateDNS(tx, v, e)
}

// provides sees that a service has a name for the VPCs of its endpoints.
func (a Endpoints) provides(offer state.Offer) error {
	if len(offer.PrivateNames(a.Naming())) == 0 {
		return fault.EC2("InvalidParameter", "Private DNS can't be enabled because the service %s does not provide a private DNS name.", offer.Name)
	}
	return nil
}

// checkServiceDNS refuses options that only endpoints of other types have, and what needs
// what is not here.
func checkServiceDNS(o *shape.DnsOptionsSpecification, vpc, kind string) error {
	switch {
	case o == nil:
		return nil
	case service.Value(o.PrivateDnsOnlyForInboundResolverEndpoint):
		return fault.EC2("InvalidParameter", "To set PrivateDnsOnlyForInboundResolverEndpoint to true, the VPC %s must have a Gateway endpoint for the service.", vpc)
	case o.PrivateDnsPreference != nil, len(o.PrivateDnsSpecifiedDomains) > 0:
		return fault.EC2("InvalidParameterCombination", "PrivateDnsPreference and PrivateDnsSpecifiedDomains do not go with an endpoint of type %s", kind)
	}
	return nil
}

// dnsEntries are the names of an interface endpoint, in EC2's order: the regional one, those
// of its zones, and the private ones. Of these there are those alone that its VPC has by it.
func (a Endpoints) dnsEntries(tx *table.Txn, e *model.VPCEndpoint) []shape.DnsEntry {
	entries := []shape.DnsEntry{}
	offer, ok := state.OfferOf(tx, e)
	if e.Type != model.EndpointInterface || !ok {
		return entries
	}
	add := func(name, zone string) {
		entries = append(entries, shape.DnsEntry{DnsName: new(strings.TrimSuffix(name, model.RootName)), HostedZoneId: &zone})
	}
	domain, zone := offer.Domain(a.Naming()), model.ServiceZoneID(offer.Region, a.Suffix)
	add(e.NameIn(domain), zone)
	for _, z := range a.zonesOf(tx, e) {
		add(e.ZonalNameIn(domain, z), zone)
	}
	v, there := state.VPCs.Get(tx, e.Account, e.Region, e.VPC)
	if !e.PrivateDNS || !there || !v.DNSSupport || !v.DNSHostnames {
		return entries
	}
	for _, name := range offer.PrivateNames(a.Naming()) {
		if !state.HasPrivateZone(tx, a.Naming(), e, name.Name) {
			continue
		}
		zone := model.EndpointZoneID(e.PrivateZone(name.Name))
		add(name.Name, zone)
		if name.Wild {
			add("*."+name.Name, zone)
		}
	}
	return entries
}

// zonesOf are the availability zones of an endpoint, in the order of its interfaces.
func (a Endpoints) zonesOf(tx *table.Txn, e *model.VPCEndpoint) (zones []string) {
	for _, id := range e.Interfaces {
		if ni, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, id); ok {
			zones = append(zones, ni.Zone)
		}
	}
	return zones
}
