// SPDX-License-Identifier: Apache-2.0

package zone_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// oracle answers from a list of entries, by the words of RFC 1034 §4.3.2 and RFC 4592,
// and slowly.
type oracle map[desired.Key]desired.Entry

func (o oracle) zone(name string) (best desired.NameZone, ok bool) {
	for _, e := range o {
		z, is := e.(desired.NameZone)
		if _, seen := o[desired.View{VPC: vpc, Zone: z.ID}.Key()]; !is || !seen || !below(name, z.Name) {
			continue
		}
		if !ok || len(z.Name) > len(best.Name) || z.Name == best.Name && z.ID < best.ID {
			best, ok = z, true
		}
	}
	return best, ok
}

// below reports whether a name is another, or below it.
func below(name, of string) bool { return name == of || strings.HasSuffix(name, "."+of) }

func (o oracle) exists(z desired.NameZone, name string) bool {
	for _, e := range o {
		if r, ok := e.(desired.NameRecord); ok && r.Zone == z.ID && below(r.Name, name) {
			return true
		}
	}
	return name == z.Name
}

// source is the name whose records are answered.
func (o oracle) source(z desired.NameZone, name string) (string, bool) {
	if o.exists(z, name) {
		return name, true
	}
	for {
		_, name, _ = strings.Cut(name, ".")
		if o.exists(z, name) {
			name = `\052.` + name
			return name, o.exists(z, name)
		}
	}
}

func (o oracle) of(z desired.NameZone, name, kind string) (r desired.NameRecord, ok bool) {
	for _, e := range o {
		if r, ok := e.(desired.NameRecord); ok && r.Zone == z.ID && r.Name == name && r.Type == kind {
			return r, true
		}
	}
	return r, false
}

func (o oracle) answer(question, kind string) string {
	owner, name, want := question, question, kind
	var chain []string
	var first *desired.NameZone // of an alias
	finish := func(head string) string { return strings.TrimSpace(head + " " + strings.Join(chain, "; ")) }
	for range 17 {
		z, ok := o.zone(name)
		if !ok && first == nil {
			return finish("upstream " + name)
		}
		negative := func(code string) string {
			if first != nil {
				code, z = "NOERROR", *first
			}
			return finish(fmt.Sprintf("%s (%s %d)", code, display(z.Name), z.Negative))
		}
		if !ok {
			return negative("NOERROR")
		}
		source, there := o.source(z, name)
		if !there {
			return negative("NXDOMAIN")
		}
		r, ok := o.of(z, source, want)
		if !ok {
			r, ok = o.of(z, source, "CNAME")
		}
		switch {
		case !ok, r.Alias == "" && len(r.Data) == 0:
			return negative("NOERROR")
		case r.Alias != "":
			if first == nil {
				first = &z
			}
			name, want = r.Alias, r.Type
		case r.Type == kind:
			for _, v := range r.Data {
				chain = append(chain, fmt.Sprintf("%s %d %s %s", display(owner), r.TTL, r.Type, display(v)))
			}
			return finish("NOERROR")
		default:
			chain = append(chain, fmt.Sprintf("%s %d CNAME %s", display(owner), r.TTL, display(r.Data[0])))
			owner, name, want, first = r.Data[0], r.Data[0], kind, nil
		}
	}
	return "SERVFAIL"
}

// display is a name as package dns prints it.
func display(name string) string { return strings.ReplaceAll(name, `\052`, "*") }

func drawName(t *rapid.T) string {
	labels := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", `\052`, "a"}), 0, 4).Draw(t, "labels")
	return strings.Join(append(labels, "z", ""), ".")
}

func drawEntry(t *rapid.T) desired.Entry {
	id := rapid.SampledFrom([]string{"Z1", "Z2", "Z3"}).Draw(t, "zone")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return desired.View{VPC: vpc, Zone: id}
	case 1:
		return desired.NameZone{ID: id, Name: drawName(t), Negative: uint32(id[1])}
	}
	r := desired.NameRecord{Zone: id, Name: drawName(t), TTL: rapid.Uint32Range(1, 9).Draw(t, "ttl"), Type: rapid.SampledFrom([]string{"A", "AAAA", "CNAME"}).Draw(t, "type")}
	switch target := drawName(t); {
	case rapid.IntRange(0, 4).Draw(t, "alias") == 0:
		r.Alias = target
	case r.Type == "CNAME":
		r.Data = []string{target}
	case r.Type == "A":
		r.Data = []string{"10.0.0.1", "10.0.0.2"}[:rapid.IntRange(0, 2).Draw(t, "values")]
	default:
		r.Data = []string{"2001:db8::1"}
	}
	return r
}

// TestWorldsAnswerAsTheOracle changes a world step by step and asks, after each step,
// what its oracle is asked. Earlier worlds go on answering as they did.
func TestWorldsAnswerAsTheOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := oracle{}
		w, _ := (&zone.World{}).With([]desired.Entry{resolver}, nil)
		model[resolver.Key()] = resolver
		for _, id := range []string{"Z1", "Z2", "Z3"} { // so that most questions find something
			name := drawName(t)
			for _, e := range []desired.Entry{desired.View{VPC: vpc, Zone: id}, desired.NameZone{ID: id, Name: name, Negative: uint32(id[1])}} {
				w, _ = w.With([]desired.Entry{e}, nil)
				model[e.Key()] = e
			}
		}
		var before *zone.World
		var said []string
		questions := rapid.SliceOfN(rapid.Custom(drawName), 12, 12).Draw(t, "questions")
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			put := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 12).Draw(t, "put")
			keys := slices.SortedFunc(maps.Keys(model), desired.Key.Compare)
			var del []desired.Entry
			for _, k := range rapid.SliceOfN(rapid.SampledFrom(keys), 0, 3).Draw(t, "del") {
				if k != resolver.Key() {
					del = append(del, model[k])
				}
			}
			next, failed := w.With(put, del)
			if len(failed) > 0 {
				t.Fatal(failed)
			}
			for i, q := range questions {
				if before != nil && plain(t, before, q) != said[i] {
					t.Fatalf("the answer to %s from an earlier world changed", q)
				}
			}
			before, said = w, nil
			for _, q := range questions {
				said = append(said, plain(t, w, q))
			}
			for _, e := range put {
				model[e.Key()] = e
			}
			for _, e := range del {
				delete(model, e.Key())
			}
			w = next
			check(t, w, model, questions)
		}
	})
}

// check compares a world with its model.
func check(t *rapid.T, w *zone.World, model oracle, questions []string) {
	for _, q := range questions {
		if got, want := plain(t, w, q), model.answer(q, "A"); got != want {
			t.Fatalf("%s A of\n%s\n got %s\nwant %s", q, desired.Text(slices.Collect(maps.Values(model))), got, want)
		}
	}
	var dumped []desired.Entry
	for _, r := range w.Realms() {
		dumped = append(dumped, w.Dump(r)...)
	}
	if got, want := desired.Records(dumped), desired.Records(slices.Collect(maps.Values(model))); got != want {
		t.Fatalf("dump:\n%s\nwant:\n%s", got, want)
	}
}

// plain is the text of an answer whose addresses are in order.
func plain(t *rapid.T, w *zone.World, name string) string {
	got := ask(t, w, func(m *dns.Msg) { m.SetEdns0(4096, false) }, netip.Addr{}, display(name), dns.TypeA)
	slices.SortStableFunc(got.Answer, func(a, b dns.RR) int {
		if a.Header().Rrtype != dns.TypeA || b.Header().Rrtype != dns.TypeA {
			return 0
		}
		return cmp.Compare(a.String(), b.String())
	})
	return got.text()
}
