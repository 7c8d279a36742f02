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

// TestPeeringConnectionsEndInTheirTime: a request that nobody answers expires after a week,
// and each account is shown what has ended for as long as AWS says.
func TestPeeringConnectionsEndInTheirTime(t *testing.T) {
	run(t, nil, func(w *world) {
		start := time.Now()
		w.update(func(tx *table.Txn) {
			put := func(id string, change func(*model.PeeringConnection)) {
				for _, of := range []string{account, "222222222222"} {
					p := &model.PeeringConnection{
						Meta: model.Meta{Account: of, Region: "r", ID: id}, Requester: model.PeeringSide{Account: account, VPC: "vpc-1"},
						Accepter: model.PeeringSide{Account: "222222222222", VPC: "vpc-2"}, Code: model.PeeringPending, ExpiresAt: start.Add(model.PeeringPatience),
					}
					change(p)
					state.PeeringConnections.Put(tx, p)
				}
			}
			put("pcx-pending", func(*model.PeeringConnection) {})
			put("pcx-active", func(p *model.PeeringConnection) { p.Code, p.ExpiresAt = model.PeeringActive, time.Time{} })
			put("pcx-rejected", func(p *model.PeeringConnection) { p.End(model.PeeringRejected, "", "222222222222", start) })
			put("pcx-deleted", func(p *model.PeeringConnection) { p.End(model.PeeringDeleted, "", account, start) })
		})
		_, stop := w.start(w.db, nil, Peerings{})
		expect := func(when, mine, theirs string) {
			w.Helper()
			got := map[string][]string{}
			for p := range state.PeeringConnections.All(w.db.Snapshot()) {
				got[p.Account] = append(got[p.Account], strings.TrimPrefix(p.ID, "pcx-")+"="+p.Code)
			}
			if a, b := strings.Join(got[account], " "), strings.Join(got["222222222222"], " "); a != mine || b != theirs {
				w.Errorf("%s the requester sees %q and the accepter %q, want %q and %q", when, a, b, mine, theirs)
			}
		}
		const all = "active=active deleted=deleted pending=pending-acceptance rejected=rejected"
		w.elapse(2*time.Hour - time.Second)
		expect("at first", all, all)
		w.elapse(time.Second)
		expect("after two hours", "active=active pending=pending-acceptance rejected=rejected", "active=active deleted=deleted pending=pending-acceptance")
		w.elapse(46 * time.Hour)
		expect("after two days", "active=active pending=pending-acceptance", "active=active pending=pending-acceptance")
		w.elapse(5 * 24 * time.Hour)
		expect("after a week", "active=active pending=expired", "active=active pending=expired")
		w.elapse(2 * 24 * time.Hour)
		expect("two days later", "active=active", "active=active")
		stop()
	})
}
