// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/fakedp"
)

// process is an entry of the host's realm, which no product kind has.
type process struct{ Name, Command string }

var kindProcess = desired.Define(desired.Description[process]{
	Name: "process", Stage: desired.StageLink, Sort: desired.Hosts,
	Spell: func(p *process, s *desired.Spelling) {
		s.IDName(&p.Name)
		s.Name("command", &p.Command)
	},
	Ends: desired.EndsNothing[process], Turns: desired.TurnsNothing[process], Examples: []process{{"resolver", "resolve"}},
})

func (p process) Key() desired.Key {
	return desired.Key{Realm: desired.Host, Kind: kindProcess, ID: p.Name}
}
func (p process) String() string { return desired.State(p) }

// answer is an entry of a zone of names.
type answer struct{ Zone, Name, Value string }

var kindAnswer = desired.Define(desired.Description[answer]{
	Name: "answer", Stage: desired.StageEntrance, Sort: desired.Zones,
	Spell: func(a *answer, s *desired.Spelling) {
		s.Realm(&a.Zone)
		s.IDName(&a.Name)
		s.Name("value", &a.Value)
	},
	Ends: desired.EndsNothing[answer], Turns: desired.TurnsNothing[answer], Examples: []answer{{"example.com", "db", "10.0.1.100"}},
})

func (a answer) Key() desired.Key {
	return desired.Key{Realm: desired.Zone(a.Zone), Kind: kindAnswer, ID: a.Name}
}
func (a answer) String() string { return desired.State(a) }

// house is a host whose kernel, processes and names are parts of their own.
type house struct {
	kernel, names *fakedp.Kernel
	processes     *deaf
	mu            sync.Mutex
	broken        map[desired.Key]bool // of the processes
	order         []string             // what was done in all of them
}

func newHouse(t *testing.T) (*house, reconcile.Effects) {
	h := &house{kernel: fakedp.New(), names: fakedp.New(), processes: &deaf{Kernel: fakedp.New()}, broken: map[desired.Key]bool{}}
	for _, k := range []*fakedp.Kernel{h.kernel, h.names, h.processes.Kernel} {
		k.Observe(func(op fakedp.Op, _ []desired.Entry) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.order = append(h.order, op.String())
		})
	}
	all, err := reconcile.Compose(
		reconcile.Part{Name: "names", Kinds: []desired.Kind{kindAnswer}, Effects: h.names},
		reconcile.Part{Name: "kernel", Kinds: desired.Kinds(), Effects: h.kernel},
		reconcile.Part{Name: "processes", Kinds: []desired.Kind{kindProcess}, Effects: frail{h.processes, h}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return h, all
}

// did gives what was done since it was asked last.
func (h *house) did() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := h.order
	h.order = nil
	return done
}

func (h *house) text() string { return h.kernel.Text() + h.processes.Text() + h.names.Text() }

// breaks says whether an entry fails from now on.
func (h *house) breaks(key desired.Key, broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken[key] = broken
}

// frail fails for the entries that are broken in a house.
type frail struct {
	reconcile.Effects
	house *house
}

// Apply implements reconcile.Effects.
func (f frail) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	errs := map[desired.Key]error{}
	f.house.mu.Lock()
	broken := maps.Clone(f.house.broken)
	f.house.mu.Unlock()
	well := func(e desired.Entry) bool {
		if broken[e.Key()] {
			errs[e.Key()] = errors.New("broken")
		}
		return broken[e.Key()]
	}
	for key, err := range f.Effects.Apply(ctx, realm, slices.DeleteFunc(slices.Clone(put), well), slices.DeleteFunc(slices.Clone(del), well)) {
		errs[key] = err
	}
	return errs
}

