// SPDX-License-Identifier: Apache-2.0

package zone_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// published asks a world from outside.
func published(t rapid.TB, w *zone.World, of *zone.Authority, name string, kind uint16) *dns.Msg {
	t.Helper()
	wired, err := wire.AppendName(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	var a zone.Ask
	if a.Question.Read(wire.AppendQuestion(nil, 1, wired, kind)) != wire.Asked {
		t.Fatalf("%s is no question", name)
	}
	a.Answer.Authoritative = true
	a.Answer.Begin(nil, &a.Question, false)
	w.Published(&a, of)
	m := new(dns.Msg)
	if err := m.Unpack(a.Answer.End(a.Code)); err != nil {
		t.Fatal(err)
	}
	return m
}

// publicly asks a world in public, and says in a line what it has, or that it has nothing to
// do with the name.
func publicly(t rapid.TB, w *zone.World, name string, kind uint16) string {
	t.Helper()
	wired, err := wire.AppendName(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	var a zone.Ask
	a.Question.Read(wire.AppendQuestion(nil, 1, wired, kind))
	a.Answer.Begin(nil, &a.Question, true)
	if !w.Public(&a) {
		return "somebody else's"
	}
	m := new(dns.Msg)
	if err := m.Unpack(a.Answer.End(a.Code)); err != nil {
		t.Fatal(err)
	}
	return short(m)
}

// short is an answer in a line.
func short(m *dns.Msg) string {
	var values []string
	for _, rr := range m.Answer {
		values = append(values, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(values)
	text := strings.TrimSpace(dns.RcodeToString[m.Rcode] + " " + strings.Join(values, ","))
	for _, rr := range m.Ns {
		text += fmt.Sprintf(" (%s %d)", rr.Header().Name, rr.Header().Ttl)
	}
	return text
}

func authority(t rapid.TB, domain string) *zone.Authority {
	t.Helper()
	of, err := zone.NewAuthority(domain, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")})
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// TestADomainIsPublishedAsAWhole asks for names of two VPCs' zones that are called alike,
// for those above and beside them, and for the domain's own.
func TestADomainIsPublishedAsAWhole(t *testing.T) {
	of := authority(t, "suffix.test.")
	record := func(zone, name, kind string, addrs ...string) desired.Entry {
		r := desired.NameRecord{Zone: zone, Name: name + ".rsc.east.suffix.test.", Type: kind, TTL: 60}
		for i, a := range addrs {
			r.Near = append(r.Near, desired.ZoneAddr{Addr: netip.MustParseAddr(a), Zone: fmt.Sprint("z", i)})
		}
		return r
	}
	w, failed := new(zone.World).With([]desired.Entry{
		desired.NameZone{ID: "vpc-1/endpoints", Name: "rsc.east.suffix.test.", Negative: 5, Public: true},
		desired.NameZone{ID: "vpc-2/endpoints", Name: "rsc.east.suffix.test.", Negative: 5, Public: true},
		desired.NameZone{ID: "Z1", Name: "private.suffix.test.", Negative: 5}, record("Z1", "secret", "A", "10.9.9.9"),
		desired.Resolver{VPC: "vpc-1", Off: true}, desired.View{VPC: "vpc-1", Zone: "Z1"},
		record("vpc-1/endpoints", "e1.r1.4232ccc", "A", "10.0.0.1", "10.0.1.1"), record("vpc-1/endpoints", "e1.r1.4232ccc", "AAAA", "fd00::1"),
		record("vpc-2/endpoints", "e2.r1.4232ccc", "A", "10.0.0.1"), record("vpc-2/endpoints", "e2-z0.r1.4232ccc", "A", "10.0.0.1"),
	}, nil)
	if failed != nil {
		t.Fatal(failed)
	}
	const none, missing = "NOERROR (suffix.test. 5)", "NXDOMAIN (suffix.test. 5)"
	for _, c := range []struct {
		name string
		kind uint16
		want string
	}{
		{"e1.r1.4232ccc.rsc.east.suffix.test.", dns.TypeA, "NOERROR 10.0.0.1,10.0.1.1"},
		{"e1.r1.4232ccc.rsc.east.suffix.test.", dns.TypeAAAA, "NOERROR fd00::1"},
		{"e2.r1.4232ccc.rsc.east.suffix.test.", dns.TypeA, "NOERROR 10.0.0.1"},
		{"e2-z0.r1.4232ccc.rsc.east.suffix.test.", dns.TypeA, "NOERROR 10.0.0.1"},
		{"e2.r1.4232ccc.rsc.east.suffix.test.", dns.TypeAAAA, none},
		{"e2.r1.4232ccc.rsc.east.suffix.test.", dns.TypeTXT, none},
		{"r1.4232ccc.rsc.east.suffix.test.", dns.TypeA, none},
		{"4232ccc.rsc.east.suffix.test.", dns.TypeA, none},
		{"rsc.east.suffix.test.", dns.TypeSOA, none},
		{"east.suffix.test.", dns.TypeA, none},
		{"east.suffix.test.", dns.TypeANY, `NOERROR "RFC8482" ""`},
		{"r2.4232ccc.rsc.east.suffix.test.", dns.TypeA, missing},
		{"x.e1.r1.4232ccc.rsc.east.suffix.test.", dns.TypeA, missing},
		{"secret.rsc.east.suffix.test.", dns.TypeA, missing},
		{"private.suffix.test.", dns.TypeA, missing},
		{"west.suffix.test.", dns.TypeANY, missing},
		{"suffix.test.", dns.TypeSOA, "NOERROR ns.suffix.test. hostmaster.suffix.test. 1 7200 900 1209600 5"},
		{"suffix.test.", dns.TypeNS, "NOERROR ns.suffix.test."},
		{"suffix.test.", dns.TypeA, none},
		{"suffix.test.", dns.TypeDS, none},
		{"ns.suffix.test.", dns.TypeA, "NOERROR 192.0.2.1"},
		{"ns.suffix.test.", dns.TypeAAAA, "NOERROR 2001:db8::1"},
		{"x.ns.suffix.test.", dns.TypeA, missing},
		{"test.", dns.TypeSOA, "REFUSED"},
		{"othersuffix.test.", dns.TypeA, "REFUSED"},
		{"suffix.test.example.", dns.TypeA, "REFUSED"},
		{".", dns.TypeNS, "REFUSED"},
	} {
		if got := short(published(t, w, of, c.name, c.kind)); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.name, dns.TypeToString[c.kind], got, c.want)
		}
	}
	for name, want := range map[string]string{
		"e1.r1.4232ccc.rsc.east.suffix.test.": "NOERROR 10.0.0.1,10.0.1.1", "r1.4232ccc.rsc.east.suffix.test.": "NOERROR", "rsc.east.suffix.test.": "NOERROR",
		"e9.r1.4232ccc.rsc.east.suffix.test.": "NXDOMAIN", "secret.rsc.east.suffix.test.": "NXDOMAIN",
		"east.suffix.test.": "somebody else's", "private.suffix.test.": "somebody else's", ".": "somebody else's",
	} {
		if got := publicly(t, w, name, dns.TypeA); got != want {
			t.Errorf("%s in public: %s, want %s", name, got, want)
		}
	}
	turns := map[string]bool{}
	for range 8 {
		turns[published(t, w, of, "e1.r1.4232ccc.rsc.east.suffix.test.", dns.TypeA).Answer[0].String()] = true
	}
	if len(turns) != 2 {
		t.Errorf("the first of two addresses is always %v", turns)
	}
}

// TestWhatIsPublishedFollowsFromWhatIsThere makes and changes worlds in steps, whose zones
// become public and are renamed, and compares with a world that was made at once.
func TestWhatIsPublishedFollowsFromWhatIsThere(t *testing.T) {
	of := authority(t, "s.")
	names := []string{"s.", "a.s.", "b.a.s.", "c.b.a.s.", "d.b.a.s.", "d.c.b.a.s."}
	rapid.Check(t, func(t *rapid.T) {
		w, there := new(zone.World), map[desired.Key]desired.Entry{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			var put, del []desired.Entry
			for range rapid.IntRange(1, 4).Draw(t, "entries") {
				id, name := rapid.SampledFrom([]string{"z1", "z2"}).Draw(t, "id"), rapid.SampledFrom(names).Draw(t, "name")
				var e desired.Entry = desired.NameZone{ID: id, Name: name, Public: rapid.Bool().Draw(t, "public")}
				if rapid.Bool().Draw(t, "a record") {
					kind := rapid.SampledFrom([]string{"A", "TXT"}).Draw(t, "type")
					data := map[string]string{"A": "10.0.0." + id[1:], "TXT": `"` + id + `"`}[kind]
					e = desired.NameRecord{Zone: id, Name: name, Type: kind, TTL: 1, Data: []string{data}}
				}
				if rapid.IntRange(0, 2).Draw(t, "gone") == 0 {
					del = append(del, e)
				} else {
					put = append(put, e)
				}
			}
			for _, e := range put {
				there[e.Key()] = e
			}
			for _, e := range del {
				delete(there, e.Key())
			}
			w, _ = w.With(put, del)
			var all []desired.Entry
			for _, e := range there {
				all = append(all, e)
			}
			once, _ := new(zone.World).With(all, nil)
			for _, name := range append(names, "x.s.") {
				for _, kind := range []uint16{dns.TypeA, dns.TypeTXT} {
					if got, want := short(published(t, w, of, name, kind)), short(published(t, once, of, name, kind)); got != want {
						t.Fatalf("%s: %s, want %s", name, got, want)
					}
					if got, want := publicly(t, w, name, kind), publicly(t, once, name, kind); got != want {
						t.Fatalf("%s in public: %s, want %s", name, got, want)
					}
				}
			}
			if got, want := nothing(t, w, of, there), ""; got != want {
				t.Fatal(got)
			}
		}
	})
}

// nothing says which name is answered that no public zone has, and the other way round.
func nothing(t rapid.TB, w *zone.World, of *zone.Authority, there map[desired.Key]desired.Entry) string {
	public := map[string]bool{}
	for _, e := range there {
		if z, ok := e.(desired.NameZone); ok && z.Public {
			public[z.ID] = true
		}
	}
	is := func(name string) bool {
		for _, e := range there {
			switch e := e.(type) {
			case desired.NameZone:
				if e.Public && below(e.Name, name) {
					return true
				}
			case desired.NameRecord:
				if public[e.Zone] && below(e.Name, name) {
					return true
				}
			}
		}
		return false
	}
	for _, name := range []string{"a.s.", "b.a.s.", "c.b.a.s.", "d.b.a.s.", "d.c.b.a.s.", "x.s."} {
		if m := published(t, w, of, name, dns.TypeMX); (m.Rcode == dns.RcodeSuccess) != is(name) {
			return fmt.Sprintf("%s: %s, and it is there: %v", name, short(m), is(name))
		}
	}
	return ""
}
