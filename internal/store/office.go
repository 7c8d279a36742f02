// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"sync"
)

// Tenure is the time for which somebody is elected to an office.
type Tenure interface {
	// Ended is closed when another may be elected: after Resign, or when the store
	// has not heard of the process for too long. The process may learn of it late; what it
	// writes as the elected one must depend on something that its successor changes.
	Ended() <-chan struct{}
	// Resign ends the tenure, so that another can be elected at once. The context
	// bounds how long that may take; it ends anyhow when the store does not hear of
	// the process any more.
	Resign(ctx context.Context) error
}

// Offices elects within one process: it is Store.Campaign for a store that no other
// process can use. The zero value has nobody elected.
type Offices struct {
	mu     sync.Mutex
	held   map[string]*tenure
	closed bool
}

// Campaign is Store.Campaign.
func (o *Offices) Campaign(ctx context.Context, office string) (Tenure, error) {
	for {
		t, holder, err := o.take(office)
		switch {
		case err != nil:
			return nil, fmt.Errorf("be elected to %s: %w", office, err)
		case t != nil:
			return t, nil
		}
		select {
		case <-holder.ended:
		case <-ctx.Done():
			return nil, fmt.Errorf("be elected to %s: %w", office, ctx.Err())
		}
	}
}

// take gives the office, or else who has it.
func (o *Offices) take(office string) (mine, holder *tenure, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, nil, ErrClosed
	}
	if holder := o.held[office]; holder != nil {
		return nil, holder, nil
	}
	if o.held == nil {
		o.held = make(map[string]*tenure)
	}
	mine = &tenure{offices: o, office: office, ended: make(chan struct{})}
	o.held[office] = mine
	return mine, nil, nil
}

// Close ends all tenures. Nobody is elected any more.
func (o *Offices) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, t := range o.held {
		close(t.ended)
	}
	o.held = nil
}

// tenure is that of somebody in this process.
type tenure struct {
	offices *Offices
	office  string
	ended   chan struct{}
}

// Ended implements Tenure.
func (t *tenure) Ended() <-chan struct{} { return t.ended }

// Resign implements Tenure.
func (t *tenure) Resign(context.Context) error {
	t.offices.mu.Lock()
	defer t.offices.mu.Unlock()
	if t.offices.held[t.office] == t {
		delete(t.offices.held, t.office)
		close(t.ended)
	}
	return nil
}
