// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"maps"
	"sync"
	"time"
)

// writeRetry is the pause before what could not be written is tried again.
const writeRetry = time.Second

// outbox holds what is to be written into the tables until it is: for each key the
// newest value. What cannot be written is tried again and holds up nothing else.
type outbox[K comparable, V any] struct {
	mu    sync.Mutex
	fresh map[K]V
	// news is signalled when there is something fresh.
	news chan struct{}
}

func newOutbox[K comparable, V any]() *outbox[K, V] {
	return &outbox[K, V]{fresh: map[K]V{}, news: make(chan struct{}, 1)}
}

// put adds a value, in place of an older one. It does not wait.
func (o *outbox[K, V]) put(key K, value V) {
	o.mu.Lock()
	o.fresh[key] = value
	o.mu.Unlock()
	select {
	case o.news <- struct{}{}:
	default:
	}
}

func (o *outbox[K, V]) take() map[K]V {
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.fresh
	o.fresh = map[K]V{}
	return taken
}

// run writes what comes until the context ends; what comes while it writes is
// taken together next time. The function gives what it could not write and why;
// tell is called when that begins, and with nil when it is over.
func (o *outbox[K, V]) run(ctx context.Context, write func(context.Context, map[K]V) (map[K]V, error), tell func(error)) error {
	left, again := map[K]V{}, (<-chan time.Time)(nil)
	for {
		batch := map[K]V{}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again:
			batch, left, again = left, map[K]V{}, nil
		case <-o.news:
		}
		failing := len(left)+len(batch) > 0
		for key, value := range o.take() {
			batch[key] = value
			delete(left, key)
		}
		failed, err := write(ctx, batch)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		maps.Copy(left, failed)
		switch {
		case len(left) > 0 && !failing:
			tell(err)
		case len(left) == 0 && failing:
			tell(nil)
		}
		if len(left) > 0 && again == nil {
			again = time.After(writeRetry)
		}
	}
}
