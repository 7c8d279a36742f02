// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// EndpointRequests has endpoints expire that the owner of their service has not answered.
type EndpointRequests struct{}

// Name implements Maker.
func (EndpointRequests) Name() string { return "end of requests for endpoints" }

// Ask implements Maker.
func (EndpointRequests) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for e := range state.VPCEndpointsByPatience.Rows(tx) {
		if !a.due(e.ExpiresAt(), now) {
			break
		}
		a.Changes = append(a.Changes, Change{e.ID, still(state.VPCEndpoints, e, func(tx *table.Txn, e *model.VPCEndpoint) {
			if at := e.ExpiresAt(); at.IsZero() || now.Before(at) { // it was answered, or deleted
				return
			}
			e = e.Clone()
			e.Answer(model.AcceptanceExpired, now)
			state.VPCEndpoints.Put(tx, e)
		})})
	}
	return a
}
