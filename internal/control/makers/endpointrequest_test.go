// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestRequestsForEndpointsExpire when nobody has answered for long enough, and no others do.
func TestRequestsForEndpointsExpire(t *testing.T) {
	run(t, nil, func(w *world) {
		asked := time.Unix(1000, 0)
		put := func(id, acceptance string, at time.Time) {
			w.update(func(tx *table.Txn) {
				state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: row(id), Type: model.EndpointInterface, Acceptance: acceptance, AcceptanceAt: at})
			})
		}
		put("vpce-waits", model.AcceptancePending, asked)
		put("vpce-later", model.AcceptancePending, asked.Add(time.Hour))
		put("vpce-led", model.AcceptanceAccepted, asked)
		put("vpce-asks-nobody", "", time.Time{})
		end := asked.Add(model.AcceptancePatience)
		if a := (EndpointRequests{}).Ask(w.db.Snapshot(), end.Add(-time.Second)); len(a.Changes) > 0 || !a.Again.Equal(end) {
			w.Errorf("before it is time: %d changes, again at %s", len(a.Changes), a.Again)
		}
		a := EndpointRequests{}.Ask(w.db.Snapshot(), end)
		if len(a.Changes) != 1 || a.Changes[0].About != "vpce-waits" || !a.Again.Equal(end.Add(time.Hour)) {
			w.Fatalf("when it is time: %+v", a)
		}
		make := func() {
			w.update(func(tx *table.Txn) {
				if err := a.Changes[0].Make(tx); err != nil {
					w.Error(err)
				}
			})
		}
		get := func() *model.VPCEndpoint {
			e, _ := state.VPCEndpoints.Get(w.db.Snapshot(), row("").Account, row("").Region, "vpce-waits")
			return e
		}
		put("vpce-waits", model.AcceptanceAccepted, end) // meanwhile
		if make(); get().Acceptance != model.AcceptanceAccepted {
			w.Error("one that was answered expired")
		}
		put("vpce-waits", model.AcceptancePending, asked)
		make()
		if e := get(); e.Acceptance != model.AcceptanceExpired || !e.AcceptanceAt.Equal(end) || e.Generation == 0 {
			w.Errorf("it is %+v", e)
		}
	})
}
