// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var (
	errSilent = errors.New("no answer")

	writes = Answer{Writes: true, System: "7", Position: 1000}
	reads  = Answer{Reads: true, System: "7", Position: 990}
	silent = Answer{Err: errSilent}
)

// says feeds a judge with what members say, as "id answer", and gives the roles.
func says(j *judge, heard ...any) (is string, events []string) {
	for i := 0; i < len(heard); i += 2 {
		events = append(events, j.hears(heard[i].(string), heard[i+1].(Answer))...)
	}
	r := j.roles()
	var up []string
	for id := range r.Up {
		up = append(up, id)
	}
	slices.Sort(up)
	return fmt.Sprintf("%s writes, %v read, %v up, doubt %t", r.Writer, r.Readers, up, j.doubt()), events
}

func TestVerdicts(t *testing.T) {
	three := []string{"a", "b", "c"}
	system := func(a Answer, is string) Answer { a.System = is; return a }
	at := func(a Answer, is int64) Answer { a.Position = is; return a }
	full := Answer{Err: errors.New("too many clients"), Alive: true}
	shares := Answer{Writes: true, Shares: true}
	for name, c := range map[string]struct {
		j     *judge
		heard []any
		want  string
		event string // that one of the events begins with
	}{
		"a writer and its replicas":      {newJudge("d", three, "", 0, false), []any{"a", writes, "b", reads, "c", reads}, "a writes, [b c] read, [a b c] up, doubt false", "a writes"},
		"another was promoted":           {newJudge("d", three, "a", 0, false), []any{"a", silent, "b", writes, "c", reads}, "b writes, [c] read, [a b c] up, doubt true", "b writes now, and not a"},
		"nobody says to write":           {newJudge("d", three, "a", 0, false), []any{"a", writes, "b", reads, "c", reads, "a", silent, "a", silent, "a", silent}, "a writes, [b c] read, [b c] up, doubt true", "a does not answer"},
		"the writer was demoted":         {newJudge("d", three, "a", 0, false), []any{"a", reads, "b", reads, "c", reads}, "a writes, [b c] read, [a b c] up, doubt true", ""},
		"two say to write":               {newJudge("d", three, "a", 0, false), []any{"a", writes, "b", writes, "c", reads}, "a writes, [c] read, [a b c] up, doubt true", "two writers: [a b]"},
		"two others say to write":        {newJudge("d", three, "a", 0, false), []any{"a", silent, "c", reads, "a", writes, "a", silent, "b", writes, "a", writes}, "b writes, [c] read, [a b c] up, doubt true", "two writers: [a b]"},
		"a server of another database":   {newJudge("d", three, "", 0, false), []any{"a", writes, "b", reads, "c", system(writes, "8")}, "a writes, [b] read, [a b] up, doubt false", "c is left out"},
		"a stranger that came first":     {newJudge("d", three, "", 0, false), []any{"c", system(writes, "8"), "a", writes, "b", reads}, "a writes, [b] read, [a b] up, doubt false", "c is left out"},
		"a replica that is far behind":   {newJudge("d", three, "", 100, false), []any{"a", writes, "b", at(reads, 899), "c", at(reads, 900)}, "a writes, [c] read, [a b c] up, doubt false", ""},
		"a replica that follows nobody":  {newJudge("d", three, "", 0, false), []any{"a", writes, "b", Answer{System: "7"}, "c", reads}, "a writes, [c] read, [a b c] up, doubt false", ""},
		"a replica that failed once":     {newJudge("d", three, "", 0, false), []any{"a", writes, "b", reads, "c", reads, "b", silent}, "a writes, [b c] read, [a b c] up, doubt true", ""},
		"a replica that is down":         {newJudge("d", three, "", 0, false), []any{"a", writes, "b", reads, "c", reads, "b", silent, "b", silent, "b", silent}, "a writes, [c] read, [a c] up, doubt false", "b does not answer: no answer"},
		"a writer without room":          {newJudge("d", three, "a", 0, false), []any{"a", full, "b", reads, "c", reads}, "a writes, [b c] read, [a b c] up, doubt true", "a does not say what it does: too many clients"},
		"a writer that has room again":   {newJudge("d", three, "a", 0, false), []any{"a", full, "a", full, "b", reads, "c", reads, "a", writes}, "a writes, [b c] read, [a b c] up, doubt false", "a says again what it does"},
		"all write":                      {newJudge("d", three, "", 0, false), []any{"b", shares, "a", shares, "c", shares}, "a writes, [b c] read, [a b c] up, doubt false", ""},
		"all write, and one fails once":  {newJudge("d", three, "b", 0, false), []any{"b", shares, "a", shares, "c", shares, "b", silent}, "b writes, [a c] read, [a b c] up, doubt true", ""},
		"all write, and one is down":     {newJudge("d", three, "b", 0, false), []any{"a", shares, "c", shares, "b", silent, "b", silent, "b", silent}, "a writes, [c] read, [a c] up, doubt false", "a writes now"},
		"all write, and one is a donor":  {newJudge("d", three, "b", 0, false), []any{"a", shares, "c", shares, "b", Answer{}}, "a writes, [c] read, [a b c] up, doubt false", "a writes now"},
		"ports":                          {newJudge("d", three, "", 0, true), []any{"c", Answer{}, "b", Answer{}, "a", silent, "a", silent, "a", silent}, "b writes, [] read, [b c] up, doubt false", "b writes"},
		"ports, of which one was closed": {newJudge("d", three, "c", 0, true), []any{"a", Answer{}, "b", Answer{}, "c", silent, "c", silent}, "c writes, [] read, [a b c] up, doubt true", ""},
		"a writer that is no member":     {newJudge("d", three, "x", 0, false), []any{"a", reads, "b", reads, "c", reads}, " writes, [a b c] read, [a b c] up, doubt true", ""},
		"what nobody asked for":          {newJudge("d", three, "a", 0, false), []any{"x", writes, "a", writes, "b", reads, "c", reads}, "a writes, [b c] read, [a b c] up, doubt false", ""},
	} {
		got, events := says(c.j, c.heard...)
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if c.event != "" && !slices.ContainsFunc(events, func(e string) bool { return strings.HasPrefix(e, c.event) }) {
			t.Errorf("%s: told is %q, want %s", name, events, c.event)
		}
	}
}

