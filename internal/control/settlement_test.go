// SPDX-License-Identifier: Apache-2.0

package control

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
)

// fleet is a model of some hosts with what is wanted there, and of what they have
// told; it holds each verdict against that.
type fleet struct {
	t        *rapid.T
	s        *settlement
	revision int64
	hosts    map[string]*machine
	rows     map[plan.Subject]*modelRow
	last     map[plan.Subject]verdict
}

type modelRow struct {
	fate
	wants map[string]map[desired.Key]bool // by host
	since int64                           // revision of the last change
}

// machine is one host.
type machine struct {
	settled map[desired.Realm]int64 // by realm, as it was told
	sent    int64
	broken  map[desired.Key]bool
	told    map[desired.Key]string
	// wanted is when each entry was ordered last, and gone when each was taken back,
	// with those who must hear that it is gone.
	wanted map[desired.Key]int64
	gone   map[desired.Key]*leaving
}

type leaving struct {
	revision int64
	subjects map[plan.Subject]bool
}

var modelRealms = []desired.Realm{"vpc-a", "vpc-b", desired.Host}

func newFleet(t *rapid.T) *fleet {
	f := &fleet{t: t, s: newSettlement(), hosts: map[string]*machine{}, rows: map[plan.Subject]*modelRow{}, last: map[plan.Subject]verdict{}}
	for i := range rapid.IntRange(1, 3).Draw(t, "hosts") {
		f.hosts[fmt.Sprintf("host-%d", i)] = &machine{
			settled: map[desired.Realm]int64{}, broken: map[desired.Key]bool{}, told: map[desired.Key]string{},
			wanted: map[desired.Key]int64{}, gone: map[desired.Key]*leaving{},
		}
	}
	for i := range 4 {
		f.rows[plan.Subject{Kind: plan.SubjectGateway, Ref: ref(fmt.Sprintf("rgw-%d", i))}] = &modelRow{wants: map[string]map[desired.Key]bool{}}
	}
	f.tell(true, slices.Collect(maps.Keys(f.rows)))
	return f
}

func (f *fleet) names() []string { return slices.Sorted(maps.Keys(f.hosts)) }

func (f *fleet) subjects() []plan.Subject {
	return slices.SortedFunc(maps.Keys(f.rows), plan.Subject.Compare)
}

func (f *fleet) holders(host string) func(desired.Key) []plan.Subject {
	return func(key desired.Key) (all []plan.Subject) {
		for _, s := range f.subjects() {
			if f.rows[s].wants[host][key] {
				all = append(all, s)
			}
		}
		return all
	}
}

// tell passes a change on to the settlement; the rows are as after it.
func (f *fleet) tell(full bool, touched []plan.Subject) {
	f.revision++
	steps := map[string]step{}
	for _, name := range f.names() {
		steps[name] = step{Result: f.difference(name, full, touched), full: full, holders: f.holders(name)}
		f.hosts[name].sent = f.revision
	}
	asked := map[plan.Subject]bool{}
	for _, s := range touched {
		asked[s] = true
		f.rows[s].since = f.revision
	}
	f.s.fates = func(s plan.Subject) fate { return f.rows[s].fate }
	f.judge(f.s.change(change{
		revision: f.revision, steps: steps, asked: asked,
		parents: func(plan.Subject) []plan.Subject { return nil },
	}))
}

