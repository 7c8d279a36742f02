// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Config sets up a Controller; all fields are required.
type Config struct {
	DB   *table.DB
	Host model.Host
	// Send hands a delta to the host. The first one is full. It must not wait
	// for the host to carry it out.
	Send func(desired.Delta) error
	Log  *slog.Logger
	Now  func() time.Time
}

// Controller keeps one host's desired state in step with the tables. Its
// methods may be called concurrently.
type Controller struct {
	cfg Config

	mu       sync.Mutex
	plan     *plan.Plan
	progress *progress
	started  bool
	verdicts map[plan.Subject]verdict
	// judged is signalled when there are verdicts to carry out.
	judged chan struct{}
}

// New makes a controller that does nothing until Run.
func New(cfg Config) *Controller {
	return &Controller{
		cfg:      cfg,
		plan:     plan.New(cfg.Host),
		progress: newProgress(),
		verdicts: map[plan.Subject]verdict{},
		judged:   make(chan struct{}, 1),
	}
}

// Run follows the tables until the context ends or they cannot be followed.
func (c *Controller) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.cfg.DB.Follow(ctx, c.follow) })
	g.Go(func() error { return c.carryOut(ctx) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("control host %s: %w", c.cfg.Host.Name, err)
	}
	return nil
}

// follow takes in what changed in the tables and sends on what it means.
func (c *Controller) follow(tx *table.Txn, changes []table.Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	result := c.plan.Change(tx, changes)
	delta := desired.Delta{Revision: tx.Revision(), Full: !c.started, Put: result.Put, Delete: result.Delete}
	if c.started && len(delta.Put)+len(delta.Delete)+len(result.Touched) == 0 {
		return nil
	}
	c.started = true
	c.progress.changed(delta.Revision, result, deletingIn(tx))
	if err := c.cfg.Send(delta); err != nil {
		return fmt.Errorf("send the desired state of revision %d: %w", delta.Revision, err)
	}
	return nil
}

// Acknowledge takes in what the host says. It does not wait for the tables.
func (c *Controller) Acknowledge(a Acknowledgement) {
	c.mu.Lock()
	for _, v := range c.progress.acknowledged(a, c.plan.Subjects) {
		c.verdicts[v.subject] = v
	}
	waiting := len(c.verdicts)
	c.mu.Unlock()
	if waiting > 0 {
		select {
		case c.judged <- struct{}{}:
		default:
		}
	}
}

// Desired gives the host's whole desired state, in no particular order.
func (c *Controller) Desired() []desired.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plan.Entries()
}

// statusesPerCommit bounds how many statuses one commit writes: an external
// etcd takes 128 operations by default, and a status is at most three.
const statusesPerCommit = 32

// carryOut writes verdicts into the tables as they come. What comes while it
// writes is taken together next time.
func (c *Controller) carryOut(ctx context.Context) error {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.judged:
		}
		c.mu.Lock()
		taken := slices.Collect(maps.Values(c.verdicts))
		clear(c.verdicts)
		c.mu.Unlock()
		err := c.write(ctx, taken)
		if err != nil {
			if !failing {
				c.cfg.Log.Error("states of resources could not be written, trying again until it works", "error", err)
			}
			c.putBack(taken)
			if err := pause(ctx, time.Second); err != nil {
				return err
			}
		}
		failing = err != nil
	}
}

// removalsPerCommit bounds how many removals are tried in one commit; how many
// operations each needs is not known before.
const removalsPerCommit = 64

// write carries verdicts out, removals first.
func (c *Controller) write(ctx context.Context, verdicts []verdict) error {
	tx, now := c.cfg.DB.Snapshot(), c.cfg.Now()
	var statuses, removals []verdict
	for _, v := range verdicts {
		if !needed(tx, v) {
			continue
		}
		if life, ok := lifeOf(tx, v.subject); !ok || !life.deleting {
			statuses = append(statuses, v)
			continue
		}
		removals = append(removals, v)
	}
	for chunk := range slices.Chunk(removals, removalsPerCommit) {
		if err := c.commit(ctx, chunk, now); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(statuses, statusesPerCommit) {
		if err := c.commit(ctx, chunk, now); err != nil {
			return err
		}
	}
	return nil
}

func (c *Controller) commit(ctx context.Context, verdicts []verdict, now time.Time) error {
	err := table.UpdateInParts(ctx, c.cfg.DB, verdicts, func(tx *table.Txn, verdicts []verdict) error {
		for _, v := range verdicts {
			carryOut(tx, v, now)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("write the states of %d resources: %w", len(verdicts), err)
	}
	for _, v := range verdicts {
		if v.reason != "" {
			c.cfg.Log.Warn("resource is not programmed", "kind", string(v.subject.Kind), "id", v.subject.Ref.ID, "reason", v.reason)
		}
	}
	return nil
}

// putBack keeps verdicts that could not be written, unless newer ones came.
func (c *Controller) putBack(verdicts []verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range verdicts {
		if _, newer := c.verdicts[v.subject]; !newer {
			c.verdicts[v.subject] = v
		}
	}
	select {
	case c.judged <- struct{}{}:
	default:
	}
}

// Gone notes that the process which an interface was attached for has ended, or
// that its namespace has: the attachment goes, and the interface with it if it was
// made for it. An interface that is attached elsewhere by now stays.
func (c *Controller) Gone(ctx context.Context, eni string, ns desired.Namespace) error {
	_, err := c.cfg.DB.Update(ctx, func(tx *table.Txn) error {
		for a := range state.Attachments.By(tx, state.ByHost, c.cfg.Host.Name) {
			if a.Interface != eni || !a.DeletedAt.IsZero() || plan.Namespace(a) != ns {
				continue
			}
			next := a.Clone()
			next.DeletedAt = c.cfg.Now()
			state.Attachments.Put(tx, next)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note that the workload of %s ended: %w", eni, err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
