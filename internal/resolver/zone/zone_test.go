// SPDX-License-Identifier: Apache-2.0

package zone_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

const vpc = "vpc-1"

var client = netip.MustParseAddr("10.0.1.7")

// resolver is that of vpc-1, with two availability zones.
var resolver = desired.Resolver{
	VPC: vpc, Internal: "ec2.internal",
	Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/20"), netip.MustParsePrefix("100.64.0.0/16"), netip.MustParsePrefix("2001:db8:1::/56")},
	Zones:    []desired.ZonePrefix{{Prefix: netip.MustParsePrefix("10.0.1.0/24"), Zone: "us-east-1a"}, {Prefix: netip.MustParsePrefix("10.0.2.0/24"), Zone: "us-east-1b"}},
}

// build makes a world of vpc-1, which sees all zones that there are.
func build(t testing.TB, entries ...desired.Entry) *zone.World {
	t.Helper()
	put := []desired.Entry{resolver}
	for _, e := range entries {
		put = append(put, e)
		if z, ok := e.(desired.NameZone); ok {
			put = append(put, desired.View{VPC: vpc, Zone: z.ID})
		}
	}
	w, failed := (&zone.World{}).With(put, nil)
	for _, err := range failed {
		t.Fatal(err)
	}
	return w
}

// records reads lines of zone, name, TTL, type and values, which are cut at bars. The
// type can have a set identifier behind a slash; a value "alias NAME" is an alias,
// "weight N" the set's weight, and one with @ an address near a zone.
func records(t testing.TB, lines string) (entries []desired.Entry) {
	t.Helper()
	for line := range strings.Lines(lines) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 5)
		if len(words) < 5 {
			continue
		}
		r := desired.NameRecord{Zone: words[0], Name: words[1]}
		r.Type, r.Set, _ = strings.Cut(words[3], "/")
		if _, err := fmt.Sscan(words[2], &r.TTL); err != nil {
			t.Fatal(err)
		}
		for v := range strings.SplitSeq(words[4], "|") {
			if alias, ok := strings.CutPrefix(v, "alias "); ok {
				r.Alias = alias
			} else if _, err := fmt.Sscanf(v, "weight %d", &r.Weight); err == nil {
				r.Weighted = true
			} else if addr, zone, ok := strings.Cut(v, "@"); ok && !strings.Contains(v, " ") {
				r.Near = append(r.Near, desired.ZoneAddr{Addr: netip.MustParseAddr(addr), Zone: zone})
			} else {
				r.Data = append(r.Data, v)
			}
		}
		entries = append(entries, r)
	}
	return entries
}

// asked is an answer as the tests look at it.
type asked struct {
	*dns.Msg
	verdict zone.Verdict
	onward  string
}

// testingT is what tests and properties have.
type testingT interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// ask asks a world by a packet, and reads the answer with package dns.
func ask(t testingT, w *zone.World, change func(*dns.Msg), from netip.Addr, name string, kind uint16) asked {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	if change != nil {
		change(m)
	}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	a := zone.Ask{VPC: vpc, Client: from}
	if fate := a.Question.Read(packet); fate != wire.Asked {
		t.Fatalf("%s is read as %d", name, fate)
	}
	a.Answer.Begin(nil, &a.Question, false)
	verdict := w.Answer(&a)
	got := asked{Msg: new(dns.Msg), verdict: verdict}
	if verdict == zone.Upstream {
		got.onward = wire.NameText(a.Onward)
	}
	message := a.Answer.End(a.Code)
	if len(message) > a.Question.Size {
		t.Errorf("%s: %d bytes, may have %d", name, len(message), a.Question.Size)
	}
	if err := got.Unpack(message); err != nil {
		t.Fatalf("%s: package dns cannot read the answer: %v", name, err)
	}
	if got.Id != m.Id || !got.Response || len(got.Question) != 1 || got.Question[0] != m.Question[0] {
		t.Errorf("%s: answer to another question: %s", name, got.Msg)
	}
	return got
}

