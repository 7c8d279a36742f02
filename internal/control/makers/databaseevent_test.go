// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestEventsOfDatabasesGo after 14 days, on the second, also those whose time came while
// nobody ran.
func TestEventsOfDatabasesGo(t *testing.T) {
	const life = 14 * 24 * time.Hour
	run(t, nil, func(w *world) {
		start := time.Now()
		w.update(func(tx *table.Txn) {
			for i, id := range []string{"a", "b", "c"} {
				state.DBEvents.Put(tx, &model.DBEvent{Account: account, Region: region, ID: id, SourceType: "db-instance", Source: "orders", At: start.Add(time.Duration(i) * time.Hour)})
			}
		})
		_, stop := w.start(w.db, nil, DatabaseEvents{})
		expect := func(when, want string) {
			w.Helper()
			var ids []string
			for row := range state.DBEvents.All(w.db.Snapshot()) {
				ids = append(ids, row.ID)
			}
			if got := strings.Join(ids, " "); got != want {
				w.Errorf("%s events %q are left, want %q", when, got, want)
			}
		}
		w.elapse(life - time.Second)
		expect("before the first one's time", "a b c")
		w.elapse(time.Second)
		expect("at the first one's time", "b c")
		stop()
		w.elapse(90 * time.Minute)
		expect("while nobody runs", "b c")
		_, stop = w.start(w.db, nil, DatabaseEvents{})
		expect("when somebody runs again", "c")
		w.elapse(time.Hour)
		expect("after everything", "")
		stop()
	})
}
