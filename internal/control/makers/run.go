// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/table"
)

// together is how many changes are written in one transaction, if the store takes so
// many. Others wait no longer for their turn than these take.
const together = 48

// Bounds of the time until a maker is asked again because it wants to be: it cannot
// ask for every moment, and a clock that was put right is noticed.
const (
	shortest = 100 * time.Millisecond
	longest  = 10 * time.Minute
)

// run asks one maker and writes what it answers, for a term. It returns when the
// context or the term has ended.
func (r *Runner) run(ctx context.Context, term int64, m Maker) error {
	tail := r.cfg.DB.Tail()
	for pause := firstPause; ; {
		var reads []table.Dependency
		answer := m.Ask(tail.Txn().Recording(&reads), r.cfg.Now())
		err := r.write(ctx, term, append(answer.Changes, see(ctx, answer.Looks)...))
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errDeposed):
			return errDeposed
		case r.cfg.DB.Err() != nil:
			return r.cfg.DB.Err()
		}
		r.tell(m.Name(), err)
		if err == nil {
			pause = firstPause
			err = r.wait(ctx, tail, reads, answer.Again)
		} else {
			err = r.wait(ctx, tail, nil, r.cfg.Now().Add(pause))
			pause = min(2*pause, lastPause)
		}
		if err != nil {
			return err
		}
	}
}

// Bounds of looking at what is outside of the tables.
const (
	seeing     = 15 * time.Second // for each
	seenAtOnce = 16
)

// see looks at what is outside of the tables, and gives the changes that follow.
func see(ctx context.Context, looks []Look) []Change {
	changes := make([]Change, len(looks))
	var g errgroup.Group
	g.SetLimit(seenAtOnce)
	for i, l := range looks {
		g.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, seeing)
			defer cancel()
			changes[i] = Change{l.About, l.See(ctx)}
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	return changes
}

// wait returns when something that was read has changed, or the time has come, with
// the tail at what the maker is to be asked about. The error is that of the tables.
func (r *Runner) wait(ctx context.Context, tail *table.Tail, reads []table.Dependency, again time.Time) error {
	read := table.NewReads(reads)
	for first := true; ; first = false {
		timer, stop := r.timer(again, first)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-r.cfg.DB.Done():
			stop()
			return r.cfg.DB.Err()
		case <-tail.News():
			stop()
			if changes := tail.Next(); read.Altered(tail.Txn(), changes) {
				return nil
			}
		case <-timer:
			if !r.cfg.Now().Before(again) {
				tail.Next()
				return nil
			}
		}
	}
}

// timer gives what is signalled when the time may have come, or never.
func (r *Runner) timer(at time.Time, first bool) (<-chan time.Time, func()) {
	if at.IsZero() {
		return nil, func() {}
	}
	left := min(at.Sub(r.cfg.Now()), longest)
	if first {
		left = max(left, shortest)
	}
	t := time.NewTimer(left)
	return t.C, func() { t.Stop() }
}

// write makes changes, some together. What cannot be made keeps nothing else from being
// made, unless the state is out of reach.
func (r *Runner) write(ctx context.Context, term int64, changes []Change) error {
	var failed []error
	for piece := range slices.Chunk(changes, together) {
		err := r.commit(ctx, term, piece)
		if err == nil {
			continue
		} else if lasting(ctx, err) {
			return err
		}
		for i := range piece {
			if err := r.commit(ctx, term, piece[i:i+1]); lasting(ctx, err) {
				return err
			} else if err != nil {
				failed = append(failed, err)
			}
		}
	}
	switch n := len(failed); n {
	case 0:
		return nil
	case 1:
		return failed[0]
	default:
		return fmt.Errorf("%d changes of %d cannot be made, the first: %w", n, len(changes), failed[0])
	}
}

// lasting reports whether an error is none of the change that was to be made.
func lasting(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || errors.Is(err, errDeposed) || errors.Is(err, table.ErrUnavailable) || errors.Is(err, table.ErrClosed))
}

// commit makes changes in as few transactions as the store allows, for as long as the
// term lasts.
func (r *Runner) commit(ctx context.Context, term int64, changes []Change) error {
	return table.UpdateInParts(ctx, r.cfg.DB.Update, changes, func(tx *table.Txn, part []Change) error {
		if err := holds(tx, term); err != nil {
			return err
		}
		for _, c := range part {
			if err := c.Make(tx); err != nil {
				return fmt.Errorf("change %s: %w", c.About, err)
			}
		}
		return nil
	})
}
