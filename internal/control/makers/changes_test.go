// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestZoneChangesGoADayAfterTheyWereMade, with what was said of them, unless they are
// pending: those go when they are not any more.
func TestZoneChangesGoADayAfterTheyWereMade(t *testing.T) {
	run(t, nil, func(w *world) {
		start := time.Now()
		ready := func(tx *table.Txn, id string) {
			state.Statuses.Put(tx, &model.Status{Account: account, ID: id, State: model.StatusReady})
		}
		w.update(func(tx *table.Txn) {
			for i, id := range []string{"C1", "C2", "C3"} {
				state.ZoneChanges.Put(tx, &model.ZoneChange{Account: account, ID: id, SubmittedAt: start.Add(time.Duration(i) * time.Hour)})
			}
			ready(tx, "C1")
			ready(tx, "C3")
		})
		_, stop := w.start(w.db, nil, ZoneChanges{})
		expect := func(when, want string) {
			w.Helper()
			var left []string
			for c := range state.ZoneChanges.All(w.db.Snapshot()) {
				left = append(left, c.ID)
			}
			for s := range state.Statuses.All(w.db.Snapshot()) {
				if !slices.Contains(left, s.ID) {
					w.Errorf("%s the status of %s is left", when, s.ID)
				}
			}
			if got := strings.Join(left, " "); got != want {
				w.Errorf("%s the changes %q are left, want %q", when, got, want)
			}
		}
		w.elapse(24*time.Hour - time.Second)
		expect("before the first expires", "C1 C2 C3")
		w.elapse(time.Second)
		expect("when the first expires", "C2 C3")
		w.elapse(3 * time.Hour)
		expect("when all have expired", "C2")
		w.update(func(tx *table.Txn) { ready(tx, "C2") })
		w.elapse(time.Second)
		expect("when the last one is in sync", "")
		stop()
	})
}