func withHouse(t *testing.T, play func(*testing.T, *house, *reconcile.Reconciler, *ledger)) {
	synctest.Test(t, func(t *testing.T) {
		h, all := newHouse(t)
		l := newLedger()
		r := reconcile.New(all, reconcile.Config{Report: l.add, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		defer synctest.Wait()
		defer cancel()
		play(t, h, r, l)
	})
}

const twoRouters = `router vpc-a self
router vpc-b self
link vpc-a vpc-b
target vpc-b 240.8.0.1
endpoint vpc-a 10.0.1.100 target=240.8.0.1`

func mixed(t *testing.T, more ...desired.Entry) []desired.Entry {
	return append(append(parse(t, twoRouters), process{"resolver", "resolve"}, answer{"example.com", "db", "10.0.1.100"}), more...)
}

// Entries of the host and of zones are made and removed in their stages, across all
// realms and parts, and adopted, repaired and pruned like those of routers.
func TestRealmsThatAreNoRouters(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house, r *reconcile.Reconciler, l *ledger) {
		all := mixed(t)
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		want := []string{
			"put router vpc-a self", "put router vpc-b self", "put link vpc-a vpc-b", "put process host resolver",
			"put target vpc-b 240.8.0.1", "put answer zone:example.com db", "put endpoint vpc-a 10.0.1.100",
		}
		if diff := cmp.Diff(phases(want), phases(h.did())); diff != "" {
			t.Errorf("made in the order %s", diff)
		}
		if report := l.report(); report.Revision != 1 || report.Done != len(all) {
			t.Errorf("report %+v", report)
		}

		h.processes.Drop(process{Name: "resolver"}.Key())
		h.processes.Plant(process{"stray", "spy"})
		h.names.Plant(answer{"example.com", "db", "10.9.9.9"})
		h.names.Plant(answer{"example.net", "x", "10.9.9.9"})
		h.did()
		if found, err := r.Verify(t.Context()); found != 4 || err != nil {
			t.Errorf("%d differences, %v; want 4", found, err)
		}
		kernel, processes, names := desired.Text(parse(t, twoRouters)), "process host resolver command=resolve\n", "answer zone:example.com db value=10.0.1.100\n"
		if got := h.text(); got != kernel+processes+names {
			t.Errorf("after it was verified:\n%s", got)
		}

		h.did()
		apply(t, r, desired.Delta{Full: true, Revision: 2})
		slices.Reverse(want)
		for i := range want {
			want[i] = strings.Replace(want[i], "put", "delete", 1)
		}
		if diff := cmp.Diff(phases(want), phases(h.did())); diff != "" {
			t.Errorf("removed in the order %s", diff)
		}
		if got := h.text(); got != "" {
			t.Errorf("left:\n%s", got)
		}
	})
}

// phases groups what was done by the phase of its kind, in order, and sorts each
// group: within one, realms are worked on at the same time.
func phases(ops []string) (groups [][]string) {
	phase := map[string]int{"router": 0, "link": 1, "process": 1, "target": 2, "answer": 3, "endpoint": 3}
	last := -1
	for _, op := range ops {
		if now := phase[strings.Fields(op)[1]]; now != last {
			groups, last = append(groups, nil), now
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], op)
	}
	for _, g := range groups {
		slices.Sort(g)
	}
	return groups
}