// text is an answer in short: the code, records, and how long a negative one lasts.
func (a asked) text() string {
	if a.verdict == zone.Upstream {
		return strings.TrimSpace("upstream " + a.onward + " " + rest(a.Answer))
	}
	s := dns.RcodeToString[a.Rcode]
	if a.Truncated {
		s += " TC"
	}
	for _, rr := range a.Ns {
		s += fmt.Sprintf(" (%s %d)", rr.Header().Name, rr.Header().Ttl)
	}
	return strings.TrimSpace(s + " " + rest(a.Answer))
}

func rest(section []dns.RR) string {
	var list []string
	for _, rr := range section {
		list = append(list, strings.ReplaceAll(strings.Replace(rr.String(), "\tIN\t", "\t", 1), "\t", " "))
	}
	return strings.Join(list, "; ")
}

const family = `
Z1 example.com. 900 SOA ns.example.com. host.example.com. 1 2 3 4 60
Z1 example.com. 300 A 10.0.0.80
Z1 www.example.com. 60 A 10.0.0.81
Z1 www.example.com. 60 TXT "a b" "c\042\\"|unquoted
Z1 deep.er.example.com. 60 A 10.0.0.82
Z1 \052.wild.example.com. 60 A 10.0.0.83
Z1 \052.wild.example.com. 60 MX 10 mail.example.com
Z1 x.stop.wild.example.com. 60 A 10.0.0.84
Z1 a\052b.example.com. 60 A 10.0.0.85
Z1 near.example.com. 60 A 10.0.1.100@us-east-1a|10.0.2.100@us-east-1b
Z1 far.example.com. 60 A 10.0.3.100@us-east-1c|10.0.2.100@us-east-1b
Z1 same.example.com. 0 A alias near.example.com.
Z1 example.com. 0 AAAA alias v6.other.org.
Z1 twice.example.com. 0 A alias same.example.com.
Z1 lost.example.com. 0 A alias none.example.com.
Z1 away.example.com. 0 A alias www.example.net.
Z1 self.example.com. 0 A alias self.example.com.
Z1 ca.example.com. 0 A alias c1.example.com.
Z1 on.example.com. 0 A alias out.example.com.
Z1 gone.example.com. 0 A alias dead.example.com.
Z1 host.example.com. 0 A alias ip-10-0-0-9.ec2.internal.
Z1 nohost.example.com. 0 A alias ip-8-8-8-8.ec2.internal.
Z1 c1.example.com. 30 CNAME c2.other.org
Z1 out.example.com. 30 CNAME www.example.net.
Z1 dead.example.com. 30 CNAME none.example.com
Z1 half.example.com. 30 CNAME v6.other.org
Z1 loop1.example.com. 30 CNAME loop2.example.com
Z1 loop2.example.com. 30 CNAME loop1.example.com
Z1 cc.example.com. 0 CNAME alias c1.example.com.
Z1 _x._tcp.example.com. 60 SRV 1 2 3 srv.example.com
Z1 caa.example.com. 60 CAA 0 issue "ca.example.net"
Z1 none4.example.com. 60 A
Z2 v6.other.org. 60 AAAA 2001:db8::6
Z2 c2.other.org. 20 CNAME www.example.com.
Z3 in.example.com. 60 A 10.0.0.90
Z3 www.in.example.com. 60 A 10.0.0.91
`

func families(t testing.TB) *zone.World {
	return build(t, append(records(t, family),
		desired.NameZone{ID: "Z1", Name: "example.com.", Negative: 5}, desired.NameZone{ID: "Z2", Name: "other.org.", Negative: 5},
		desired.NameZone{ID: "Z3", Name: "in.example.com."}, desired.NameZone{ID: "Z4", Name: "3.0.10.in-addr.arpa."}, desired.NameZone{ID: "Z5", Name: "internal."},
		desired.NameRecord{Zone: "Z1", Name: "empty.example.com.", Type: "A"},
	)...)
}

