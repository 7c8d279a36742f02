// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// privateName gives the resource of an association the name that its provider and the
// consumer want it to have in the endpoint's VPC, in a zone of the endpoint. Without an
// address from which there is a way the zone is there all the same: the name is not to lead
// anywhere else for that. A VPC needs both of its attributes to see it
// (https://docs.aws.amazon.com/vpc/latest/privatelink/use-resource-endpoint.html).
func (r *reading) privateName(a *model.EndpointAssociation, ep *model.VPCEndpoint, doors []desired.ZoneAddr) []desired.Entry {
	if !ep.HasPrivateNames() || ep.Deleting() {
		return nil
	}
	rc, ok := state.ResourceConfigurations.Get(r.tx, a.Configuration.Account, a.Configuration.Region, a.Configuration.ID)
	if !ok || rc.Deleting() {
		return nil
	}
	name, ok := state.PrivateNameOf(r.tx, ep, rc)
	if !ok {
		return nil
	}
	zone, entries := r.privateZone(ep, name.Zone)
	if entries == nil || name.Name == "" {
		return entries
	}
	named := newNamedAddresses(zone, ep.DNSRecordType)
	for _, door := range doors {
		named.add(name.Name, door)
	}
	return append(entries, named.records()...)
}

// privateZone gives a zone of an endpoint for a domain, if it has the domain in its VPC, and
// what the VPC needs to see it.
func (r *reading) privateZone(ep *model.VPCEndpoint, domain string) (id string, entries []desired.Entry) {
	if !state.HasPrivateZone(r.tx, r.plan.domains.naming(), ep, domain) {
		return "", nil
	}
	if sees, _ := valueOf[bool](r, unitSight, ep.Sibling(ep.VPC)); !sees {
		return "", nil
	}
	zone := desired.NameZone{ID: ep.PrivateZone(domain), Name: domain, Negative: endpointNegative}
	return zone.ID, []desired.Entry{zone, desired.View{VPC: ep.VPC, Zone: zone.ID}}
}

// deriveDomain gives an endpoint to a group the zone of the group's domain, whether any
// child has a name in it or not: the domain leads nowhere else before there are children,
// and after the last one. Nothing waits for it. Its value says that there may be one.
func (r *reading) deriveDomain(ref model.Ref) derived {
	ep, ok := state.VPCEndpoints.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || !ep.HasPrivateNames() || ep.ToService() || ep.Deleting() || !r.named() {
		return derived{}
	}
	d := derived{value: true}
	rc, ok := state.ResourceConfigurations.Get(r.tx, ep.Configuration.Account, ep.Configuration.Region, ep.Configuration.ID)
	if !ok {
		return d
	}
	if domain, ok := state.GroupZone(r.tx, ep, rc); ok {
		_, d.entries = r.privateZone(ep, domain)
	}
	return d
}
