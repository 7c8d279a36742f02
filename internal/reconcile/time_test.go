// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/fakedp"
)

// stage is a kernel that fails or hangs as a test says, and notes when it was
// asked for what.
type stage struct {
	*fakedp.Kernel
	mu     sync.Mutex
	broken map[desired.Key]bool
	hangs  desired.Realm // router that does not answer
	begin  time.Time
	tries  []time.Duration           // of broken entries
	dumps  []string                  // "time realm"
	before func(realm desired.Realm) // called before a router is read, if set
}

func newStage() *stage {
	return &stage{Kernel: fakedp.New(), broken: make(map[desired.Key]bool), begin: time.Now()}
}

func (s *stage) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	s.mu.Lock()
	hangs := s.hangs == realm
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
	}
	errs := s.Kernel.Apply(ctx, realm, put, del)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range slices.Concat(put, del) {
		if s.broken[e.Key()] {
			errs[e.Key()] = errors.New("broken")
			s.tries = append(s.tries, time.Since(s.begin))
		}
	}
	return errs
}

func (s *stage) Dump(ctx context.Context, realm desired.Realm) ([]desired.Entry, error) {
	s.mu.Lock()
	s.dumps = append(s.dumps, fmt.Sprintf("%v %s", time.Since(s.begin), realm))
	s.mu.Unlock()
	if s.before != nil {
		s.before(realm)
	}
	return s.Kernel.Dump(ctx, realm)
}

// perform runs a reconciler in a bubble of its own time.
func perform(t *testing.T, play func(*testing.T, *stage, *reconcile.Reconciler, *ledger)) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newStage(), newLedger()
		r := reconcile.New(s, reconcile.Config{Report: l.add, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		defer synctest.Wait()
		defer cancel()
		play(t, s, r, l)
	})
}

func parse(t *testing.T, text string) []desired.Entry {
	t.Helper()
	entries, err := fakedp.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func apply(t *testing.T, r *reconcile.Reconciler, d desired.Delta) {
	t.Helper()
	if err := r.Apply(d); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func TestFailuresAreRetriedLessAndLessOften(t *testing.T) {
	perform(t, func(t *testing.T, s *stage, r *reconcile.Reconciler, l *ledger) {
		all := parse(t, "router vpc-a self\nmember vpc-a sg-1/10.0.1.10")
		s.broken[all[1].Key()] = true
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		time.Sleep(22 * time.Second)
		synctest.Wait()
		var pauses []string
		for i, at := range s.tries {
			if i > 0 {
				pauses = append(pauses, (at - s.tries[i-1]).String())
			}
		}
		want := []string{"10ms", "20ms", "40ms", "80ms", "160ms", "320ms", "640ms", "1.28s", "2.56s", "5s", "5s", "5s"}
		if diff := cmp.Diff(want, pauses); diff != "" {
			t.Errorf("pauses between attempts: %s", diff)
		}
		if got := l.failures(); got[all[1].Key()] != "broken" {
			t.Errorf("failures %v, want %s", got, all[1].Key())
		}

		// A newer delta starts afresh.
		delete(s.broken, all[1].Key())
		apply(t, r, desired.Delta{Revision: 2, Put: all[1:]})
		if got := r.Report(); got.Revision != 2 || got.Done != 2 || len(l.failures()) != 0 {
			t.Errorf("report %+v and failures %v, want all done as of 2", got, l.failures())
		}
	})
}

func TestOneFailureKeepsNobodyWaiting(t *testing.T) {
	perform(t, func(t *testing.T, s *stage, r *reconcile.Reconciler, _ *ledger) {
		all := parse(t, "router vpc-a self\nmember vpc-a sg-1/10.0.1.10\nrouter vpc-b self\nmember vpc-b sg-1/10.0.1.10")
		s.hangs = "vpc-a"
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		time.Sleep(3 * time.Minute)
		if got := s.Text(); got != desired.Text(all[2:]) {
			t.Errorf("kernel while one router hangs:\n%s", got)
		}
	})
}

func TestVerificationTakesTurns(t *testing.T) {
	perform(t, func(t *testing.T, s *stage, r *reconcile.Reconciler, l *ledger) {
		all := parse(t, "router vpc-a self\nrouter vpc-b self\nrouter vpc-c self\nmember vpc-b sg-1/10.0.1.10")
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		s.Drop(all[3].Key())
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"10s vpc-a", "20s vpc-b", "30s vpc-c"}, s.dumps); diff != "" {
			t.Errorf("turns: %s", diff)
		}
		if got := s.Text(); got != desired.Text(all) {
			t.Errorf("kernel after verification:\n%s", got)
		}
		report := r.Report()
		if got := report.Repairs[desired.KindMember]; got != 1 {
			t.Errorf("%d repairs of members, want 1", got)
		}
		if got := report.LastVerify.Sub(s.begin); got != 30*time.Second {
			t.Errorf("last verification ended after %v, want 30s", got)
		}
	})
}

