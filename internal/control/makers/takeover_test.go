// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// processes are several on one store, of which some die.
type processes struct {
	*world
	mu    sync.Mutex
	fates []string
	most  int
	begin func()         // starts another one
	end   map[int]func() // kills one
	all   sync.WaitGroup
}

// Commit is the store's, with the fate that is drawn for it.
func (p *processes) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	if max(len(txn.Put)+len(txn.Delete), len(txn.Compare)) > p.most {
		return 0, false, store.ErrTooLarge
	}
	if !strings.Contains(fmt.Sprint(txn.Put), "/row/done/") {
		return p.world.kv.Commit(ctx, txn)
	}
	p.mu.Lock()
	fate := ""
	if len(p.fates) > 0 {
		fate, p.fates = p.fates[0], p.fates[1:]
	}
	p.mu.Unlock()
	switch fate {
	case "lost":
		return 0, false, errors.New("no answer")
	case "unknown":
		_, _, _ = p.world.kv.Commit(ctx, txn)
		return 0, false, errors.New("no answer")
	case "too large":
		return 0, false, store.ErrTooLarge
	case "usurp":
		p.begin()
	case "die":
		p.mu.Lock()
		for n, end := range p.end {
			delete(p.end, n)
			end()
		}
		p.mu.Unlock()
		p.begin()
	}
	return p.world.kv.Commit(ctx, txn)
}

// storeOf is the store as one process has it.
type storeOf struct {
	store.Store
	p *processes
}

// Commit implements store.Store.
func (s storeOf) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	return s.p.Commit(ctx, txn)
}

func takeovers(t *testing.T, due []int, fates []string, most int) {
	memory := memstore.New()
	p := &processes{world: &world{T: t, kv: memory}, fates: fates, most: most, end: map[int]func(){}}
	p.db = p.open()
	zero := time.Now()
	for i, seconds := range due {
		p.update(func(tx *table.Txn) {
			jobs.Put(tx, &job{fmt.Sprintf("%03d", i), zero.Add(time.Duration(seconds) * time.Second)})
		})
	}
	number := 0
	p.begin = func() {
		ctx, cancel := context.WithCancel(t.Context())
		p.mu.Lock()
		p.end[number] = cancel
		number++
		p.mu.Unlock()
		p.all.Go(func() { p.process(ctx, memory) })
	}
	p.begin()
	p.elapse(time.Minute)
	p.begin()
	p.elapse(time.Hour)
	var want []string
	for i := range due {
		want = append(want, fmt.Sprintf("%03d:1", i))
	}
	p.expectDone("in the end", strings.Join(want, " "))
	if a := (worker{}).Ask(p.db.Snapshot(), time.Now()); len(a.Changes) > 0 {
		t.Errorf("%d changes are left", len(a.Changes))
	}
	p.mu.Lock()
	for _, end := range p.end {
		end()
	}
	p.mu.Unlock()
	p.all.Wait()
	p.db.Close()
	if err := memory.Close(); err != nil {
		t.Error(err)
	}
	synctest.Wait()
}

// process runs makers until it is killed. It thinks that it is elected, whoever else is.
func (p *processes) process(ctx context.Context, memory store.Store) {
	w := &world{T: p.T, kv: storeOf{memory, p}}
	db := w.open()
	defer db.Close()
	r := New(Config{DB: db, Campaign: late, Makers: []Maker{worker{}}, Host: "h", Now: time.Now, Log: discard()})
	if err := r.Run(ctx); err != nil {
		p.Error(err)
	}
}

// late lets everybody be elected, after a pause in which others can do something.
func late(ctx context.Context, office string) (store.Tenure, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return everybody(ctx, office)
}
