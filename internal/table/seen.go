// SPDX-License-Identifier: Apache-2.0

package table

import (
	"sync"
	"time"
)

// seenMost is of how many revisions it is remembered when they were seen.
const seenMost = 1024

// seen remembers when the tables reached their latest revisions.
type seen struct {
	mu    sync.Mutex
	times [seenMost]struct {
		rev int64
		at  time.Time
	}
}

func (s *seen) note(rev int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := &s.times[rev%seenMost]
	place.rev, place.at = rev, time.Now()
}

// Seen tells when the tables reached a revision, which is moments after its
// commit. False says that it was long ago, or that no change here has it.
func (db *DB) Seen(rev int64) (time.Time, bool) {
	db.seen.mu.Lock()
	defer db.seen.mu.Unlock()
	place := db.seen.times[rev%seenMost]
	return place.at, place.rev == rev && rev > 0
}
