// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"net/netip"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestTargetsLeaveWhenTheyHaveDrained, each in its time; one that is not taken away stays.
func TestTargetsLeaveWhenTheyHaveDrained(t *testing.T) {
	run(t, nil, func(w *world) {
		start := time.Now()
		w.update(func(tx *table.Txn) {
			g := &model.TargetGroup{Meta: model.Meta{Account: account, Region: "r", ID: "web/1"}}
			for i := range 3 {
				target := model.BalancedTarget{Addr: netip.AddrFrom4([4]byte{10, 0, 1, byte(10 + i)}), Port: 80}
				if i > 0 {
					target.DrainsUntil = start.Add(time.Duration(i) * time.Minute)
				}
				g.Targets = append(g.Targets, target)
			}
			state.TargetGroups.Put(tx, g)
		})
		_, stop := w.start(w.db, nil, DrainedTargets{})
		expect := func(want int) {
			w.Helper()
			g, _ := state.TargetGroups.Get(w.db.Snapshot(), account, "r", "web/1")
			if len(g.Targets) != want || g.Targets[0].Draining() {
				w.Errorf("after %v there are the targets %v, want %d", time.Since(start), g.Targets, want)
			}
		}
		w.elapse(time.Minute - time.Second)
		expect(3)
		w.elapse(time.Second)
		expect(2)
		w.elapse(time.Hour)
		expect(1)
		stop()
	})
}