func TestAnswersAreThoseOfTheRFCs(t *testing.T) {
	compare(t, []question{
		{"example.com. A", "NOERROR example.com. 300 A 10.0.0.80"},
		{"WWW.Example.COM. A", "NOERROR WWW.Example.COM. 60 A 10.0.0.81"},
		{"www.example.com. TXT", `NOERROR www.example.com. 60 TXT "unquoted"; www.example.com. 60 TXT "a b" "c\"\\"`},
		// Nothing there, in the sense of RFC 2308 and RFC 8020.
		{"www.example.com. AAAA", "NOERROR (example.com. 60)"},
		{"none.example.com. A", "NXDOMAIN (example.com. 60)"},
		{"below.www.example.com. A", "NXDOMAIN (example.com. 60)"},
		{"er.example.com. A", "NOERROR (example.com. 60)"},
		{"x.er.example.com. A", "NXDOMAIN (example.com. 60)"},
		{"other.org. A", "NOERROR (other.org. 5)"},
		{"none.other.org. A", "NXDOMAIN (other.org. 5)"},
		{"none.in.example.com. A", "NXDOMAIN (in.example.com. 0)"},
		{"empty.example.com. A", "NOERROR (example.com. 60)"},
		// Wildcards: RFC 4592.
		{"a.wild.example.com. A", "NOERROR a.wild.example.com. 60 A 10.0.0.83"},
		{"a.b.wild.example.com. A", "NOERROR a.b.wild.example.com. 60 A 10.0.0.83"},
		{"a.wild.example.com. AAAA", "NOERROR (example.com. 60)"},
		{"a.wild.example.com. MX", "NOERROR a.wild.example.com. 60 MX 10 mail.example.com."},
		{"wild.example.com. A", "NOERROR (example.com. 60)"},
		{"*.wild.example.com. A", "NOERROR *.wild.example.com. 60 A 10.0.0.83"},
		{"stop.wild.example.com. A", "NOERROR (example.com. 60)"},
		{"y.stop.wild.example.com. A", "NXDOMAIN (example.com. 60)"},
		{"x.*.wild.example.com. A", "NXDOMAIN (example.com. 60)"},
		{"a*b.example.com. A", "NOERROR a*b.example.com. 60 A 10.0.0.85"},
		// The longest zone answers alone.
		{"in.example.com. A", "NOERROR in.example.com. 60 A 10.0.0.90"},
		{"www.in.example.com. A", "NOERROR www.in.example.com. 60 A 10.0.0.91"},
		{"a.wild.in.example.com. A", "NXDOMAIN (in.example.com. 0)"},
		{"example.net. A", "upstream example.net."},
		{"com. A", "upstream com."},
		{". NS", "upstream ."},
		{"notexample.com. A", "upstream notexample.com."},
		// CNAME records.
		{"c1.example.com. A", "NOERROR c1.example.com. 30 CNAME c2.other.org.; c2.other.org. 20 CNAME www.example.com.; www.example.com. 60 A 10.0.0.81"},
		{"c1.example.com. CNAME", "NOERROR c1.example.com. 30 CNAME c2.other.org."},
		{"out.example.com. A", "upstream www.example.net. out.example.com. 30 CNAME www.example.net."},
		{"dead.example.com. A", "NXDOMAIN (example.com. 60) dead.example.com. 30 CNAME none.example.com."},
		{"half.example.com. A", "NOERROR (other.org. 5) half.example.com. 30 CNAME v6.other.org."},
		{"loop1.example.com. A", "SERVFAIL"},
		{"loop1.example.com. CNAME", "NOERROR loop1.example.com. 30 CNAME loop2.example.com."},
		// Aliases.
		{"same.example.com. A", "NOERROR same.example.com. 60 A 10.0.1.100"},
		{"same.example.com. AAAA", "NOERROR (example.com. 60)"},
		{"twice.example.com. A", "NOERROR twice.example.com. 60 A 10.0.1.100"},
		{"example.com. AAAA", "NOERROR example.com. 60 AAAA 2001:db8::6"},
		{"lost.example.com. A", "NOERROR (example.com. 60)"},
		{"away.example.com. A", "NOERROR (example.com. 60)"},
		{"self.example.com. A", "SERVFAIL"},
		{"ca.example.com. A", "NOERROR ca.example.com. 30 CNAME c2.other.org.; c2.other.org. 20 CNAME www.example.com.; www.example.com. 60 A 10.0.0.81"},
		{"on.example.com. A", "upstream www.example.net. on.example.com. 30 CNAME www.example.net."},
		{"gone.example.com. A", "NXDOMAIN (example.com. 60) gone.example.com. 30 CNAME none.example.com."},
		{"host.example.com. A", "NOERROR host.example.com. 60 A 10.0.0.9"},
		{"nohost.example.com. A", "NOERROR (example.com. 60)"},
		{"cc.example.com. A", "NOERROR cc.example.com. 30 CNAME c2.other.org.; c2.other.org. 20 CNAME www.example.com.; www.example.com. 60 A 10.0.0.81"},
		{"cc.example.com. CNAME", "NOERROR cc.example.com. 30 CNAME c2.other.org."},
		// Availability zones.
		{"near.example.com. A", "NOERROR near.example.com. 60 A 10.0.1.100"},
		// Other types.
		{"_x._tcp.example.com. SRV", "NOERROR _x._tcp.example.com. 60 SRV 1 2 3 srv.example.com."},
		{"caa.example.com. CAA", `NOERROR caa.example.com. 60 CAA 0 issue "ca.example.net"`},
		{"www.example.com. TYPE65280", "NOERROR (example.com. 60)"},
		{"www.example.com. ANY", `NOERROR www.example.com. 3789 HINFO "RFC8482" ""`},
		{"none.example.com. ANY", "NXDOMAIN (example.com. 60)"},
	})
}

