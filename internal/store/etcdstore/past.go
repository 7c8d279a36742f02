// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver"
)

// How much of its past an embedded server keeps, besides that of the last minute or
// two. All of it is in the database's file, which is in memory, and in the index of
// keys; a start reads all of it again.
const (
	// forgetEvery is after how many changed keys it forgets. It goes through all keys
	// for that, which with 80,000 of them takes as long as 10,000 changes.
	forgetEvery = 40_000
	// keptRevisions are there for watches that lag behind. One that lags farther is
	// told so, and begins anew with all keys.
	keptRevisions = 250
)

// past is what an embedded server keeps of states before the present one.
type past struct {
	server  *etcdserver.EtcdServer
	halt    *halt
	changed atomic.Int64 // keys, since it forgot
	// reading is held for reading by who reads a state page by page.
	reading sync.RWMutex
}

// read keeps the past until the function that it returns is called.
func (p *past) read() func() {
	if p == nil {
		return func() {}
	}
	p.reading.RLock()
	return p.reading.RUnlock
}

// forget notes that keys were changed, and forgets the past when these are many. A
// reader puts that off until the next change.
func (s *Store) forget(changes int, now int64) {
	p := s.past
	if p == nil || p.changed.Add(int64(changes)) < forgetEvery || now <= keptRevisions || !p.reading.TryLock() {
		return
	}
	p.changed.Store(0)
	if s.room.admit(0) != nil || s.begin("forget") != nil {
		p.reading.Unlock()
		return
	}
	go func() {
		defer s.end()
		defer p.reading.Unlock()
		// What it does not forget now it will within a minute.
		_, _ = unlessHalted(p.halt, func() (*pb.CompactionResponse, error) {
			return p.server.Compact(context.Background(), &pb.CompactionRequest{Revision: now - keptRevisions})
		})
	}()
}
