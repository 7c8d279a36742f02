// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// office is what the runners of all processes compete for.
const office = "makers"

// Pauses before what failed is tried again: the first one, which doubles, and the
// longest.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// resigning bounds how long giving the office up may take.
const resigning = time.Second

// errDeposed ends a term because another one has begun.
var errDeposed = errors.New("another process runs the makers")

// Runner runs makers while it is elected.
type Runner struct {
	cfg Config

	mu       sync.Mutex
	troubles map[string]Trouble // by maker, or election for what is before them
}

// election is what has trouble when no term can begin.
const election = "election"

// Trouble is what keeps a maker from its work.
type Trouble struct {
	// Maker is its name.
	Maker string
	// Since is when it began, and Times how often it was tried since.
	Since time.Time
	Times int
	// Reason is the latest one.
	Reason string
	logged bool
}

// New makes a runner that does nothing until Run.
func New(cfg Config) *Runner {
	return &Runner{cfg: cfg, troubles: make(map[string]Trouble)}
}

// Run competes for the office, and runs the makers while it has it, until the context
// ends or the tables do not follow the store any more.
func (r *Runner) Run(ctx context.Context) error {
	for pause := firstPause; ; {
		err := r.term(ctx, func() { pause = firstPause })
		switch {
		case ctx.Err() != nil:
			return nil
		case r.cfg.DB.Err() != nil:
			return fmt.Errorf("run makers: %w", r.cfg.DB.Err())
		case errors.Is(err, errDeposed):
			r.cfg.Log.Info("another process runs the makers now")
			continue
		}
		r.tell(election, err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// term is one time in office. It calls begun when it has begun, and returns why it
// has ended: errDeposed when another one has the office.
func (r *Runner) term(ctx context.Context, begun func()) error {
	tenure, err := r.cfg.Campaign(ctx, office)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resigning)
		defer cancel()
		if err := tenure.Resign(ctx); err != nil {
			r.cfg.Log.Warn("another process can run the makers only when the lease has ended", "error", err)
		}
	}()
	number, err := r.begin(ctx)
	if err != nil {
		return err
	}
	begun()
	r.tell(election, nil)
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range r.cfg.Makers {
		g.Go(func() error { return r.run(ctx, number, m) })
	}
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-tenure.Ended():
			return errDeposed
		}
	})
	return g.Wait()
}

// begin writes down that a term begins, and gives its number. From then on nobody
// writes who was elected before.
func (r *Runner) begin(ctx context.Context) (number int64, err error) {
	now := r.cfg.Now()
	_, err = r.cfg.DB.Update(ctx, func(tx *table.Txn) error {
		number = 1
		if last, ok := state.Elections.Get(tx, "", "", office); ok {
			number = last.Term + 1
		}
		state.Elections.Put(tx, &model.Election{Office: office, Term: number, Host: r.cfg.Host, Since: now})
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("begin a term of running the makers: %w", err)
	}
	return number, nil
}

// holds refuses what another term than the present one would write, by reading its
// row: the transaction depends on it.
func holds(tx *table.Txn, term int64) error {
	if now, ok := state.Elections.Get(tx, "", "", office); !ok || now.Term != term {
		return errDeposed
	}
	return nil
}

// Troubles gives what keeps makers from their work, here, in the order of their names.
func (r *Runner) Troubles() []Trouble {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Trouble
	for _, t := range r.troubles {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b Trouble) int { return cmp.Compare(a.Maker, b.Maker) })
	return all
}

// tell notes what became of an attempt; the log says when trouble begins and ends, unless
// it is the store's, which says so itself.
func (r *Runner) tell(maker string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, had := r.troubles[maker]
	switch {
	case err == nil && had:
		delete(r.troubles, maker)
		if t.logged {
			r.cfg.Log.Info("a maker of rows works again", "maker", maker, "attempts", t.Times+1)
		}
	case err != nil:
		if !had {
			t = Trouble{Maker: maker, Since: r.cfg.Now()}
		}
		if !t.logged && !errors.Is(err, store.ErrFull) && !errors.Is(err, store.ErrFrozen) {
			t.logged = true
			r.cfg.Log.Error("a maker of rows cannot do its work, trying again until it can", "maker", maker, "error", err)
		}
		t.Times++
		t.Reason = err.Error()
		r.troubles[maker] = t
	}
}
