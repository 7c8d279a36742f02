// SPDX-License-Identifier: Apache-2.0

package state

import (
	"iter"
	"strconv"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

var (
	// EndpointServices are what interface endpoints lead to.
	EndpointServices = tagged(EC2, table.Define[*model.EndpointService]("endpoint-service"), "vpc-endpoint-service", "vpce-svc-")
	// EndpointServicesByName takes the name as an id: of a region's services, whoever has
	// them, so the account is left out.
	EndpointServicesByName = byRef(EndpointServices, "name", func(s *model.EndpointService) []model.Ref {
		return []model.Ref{{Region: s.Region, ID: s.Name}}
	})
	// EndpointServicesByRegion has all of a region, whoever has them.
	EndpointServicesByRegion = byRef(EndpointServices, "region", func(s *model.EndpointService) []model.Ref {
		return []model.Ref{{Region: s.Region}}
	})
	// ServicePermissions are parts of services, with ids and tags of their own.
	ServicePermissions = taggedParts(EC2, EndpointServices, "vpc-endpoint-service-permission", "vpce-svc-perm-", func(s *model.EndpointService) iter.Seq2[string, *map[string]string] {
		return func(yield func(string, *map[string]string) bool) {
			for i := range s.Principals {
				if p := &s.Principals[i]; !yield(p.ID, &p.Tags) {
					return
				}
			}
		}
	})
	// EndpointServicesByNext has those first for whose private names a record is looked for
	// next.
	EndpointServicesByNext = table.NewTimeline(EndpointServices, "next", func(s *model.EndpointService) time.Time { return s.Verification.NextAt })

	// VPCEndpointsByService finds those that lead to a service, also while they wait to be
	// accepted, and when they were refused. These outlive the service; with others it is not
	// deleted.
	VPCEndpointsByService = refer(VPCEndpoints, "service", Outlives, func(e *model.VPCEndpoint) []model.Ref { return named(e.Service) }, to(EndpointServices))
	// VPCEndpointsByPatience has those first whose owner of the service has not answered for
	// longest.
	VPCEndpointsByPatience = table.NewTimeline(VPCEndpoints, "patience", (*model.VPCEndpoint).ExpiresAt)
	// VPCEndpointsByTarget finds the one that has a transit target.
	VPCEndpointsByTarget = table.NewIndex(VPCEndpoints, "target", TargetPlace.String, func(e *model.VPCEndpoint) (places []TargetPlace) {
		for _, t := range e.Targets {
			places = append(places, TargetPlace{t.Host, t.Index})
		}
		return places
	})
)

// TargetPlace is a transit target, as an index finds it.
type TargetPlace struct{ Host, Index int }

// String makes different places differ.
func (p TargetPlace) String() string { return strconv.Itoa(p.Host) + "/" + strconv.Itoa(p.Index) }

// named gives a reference as a list, which is empty when it names nothing.
func named(ref model.Ref) []model.Ref {
	if ref == (model.Ref{}) {
		return nil
	}
	return []model.Ref{ref}
}
