// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// deriveSight says whether a VPC's resolver sees hosted zones: somebody lives there, and
// the VPC has both attributes that they need
// (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/hosted-zone-private-considerations.html).
// Its value is read by zones, which are not to make a VPC have a router.
func (r *reading) deriveSight(ref model.Ref) derived {
	vpc, ok := state.VPCs.Get(r.tx, ref.Account, ref.Region, ref.ID)
	return derived{value: ok && r.named() && vpc.DNSSupport && vpc.DNSHostnames && state.NetworkInterfacesByVPC.Count(r.tx, ref) > 0}
}

// deriveZone lets VPCs see a hosted zone. Its value says whether any of them does.
func (r *reading) deriveZone(ref model.Ref) derived {
	z, ok := state.HostedZones.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{newStanding(SubjectZone, ref, stamp(z.CreatedAt, z.UpdatedAt), z.Deleting())}}
	if z.Deleting() {
		return d
	}
	for _, vpc := range z.VPCs {
		if sees, _ := valueOf[bool](r, unitSight, vpc); sees {
			d.entries = append(d.entries, desired.View{VPC: vpc.ID, Zone: z.ID})
		}
	}
	if d.entries != nil {
		d.entries = append(d.entries, desired.NameZone{ID: z.ID, Name: z.Name})
		d.value = true
	}
	return d
}

// deriveRecord asks for a record set of a hosted zone that a VPC sees. Its zone waits
// for it. Nothing looks after the health of what failover leads away from: the primary
// set is answered as long as there is one.
func (r *reading) deriveRecord(ref model.Ref) derived {
	set, ok := state.RecordSets.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{newStanding(SubjectZone, set.ZoneRef(), 0, false)}}
	if seen, _ := valueOf[bool](r, unitZone, set.ZoneRef()); !seen || set.Secondary && r.hasPrimary(set) {
		return d
	}
	d.entries = []desired.Entry{desired.NameRecord{
		Zone: set.Zone, Name: set.Name, Type: set.Type, Set: set.Set, TTL: uint32(set.TTL), Data: set.Data(), Alias: set.Alias.Name,
		Weight: uint32(set.Weight), Weighted: set.Routing == model.RoutingWeighted,
	}}
	return d
}

func (r *reading) hasPrimary(secondary *model.RecordSet) bool {
	for set := range state.RecordSetsByName.Rows(r.tx, state.ZoneName{Zone: secondary.ZoneRef(), Name: secondary.Name}) {
		if set.Type == secondary.Type && set.Routing == model.RoutingFailover && !set.Secondary {
			return true
		}
	}
	return false
}