// difference is what the plan of one host says.
func (f *fleet) difference(host string, full bool, touched []plan.Subject) plan.Result {
	m, r := f.hosts[host], plan.Result{Released: map[desired.Key][]plan.Subject{}, Realms: map[plan.Subject][]desired.Realm{}, Touched: touched}
	now := map[desired.Key]bool{}
	for s, row := range f.rows {
		for key := range row.wants[host] {
			now[key] = true
			if slices.Contains(touched, s) {
				r.Realms[s] = append(r.Realms[s], key.Realm)
			}
		}
	}
	for key := range now {
		if _, had := m.wanted[key]; !had || full {
			r.Put = append(r.Put, desired.Pool{VPC: string(key.Realm), Gateway: netip.MustParseAddr(key.ID)})
			m.wanted[key] = f.revision
			if l := m.gone[key]; l != nil {
				l.revision = f.revision // the former value is gone when this one is there
			}
		}
	}
	for key := range m.wanted {
		if !now[key] {
			delete(m.wanted, key)
			if m.gone[key] == nil {
				m.gone[key] = &leaving{subjects: map[plan.Subject]bool{}}
			}
			m.gone[key].revision = f.revision
			for _, s := range touched {
				r.Released[key] = append(r.Released[key], s)
				r.Realms[s] = append(r.Realms[s], key.Realm)
				m.gone[key].subjects[s] = true
			}
		}
	}
	return r
}

// judge holds verdicts against what hosts have told.
func (f *fleet) judge(verdicts []verdict) {
	for _, v := range verdicts {
		row := f.rows[v.subject]
		f.last[v.subject] = v
		if v.generation != row.generation || v.deleting != row.deleting {
			f.t.Fatalf("verdict %+v on a row that asks %+v", v, row.fate)
		}
		if problem := f.problem(v.subject); (problem == "") != (v.reason == "") {
			f.t.Fatalf("verdict %+v, and %q", v, problem)
		}
	}
}

// problem says why a subject is not ready.
func (f *fleet) problem(s plan.Subject) string {
	for name, m := range f.hosts {
		for key := range f.rows[s].wants[name] {
			if m.settled[key.Realm] < m.wanted[key] {
				return fmt.Sprintf("%s has not settled %s", name, key)
			}
			if m.told[key] != "" {
				return fmt.Sprintf("%s fails with %s", name, key)
			}
		}
		for key, l := range m.gone {
			if l.subjects[s] && (m.settled[key.Realm] < l.revision || m.told[key] != "") {
				return fmt.Sprintf("%s still has %s", name, key)
			}
		}
	}
	return ""
}

// change gives some subjects other entries, or asks for their deletion.
func (f *fleet) change(t *rapid.T) {
	var touched []plan.Subject
	for _, s := range f.subjects() {
		if !rapid.Bool().Draw(t, "touched") {
			continue
		}
		touched = append(touched, s)
		row := f.rows[s]
		row.generation++
		row.deleting = rapid.IntRange(0, 3).Draw(t, "deleting") == 0
		for _, name := range f.names() {
			row.wants[name] = map[desired.Key]bool{}
			for range rapid.IntRange(0, 2).Draw(t, "entries") {
				key := desired.Key{
					Kind: desired.KindPool, Realm: rapid.SampledFrom(modelRealms).Draw(t, "realm"),
					ID: fmt.Sprintf("10.0.0.%d", rapid.IntRange(1, 3).Draw(t, "id")),
				}
				row.wants[name][key] = !row.deleting
				if row.deleting {
					delete(row.wants[name], key)
				}
			}
		}
	}
	f.tell(false, touched)
}

// acknowledge has one host tell that it is further, in some routers or in all.
func (f *fleet) acknowledge(t *rapid.T, name string, all, full bool) {
	m := f.hosts[name]
	a := Acknowledgement{Full: full, Revision: m.sent, Behind: map[desired.Realm]int64{}, Failed: map[desired.Key]string{}}
	for _, realm := range modelRealms {
		if !all && rapid.Bool().Draw(t, "slow") {
			a.Behind[realm] = m.settled[realm]
		} else {
			m.settled[realm] = m.sent
		}
	}
	for _, key := range m.keys() {
		fails := m.broken[key] && a.Behind[key.Realm] == 0
		switch _, told := m.told[key]; {
		case fails && (full || !told):
			a.Failed[key], m.told[key] = "busy", "busy"
		case !fails && told && !full:
			a.Recovered = append(a.Recovered, key)
			delete(m.told, key)
		case !fails:
			delete(m.told, key)
		}
	}
	maps.DeleteFunc(m.gone, func(key desired.Key, l *leaving) bool { return l.revision <= m.settled[key.Realm] && m.told[key] == "" })
	f.judge(f.s.acknowledged(name, a))
}

