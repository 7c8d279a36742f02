// SPDX-License-Identifier: Apache-2.0

// Package agent runs one host: it takes the host's desired state from a
// [Source], has it carried out, and reports to a [Sink].
//
// It also watches the processes that workloads were attached by. When one ends
// its network interface is of no use to anybody, and the sink hears of it until the
// attachment has been removed where it was made; the agent removes nothing by itself.
//
// An agent that loses its source goes on with the state that it has, and one
// that stops leaves the kernel as it is. One that has no source when it starts can go
// by the copy on disk of what the host was last told: see [Agent.Recall].
package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/agent/follow"
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
	// Lives reports whether the namespace that a workload names is there and is
	// the one that is meant. Without it the inode alone decides.
	Lives func(desired.Namespace) (bool, error)
	// Follow sets up how names are followed. Without a Lookup none resolves. Its Logger
	// is Logger.
	Follow follow.Config
	// Reconcile sets up the reconciler. Its Report and Found are the agent's own, and its
	// Logger is Logger.
	Reconcile reconcile.Config
	// StateFile, if not empty, is the path of a copy of the desired state, as text:
	// for Recall, and for people to read while the server is away.
	StateFile string
	// Whose says which host this is, for what it says and for the copy.
	Whose Whose
	// Kinds are those of the entries of a copy. Default desired.Kinds().
	Kinds []desired.Kind
	// Debounce is how long after a change the file is written anew, at least, when it
	// has grown or could not be written: a large file, which takes long to write, is
	// written less often. Default 500 ms.
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
	told chan Copy  // for Run to go by

	names *follow.Follower
	found chan struct{} // closed when had is there
	had   kernelTargets // belongs to the goroutine of Run from then on

	// The rest belongs to the goroutine of Run.
	watches   map[desired.Key]watch
	copy      keeper
	revision  int64         // of the state
	current   bool          // that came from the source
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
	if cfg.Kinds == nil {
		cfg.Kinds = desired.Kinds()
	}
	cfg.Reconcile.Logger = cfg.Logger
	a := &Agent{
		cfg:     cfg,
		log:     cfg.Logger,
		ends:    make(chan watch),
		told:    make(chan Copy),
		found:   make(chan struct{}),
		copy:    keeper{path: cfg.StateFile, whose: cfg.Whose},
		watches: make(map[desired.Key]watch),
	}
	a.setUpNames()
	return a
}

// Run works until ctx is done, and returns when everything it started has
// ended. The kernel stays as it is. It must be called once.
func (a *Agent) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { a.rec.Run(ctx) })
	wg.Go(func() { a.names.Run(ctx) })

	var write <-chan time.Time // when the state file is to be written
	deltas := a.cfg.Source.Deltas()
	for {
		select {
		case <-ctx.Done():
			if a.current && a.cfg.StateFile != "" && (a.copy.due() || a.copy.more > 0) {
				a.writeState()
			}
			a.copy.close()
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
			switch {
			case a.cfg.StateFile == "":
			case d.Full:
				write = a.writeState()
			case write == nil && a.copy.due():
				write = time.After(max(a.cfg.Debounce, writeShare*a.wrote))
			}
		case <-write:
			write = a.writeState()
		case w := <-a.ends:
			a.ended(w)
		case <-a.names.Changed():
			a.rec.Update(a.names.Pull())
		case c := <-a.told:
			a.goBy(ctx, &wg, c)
		}
	}
}

// goBy has the host as a copy says.
func (a *Agent) goBy(ctx context.Context, wg *sync.WaitGroup, c Copy) {
	d := desired.Delta{Full: true, Revision: c.Revision, Put: c.Entries}
	if !a.knowsFound(ctx, d) {
		return
	}
	err := reconcile.ErrToldAlready
	if !a.current {
		plain, _ := a.names.Take(d, a.before)
		err = a.rec.Recall(plain.Revision, plain.Put)
	}
	if err != nil {
		a.log.Info("the copy on disk is not needed", "reason", err)
		return
	}
	a.revision = c.Revision
	a.rewatch(ctx, wg, d)
}

// Recall has a running agent go by the copy on disk until its source says something:
// what the kernel has lost of it is repaired and processes are watched, and nothing is
// removed, reported or written. It returns the revision of the copy when the agent has
// it. A copy is refused that is not whole, is another host's, or is from before the
// machine was started.
func (a *Agent) Recall(ctx context.Context) (revision int64, err error) {
	c, err := ReadCopy(a.cfg.StateFile, a.cfg.Kinds...)
	if err != nil {
		return 0, err
	}
	if c.Whose != a.cfg.Whose {
		return 0, fmt.Errorf("the copy of the desired state in %s is of %s, and this is %s", a.cfg.StateFile, c.Whose, a.cfg.Whose)
	}
	select {
	case a.told <- c:
		return c.Revision, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("go by the copy of the desired state: %w", ctx.Err())
	}
}

// take passes a delta on, and reports whether it was accepted.
func (a *Agent) take(ctx context.Context, wg *sync.WaitGroup, d desired.Delta) bool {
	if a.cfg.StateFile != "" {
		a.said(a.copy.note(d))
	}
	if !a.knowsFound(ctx, d) {
		return false
	}
	plain, later := a.names.Take(d, a.before)
	if err := a.rec.ApplyUntil(plain, later); err != nil {
		a.log.Error("delta refused", "error", errors.Join(err, a.copy.drop()))
		return false
	}
	a.revision, a.current = d.Revision, true
	a.forgetFound()
	a.rewatch(ctx, wg, d)
	return true
}

// writeShare bounds how much of the time goes into the state file: one part of so
// many.
const writeShare = 50

// writeAgain says after how many times the debounce the state file is tried again that
// could not be written, whether anything changes meanwhile or not.
const writeAgain = 10

// writeState writes the state file, and tells when to do it again if that failed.
func (a *Agent) writeState() (again <-chan time.Time) {
	begun := time.Now()
	err := a.copy.replace(a.revision, a.wanted())
	a.wrote = time.Since(begun)
	a.said(err)
	if err != nil {
		return time.After(max(writeAgain*a.cfg.Debounce, writeShare*a.wrote))
	}
	return nil
}

// said notes whether the state file could be written.
func (a *Agent) said(err error) {
	switch {
	case err != nil && !a.unwritten:
		a.log.Warn("desired state not written; it is tried again every few seconds", "error", err)
		a.unwritten = true
	case err == nil && a.unwritten && a.copy.file != nil:
		a.log.Info("desired state written again", "file", a.cfg.StateFile)
		a.unwritten = false
	}
}

// Report gives the whole state of affairs of the host.
func (a *Agent) Report() reconcile.Report { return a.asAsked(a.rec.Report()) }

// Desired prints the host's desired state as desired.Records does.
func (a *Agent) Desired() string { return desired.Records(a.wanted()) }

// Reconciler is what carries the state out: it knows how each entry is doing
// and can be asked to verify the host at once.
func (a *Agent) Reconciler() *reconcile.Reconciler { return a.rec }
