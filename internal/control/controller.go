// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Config sets up a Controller; all fields are required but Domains and Outside.
type Config struct {
	DB   *table.DB
	Host model.Host
	// Domains are what names are below, see plan.Domains.
	Domains plan.Domains
	// Outside is what the operator says of the way to the outside.
	Outside model.Outside
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

	mu         sync.Mutex
	plan       *plan.Plan
	settlement *settlement
	started    bool

	verdicts *outbox[plan.Subject, verdict]
	endings  *outbox[desired.Gone, struct{}]
}

// New makes a controller that does nothing until Run.
func New(cfg Config) *Controller {
	return &Controller{
		cfg:        cfg,
		plan:       plan.New(cfg.Host, cfg.Domains, cfg.Outside),
		settlement: newSettlement(),
		verdicts:   newOutbox[plan.Subject, verdict](),
		endings:    newOutbox[desired.Gone, struct{}](),
	}
}

// Run follows the tables until the context ends or they cannot be followed.
func (c *Controller) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.follow(ctx) })
	g.Go(func() error { return c.verdicts.run(ctx, c.write, c.tell("states of resources")) })
	g.Go(func() error { return c.endings.run(ctx, c.end, c.tell("ends of workloads")) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("control host %s: %w", c.cfg.Host.Name, err)
	}
	return nil
}

// follow follows the tables.
func (c *Controller) follow(ctx context.Context) error {
	return c.cfg.DB.Follow(ctx, func(tx *table.Txn, changes []table.Change) error { return c.change(ctx, tx, changes) })
}

// change takes in what changed in the tables and sends on what it means.
func (c *Controller) change(ctx context.Context, tx *table.Txn, changes []table.Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	result, err := c.plan.ChangeWithin(ctx, tx, changes)
	if err != nil {
		return fmt.Errorf("plan revision %d: %w", tx.Revision(), err)
	}
	asked := askedIn(tx, changes)
	delta := desired.Delta{Revision: tx.Revision(), Full: !c.started, Put: result.Put, Delete: result.Delete}
	// Also when nothing follows from it: the tables of before need not be kept then.
	c.settlement.fates = fatesIn(tx, c.plan.Problem, c.cfg.Domains.Endpoints)
	if c.started && len(delta.Put)+len(delta.Delete)+len(result.Touched)+len(asked) == 0 {
		return nil
	}
	c.judged(c.settlement.change(change{
		revision: delta.Revision, asked: asked, parents: parentsIn(tx, asked),
		steps: map[string]step{c.cfg.Host.Name: {Result: result, full: delta.Full, holders: c.plan.Subjects}},
	}))
	if c.started && len(delta.Put)+len(delta.Delete)+len(result.Touched) == 0 {
		return nil
	}
	c.started = true
	if err := c.cfg.Send(delta); err != nil {
		return fmt.Errorf("send the desired state of revision %d: %w", delta.Revision, err)
	}
	return nil
}

// Acknowledge takes in what the host says. It does not wait for the tables.
func (c *Controller) Acknowledge(a Acknowledgement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.judged(c.settlement.acknowledged(c.cfg.Host.Name, a))
}

// judged has verdicts written.
func (c *Controller) judged(verdicts []verdict) {
	for _, v := range verdicts {
		c.verdicts.put(v.subject, v)
	}
}

// Desired gives the host's whole desired state, in no particular order.
func (c *Controller) Desired() []desired.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plan.Entries()
}
