// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// job is a row that a maker of these tests does something about when it is due.
type job struct {
	ID  string
	Due time.Time
}

// RowKey implements table.Row.
func (j *job) RowKey() (account, region, id string) { return "", "", j.ID }

// done counts how often a job was done.
type done struct {
	ID    string
	Times int
}

// RowKey implements table.Row.
func (d *done) RowKey() (account, region, id string) { return "", "", d.ID }

var (
	jobs      = table.Define[*job]("job")
	jobsByDue = table.NewTimeline(jobs, "due", func(j *job) time.Time { return j.Due })
	dones     = table.Define[*done]("done")
)

// worker does jobs when they are due: it counts them and removes them. Doing one twice
// would show, and losing one.
type worker struct{}

// Name implements Maker.
func (worker) Name() string { return "worker" }

// Ask implements Maker.
func (worker) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for j := range jobsByDue.Rows(tx) {
		if !a.due(j.Due, now) {
			break
		}
		a.Changes = append(a.Changes, Change{j.ID, still(jobs, j, func(tx *table.Txn, j *job) {
			if now.Before(j.Due) {
				return // it was put off
			}
			times := 0
			if d, ok := dones.Get(tx, "", "", j.ID); ok {
				times = d.Times
			}
			dones.Put(tx, &done{j.ID, times + 1})
			jobs.Delete(tx, "", "", j.ID)
		})})
	}
	return a
}

// asking is a maker that is a function.
type asking struct {
	name string
	ask  func(tx *table.Txn, now time.Time) Answer
}

// Name implements Maker.
func (a asking) Name() string { return a.name }

// Ask implements Maker.
func (a asking) Ask(tx *table.Txn, now time.Time) Answer { return a.ask(tx, now) }

// world is a store with one process on it, in a bubble of virtual time.
type world struct {
	*testing.T
	kv  store.Store
	db  *table.DB
	log lines
}

// run calls fn in a bubble, with a store in memory that watch sees all commits of.
func run(t *testing.T, watch func(store.Txn) error, fn func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		memory := memstore.New()
		w := &world{T: t, kv: &watched{Store: memory, watch: watch}}
		w.db = w.open()
		fn(w)
		w.db.Close()
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
	})
}

// open gives tables of another process on the store, which the caller closes.
func (w *world) open() *table.DB {
	w.Helper()
	db, err := table.Open(w.Context(), w.kv, slog.New(slog.DiscardHandler), append(state.Tables(), jobs, dones)...)
	if err != nil {
		w.Fatal(err)
	}
	return db
}

// start runs makers, on tables of a process, and gives what stops them. The campaign
// is the store's when it is nil.
func (w *world) start(db *table.DB, campaign func(context.Context, string) (store.Tenure, error), makers ...Maker) (*Runner, func()) {
	if campaign == nil {
		campaign = w.kv.Campaign
	}
	r := New(Config{DB: db, Campaign: campaign, Makers: makers, Host: "h", Now: time.Now, Log: slog.New(slog.NewTextHandler(&w.log, nil))})
	ctx, cancel := context.WithCancel(w.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	synctest.Wait()
	return r, func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("run: %v", err)
		}
	}
}

func (w *world) update(fn func(*table.Txn)) {
	w.Helper()
	if _, err := w.db.Update(w.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
}

// elapse lets time pass, and whatever happens in it.
func (w *world) elapse(d time.Duration) {
	time.Sleep(d) // of the bubble
	synctest.Wait()
}

// watched is a store whose commits are seen, and can fail.
type watched struct {
	store.Store
	watch func(store.Txn) error
}

// Commit implements store.Store.
func (w *watched) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	if w.watch != nil {
		if err := w.watch(txn); err != nil {
			return 0, false, err
		}
	}
	return w.Store.Commit(ctx, txn)
}

// lines is what was logged.
type lines struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
