// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"sync/atomic"

	"github.com/posternhq/postern/internal/service/postern"
	"github.com/posternhq/postern/internal/trail"
)

// recorder keeps records of requests, and says in the log when that begins to fail and
// when it ends. Nobody is refused for it.
func recorder(t *trail.Trail, log *slog.Logger) func(account string, line []byte) {
	var failing atomic.Bool
	return func(account string, line []byte) {
		err := t.Append(account, line)
		if failing.Load() == (err != nil) || failing.Swap(err != nil) == (err != nil) {
			return
		}
		if err != nil {
			log.Error("requests are not recorded", "error", err)
			return
		}
		log.Info("requests are recorded again")
	}
}

// watchTrail lets the status tell of the audit log too.
func (p *plane) watchTrail(t *trail.Trail) { p.trail.Store(t) }

// addTrail adds what there is to say of the audit log.
func (p *plane) addTrail(s *postern.DataplaneStatus) {
	t := p.trail.Load()
	if t == nil {
		return
	}
	reason, lost := t.Problem()
	if lost > 0 {
		s.Counters["audit log: requests not recorded"] = lost
	}
	if reason != "" {
		s.State += "; requests are not recorded: " + reason
	}
}
