// SPDX-License-Identifier: Apache-2.0

package table

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// headTimeout bounds one question to the store; callers have contexts of their own.
const headTimeout = 10 * time.Second

// headReader asks the store for the revision of the newest state. A caller
// must not get an answer to a question that was asked before it came, so those
// who come while a question is on its way share the next one.
type headReader struct {
	db     *DB
	mu     sync.Mutex
	next   *headQuestion // not asked yet; nil when nobody waits
	asking bool
}

type headQuestion struct {
	answered chan struct{}
	rev      int64
	err      error
}

func (h *headReader) init(db *DB) { h.db = db }

// close runs stop, after which no goroutine is started any more.
func (h *headReader) close(stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	stop()
}

// read returns the revision of the newest state in the store.
func (h *headReader) read(ctx context.Context) (int64, error) {
	question := h.join()
	if question == nil {
		return 0, ErrClosed
	}
	select {
	case <-question.answered:
		if err := h.db.Err(); err != nil {
			return 0, err // both have happened, and only this one counts
		}
		return question.rev, question.err
	case <-h.db.failed:
		return 0, h.db.cause
	case <-ctx.Done():
		return 0, unavailable(fmt.Errorf("ask the store for its revision: %w", ctx.Err()))
	}
}

// join returns the question that will be asked next; nil after Close.
func (h *headReader) join() *headQuestion {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.db.ctx.Err() != nil {
		return nil
	}
	if h.next == nil {
		h.next = &headQuestion{answered: make(chan struct{})}
	}
	if !h.asking {
		h.asking = true
		h.db.done.Go(h.ask)
	}
	return h.next
}

// ask answers questions until there are none.
func (h *headReader) ask() {
	for {
		h.mu.Lock()
		question := h.next
		h.next = nil
		if question == nil {
			h.asking = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		question.rev, question.err = h.askOnce()
		close(question.answered)
	}
}

func (h *headReader) askOnce() (int64, error) {
	ctx, cancel := context.WithTimeout(h.db.ctx, headTimeout)
	defer cancel()
	kv, _, err := h.db.store.Get(ctx, headKey)
	if err != nil {
		return 0, unavailable(fmt.Errorf("ask the store for its revision: %w", err))
	}
	return kv.ModRevision, nil
}