func TestWhatThereIsWithoutAZone(t *testing.T) {
	compare(t, []question{
		{"ip-10-0-1-10.ec2.internal. A", "NOERROR ip-10-0-1-10.ec2.internal. 60 A 10.0.1.10"},
		{"ip-192-168-1-10.EC2.internal. A", "NOERROR ip-192-168-1-10.EC2.internal. 60 A 192.168.1.10"},
		{"ip-100-64-1-10.ec2.internal. A", "NOERROR ip-100-64-1-10.ec2.internal. 60 A 100.64.1.10"},
		{"ip-100-65-1-10.ec2.internal. A", "NXDOMAIN (ec2.internal. 60)"},
		{"ip-10-0-1-10.ec2.internal. AAAA", "NOERROR (ec2.internal. 60)"},
		{"ip-10-0-1-010.ec2.internal. A", "NXDOMAIN (ec2.internal. 60)"},
		{"ip-10-0-1-256.ec2.internal. A", "NXDOMAIN (ec2.internal. 60)"},
		{"ip-10-0-1.ec2.internal. A", "NXDOMAIN (ec2.internal. 60)"},
		{"ip-10-0-1-10-.ec2.internal. A", "NXDOMAIN (ec2.internal. 60)"},
		{"a.ip-10-0-1-10.ec2.internal. A", "NXDOMAIN (ec2.internal. 60)"},
		{"ec2.internal. A", "NOERROR (ec2.internal. 60)"},
		{"ip-.ec2.internal. A", "NXDOMAIN (ec2.internal. 60)"},
		{"xec2.internal. A", "NXDOMAIN (internal. 0)"},
		{"10.1.0.10.in-addr.arpa. PTR", "NOERROR 10.1.0.10.in-addr.arpa. 60 PTR ip-10-0-1-10.ec2.internal."},
		{"10.1.64.100.in-addr.arpa. PTR", "NOERROR 10.1.64.100.in-addr.arpa. 60 PTR ip-100-64-1-10.ec2.internal."},
		{"10.1.0.10.in-addr.arpa. A", "NOERROR (1.0.10.in-addr.arpa. 60)"},
		{"1.0.10.in-addr.arpa. PTR", "NOERROR (1.0.10.in-addr.arpa. 60)"},
		{"0.10.in-addr.arpa. PTR", "NOERROR (10.in-addr.arpa. 60)"},
		{"9.10.in-addr.arpa. PTR", "NXDOMAIN (10.in-addr.arpa. 60)"},
		{"10.1.9.10.in-addr.arpa. PTR", "NXDOMAIN (10.in-addr.arpa. 60)"},
		{"x.10.1.0.10.in-addr.arpa. PTR", "NXDOMAIN (1.0.10.in-addr.arpa. 60)"},
		{"10.3.0.10.in-addr.arpa. PTR", "NXDOMAIN (3.0.10.in-addr.arpa. 0)"},
		{"1.1.16.172.in-addr.arpa. PTR", "NXDOMAIN (16.172.in-addr.arpa. 60)"},
		{"1.1.32.172.in-addr.arpa. PTR", "upstream 1.1.32.172.in-addr.arpa."},
		{"1.1.168.192.in-addr.arpa. PTR", "NXDOMAIN (168.192.in-addr.arpa. 60)"},
		{"in-addr.arpa. PTR", "upstream in-addr.arpa."},
		{"1.0.0.127.in-addr.arpa. PTR", "NOERROR 1.0.0.127.in-addr.arpa. 60 PTR localhost."},
		{"1.8.b.d.0.1.0.0.2.ip6.arpa. PTR", "upstream 1.8.b.d.0.1.0.0.2.ip6.arpa."},
		{"1.0.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR", "NXDOMAIN (0.0.1.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60)"},
		{"localhost. A", "NOERROR localhost. 60 A 127.0.0.1"},
		{"a.localhost. AAAA", "NOERROR a.localhost. 60 AAAA ::1"},
		{"localhost. MX", "NOERROR (localhost. 60)"},
	})
}

