// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/fakedp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScripts runs testdata/script/*.txtar, each on a kernel that works and on
// one of which 10 % of the operations fail. A script drives one host:
//
//	up, down             start and stop the reconciler; the kernel stays
//	full REV FILE        apply a full delta
//	delta REV PUT [DEL]  apply a delta; "-" is no file
//	settle REV           wait until everything up to REV is done
//	try REV              wait until everything up to REV is done or in error
//	drop KEY             take an entry from the kernel
//	plant FILE           put entries into the kernel
//	verify               compare everything with the kernel now
//	kernel, status, ops  print what there is, how it is, what was done
func TestScripts(t *testing.T) {
	for name, rate := range map[string]float64{"sound": 0, "faulty": 0.1} {
		t.Run(name, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir: "testdata/script",
				Setup: func(env *testscript.Env) error {
					h := newHost(rate, 1)
					env.Values[hostKey{}] = h
					env.Defer(h.down)
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"up": command(0, (*host).cmdUp), "down": command(0, (*host).cmdDown),
					"full": command(2, (*host).cmdFull), "delta": command(2, (*host).cmdDelta),
					"settle": command(1, (*host).cmdSettle), "try": command(1, (*host).cmdTry),
					"drop": command(3, (*host).cmdDrop), "plant": command(1, (*host).cmdPlant),
					"verify": command(0, (*host).cmdVerify), "kernel": command(0, (*host).cmdKernel),
					"status": command(0, (*host).cmdStatus), "ops": command(0, (*host).cmdOps),
				},
				Condition: func(cond string) (bool, error) {
					if cond != "sound" {
						return false, fmt.Errorf("unknown condition %q", cond)
					}
					return rate == 0, nil
				},
			})
		})
	}
}

type hostKey struct{}

func command(args int, do func(*host, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, got []string) {
		if neg || len(got) < args {
			ts.Fatalf("want at least %d arguments and no negation", args)
		}
		do(ts.Value(hostKey{}).(*host), ts, got)
	}
}

// host is a kernel and perhaps a reconciler that runs on it.
type host struct {
	kernel  *fakedp.Kernel
	effects fakedp.Effects
	faulty  bool
	ledger  *ledger
	rec     *reconcile.Reconciler
	stop    func()
}

func newHost(rate float64, seed uint64) *host {
	kernel := fakedp.New()
	return &host{
		kernel: kernel, effects: fakedp.Faulty(kernel, rate, seed), faulty: rate > 0,
		stop: func() {},
	}
}

func (h *host) up() {
	h.down()
	h.ledger = newLedger()
	h.rec = reconcile.New(h.effects, reconcile.Config{
		Report: h.ledger.add, RetryMax: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { h.rec.Run(ctx) })
	h.stop = func() { cancel(); wg.Wait() }
}

func (h *host) down() {
	h.stop()
	h.stop = func() {}
}

// settled waits until all is done up to a revision. On a faulty kernel it also
// makes sure that everything was read.
func (h *host) settled(revision int64) error {
	done := func(r reconcile.Report) bool {
		return r.Revision >= revision && r.Done == r.Wanted && r.Counts.Failed == 0
	}
	if err := h.ledger.wait(done); err != nil {
		return err
	}
	if h.faulty {
		if err := h.verify(); err != nil {
			return err
		}
	}
	if err := h.ledger.wait(done); err != nil {
		return err
	}
	if diff := cmp.Diff(h.rec.Report().Failed, h.ledger.failures()); diff != "" {
		return fmt.Errorf("failures by reports differ from those there are: %s", diff)
	}
	return nil
}

// verify compares until everything could be read.
func (h *host) verify() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if _, err := h.rec.Verify(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
}

// patience is how long tests wait for what must happen.
const patience = 2 * time.Minute

// ledger adds reports up, as control does.
type ledger struct {
	mu     sync.Mutex
	news   chan struct{} // closed and replaced by each report
	last   reconcile.Report
	failed map[desired.Key]string
}

func newLedger() *ledger {
	return &ledger{news: make(chan struct{}), failed: make(map[desired.Key]string)}
}

func (l *ledger) add(r reconcile.Report) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range r.Recovered {
		delete(l.failed, k)
	}
	maps.Copy(l.failed, r.Failed)
	l.last = r
	close(l.news)
	l.news = make(chan struct{})
}

