// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// everybody is an election that lets everybody win and never tells anybody that it is
// over: the worst that a store which lost sight of processes could do.
func everybody(context.Context, string) (store.Tenure, error) { return forever{}, nil }

type forever struct{}

// Ended implements store.Tenure.
func (forever) Ended() <-chan struct{} { return nil }

// Resign implements store.Tenure.
func (forever) Resign(context.Context) error { return nil }

// TestOnlyTheElectedWrite: of two processes one runs makers; the other does so when
// the first has stopped, and does what it left.
func TestOnlyTheElectedWrite(t *testing.T) {
	run(t, nil, func(w *world) {
		asked := map[string]int{}
		spy := func(name string) Maker {
			return asking{"spy", func(tx *table.Txn, now time.Time) Answer {
				asked[name]++
				return worker{}.Ask(tx, now)
			}}
		}
		other := w.open()
		defer other.Close()
		_, stop := w.start(w.db, nil, spy("first"))
		_, stopOther := w.start(other, nil, spy("second"))
		w.update(func(tx *table.Txn) {
			jobs.Put(tx, &job{"now", time.Now()})
			jobs.Put(tx, &job{"later", time.Now().Add(time.Hour)})
		})
		w.expectDone("with one in office", "now:1")
		if asked["first"] == 0 || asked["second"] > 0 {
			w.Errorf("asked %v; want the first one's makers only", asked)
		}
		stop()
		w.elapse(time.Hour)
		w.expectDone("with another one", "later:1 now:1")
		if asked["second"] == 0 {
			w.Error("nobody took the makers over")
		}
		stopOther()
	})
}

func (w *world) expectDone(when, want string) {
	w.Helper()
	var all []string
	for d := range dones.All(w.db.Snapshot()) {
		all = append(all, fmt.Sprintf("%s:%d", d.ID, d.Times))
	}
	if got := strings.Join(all, " "); got != want {
		w.Errorf("%s jobs done are %q, want %q", when, got, want)
	}
}

// TestWhoIsDeposedWritesNothing: what one has on its way, while another begins its
// term, is refused, though nobody has told it.
func TestWhoIsDeposedWritesNothing(t *testing.T) {
	var slow, moved bool
	held := make(chan struct{})
	watch := func(txn store.Txn) error {
		for _, kv := range txn.Put {
			if slow && strings.Contains(kv.Key, "/row/done/") {
				slow = false
				<-held
			}
		}
		return nil
	}
	run(t, watch, func(w *world) {
		held = make(chan struct{}) // of the bubble
		mine := asking{"mine", func(tx *table.Txn, now time.Time) Answer {
			return Answer{Changes: []Change{{"mine", func(tx *table.Txn) error {
				if _, ok := dones.Get(tx, "", "", "mine"); !ok {
					dones.Put(tx, &done{ID: "mine"})
				}
				return nil
			}}}}
		}}
		other := w.open()
		defer other.Close()
		slow = true
		first := New(Config{DB: w.db, Campaign: everybody, Makers: []Maker{mine}, Host: "h", Now: time.Now, Log: discard()})
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- first.term(ctx, func() {}) }()
		synctest.Wait() // its commit is on its way
		_, stop := w.start(other, everybody)
		moved = true
		close(held)
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, errDeposed) {
			w.Errorf("the deposed one ended with %v, want %v", err, errDeposed)
		}
		stop()
		w.expectDone("by who is deposed", "")
	})
	if !moved {
		t.Error("nobody was deposed")
	}
}