type question struct{ question, want string }

// compare asks the families' world.
func compare(t *testing.T, questions []question) {
	t.Helper()
	w := families(t)
	for _, c := range questions {
		name, kind, _ := strings.Cut(c.question, " ")
		number, ok := dns.StringToType[kind]
		if !ok {
			number = 65280
		}
		if got := ask(t, w, nil, client, name, number).text(); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.question, got, c.want)
		}
	}
}

func TestAddressesOfTheClientsZoneComeAloneAndOthersInTurn(t *testing.T) {
	w := families(t)
	for _, c := range []struct{ from, name, want string }{
		{"10.0.1.7", "near.example.com.", "10.0.1.100"},
		{"10.0.2.7", "near.example.com.", "10.0.2.100"},
		{"10.0.2.7", "twice.example.com.", "10.0.2.100"},
		{"10.0.9.7", "near.example.com.", "10.0.1.100 10.0.2.100"},
		{"10.0.1.7", "far.example.com.", "10.0.2.100 10.0.3.100"},
	} {
		first := map[string]int{}
		for range 10 {
			var got []string
			for _, rr := range ask(t, w, nil, netip.MustParseAddr(c.from), c.name, dns.TypeA).Answer {
				got = append(got, rr.(*dns.A).A.String())
			}
			first[got[0]]++
			slices.Sort(got)
			if strings.Join(got, " ") != c.want {
				t.Fatalf("%s asked for %s and got %v, want %s", c.from, c.name, got, c.want)
			}
		}
		for addr, n := range first {
			if n != 10/len(first) || len(first) != len(strings.Fields(c.want)) {
				t.Errorf("%s asked for %s ten times, and %s came first %d times", c.from, c.name, addr, n)
			}
		}
	}
}