// TestTheWriterChangesForOneReason draws what members say, one after the other. Whatever
// they say, the writer changes only to one that says alone that it writes, a stranger is
// nobody, and epochs count the changes.
func TestTheWriterChangesForOneReason(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ids := []string{"a", "b", "c", "d"}[:rapid.IntRange(1, 4).Draw(rt, "members")]
		j := newJudge("d", ids, rapid.SampledFrom(append(ids, "")).Draw(rt, "writer"), 0, false)
		said := map[string]Answer{}
		for range rapid.IntRange(1, 30).Draw(rt, "answers") {
			id := rapid.SampledFrom(ids).Draw(rt, "id")
			a := rapid.SampledFrom([]Answer{writes, reads, silent, {System: "7"}, {Err: errSilent, Alive: true}, {Writes: true, System: "8"}}).Draw(rt, "answer")
			before := j.roles()
			said[id] = a
			j.hears(id, a)
			now := j.roles()
			var write []string
			for _, m := range j.members {
				if said[m.id].Writes && !m.strange {
					write = append(write, m.id)
				}
			}
			if now.Writer != before.Writer && !slices.Equal(write, []string{now.Writer}) {
				rt.Fatalf("the writer went from %q to %q while %v said to write", before.Writer, now.Writer, write)
			}
			if (now.Writer != before.Writer) != (now.Epoch == before.Epoch+1) || now.Epoch < before.Epoch {
				rt.Fatalf("from %+v to %+v", before, now)
			}
			if len(write) == 1 && now.Writer != write[0] {
				rt.Fatalf("%v alone writes, and connections go to %q", write, now.Writer)
			}
			for _, id := range now.Readers {
				if j.find(id).strange || id == now.Writer || !now.Up[id] {
					rt.Fatalf("%s reads: %+v", id, now)
				}
			}
		}
	})
}
