// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// bothFamilies are the address types of endpoints to a service that the host relays to: which
// family it speaks itself does not matter.
var bothFamilies = []string{"ipv4", "ipv6"}

// placeTargets gives a new service what it needs to lead to its targets.
func (a *API) placeTargets(_ *table.Txn, s *model.EndpointService) error {
	for _, t := range s.Targets {
		if t.VPC != "" {
			return fault.Validation("targets", "targets in a VPC are not served: %s must be reached from the host", targetText(t))
		}
	}
	s.Families = bothFamilies
	return nil
}

// removeService removes a service that nothing leads to.
func (a *API) removeService(tx *table.Txn, s *model.EndpointService) {
	state.EndpointServices.Delete(tx, s.Account, s.Region, s.ID)
}
