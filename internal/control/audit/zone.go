// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// zones wants zones to begin with their own records, and no VPC to see two of one name:
// nobody could say which one answers there.
func (a *auditor) zones() {
	type sight struct {
		vpc  model.Ref
		name string
	}
	seen := map[sight]string{}
	for z := range state.HostedZones.All(a.tx) {
		object := name(state.HostedZones, z)
		for _, vpc := range z.VPCs {
			s := sight{vpc, z.Name}
			if other, taken := seen[s]; taken {
				a.wrong(object, "%s sees %s too, which has the same name", vpc.ID, other)
			}
			seen[s] = z.ID
		}
		for _, kind := range []string{"NS", "SOA"} {
			if _, ok := state.RecordSets.Get(a.tx, z.Account, z.Region, model.RecordSetID(z.ID, z.Name, kind, "")); !ok {
				a.wrong(object, "it has no %s record of its own", kind)
			}
		}
	}
	for r := range state.RecordSets.All(a.tx) {
		a.recordSet(r)
	}
}

// recordSet wants a set to be in its zone, and to answer something, alone under its name
// and type or as one of several.
func (a *auditor) recordSet(r *model.RecordSet) {
	object := name(state.RecordSets, r)
	zone := r.ZoneRef()
	if z, ok := state.HostedZones.Get(a.tx, zone.Account, zone.Region, zone.ID); ok && !model.NameWithin(r.Name, z.Name) {
		a.wrong(object, "its name %s is not in its zone, %s", r.Name, z.Name)
	}
	if (len(r.Values) == 0) == r.Alias.IsZero() {
		a.wrong(object, "it has values and an alias, or neither")
	}
	for other := range state.RecordSetsByName.Rows(a.tx, state.ZoneName{Zone: zone, Name: r.Name}) {
		switch {
		case other.Set == r.Set && other.Type == r.Type:
		case other.Type == r.Type && r.Set == "":
			a.wrong(object, "there are others of its name and type")
		case other.Type != r.Type && r.Type == "CNAME":
			a.wrong(object, "its name has records of type %s too", other.Type)
		}
	}
}