func TestSetsAreChosenByWeightAndOthersTogether(t *testing.T) {
	w := build(t, append(records(t, `
Z1 w.example.com. 60 A/one 10.0.0.1|weight 3
Z1 w.example.com. 60 A/two 10.0.0.2|weight 1
Z1 w.example.com. 60 A/off 10.0.0.3|weight 0
Z1 zero.example.com. 60 A/one 10.0.0.1|weight 0
Z1 zero.example.com. 60 A/two 10.0.0.2|weight 0
Z1 m.example.com. 60 A/one 10.0.0.1
Z1 m.example.com. 60 A/two 10.0.0.2
`), desired.NameZone{ID: "Z1", Name: "example.com."})...)
	count := func(name string) map[string]int {
		got := map[string]int{}
		for range 4000 {
			got[rest(ask(t, w, nil, client, name, dns.TypeA).Answer)]++
		}
		return got
	}
	got := count("w.example.com.")
	if one, two := got["w.example.com. 60 A 10.0.0.1"], got["w.example.com. 60 A 10.0.0.2"]; one+two != 4000 || one < 2800 || one > 3200 {
		t.Errorf("weights 3, 1 and 0 give %v", got)
	}
	if got := count("zero.example.com."); len(got) != 2 || got["zero.example.com. 60 A 10.0.0.1"] < 1700 {
		t.Errorf("weights 0 and 0 give %v", got)
	}
	if got := count("m.example.com."); len(got) != 2 || got["m.example.com. 60 A 10.0.0.1; m.example.com. 60 A 10.0.0.2"] != 2000 {
		t.Errorf("two sets without weights give %v", got)
	}
}

func TestAnswersKeepToTheSizeThatTheClientTakes(t *testing.T) {
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("10.0.%d.%d", i/200, i%200))
	}
	w := build(t, desired.NameZone{ID: "Z1", Name: "example.com."}, desired.NameRecord{Zone: "Z1", Name: "many.example.com.", Type: "A", TTL: 5, Data: many})
	for _, c := range []struct {
		size    uint16
		records int
	}{{0, 29}, {100, 29}, {512, 29}, {1232, 74}, {4096, 253}, {65535, 253}} {
		got := ask(t, w, func(m *dns.Msg) {
			if c.size > 0 {
				m.SetEdns0(c.size, true)
			}
		}, client, "many.example.com.", dns.TypeA)
		if !got.Truncated || len(got.Answer) != c.records {
			t.Errorf("a client that takes %d bytes got %d records, truncated: %v", c.size, len(got.Answer), got.Truncated)
		}
		if opt := got.IsEdns0(); (opt != nil) != (c.size > 0) || opt != nil && (!opt.Do() || opt.Version() != 0 || opt.UDPSize() != 4096) {
			t.Errorf("a client that takes %d bytes got OPT %v", c.size, opt)
		}
	}
}