// The host is a unit of slowness and of failures of its own.
func TestTheHostSettlesByItself(t *testing.T) {
	withHouse(t, func(t *testing.T, h *house, r *reconcile.Reconciler, l *ledger) {
		all := mixed(t)
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		release := h.processes.stop(desired.Host)
		more := []desired.Entry{process{"relay", "carry"}, parse(t, "endpoint vpc-a 10.0.1.101 target=240.8.0.1")[0]}
		apply(t, r, desired.Delta{Revision: 2, Put: more})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if report := l.report(); report.Revision != 2 || len(report.Behind) != 1 || report.Behind[desired.Host] != 1 {
			t.Errorf("while the host does not answer: %+v", report)
		}
		if !strings.Contains(h.kernel.Text(), "10.0.1.101") {
			t.Error("a router waits for the host")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := l.failures()[more[0].Key()]; got != "the host does not answer: its last call has not returned in time" {
			t.Errorf("the entry is in error because %q", got)
		}
		release()
		time.Sleep(time.Second)
		synctest.Wait()
		if report := l.report(); report.Revision != 2 || len(report.Behind) != 0 || report.Done != len(all)+2 || len(l.failures()) != 0 {
			t.Errorf("after the host has answered: %+v, failures %v", report, l.failures())
		}

		h.breaks(more[0].Key(), true)
		apply(t, r, desired.Delta{Revision: 3, Put: []desired.Entry{process{"relay", "carry more"}, process{"second", "x"}}})
		if got := l.failures(); len(got) != 1 || got[more[0].Key()] != "broken" || l.report().Revision != 3 {
			t.Errorf("failures %v as of %d", got, l.report().Revision)
		}
		h.breaks(more[0].Key(), false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := l.failures(); len(got) != 0 || !strings.Contains(h.text(), "carry%20more") {
			t.Errorf("failures %v, processes %s", got, h.processes.Text())
		}
	})
}

// What nobody carries out is an error, be it put or deleted, and spoils nothing else.
func TestEntriesThatNobodyCarriesOut(t *testing.T) {
	h, _ := newHouse(t)
	less, err := reconcile.Compose(reconcile.Part{Name: "kernel", Kinds: desired.Kinds(), Effects: h.kernel})
	if err != nil {
		t.Fatal(err)
	}
	stray, good := process{"resolver", "resolve"}, parse(t, "router vpc-a self")
	elsewhere := parse(t, "member vpc-b sg-1/10.0.1.10")[0]
	for verb, do := range map[string]func(realm desired.Realm, e ...desired.Entry) map[desired.Key]error{
		"put": func(realm desired.Realm, e ...desired.Entry) map[desired.Key]error {
			return less.Apply(t.Context(), realm, e, nil)
		},
		"delete": func(realm desired.Realm, e ...desired.Entry) map[desired.Key]error {
			return less.Apply(t.Context(), realm, nil, e)
		},
	} {
		for realm, e := range map[desired.Realm]desired.Entry{desired.Host: stray, "vpc-a": elsewhere} {
			failed := do(realm, append(good, e)...)
			if err := failed[e.Key()]; err == nil || !strings.HasPrefix(err.Error(), verb+" "+e.Key().String()+": ") {
				t.Errorf("%s %s in %s: %v", verb, e, realm, failed)
			}
			if realm == "vpc-a" && failed[good[0].Key()] != nil {
				t.Errorf("%s %s: %v", verb, good[0], failed)
			}
		}
	}
	if _, err := reconcile.Compose(reconcile.Part{Name: "a", Kinds: desired.Kinds()}, reconcile.Part{Name: "b", Kinds: []desired.Kind{desired.KindPool}}); err == nil {
		t.Error("two parts have one kind")
	}
}

// A router that goes takes with it what other parts have in it.
func TestARealmIsEmptiedByAllParts(t *testing.T) {
	kernel, filter := fakedp.New(), fakedp.New()
	rest := slices.DeleteFunc(desired.Kinds(), func(k desired.Kind) bool { return k == desired.KindMember })
	all, err := reconcile.Compose(
		reconcile.Part{Name: "kernel", Kinds: rest, Effects: kernel},
		reconcile.Part{Name: "filter", Kinds: []desired.Kind{desired.KindMember}, Effects: filter},
	)
	if err != nil {
		t.Fatal(err)
	}
	router := parse(t, "router vpc-a self")
	filter.Plant(router[0])
	entries := append(parse(t, "member vpc-a sg-1/10.0.1.10\nclass vpc-a c-1"), router...)
	if failed := all.Apply(t.Context(), "vpc-a", entries, nil); len(failed) > 0 {
		t.Fatal(failed)
	}
	filter.Drop(router[0].Key())
	filter.Plant(entries[0])
	if failed := all.Apply(t.Context(), "vpc-a", nil, router); len(failed) > 0 {
		t.Fatal(failed)
	}
	if got := kernel.Text() + filter.Text(); got != "" {
		t.Errorf("left:\n%s", got)
	}
}
