// SPDX-License-Identifier: Apache-2.0

package route53

import (
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
)

// checkAlias sees that an alias leads to records of its type, in a zone of the caller's, or
// to the names of endpoints, whose zone is shown with them.
func (b *batch) checkAlias(r *model.RecordSet) {
	domain, rows := "", true
	zone, ok := view.Get(b.tx, b.who, state.HostedZones, r.Alias.Zone)
	if ok {
		domain = zone.Name
	} else if domain, ok = b.api.endpointDomain(r.Alias.Zone); ok {
		rows = false
	} else {
		b.wrong("Tried to create an alias that targets %s, type %s in zone %s, but that is the ID of no hosted zone of yours, nor of the names of endpoints: see AliasTarget.HostedZoneId", r.Alias.Name, r.Type, r.Alias.Zone)
		return
	}
	if !model.NameWithin(r.Alias.Name, domain) {
		b.wrong("Tried to create an alias that targets %s, type %s in zone %s, but the alias target name does not lie within the target zone", r.Alias.Name, r.Type, r.Alias.Zone)
	}
	switch {
	case rows && !b.hasTarget(zone, r):
		b.wrong("Tried to create an alias that targets %s, type %s in zone %s, but that target was not found", r.Alias.Name, r.Type, r.Alias.Zone)
	case !rows && r.Type != shape.RRTypeA && r.Type != shape.RRTypeAaaa:
		b.wrong("Tried to create an alias that targets %s, type %s in zone %s, but names of endpoints have records of types A and AAAA only", r.Alias.Name, r.Type, r.Alias.Zone)
	}
}

// hasTarget reports whether a zone has what an alias leads to, other than the alias itself.
func (b *batch) hasTarget(zone *model.HostedZone, r *model.RecordSet) bool {
	if zone.ID == b.zone.ID {
		for _, s := range b.sets(r.Alias.Name) {
			if s.Type == r.Type && s.Name != r.Name {
				return true
			}
		}
		return false
	}
	for s := range state.RecordSetsByName.Rows(b.tx, state.ZoneName{Zone: zone.Ref(), Name: r.Alias.Name}) {
		if s.Type == r.Type {
			return true
		}
	}
	return false
}

// endpointDomain gives the domain of endpoints' names whose zone has an id, of those to
// resources or to services; false says that it is none.
func (a *API) endpointDomain(id string) (string, bool) {
	for _, region := range a.Regions {
		if domain := model.EndpointDomain(region, a.Suffix); model.EndpointZoneID(domain) == id {
			return domain, true
		}
		if model.ServiceZoneID(region, a.Suffix) == id {
			return region + "." + model.ServiceNames(a.Suffix), true
		}
	}
	return "", false
}
