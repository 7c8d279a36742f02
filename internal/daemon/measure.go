// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/daemon/metrics"
	"github.com/posternhq/postern/internal/table"
)

// newMetrics makes the metrics of a daemon, which are counted also when nobody
// asks for them.
func (d *daemon) newMetrics(p *plane) *metrics.Metrics {
	return metrics.New(d.config.Version, metrics.Sources{
		State: func() metrics.State {
			tx := d.db.Snapshot()
			s := metrics.State{StoreRevision: tx.Revision(), Report: p.agent.Report()}
			for range tx.SetAside() {
				s.SetAside++
			}
			if r := p.makers.Load(); r != nil {
				s.StuckMakers = len(r.Troubles())
			}
			if u, ok := d.kv.Usage(); ok {
				s.Store = &u
			}
			countNames(&s, p.agent.Names())
			return s
		},
		Kernel: func(ctx context.Context) (k metrics.Kernel, err error) {
			uses, noUses := p.dataplane.Uses(ctx)
			shares, noShares := p.dataplane.Shares(ctx)
			lane, noLane := p.dataplane.ExpressLane()
			nats, noNATs := p.dataplane.NATs(ctx)
			return metrics.Kernel{Routers: uses, NATs: nats, Shares: shares, Lane: lane}, errors.Join(noUses, noShares, noLane, noNATs)
		},
	})
}

// countNames counts names that are followed.
func countNames(s *metrics.State, names []follow.Observation) {
	s.Names = len(names)
	for _, n := range names {
		if n.Trouble != "" {
			s.NamesFailing++
		}
		if len(n.Addrs) == 0 {
			s.NamesNowhere++
		}
		for _, a := range n.Addrs {
			if a.Down != "" {
				s.NamesDown++
			}
		}
	}
}

// listenForMetrics opens the listener of the metrics; nil when none is wanted.
func (d *daemon) listenForMetrics(ctx context.Context) (net.Listener, error) {
	if d.config.MetricsListen == "" {
		return nil, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", d.config.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("listen for metrics: %w", err)
	}
	return listener, nil
}

// serveMetrics answers scrapes until the context ends.
func serveMetrics(ctx context.Context, m *metrics.Metrics, listener net.Listener) error {
	if listener == nil {
		return nil
	}
	s := &http.Server{Handler: m.Handler(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	return serveHTTP(ctx, s, listener)
}

// onTheWay are changes that were sent to the agent and are not settled.
type onTheWay struct {
	mu     sync.Mutex
	seen   []sentChange // in the order of revisions
	settle func(time.Duration)
}

type sentChange struct {
	revision int64
	at       time.Time
}

// onTheWayMost bounds the changes that are followed: those beyond are not measured.
const onTheWayMost = 4096

// sent notes that a change is sent, and when the tables had it.
func (o *onTheWay) sent(db *table.DB, revision int64) {
	at, known := db.Seen(revision)
	o.mu.Lock()
	defer o.mu.Unlock()
	if known && len(o.seen) < onTheWayMost {
		o.seen = append(o.seen, sentChange{revision, at})
	}
}

// settled tells of all changes up to a revision.
func (o *onTheWay) settled(revision int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.seen) && o.seen[n].revision <= revision {
		if o.settle != nil {
			o.settle(time.Since(o.seen[n].at))
		}
		n++
	}
	if o.seen = o.seen[n:]; len(o.seen) == 0 {
		o.seen = nil
	}
}
