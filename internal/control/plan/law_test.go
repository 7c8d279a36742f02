// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/table"
)

// TestStepByStepEqualsAllAtOnce is the law of the plan: whatever way the tables
// took to where they are, the desired state is that of the tables alone, and so
// is who waits for what. The tables are any: also such that no service makes.
func TestStepByStepEqualsAllAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newNamedWorld(t)
		if rapid.Bool().Draw(t, "begin with a world that works") {
			w.put(t, wholeWorld()...)
		}
		before := New(w.plan.host, w.plan.domains, w.plan.outside)
		before.Change(w.last, everything(w.last))
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			var put, remove []table.Row
			for range rapid.IntRange(1, 6).Draw(t, "rows") {
				if rapid.IntRange(0, 4).Draw(t, "remove") == 0 {
					remove = append(remove, drawRow(t))
				} else {
					put = append(put, drawRow(t))
				}
			}
			w.commit(t, put, false)
			result := w.remove(t, remove...)
			after := New(w.plan.host, w.plan.domains, w.plan.outside)
			after.Change(w.last, everything(w.last))
			checkEqual(t, after, w.plan)
			checkResult(t, before, after, result)
			before = after
		}
	})
}

// checkEqual compares a plan with one that was made at once, also what it keeps
// in order to notice changes.
func checkEqual(t *rapid.T, want, got *Plan) {
	if diff := cmp.Diff(desired.Text(want.Entries()), desired.Text(got.Entries())); diff != "" {
		t.Fatalf("step by step differs (-all at once +step by step):\n%s", diff)
	}
	if diff := cmp.Diff(problemsOf(want), problemsOf(got)); diff != "" {
		t.Errorf("problems differ (-all at once +step by step):\n%s", diff)
	}
	if len(got.readers) != len(want.readers) || len(got.held) != len(want.held) {
		t.Errorf("%d reads and %d entries are kept, want %d and %d", len(got.readers), len(got.held), len(want.readers), len(want.held))
	}
	for id, u := range want.units {
		if g := got.units[id]; g == nil || !slices.Equal(g.reads(), u.reads()) || g.views != u.views {
			t.Errorf("unit %v is not what it is at once", id)
		}
	}
	for id := range got.units {
		if want.units[id] == nil {
			t.Errorf("unit %v is left", id)
		}
	}
}

// checkResult compares the result of a change with what two plans that were made
// at once, before and after it, say.
func checkResult(t *rapid.T, before, after *Plan, r Result) {
	old, now := textsOf(before), textsOf(after)
	want := maps.Clone(old)
	for _, e := range r.Put {
		if old[e.Key()] == desired.Record(e) {
			t.Errorf("%v is put again", e)
		}
		want[e.Key()] = desired.Record(e)
	}
	for _, k := range r.Delete {
		if _, there := want[k]; !there {
			t.Errorf("%v is deleted, which is not there", k)
		}
		delete(want, k)
	}
	if diff := cmp.Diff(now, want); diff != "" {
		t.Errorf("delta leads elsewhere (-want +got):\n%s", diff)
	}
	touched, released := expected(before, after)
	got := map[Subject]map[desired.Realm]bool{}
	for _, s := range r.Touched {
		got[s] = map[desired.Realm]bool{}
		for _, realm := range r.Realms[s] {
			got[s][realm] = true
		}
	}
	if diff := cmp.Diff(touched, got); diff != "" {
		t.Errorf("touched, and where (-want +got):\n%s", diff)
	}
	for _, k := range r.Delete {
		if diff := cmp.Diff(sortedSubjects(released[k]), r.Released[k]); diff != "" {
			t.Errorf("released for %v (-want +got):\n%s", k, diff)
		}
	}
	if len(r.Released) != len(r.Delete) {
		t.Errorf("%d entries are released, %d deleted", len(r.Released), len(r.Delete))
	}
}

func textsOf(p *Plan) map[desired.Key]string {
	texts := map[desired.Key]string{}
	for _, e := range p.Entries() {
		texts[e.Key()] = desired.Record(e)
	}
	return texts
}

// expected says who is touched by what lies between two plans, in which routers,
// and who lets go of each entry.
func expected(before, after *Plan) (map[Subject]map[desired.Realm]bool, map[desired.Key]map[Subject]struct{}) {
	touched, released := map[Subject]map[desired.Realm]bool{}, map[desired.Key]map[Subject]struct{}{}
	ids := maps.Clone(before.units)
	maps.Copy(ids, after.units)
	for id := range ids {
		old, now := before.asked(id), after.asked(id)
		everybody, realms := map[Subject]struct{}{}, map[desired.Realm]bool{}
		for _, entries := range []map[desired.Key]string{old.entries, now.entries} {
			for key := range entries {
				realms[key.Realm] = true
			}
		}
		for _, subjects := range []map[standing]bool{old.subjects, now.subjects} {
			for s := range subjects {
				everybody[s.subject()] = struct{}{}
				if old.subjects[s] && now.subjects[s] && maps.Equal(old.entries, now.entries) && old.problem == now.problem {
					continue
				}
				if touched[s.subject()] == nil {
					touched[s.subject()] = map[desired.Realm]bool{}
				}
				maps.Copy(touched[s.subject()], realms)
			}
		}
		for key := range old.entries {
			if _, still := now.entries[key]; still {
				continue
			}
			if released[key] == nil {
				released[key] = map[Subject]struct{}{}
			}
			maps.Copy(released[key], everybody)
		}
	}
	return touched, released
}

// problemsOf says what is against each subject, and which unit knows it.
func problemsOf(p *Plan) map[Subject]map[string]string {
	all := map[Subject]map[string]string{}
	for s, problems := range p.problems {
		all[s] = map[string]string{}
		for _, known := range problems {
			all[s][fmt.Sprint(known.unit.id.kind, known.unit.id.place.ref())] = known.text
		}
	}
	return all
}

// question is what a unit asks for, and what it knows to be against it.
type question struct {
	entries  map[desired.Key]string
	subjects map[standing]bool
	problem  string
}

func (p *Plan) asked(id unitID) question {
	q := question{entries: map[desired.Key]string{}, subjects: map[standing]bool{}}
	u := p.units[id]
	if u == nil {
		return q
	}
	for _, n := range u.entries() {
		h := p.entries.at(n)
		q.entries[h.key] = desired.Record(h.of(u.number, &p.sets))
	}
	for _, s := range u.subjects {
		q.subjects[s] = true
		for _, known := range p.problems[s.subject()] {
			if known.unit == u {
				q.problem = known.text
			}
		}
	}
	return q
}