func (m *machine) keys() []desired.Key {
	all := map[desired.Key]bool{}
	for key := range m.wanted {
		all[key] = true
	}
	for key := range m.gone {
		all[key] = true
	}
	for key := range m.told {
		all[key] = true
	}
	return slices.SortedFunc(maps.Keys(all), desired.Key.Compare)
}

// Whatever hosts do and in whatever order they tell it, a subject is never said to
// be ready before every host has what it needs, nor gone before every host has let
// go; and when they are all well, nothing waits.
func TestVerdictsAreTrueAndCome(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleet(t)
		host := func(t *rapid.T) string { return rapid.SampledFrom(f.names()).Draw(t, "host") }
		t.Repeat(map[string]func(*rapid.T){
			"change":      f.change,
			"acknowledge": func(t *rapid.T) { f.acknowledge(t, host(t), false, false) },
			"settle":      func(t *rapid.T) { f.acknowledge(t, host(t), true, false) },
			"break": func(t *rapid.T) {
				if m := f.hosts[host(t)]; len(m.keys()) > 0 {
					key := rapid.SampledFrom(m.keys()).Draw(t, "key")
					m.broken[key] = !m.broken[key]
				}
			},
			"host restarts": func(t *rapid.T) {
				name := host(t)
				clear(f.hosts[name].told)
				f.acknowledge(t, name, true, true)
			},
			"server restarts": func(*rapid.T) {
				f.s = newSettlement()
				for _, m := range f.hosts {
					clear(m.told)
					clear(m.gone)
				}
				f.tell(true, f.subjects())
			},
		})
		for _, name := range f.names() {
			clear(f.hosts[name].broken)
			f.acknowledge(t, name, true, false)
		}
		for s, row := range f.rows {
			v, said := f.last[s]
			if !said || v.reason != "" || v.generation != row.generation || v.revision < row.since {
				t.Fatalf("at the end the last verdict on %v is %+v (%v), and the row is %+v", s, v, said, row)
			}
		}
		for name := range f.hosts {
			if h := f.s.host(name); len(h.waiting)+len(h.parked)+len(h.bonds) > 0 {
				t.Fatalf("%s: %d things wait, %d routers are behind and %d entries bound at the end", name, len(h.waiting), len(h.parked), len(h.bonds))
			}
		}
		for s, st := range f.s.subjects {
			if !st.blind() {
				t.Fatalf("at the end %v is kept, which waits for nothing: %+v", s, st)
			}
		}
	})
}

// What a subject had before a restart nobody remembers: an entry in error where it was keeps
// it, and lets it go when that is over.
func TestWhatIsForgottenKeepsASubjectForAsLongAsItFails(t *testing.T) {
	s, subject := newSettlement(), plan.Subject{Kind: plan.SubjectDBInstance, Ref: ref("db-1")}
	key := desired.Key{Kind: desired.KindSandbox, Realm: "sandbox:db-1", ID: "self"}
	s.fates = func(plan.Subject) fate {
		return fate{generation: 1, deleting: true, realms: []desired.Realm{key.Realm, "database:db-1"}}
	}
	none := func(desired.Key) []plan.Subject { return nil }
	said := func(when string, verdicts []verdict, want string) {
		t.Helper()
		if len(verdicts) != 1 || verdicts[0].reason != want {
			t.Errorf("%s: %+v, want one verdict with %q", when, verdicts, want)
		}
	}
	if all := s.change(change{revision: 1, steps: map[string]step{"host": {Result: plan.Result{Touched: []plan.Subject{subject}}, full: true, holders: none}}}); len(all) > 0 {
		t.Errorf("before the host has said anything: %+v", all)
	}
	said("while its server runs", s.acknowledged("host", Acknowledgement{Full: true, Revision: 1, Failed: map[desired.Key]string{key: "programs run"}}), key.String()+": programs run")
	said("when that has ended", s.acknowledged("host", Acknowledgement{Revision: 1, Recovered: []desired.Key{key}}), "")
}
