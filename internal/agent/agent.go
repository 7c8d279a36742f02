// SPDX-License-Identifier: Apache-2.0

// Package agent runs one host: it takes the host's desired state from a
// [Source], has it carried out, and reports to a [Sink].
//
// It also watches the processes that workloads were attached by. When one ends
// its network interface is of no use to anybody, and the sink hears of it until the
// attachment has been removed where it was made; the agent removes nothing by itself.
//
// An agent that loses its source goes on with the state that it has, and one
// that stops leaves the kernel as it is.
package agent

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
)

// Source gives the desired state of a host.
type Source interface {
	// Deltas gives the channel on which deltas come, the same one at each call.
	// The first one is full, and so is the first one after an interruption of
	// whatever is behind the source. A closed channel means that no more will
	// come. The agent owns what it receives.
	Deltas() <-chan desired.Delta
}

// Sink receives what a host has to say. Its methods are called one at a time
// each, from different goroutines, and must return soon: the host waits.
type Sink interface {
	// Report receives what changed since the report before; see package
	// reconcile. A sink that lost some asks Agent.Report for a full one.
	Report(reconcile.Report)
	// Gone says that the process named by a workload entry has ended. What
	// acknowledges it is a delta that takes the entry away or gives it another
	// namespace: it is said again with each full delta in which the entry is as it
	// was, since the one before may not have been written down anywhere.
	Gone(desired.Gone)
}

// Config sets up an Agent. Effects, Source and Sink must be set.
type Config struct {
	Effects reconcile.Effects
	Source  Source
	Sink    Sink
	// Host is the name of the host, for what it says.
	Host string
	// Lives reports whether the namespace that a workload names is there and is
	// the one that is meant. Without it the inode alone decides.
	Lives func(desired.Namespace) (bool, error)
	// Reconcile sets up the reconciler. Its Report is the agent's own, and its
	// Logger is Logger.
	Reconcile reconcile.Config
	// StateFile, if not empty, is the path of a file that is kept equal to the
	// desired state as text, for people to read while the server is away.
	StateFile string
	// Debounce is how long changes of the state are collected before the file
	// is written, at least: a large file, which takes long to write, is written
	// less often. Default 500 ms.
	Debounce time.Duration
	// Logger receives what a person cares about. Default slog.Default().
	Logger *slog.Logger
}

// Agent runs one host. Its methods may be called from any goroutine.
type Agent struct {
	cfg  Config
	log  *slog.Logger
	rec  *reconcile.Reconciler
	ends chan watch // processes that ended

	// The rest belongs to the goroutine of Run.
	watches   map[desired.Key]watch
	revision  int64         // of the state
	wrote     time.Duration // how long the state file took last
	unwritten bool          // the state file could not be written last
}

// New makes an agent that does nothing yet.
func New(cfg Config) *Agent {
	cfg.Debounce = cmp.Or(cfg.Debounce, 500*time.Millisecond)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	if cfg.Lives == nil {
		cfg.Lives = sameInode
	}
	cfg.Reconcile.Logger = cfg.Logger
	cfg.Reconcile.Report = cfg.Sink.Report
	return &Agent{
		cfg:     cfg,
		log:     cfg.Logger,
		rec:     reconcile.New(cfg.Effects, cfg.Reconcile),
		ends:    make(chan watch),
		watches: make(map[desired.Key]watch),
	}
}

// Run works until ctx is done, and returns when everything it started has
// ended. The kernel stays as it is. It must be called once.
func (a *Agent) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { a.rec.Run(ctx) })

	var write <-chan time.Time // when the state file is to be written
	deltas := a.cfg.Source.Deltas()
	for {
		select {
		case <-ctx.Done():
			if write != nil {
				a.writeState()
			}
			a.unwatchAll()
			return
		case d, ok := <-deltas:
			if !ok {
				a.log.Warn("no more news of the desired state; going on with what there is")
				deltas = nil
				continue
			}
			if !a.take(ctx, &wg, d) {
				continue
			}
			if write == nil && a.cfg.StateFile != "" {
				write = time.After(max(a.cfg.Debounce, writeShare*a.wrote))
			}
		case <-write:
			write = nil
			a.writeState()
		case w := <-a.ends:
			a.ended(w)
		}
	}
}

// take passes a delta on, and reports whether it was accepted.
func (a *Agent) take(ctx context.Context, wg *sync.WaitGroup, d desired.Delta) bool {
	if err := a.rec.Apply(d); err != nil {
		a.log.Error("delta refused", "error", err)
		return false
	}
	a.revision = d.Revision
	a.rewatch(ctx, wg, d)
	return true
}

// writeShare bounds how much of the time goes into the state file: one part of so
// many.
const writeShare = 50

func (a *Agent) writeState() {
	begun := time.Now()
	defer func() { a.wrote = time.Since(begun) }()
	err := writeAtomically(a.cfg.StateFile, desired.Text(a.rec.Wanted()))
	switch {
	case err != nil && !a.unwritten:
		a.log.Warn("desired state not written; it is tried again with each change", "error", err)
	case err == nil && a.unwritten:
		a.log.Info("desired state written again", "file", a.cfg.StateFile)
	}
	a.unwritten = err != nil
}

// Report gives the whole state of affairs of the host.
func (a *Agent) Report() reconcile.Report { return a.rec.Report() }

// Desired prints the host's desired state as desired.Text does.
func (a *Agent) Desired() string { return desired.Text(a.rec.Wanted()) }

// Reconciler is what carries the state out: it knows how each entry is doing
// and can be asked to verify the host at once.
func (a *Agent) Reconciler() *reconcile.Reconciler { return a.rec }