func TestLossOfARouterIsRepairedOnBothSidesInOneTurn(t *testing.T) {
	perform(t, func(t *testing.T, s *stage, r *reconcile.Reconciler, _ *ledger) {
		all := parse(t, `router vpc-a self
router vpc-b self
link vpc-a vpc-b
route vpc-a 240.8.0.1/32 peer=vpc-b
route vpc-b 240.0.0.0/26 peer=vpc-a`)
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		s.Drop(all[0].Key())
		time.Sleep(16 * time.Second) // the turn of vpc-a alone
		synctest.Wait()
		if got := s.Text(); got != desired.Text(all) {
			t.Errorf("kernel after one turn:\n%s", got)
		}
	})
}

// The loss of a router takes something from another one that has been read before,
// in the same verification: it is repaired too, and not in the next one.
func TestWhatIsLostWhileRoutersAreReadIsRepaired(t *testing.T) {
	perform(t, func(t *testing.T, s *stage, r *reconcile.Reconciler, _ *ledger) {
		all := parse(t, `router vpc-a self
router vpc-b self
link vpc-a vpc-b
route vpc-a 240.8.0.1/32 peer=vpc-b
route vpc-b 240.0.0.0/26 peer=vpc-a`)
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		for _, lost := range all[:2] {
			done := false
			s.before = func(realm desired.Realm) {
				if realm == lost.Key().Realm && !done {
					done = true
					time.Sleep(time.Second) // the others have been read
					s.Drop(lost.Key())
				}
			}
			if _, err := r.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := s.Text(); got != desired.Text(all) {
				t.Errorf("kernel after %s was lost:\n%s", lost.Key(), got)
			}
		}
	})
}

func TestManyRoutersAreVerifiedWithinTheInterval(t *testing.T) {
	perform(t, func(t *testing.T, s *stage, r *reconcile.Reconciler, _ *ledger) {
		var all []desired.Entry
		for i := range 1000 {
			all = append(all, desired.Router{VPC: fmt.Sprintf("vpc-%04d", i)})
		}
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		s.dumps = nil
		time.Sleep(30*time.Second + time.Millisecond)
		synctest.Wait()
		if len(s.dumps) < 1000 || len(s.dumps) > 1010 {
			t.Errorf("%d dumps in one interval, want about 1000", len(s.dumps))
		}
	})
}

func TestDeltasOutOfPlaceAreRefused(t *testing.T) {
	perform(t, func(t *testing.T, s *stage, r *reconcile.Reconciler, _ *ledger) {
		if err := r.Apply(desired.Delta{Revision: 1}); !errors.Is(err, reconcile.ErrNoBase) {
			t.Errorf("delta before a full one: %v, want ErrNoBase", err)
		}
		if _, err := r.Verify(t.Context()); !errors.Is(err, reconcile.ErrNoState) {
			t.Errorf("verify before a full delta: %v, want ErrNoState", err)
		}
		apply(t, r, desired.Delta{Full: true, Revision: 5, Put: parse(t, "router vpc-a self")})
		if err := r.Apply(desired.Delta{Revision: 4}); !errors.Is(err, reconcile.ErrStale) {
			t.Errorf("old delta: %v, want ErrStale", err)
		}
		apply(t, r, desired.Delta{Full: true, Revision: 3})
		if got := r.Report(); got.Revision != 3 || got.Wanted != 0 || s.Text() != "" {
			t.Errorf("after a full state of an older revision: %+v, kernel %q", got, s.Text())
		}
	})
}

func TestHostThatChangedWhileNobodyKnewWhatIsWantedIsReadAgain(t *testing.T) {
	perform(t, func(t *testing.T, s *stage, r *reconcile.Reconciler, _ *ledger) {
		all := parse(t, "router vpc-a self\nmember vpc-a sg-1/10.0.1.10")
		for _, e := range all {
			s.Plant(e)
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		s.Drop(all[1].Key())
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		if got := s.Text(); got != desired.Text(all) {
			t.Errorf("kernel after adoption:\n%s", got)
		}
	})
}

// meddled is a stage that has something happen once, while something is put.
type meddled struct {
	*stage
	once sync.Once
	do   func()
}

func (m *meddled) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	errs := m.stage.Apply(ctx, realm, put, del)
	if len(put) > 0 {
		m.once.Do(m.do)
	}
	return errs
}

// The first state comes while a recalled one is worked towards: it is settled when what
// is unknown is gone, and of the recalled one nothing is told.
func TestAStateThatComesAmongRepairsIsAdoptedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, stray := parse(t, "router vpc-a self\nmember vpc-a sg-1/10.0.1.10\nmember vpc-a sg-2/10.0.1.10"), parse(t, "router vpc-z self")
		s := &meddled{stage: newStage()}
		s.broken[all[1].Key()] = true // so that the pass has a second turn
		s.Plant(stray[0])
		r := reconcile.New(s, reconcile.Config{Logger: slog.New(slog.DiscardHandler), Report: func(told reconcile.Report) {
			if got := s.Text(); told.Revision != 7 || got != desired.Text(all) {
				t.Errorf("revision %d is told of when there is\n%s", told.Revision, got)
			}
		}})
		s.do = func() {
			if err := r.Apply(desired.Delta{Full: true, Revision: 7, Put: all}); err != nil {
				t.Error(err)
			}
		}
		if err := r.Recall(2, all); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.Report().Revision; got != 7 {
			t.Errorf("revision %d is settled, want 7", got)
		}
		cancel()
		synctest.Wait()
	})
}
