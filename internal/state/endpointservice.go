// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strconv"

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
	// EndpointServicesByVPC finds registered ones with targets in a VPC.
	EndpointServicesByVPC = refer(EndpointServices, "vpc", Outlives, func(s *model.EndpointService) (vpcs []model.Ref) {
		for _, t := range s.Targets {
			if t.VPC != "" {
				vpcs = append(vpcs, s.Sibling(t.VPC))
			}
		}
		return vpcs
	}, to(VPCs))

	// VPCEndpointsByService finds those that lead to a service, also while they wait to be
	// accepted. A service is not deleted before they are.
	VPCEndpointsByService = refer(VPCEndpoints, "service", Holds, func(e *model.VPCEndpoint) []model.Ref { return named(e.Service) }, to(EndpointServices))
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
