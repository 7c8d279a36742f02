// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/fakedp"
)

// deaf is a kernel of which one router does not answer, whatever its caller's
// patience, until it is released.
type deaf struct {
	*fakedp.Kernel
	mu      sync.Mutex
	router  desired.Realm
	release chan struct{}
}

// stop makes a router deaf and gives what ends that.
func (d *deaf) stop(realm desired.Realm) (release func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ch := make(chan struct{})
	d.router, d.release = realm, ch
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.router = ""
		close(ch)
	}
}

func (d *deaf) hold(realm desired.Realm) {
	d.mu.Lock()
	release := d.release
	holds := d.router == realm
	d.mu.Unlock()
	if holds {
		<-release
	}
}

func (d *deaf) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	d.hold(realm)
	return d.Kernel.Apply(ctx, realm, put, del)
}

func (d *deaf) Dump(ctx context.Context, realm desired.Realm) ([]desired.Entry, error) {
	d.hold(realm)
	return d.Kernel.Dump(ctx, realm)
}

func withDeaf(t *testing.T, play func(*testing.T, *deaf, *reconcile.Reconciler, *ledger)) {
	synctest.Test(t, func(t *testing.T) {
		d, l := &deaf{Kernel: fakedp.New()}, newLedger()
		r := reconcile.New(d, reconcile.Config{Report: l.add, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		defer synctest.Wait()
		defer cancel()
		play(t, d, r, l)
	})
}

func (l *ledger) report() reconcile.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

const threeRouters = `router vpc-a self
router vpc-b self
link vpc-a vpc-b
route vpc-a 240.8.0.1/32 peer=vpc-b
route vpc-b 240.0.0.0/26 peer=vpc-a
router vpc-c self
link vpc-b vpc-c`

func member(revision int64, vpcs ...string) string {
	var text strings.Builder
	for _, realm := range vpcs {
		fmt.Fprintf(&text, "member %s sg-1/10.0.1.%d\n", realm, revision)
	}
	return text.String()
}

// A router that does not answer delays nobody but itself: not the work in others,
// also those that it is linked with, nor what is told of them.
func TestOneSlowRouterDelaysNobodyElse(t *testing.T) {
	withDeaf(t, func(t *testing.T, d *deaf, r *reconcile.Reconciler, l *ledger) {
		all := parse(t, threeRouters)
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		release := d.stop("vpc-b")
		for revision := int64(2); revision < 10; revision++ {
			begun := time.Now()
			fresh := parse(t, member(revision, "vpc-a", "vpc-b", "vpc-c"))
			all = append(all, fresh...)
			apply(t, r, desired.Delta{Revision: revision, Put: fresh})
			for l.report().Revision < revision && time.Since(begun) < time.Minute {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			// The first time it is waited for a second, to keep the order.
			if took := time.Since(begun); took > time.Second+10*time.Millisecond || revision > 2 && took > 20*time.Millisecond {
				t.Errorf("revision %d is settled in the other routers after %v", revision, took)
			}
			if report := l.report(); len(report.Behind) != 1 || report.Behind["vpc-b"] != 1 {
				t.Errorf("behind are %v, want vpc-b at 1", report.Behind)
			}
			if want := member(revision, "vpc-a"); !strings.Contains(d.Text(), want) {
				t.Errorf("%s is not in the kernel", want)
			}
		}
		release()
		synctest.Wait()
		if report := l.report(); len(report.Behind) != 0 || report.Revision != 9 || report.Done != len(all) {
			t.Errorf("report after it has answered: %+v", report)
		}
		if got := d.Text(); got != desired.Text(all) {
			t.Errorf("kernel after it has answered:\n%s", got)
		}
	})
}

// A call that never returns makes what is wanted in its router be in error when its
// time is over, also what is wanted later, and nothing else.
func TestTheTimeOfACallIsBounded(t *testing.T) {
	withDeaf(t, func(t *testing.T, d *deaf, r *reconcile.Reconciler, l *ledger) {
		all := parse(t, threeRouters)
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		release := d.stop("vpc-b")
		for revision, wait := range map[int64]time.Duration{2: 62 * time.Second} {
			fresh := parse(t, member(revision, "vpc-a", "vpc-b"))
			all = append(all, fresh...)
			apply(t, r, desired.Delta{Revision: revision, Put: fresh})
			time.Sleep(wait)
			synctest.Wait()
		}
		later := parse(t, member(3, "vpc-b"))
		all = append(all, later...)
		apply(t, r, desired.Delta{Revision: 3, Put: later})
		if report := l.report(); report.Revision != 3 || len(report.Behind) != 0 {
			t.Errorf("report after the time is over: %+v", report)
		}
		failed := l.failures()
		for _, line := range []string{member(2, "vpc-b"), member(3, "vpc-b")} {
			if key := parse(t, line)[0].Key(); !strings.Contains(failed[key], "does not answer") {
				t.Errorf("%s is in error because of %q", key, failed[key])
			}
		}
		if len(failed) != 2 {
			t.Errorf("in error are %v, want two members of vpc-b", failed)
		}
		release()
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := d.Text(); got != desired.Text(all) || len(l.failures()) != 0 {
			t.Errorf("in error are %v, and the kernel after it has answered:\n%s", l.failures(), got)
		}
	})
}

// A router that is slow to be read holds up neither the start nor the others, and
// what it says is taken up when it comes.
func TestARouterThatIsSlowToBeReadIsTakenUpLater(t *testing.T) {
	withDeaf(t, func(t *testing.T, d *deaf, r *reconcile.Reconciler, l *ledger) {
		all := parse(t, threeRouters)
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		d.Drop(parse(t, threeRouters)[4].Key()) // of vpc-b
		release := d.stop("vpc-b")
		time.Sleep(time.Minute / 2)
		fresh := parse(t, member(2, "vpc-a"))
		apply(t, r, desired.Delta{Revision: 2, Put: fresh})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !strings.Contains(d.Text(), member(2, "vpc-a")) {
			t.Error("the others wait for a router that is being read")
		}
		release()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := d.Text(); got != desired.Text(append(all, fresh...)) {
			t.Errorf("kernel after it was read:\n%s", got)
		}
	})
}

// noting notes what is done together.
type noting struct {
	*fakedp.Kernel
	mu   sync.Mutex
	sets []string
}

func (n *noting) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	n.mu.Lock()
	text := ""
	for _, e := range put {
		text += "+" + e.Key().Kind.String()
	}
	for _, e := range del {
		text += "-" + e.Key().Kind.String()
	}
	n.sets = append(n.sets, text)
	n.mu.Unlock()
	return n.Kernel.Apply(ctx, realm, put, del)
}

// An address that goes from one interface to another is out of the former one's
// groups when the other one gets it: both are one call for the data plane, which
// attaches last.
func TestAnAddressLeavesItsGroupsBeforeSomebodyElseHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &noting{Kernel: fakedp.New()}
		r := reconcile.New(n, reconcile.Config{Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		defer synctest.Wait()
		defer cancel()
		former := parse(t, "router vpc-a self\nclass vpc-a c-1\naddress vpc-a 10.0.1.10 class=c-1\nmember vpc-a sg-1/10.0.1.10")
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: former})
		n.sets = nil
		next := parse(t, "class vpc-a c-2\naddress vpc-a 10.0.1.10 class=c-2\nworkload vpc-a eni-2 mac=02:00:00:00:00:01 addresses=10.0.1.10/24")
		apply(t, r, desired.Delta{Revision: 2, Put: next, Delete: []desired.Key{former[3].Key(), former[1].Key()}})
		if want := "+class+address+workload-member"; len(n.sets) == 0 || n.sets[0] != want {
			t.Errorf("done together is %q, want %q first", n.sets, want)
		}
	})
}