// TestOneMakerBlocksNoOther, nor one change another, when it fails, and when it fails
// again and again that is seen, until it does not any more.
func TestOneMakerBlocksNoOther(t *testing.T) {
	run(t, nil, func(w *world) {
		var broken atomic.Bool
		broken.Store(true)
		bad := asking{"bad", func(tx *table.Txn, _ time.Time) Answer {
			a := Answer{}
			for j := range jobsByDue.Rows(tx) {
				a.Changes = append(a.Changes, Change{j.ID, still(jobs, j, func(tx *table.Txn, j *job) { jobs.Delete(tx, "", "", j.ID) })})
			}
			return Answer{Changes: append([]Change{{"the impossible", func(*table.Txn) error {
				if broken.Load() {
					return errors.New("it is broken")
				}
				return nil
			}}}, a.Changes...)}
		}}
		var tries atomic.Int64
		counted := asking{"bad", func(tx *table.Txn, now time.Time) Answer { tries.Add(1); return bad.ask(tx, now) }}
		good := asking{"good", func(tx *table.Txn, _ time.Time) Answer {
			d, ok := dones.Get(tx, "", "", "n")
			if ok && d.Times >= 3 {
				return Answer{}
			}
			return Answer{Changes: []Change{{"n", func(tx *table.Txn) error {
				times := 0
				if now, ok := dones.Get(tx, "", "", "n"); ok {
					times = now.Times
				}
				dones.Put(tx, &done{"n", times + 1})
				return nil
			}}}}
		}}
		w.update(func(tx *table.Txn) { jobs.Put(tx, &job{"j", time.Unix(1, 0)}) })
		r, stop := w.start(w.db, nil, counted, good)
		defer stop()
		w.expectDone("beside a broken maker", "n:3")
		if _, ok := jobs.Get(w.db.Snapshot(), "", "", "j"); ok {
			w.Error("a change that fails has kept another one from being made")
		}
		for range 50 {
			w.update(func(tx *table.Txn) { jobs.Put(tx, &job{"j", time.Now()}) })
		}
		if tries.Load() > 1 {
			w.Errorf("asked %d times in the moment after it failed, want a pause", tries.Load())
		}
		w.elapse(time.Hour)
		if n := tries.Load(); n < 60 || n > 80 {
			w.Errorf("tried %d times in an hour, want once a minute in the end", n)
		}
		troubles := r.Troubles()
		if len(troubles) != 1 || troubles[0].Maker != "bad" || troubles[0].Times != int(tries.Load()) || !strings.Contains(troubles[0].Reason, "the impossible: it is broken") {
			w.Errorf("troubles are %+v", troubles)
		}
		if n := strings.Count(w.log.String(), "level=ERROR"); n != 1 {
			w.Errorf("%d errors are logged, want one:\n%s", n, w.log.String())
		}
		broken.Store(false)
		w.elapse(2 * time.Minute)
		if n := len(r.Troubles()); n > 0 || !strings.Contains(w.log.String(), "works again") {
			w.Errorf("%d troubles when it works again", n)
		}
	})
}

// TestAMakerIsAskedWhenWhatItReadHasChanged, and else when it wants to be.
func TestAMakerIsAskedWhenWhatItReadHasChanged(t *testing.T) {
	run(t, nil, func(w *world) {
		var asked []time.Duration
		begin := time.Now()
		_, stop := w.start(w.db, nil, asking{"spy", func(tx *table.Txn, now time.Time) Answer {
			asked = append(asked, now.Sub(begin))
			dones.Get(tx, "", "", "mine")
			return Answer{Again: begin.Add(time.Hour)}
		}})
		defer stop()
		w.update(func(tx *table.Txn) { dones.Put(tx, &done{ID: "another"}) })
		w.elapse(time.Minute)
		w.update(func(tx *table.Txn) { dones.Put(tx, &done{ID: "mine"}) })
		w.elapse(time.Hour - time.Minute)
		want := fmt.Sprint([]time.Duration{0, time.Minute, time.Hour})
		if got := fmt.Sprint(asked); got != want {
			w.Errorf("asked at %s, want %s", got, want)
		}
	})
}

// TestTakeoversLoseAndDoubleNothing draws jobs, and processes that die in the midst of
// their work, lose the office without knowing it, and write to a store that takes
// little at once, fails, and does not always say what became of a commit. In the end
// each job was done once, and there is nothing more to do.
func TestTakeoversLoseAndDoubleNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		due := rapid.SliceOfN(rapid.IntRange(0, 120), 1, 150).Draw(rt, "seconds until jobs are due")
		fates := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "lost", "unknown", "too large", "usurp", "die"}), 0, 40).Draw(rt, "commits")
		most := rapid.IntRange(8, 127).Draw(rt, "operations")
		synctest.Test(t, func(t *testing.T) { takeovers(t, due, fates, most) })
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}