func (l *ledger) wait(ok func(reconcile.Report) bool) error {
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		news, last, failed := l.news, l.last, maps.Clone(l.failed)
		l.mu.Unlock()
		if ok(last) {
			return nil
		}
		select {
		case <-news:
		case <-deadline:
			return fmt.Errorf("no good report in time; last one: %+v; failed: %v", last, failed)
		}
	}
}

func (l *ledger) failures() map[desired.Key]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.failed)
}

func (h *host) cmdUp(*testscript.TestScript, []string)   { h.up() }
func (h *host) cmdDown(*testscript.TestScript, []string) { h.down() }

func (h *host) cmdFull(ts *testscript.TestScript, args []string) {
	ts.Check(h.rec.Apply(desired.Delta{Full: true, Revision: number(ts, args[0]), Put: entries(ts, args[1])}))
}

func (h *host) cmdDelta(ts *testscript.TestScript, args []string) {
	delta := desired.Delta{Revision: number(ts, args[0]), Put: entries(ts, args[1])}
	if len(args) > 2 {
		for _, e := range entries(ts, args[2]) {
			delta.Delete = append(delta.Delete, e.Key())
		}
	}
	ts.Check(h.rec.Apply(delta))
}

func (h *host) cmdSettle(ts *testscript.TestScript, args []string) {
	ts.Check(h.settled(number(ts, args[0])))
}

func (h *host) cmdTry(ts *testscript.TestScript, args []string) {
	revision := number(ts, args[0])
	ts.Check(h.ledger.wait(func(r reconcile.Report) bool { return r.Revision >= revision }))
}

func (h *host) cmdDrop(ts *testscript.TestScript, args []string) {
	e, err := fakedp.ParseLine(strings.Join(args, " "))
	ts.Check(err)
	h.kernel.Drop(e.Key())
}

func (h *host) cmdPlant(ts *testscript.TestScript, args []string) {
	for _, e := range entries(ts, args[0]) {
		h.kernel.Plant(e)
	}
}

func (h *host) cmdVerify(ts *testscript.TestScript, _ []string) { ts.Check(h.verify()) }

func (h *host) cmdKernel(ts *testscript.TestScript, _ []string) {
	fmt.Fprint(ts.Stdout(), h.kernel.Text())
}

func (h *host) cmdStatus(ts *testscript.TestScript, _ []string) {
	all := slices.SortedFunc(h.rec.Statuses(), func(a, b reconcile.Status) int { return a.Key.Compare(b.Key) })
	out := ts.Stdout()
	for _, s := range all {
		fmt.Fprintln(out, strings.TrimSpace(fmt.Sprintf("%s: %s %s", s.Key, s.State, s.Message)))
	}
}

// cmdOps prints what changed the kernel since the last time.
func (h *host) cmdOps(ts *testscript.TestScript, _ []string) {
	out := ts.Stdout()
	for _, op := range h.kernel.Ops() {
		if op.Verb != "dump" {
			fmt.Fprintln(out, op)
		}
	}
}

func number(ts *testscript.TestScript, text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	ts.Check(err)
	return n
}

func entries(ts *testscript.TestScript, file string) []desired.Entry {
	if file == "-" {
		return nil
	}
	entries, err := fakedp.ParseText(ts.ReadFile(file))
	ts.Check(err)
	return entries
}

// adopted waits for the first report: the reconciler has begun to work.
func (l *ledger) adopted() error {
	return l.wait(func(r reconcile.Report) bool { return r.Revision > 0 })
}
