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
	if !ep.PrivateDNS || ep.Deleting() {
		return nil
	}
	rc, ok := state.ResourceConfigurations.Get(r.tx, a.Configuration.Account, a.Configuration.Region, a.Configuration.ID)
	if !ok || rc.Deleting() {
		return nil
	}
	name, ok := state.PrivateNameOf(r.tx, ep, rc)
	if !ok || !state.HasPrivateZone(r.tx, ep, name.Zone) {
		return nil
	}
	if sees, _ := valueOf[bool](r, unitSight, ep.Sibling(ep.VPC)); !sees {
		return nil
	}
	zone := desired.NameZone{ID: ep.PrivateZone(name.Zone), Name: name.Zone, Negative: endpointNegative}
	entries := []desired.Entry{zone, desired.View{VPC: ep.VPC, Zone: zone.ID}}
	if name.Name == "" {
		return entries
	}
	named := newNamedAddresses(zone.ID, ep.DNSRecordType)
	for _, door := range doors {
		named.add(name.Name, door)
	}
	return append(entries, named.records()...)
}