func TestWhoIsRefused(t *testing.T) {
	w := families(t)
	off := resolver
	off.Off = true
	dark, _ := w.With([]desired.Entry{off}, nil)
	none, _ := w.With(nil, []desired.Entry{resolver})
	quiet := func(m *dns.Msg) { m.RecursionDesired = false }
	for _, c := range []struct {
		world *zone.World
		quiet func(*dns.Msg)
		name  string
		want  string
	}{
		{dark, nil, "www.example.com.", "REFUSED"},
		{none, nil, "www.example.com.", "REFUSED"},
		{w, quiet, "www.example.com.", "NOERROR www.example.com. 60 A 10.0.0.81"},
		{w, quiet, "www.example.net.", "REFUSED"},
		{w, quiet, "out.example.com.", "NOERROR out.example.com. 30 CNAME www.example.net."},
	} {
		if got := ask(t, c.world, c.quiet, client, c.name, dns.TypeA).text(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestChainsEnd(t *testing.T) {
	entries := []desired.Entry{desired.NameZone{ID: "Z1", Name: "example.com."}, desired.NameRecord{Zone: "Z1", Name: "n0.example.com.", Type: "A", Data: []string{"10.0.0.1"}}}
	for i := 1; i <= 20; i++ {
		entries = append(entries, desired.NameRecord{Zone: "Z1", Name: fmt.Sprintf("n%d.example.com.", i), Type: "CNAME", Data: []string{fmt.Sprintf("n%d.example.com", i-1)}})
	}
	w := build(t, entries...)
	if got := ask(t, w, func(m *dns.Msg) { m.SetEdns0(4096, false) }, client, "n16.example.com.", dns.TypeA); got.Rcode != dns.RcodeSuccess || len(got.Answer) != 17 {
		t.Errorf("a chain of 16: %s", got.text())
	}
	if got := ask(t, w, nil, client, "n17.example.com.", dns.TypeA); got.text() != "SERVFAIL" {
		t.Errorf("a chain of 17: %s", got.text())
	}
}

func TestWhatCannotBeServedIsSaidAndTheRestIsDone(t *testing.T) {
	good := desired.NameRecord{Zone: "Z1", Name: "a.example.com.", Type: "A", Data: []string{"10.0.0.1"}}
	for _, bad := range []desired.Entry{
		desired.Router{VPC: vpc},
		desired.NameZone{ID: "Z2", Name: "a..b."},
		desired.Resolver{VPC: vpc, Internal: strings.Repeat("a", 64)},
		desired.NameRecord{Zone: "Z1", Name: strings.Repeat("a.", 128), Type: "A"},
		desired.NameRecord{Zone: "Z1", Name: `a\`, Type: "A"},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "NONE"},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "AXFR"},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "A", Data: []string{"::1"}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "AAAA", Data: []string{"10.0.0.1"}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "A", Near: []desired.ZoneAddr{{Addr: netip.MustParseAddr("::1"), Zone: "a"}}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "CNAME", Data: []string{"b.", "c."}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "MX", Data: []string{"mail"}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "MX", Data: []string{"65536 mail"}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "TXT", Data: []string{`"open`}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "TXT", Data: []string{strings.Repeat("a", 256)}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "DS", Data: []string{"1 2 3 zz"}},
		desired.NameRecord{Zone: "Z1", Name: "a.", Type: "SSHFP", Data: []string{"1 1 00\n$INCLUDE /etc/passwd"}},
	} {
		w, failed := build(t, desired.NameZone{ID: "Z1", Name: "example.com."}).With([]desired.Entry{bad, good}, nil)
		if len(failed) != 1 || failed[bad.Key()] == nil || !strings.Contains(failed[bad.Key()].Error(), bad.Key().String()) {
			t.Errorf("%s: %v", bad, failed)
		}
		if got := ask(t, w, nil, client, "a.example.com.", dns.TypeA).text(); got != "NOERROR a.example.com. 0 A 10.0.0.1" {
			t.Errorf("beside %s: %s", bad, got)
		}
	}
}

func TestRareTypes(t *testing.T) {
	w := build(t, append(records(t, `
Z1 a.example.com. 60 DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
Z1 a.example.com. 60 HTTPS 1 . alpn=h2 ipv4hint=10.0.0.1
Z1 a.example.com. 60 NAPTR 100 10 "U" "SIP" "!^.*$!sip:a@example.com!" .
Z1 a.example.com. 60 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
`), desired.NameZone{ID: "Z1", Name: "example.com."})...)
	for kind, want := range map[uint16]string{
		dns.TypeDS:    "NOERROR a.example.com. 60 DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
		dns.TypeHTTPS: `NOERROR a.example.com. 60 HTTPS 1 . alpn="h2" ipv4hint="10.0.0.1"`,
		dns.TypeNAPTR: `NOERROR a.example.com. 60 NAPTR 100 10 "U" "SIP" "!^.*$!sip:a@example.com!" .`,
		dns.TypeTLSA:  "NOERROR a.example.com. 60 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	} {
		if got := ask(t, w, nil, client, "a.example.com.", kind).text(); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}
