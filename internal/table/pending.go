// SPDX-License-Identifier: Apache-2.0

package table

import (
	"sync"

	"github.com/posternhq/postern/internal/store"
)

// pending knows the keys that commits of this database, on their way to the
// store and back, are about to change. Who has read one of them would fail
// there for certain, so it waits here instead; the store still decides, because
// other servers commit too. The zero value is ready for use.
type pending struct {
	mu   sync.Mutex
	keys map[string]chan struct{}
}

// enter notes what a commit is about to change, until leave is called. When it
// depends on what another one is changing, nothing is noted, and the channel is
// closed when that one has left.
func (p *pending) enter(request store.Txn) (other <-chan struct{}, leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range request.Compare {
		if other, busy := p.keys[c.Key]; busy {
			return other, nil
		}
	}
	if p.keys == nil {
		p.keys = make(map[string]chan struct{})
	}
	done := make(chan struct{})
	var mine []string
	note := func(key string) {
		// Every commit moves the head and none reads it.
		if key != headKey {
			p.keys[key] = done
			mine = append(mine, key)
		}
	}
	for _, kv := range request.Put {
		note(kv.Key)
	}
	for _, key := range request.Delete {
		note(key)
	}
	return nil, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, key := range mine {
			if p.keys[key] == done {
				delete(p.keys, key)
			}
		}
		close(done)
	}
}
