// SPDX-License-Identifier: Apache-2.0

package table

import "time"

// Bounds of gather.
const (
	// company is how many calls there must be, on their way and waiting, for anybody
	// to wait for others.
	company = 3
	// pauseLeast is the least time that is worth waiting, pauseMost the longest that
	// nobody comes, and gatherMost the longest altogether.
	pauseLeast = 50 * time.Microsecond
	pauseMost  = 4 * time.Millisecond
	gatherMost = 10 * time.Millisecond
)

// gather waits after a commit for those that it has answered: callers that come again and
// again are back soon. Without that the first of them would be committed alone while the
// others are still on their way, and what a commit costs, here and with all who follow
// the tables, would be shared by few. It ends when as many wait as had a part in the
// commit or waited for it, or when nobody has come for half as long as the commit took;
// so it costs others less than that commit did.
func (q *updates) gather(members int, took time.Duration) {
	pause := min(took/2, pauseMost)
	if pause < pauseLeast {
		return
	}
	select {
	case <-q.gathered: // of the last time
	default:
	}
	q.mu.Lock()
	before := len(q.waiting)
	enough := before + members
	q.enough = enough
	q.mu.Unlock()
	if enough < company {
		return
	}
	last := time.Now().Add(min(2*took, gatherMost))
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-q.gathered:
			return
		case <-q.db.ctx.Done():
			return
		case <-timer.C:
		}
		q.mu.Lock()
		now := len(q.waiting)
		q.mu.Unlock()
		if now == before || now >= enough || !time.Now().Before(last) {
			return
		}
		before = now
		timer.Reset(pause)
	}
}
