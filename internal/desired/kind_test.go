// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// optional are the parts of a description that can be left out.
var optional = map[string]bool{"Root": true, "Far": true, "Early": true}

// A description that lacks something is found, and none of the product's does. Its
// examples have every field set, so that one that is not spelled is lost.
func TestKindsAreComplete(t *testing.T) {
	names := map[string]bool{}
	for _, k := range Kinds() {
		if len(k.missing) > 0 {
			t.Errorf("kind %q lacks %v", k, k.missing)
			continue
		}
		if names[k.String()] {
			t.Errorf("there are two kinds %q", k)
		}
		names[k.String()] = true
		set := map[string]bool{}
		for _, e := range k.Examples() {
			if e.Key().Kind != k || e.Key().Realm.Sort() != k.Sort() {
				t.Errorf("the example %s is of kind %q in a realm of sort %s, not of %q in one of sort %s", e, e.Key().Kind, e.Key().Realm.Sort(), k, k.Sort())
			}
			for i, v := 0, reflect.ValueOf(e); i < v.NumField(); i++ {
				set[v.Type().Field(i).Name] = set[v.Type().Field(i).Name] || !v.Field(i).IsZero()
			}
			again, err := Parse(Record(e), Kinds()...)
			if diff := cmp.Diff(fmt.Sprintf("%#v", e), fmt.Sprintf("%#v", again)); err != nil || diff != "" {
				t.Errorf("%s is read as another entry: %v\n%s", Record(e), err, diff)
			}
		}
		for field, is := range set {
			if !is {
				t.Errorf("no example of kind %q has the field %s", k, field)
			}
		}
	}
}

// Each part that is taken away from a description makes it incomplete.
func TestAnIncompleteDescriptionIsFound(t *testing.T) {
	whole := Description[Link]{
		Name: "link", Stage: StageLink, Sort: Routers, Spell: (*Link).spell, Ends: EndsNothing[Link], Turns: TurnsNothing[Link], Examples: []Link{{}},
	}
	if lacks := whole.missing(); len(lacks) > 0 {
		t.Fatalf("a whole description lacks %v", lacks)
	}
	for i, typ := 0, reflect.TypeOf(whole); i < typ.NumField(); i++ {
		less := whole
		reflect.ValueOf(&less).Elem().Field(i).SetZero()
		if name := typ.Field(i).Name; slices.Equal(less.missing(), []string{name}) == optional[name] {
			t.Errorf("without %s a description lacks %v", name, less.missing())
		}
	}
}

// saidOfKinds is what is said of each kind, and of what its examples end.
const saidOfKinds = `0 1 database in database root
0 | database: ends [] turns []
0 1 edge in edge root
0 | edge: ends [] turns []
0 | edge: ends [] turns []
0 1 nat in nat root
0 | nat: ends [] turns []
0 1 router in router root
0 | router: ends [] turns []
0 1 sandbox in sandbox root
0 | sandbox: ends [] turns []
1 2 exit in edge to vpc-1
1 | exit: ends [] turns []
1 2 issued in edge
1 | issued: ends [] turns []
1 | issued: ends [] turns []
1 2 link in router to vpc-2
1 | link: ends [] turns []
2 3 route in router
2 | route: ends [party 240.8.0.1/32] turns []
2 3 table in router
2 | table: ends [] turns []
2 | table: ends [] turns []
2 4 acl in router
2 | acl: ends [] turns []
2 4 class in router
2 | class: ends [] turns []
2 4 pool in router
2 | pool: ends [party 10.0.1.50/32 party 10.0.1.51/32] turns []
2 | pool: ends [party 2001:db8:0:1::/80] turns []
2 4 portset in router
2 | portset: ends [] turns []
2 4 resolver in zone
2 | resolver: ends [] turns []
2 4 snapshot in database
2 | snapshot: ends [] turns []
2 | snapshot: ends [] turns []
2 4 watch in database
2 | watch: ends [] turns []
2 4 zone in zone
2 | zone: ends [] turns []
2 5 filtered in router
2 | filtered: ends [] turns []
2 5 member in router early
2 | member: ends [] turns []
2 | member: ends [] turns []
2 5 record in zone
2 | record: ends [] turns []
2 | record: ends [] turns []
2 | record: ends [] turns []
2 6 address in router
2 | address: ends [party 10.0.1.10/32] turns []
2 | address: ends [party 2001:db8:0:1:2::/80] turns []
2 6 nameserver in router
2 | nameserver: ends [] turns []
2 6 steer in router
2 | steer: ends [] turns []
2 | steer: ends [] turns []
2 | steer: ends [] turns []
2 | steer: ends [] turns []
2 6 through in router
2 | through: ends [] turns []
2 7 workload in router
2 | workload: ends [party 10.0.1.10/32 party 10.0.1.9/32 party 2001:db8::1/128 party 10.0.1.32/28] turns []
2 | workload: ends [] turns []
2 | workload: ends [] turns []
2 8 balance in router
2 | balance: ends [dest 240.8.0.1] turns []
2 | balance: ends [dest fd50:5354:4f01::1] turns []
2 8 follow in router
2 | follow: ends [dest 240.8.0.1] turns []
2 | follow: ends [dest fd50:5354:4f01::1] turns []
2 8 follow-database in router
2 | follow-database: ends [dest 240.8.0.1] turns []
2 8 target in router
2 | target: ends [dest 240.8.0.1] turns []
2 | target: ends [dest fd50:5354:4f01::1] turns [dest fd50:5354:4f01::1 unless target vpc-2 fd50:5354:4f01::1 dest=2001:db8::1,2001:db8::2 gateway=2001:db8::50 cut=yes]
2 | target: ends [dest 240.8.0.2] turns [dest 240.8.0.2 unless target vpc-2 240.8.0.2 gateway=10.0.1.50 cut=yes forward=80 to=10.0.1.60:8080 except=10.0.1.61:8080 forward=443 to=10.0.1.60:8443,10.0.1.61:8443 cut=yes]
2 9 allow in router
2 | allow: ends [source 240.0.0.0/26 dest 240.8.0.1] turns []
2 9 opened in router
2 | opened: ends [] turns []
2 9 peering in router
2 | peering: ends [party 10.1.0.0/16 party 10.2.0.0/16 party 2001:db8:0:100::/56] turns []
2 9 public in router early
2 | public: ends [party 203.0.113.17/32] turns [party 203.0.113.17/32]
2 9 view in zone
2 | view: ends [] turns []
3 10 endpoint in router
3 | endpoint: ends [dest 10.0.1.100] turns []
3 11 database-member in database
3 | database-member: ends [] turns []
`

// What is said of each kind, and what its examples end when they go or are changed.
// docs/connections.md and the order of work (package reconcile) follow from it.
func TestWhatIsSaidOfKinds(t *testing.T) {
	var b strings.Builder
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "%d %d %s in %s", k.Stage().Phase(), k.Stage(), k, k.Sort())
		if k.Root() {
			b.WriteString(" root")
		}
		if far, joins := k.Examples()[0].Key().Far(); joins {
			fmt.Fprintf(&b, " to %s", far)
		}
		if k.Early() {
			b.WriteString(" early")
		}
		b.WriteString("\n")
		for _, e := range k.Examples() {
			fmt.Fprintf(&b, "%d | %s: ends %v turns %v\n", k.Stage().Phase(), k, said(Ends(e)), said(Turns(e)))
		}
	}
	if diff := cmp.Diff(saidOfKinds, b.String()); diff != "" {
		t.Error(diff)
	}
}

// said prints connections.
func said(list []Connections) (texts []string) {
	for _, c := range list {
		text := ""
		if c.Source.IsValid() {
			text += " source " + c.Source.String()
		}
		if c.Dest.IsValid() {
			text += " dest " + c.Dest.String()
		}
		if c.Party.IsValid() {
			text += " party " + c.Party.String()
		}
		if c.Unless != nil {
			text += " unless " + c.Unless.String()
		}
		texts = append(texts, strings.TrimSpace(text))
	}
	return texts
}

// entries draws an entry of each kind, as Parse would give it.
var entries = map[Kind]func(d draw) Entry{
	KindRouter: func(d draw) Entry {
		return Router{d.name(), sorted(d.prefixes(), netip.Prefix.Compare), sorted(d.addrs(3), netip.Addr.Compare), d.prefix(), d.prefix()}
	},
	KindEdge: func(d draw) Entry {
		prefixes := func() []netip.Prefix { return sorted(d.prefixes(), netip.Prefix.Compare) }
		return Edge{d.name(), d.text(), prefixes(), sorted(d.addrs(2), netip.Addr.Compare), prefixes(), prefixes(), prefixes()}
	},
	KindExit:   func(d draw) Entry { return Exit{d.name(), d.name()} },
	KindIssued: func(d draw) Entry { return Issued{d.name(), d.prefix(), d.name()} },
	KindPublic: func(d draw) Entry { return Public{d.name(), d.addr(), d.addr()} },
	KindOpened: func(d draw) Entry { return Opened{d.name(), d.prefix()} },
	KindNAT: func(d draw) Entry {
		n := NAT{d.name(), d.text(), d.addrs(3), sorted(d.addrs(2), netip.Addr.Compare)}
		if len(n.Addresses) > 1 {
			slices.SortFunc(n.Addresses[1:], netip.Addr.Compare)
		}
		return n
	},
	KindLink: func(d draw) Entry { return Link{d.name(), d.name()} },
	KindPeering: func(d draw) Entry {
		return Peering{d.name(), d.name(), sorted(d.prefixes(), netip.Prefix.Compare), sorted(d.prefixes(), netip.Prefix.Compare)}
	},
	KindRoute: func(d draw) Entry { return Route{d.name(), d.prefix(), d.name()} },
	KindClass: func(d draw) Entry { return Class{d.name(), d.name(), d.rules(), d.rules()} },
	KindACL:   func(d draw) Entry { return ACL{d.name(), d.name(), d.aclRules(), d.aclRules()} },
	KindFiltered: func(d draw) Entry {
		enis := listOf(d, 3, func() string { return d.name() })
		return Filtered{d.name(), d.name(), sorted(d.prefixes(), netip.Prefix.Compare), sorted(enis, strings.Compare), d.text()}
	},
	KindPortSet: func(d draw) Entry { return PortSet{d.name(), d.name(), d.ports()} },
	KindPool:    func(d draw) Entry { return Pool{d.name(), d.addr(), d.prefixes()} },
	KindMember: func(d draw) Entry {
		a, bits := d.scope()
		return Member{d.name(), strings.ReplaceAll(d.name(), "/", ""), a, bits}
	},
	KindAddress: func(d draw) Entry {
		a, bits := d.scope()
		return Address{d.name(), a, bits, d.name()}
	},
	KindNameserver: func(d draw) Entry { return Nameserver{d.name(), sorted(d.addrs(3), netip.Addr.Compare)} },
	KindWorkload: func(d draw) Entry {
		w := Workload{d.name(), d.name(), d.name(), primaryFirst(d.prefixes()), sorted(d.prefixes(), netip.Prefix.Compare), d.addr(), d.namespace(), d.name(), d.flag("unchecked"), d.name()}
		if rapid.Bool().Draw(d.T, "without") {
			w.Gateway = netip.Addr{}
		}
		if len(w.Addresses) == 0 {
			w.Addresses = nil
		}
		return w
	},
	KindTable: func(d draw) Entry {
		t := Table{VPC: d.name(), Number: rapid.IntRange(1, MaxTable).Draw(d.T, "number")}
		t.Routes = sorted(listOf(d, 4, func() TableRoute { return TableRoute{d.prefix(), d.name()} }), func(a, b TableRoute) int { return a.Prefix.Compare(b.Prefix) })
		return t
	},
	KindSteer:   func(d draw) Entry { return Steer{d.name(), d.name(), d.number("table")} },
	KindThrough: func(d draw) Entry { return Through{d.name(), d.name(), d.name()} },
	KindTarget: func(d draw) Entry {
		flag := rapid.Bool()
		t := Target{VPC: d.name(), Addr: d.addr(), Several: d.addrs(Slots), Cut: flag.Draw(d.T, "cut"), Gateway: d.addr(), Onward: flag.Draw(d.T, "onward")}
		if dests := t.Dests(); len(dests) == 1 {
			t.Dest, t.Several = dests[0], nil
		} else {
			t.Several = dests
		}
		for _, port := range d.somePorts() {
			t.Forwards = append(t.Forwards, Forward{port, d.addrPorts(), d.flag("cut"), d.sortedAddrPorts()})
		}
		if t.Forwards = t.forwards(); len(t.Forwards) == 0 {
			t.Forwards = nil
		}
		return t
	},
	KindBalance: func(d draw) Entry {
		b := Balance{VPC: d.name(), Addr: d.addr(), Gateway: d.addr()}
		for _, port := range d.somePorts() {
			b.Listeners = append(b.Listeners, Listener{port, d.text()})
		}
		for _, id := range slices.Compact(d.names()) {
			b.Groups = append(b.Groups, TargetGroup{
				id, d.check(), d.sortedAddrPorts(), d.sortedAddrPorts(), d.flag("cut unhealthy"), d.flag("cut gone"),
			})
		}
		return b
	},
	KindFollow: func(d draw) Entry {
		return Follow{
			VPC: d.name(), Addr: d.addr(), Name: d.text(), InVPC: d.flag("in VPC"), Floor: d.number("floor"), Ceiling: d.number("ceiling"),
			Gateway: d.addr(), Port: d.number("port"), Watched: d.number("watched"), Cut: d.flag("cut"), Never: d.prefixes(),
		}
	},
	KindSandbox: func(d draw) Entry { return Sandbox{d.name(), d.text(), sorted(d.prefixes(), netip.Prefix.Compare)} },
	KindDatabase: func(d draw) Entry {
		return Database{
			ID: d.name(), VPC: d.text(), Engine: d.text(), Version: d.text(), Port: d.port(), Name: d.text(), User: d.text(), Secret: d.count("secret"), Writer: d.text(),
			Epoch: d.count("epoch"), Turn: d.count("turn"), Prefer: d.text(), Stopped: d.flag("stopped"), Params: d.names(), Names: d.names(), From: d.text(), Authority: d.text(),
			Source: d.text(), SourceName: d.text(), SourceAddr: d.addr(), SourcePort: d.port(), Replicas: d.memberAddrs(),
		}
	},
	KindDatabaseMember: func(d draw) Entry {
		return DatabaseMember{d.name(), d.name(), d.text(), d.addr(), d.count("tier"), d.names(), d.count("reboot"), d.count("memory")}
	},
	KindSnapshot: func(d draw) Entry { return Snapshot{d.name(), d.text(), d.text()} },
	KindFollowDatabase: func(d draw) Entry {
		return FollowDatabase{
			VPC: d.name(), Addr: d.addr(), Gateway: d.addr(), Database: d.text(), Part: DatabasePart(d.text()), Members: d.names(), Except: d.names(), Addrs: d.memberAddrs(),
			Port: d.port(), Never: d.prefixes(),
		}
	},
	KindWatch: func(d draw) Entry {
		return Watch{d.name(), d.text(), d.addr(), d.text(), d.memberAddrs(), d.port(), d.port(), d.count("lag"), d.count("secret"), d.flag("seldom")}
	},
	KindAllow: func(d draw) Entry { return Allow{d.name(), d.prefix(), d.addr()} },
	KindEndpoint: func(d draw) Entry {
		return Endpoint{d.name(), d.addr(), d.addr(), d.ports(), rapid.SampledFrom([]string{"", d.name()}).Draw(d.T, "set"), d.name()}
	},
	KindResolver: func(d draw) Entry {
		zones := listOf(d, 3, func() ZonePrefix { return ZonePrefix{d.prefix(), d.text()} })
		return Resolver{d.name(), d.flag("off"), d.prefixes(), d.text(), d.addrs(3), zones}
	},
	KindView: func(d draw) Entry { return View{d.name(), d.name()} },
	KindZone: func(d draw) Entry { return NameZone{d.name(), d.text(), d.number("negative"), d.flag("public")} },
	KindRecord: func(d draw) Entry {
		r := NameRecord{
			Zone: d.name(), Name: strings.ReplaceAll(d.name(), "/", `\057`), Type: rapid.StringMatching(`[A-Z]{1,5}`).Draw(d.T, "type"), Set: d.text(),
			TTL: d.number("ttl"), Alias: d.text(), Weight: d.number("weight"), Weighted: d.flag("weighted"),
		}
		r.Data = listOf(d, 3, func() string { return d.text() })
		r.Near = listOf(d, 3, func() ZoneAddr { return ZoneAddr{d.addr(), d.text()} })
		return r
	},
}

// What an entry is recorded as is read as the entry: nothing is lost, whatever is in
// its names. Its key and state are what they were.
func TestRecordsAreReadAsTheEntry(t *testing.T) {
	for _, k := range Kinds() {
		t.Run(k.String(), func(t *testing.T) {
			if entries[k] == nil {
				t.Fatalf("no entries of kind %q are drawn", k)
			}
			rapid.Check(t, func(t *rapid.T) {
				e := entries[k](draw{t})
				if e.Key().Realm.Sort() != k.Sort() {
					t.Skip("the name is that of another realm")
				}
				text := Record(e)
				again, err := Parse(text, Kinds()...)
				if err != nil {
					t.Fatal(err)
				}
				if behind := string(AppendRecord([]byte("a line\n"), e)); behind != "a line\n"+text {
					t.Fatalf("%q is appended as %q", text, behind)
				}
				if !reflect.DeepEqual(e, again) {
					t.Fatalf("%q is read as\n%#v\nit was\n%#v", text, again, e)
				}
				if again.Key() != e.Key() || !Equal(again, e) {
					t.Fatalf("%s is read as %s", e, again)
				}
				if strings.ContainsAny(text, "\n\t") || !strings.HasPrefix(text, e.String()) {
					t.Fatalf("%q is not one line that begins with the state %q", text, e)
				}
			})
		})
	}
	for k := range maps.Keys(entries) {
		if !slices.Contains(Kinds(), k) {
			t.Errorf("entries of kind %q are drawn, which there is not", k)
		}
	}
}

// The owner of an endpoint is a note: it is recorded, and no reason to do anything.
func TestNotesAreNotPartOfTheState(t *testing.T) {
	e := Endpoint{VPC: "vpc-1", Addr: netip.MustParseAddr("10.0.1.100"), Target: netip.MustParseAddr("240.8.0.1"), Ports: []PortRange{{80, 80}}, Owner: "vpce-1"}
	other := e
	other.Owner = "vpce-2"
	if !Equal(e, other) || Record(e) == Record(other) {
		t.Errorf("%q and %q", Record(e), Record(other))
	}
	if want := "endpoint vpc-1 10.0.1.100 target=240.8.0.1 ports=80 owner=vpce-1"; Record(e) != want {
		t.Errorf("%q, want %q", Record(e), want)
	}
	if want := "endpoint vpc-1 10.0.1.100 target=240.8.0.1 ports=80\n"; Text([]Entry{e}) != want {
		t.Errorf("%q, want %q", Text([]Entry{e}), want)
	}
}

// Text that is not that of an entry is refused with the reason.
func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                             "not kind, realm and id",
		"link vpc-1":                                   "not kind, realm and id",
		"tunnel vpc-1 x":                               `there is no kind "tunnel"`,
		"link host vpc-2":                              "realm of the sort host, want router",
		"link zone:example.com vpc-2":                  "realm of the sort zone, want router",
		"router vpc-1 other":                           `its id is "other", not self`,
		"link vpc-1 vpc-2 ":                            "it would be printed as",
		"link vpc-1 vpc-2 more=1":                      "it would be printed as",
		"link  vpc-1 vpc-2":                            "it would be printed as",
		"link vpc-1 vpc%2":                             "invalid URL escape",
		"allow vpc-1 240.0.0.0/26":                     "unable to parse IP",
		"route vpc-1 240.0.0.0 peer=v":                 "no '/'",
		"portset vpc-1 p ranges=1-70000":               "not a range of ports",
		"class vpc-1 c in=6/1@0.0.0.0/0":               "is not a rule",
		"class vpc-1 c out=all@0.0.0.0/0":              "",
		"resolver vpc-1 self":                          "realm of the sort router, want zone",
		"resolver zone:vpc-1 x":                        `its id is "x", not self`,
		"zone zone:Z1 self negative=4294967296":        "out of range",
		"zone zone:Z1 self negative=0":                 "it would be printed as",
		"record zone:Z1 a.":                            "it would be printed as",
		"record zone:Z1 a./A/":                         "it would be printed as",
		"record zone:Z1 a./A data=":                    "",
		"record zone:Z1 a./A data=1%2":                 "invalid URL escape",
		"record zone:Z1 a./A near=10.0.0.1":            "it would be printed as",
		"record zone:Z1 a./A near=10.0.0.256@a":        "field has value >255",
		"target vpc-1 240.8.0.1 dest=10.0.0.1 cut=no":  "cut is \"no\"",
		"target vpc-1 240.8.0.1 cut=yes dest=10.0.0.1": "it would be printed as",
		"endpoint vpc-1 10.0.0.1 target=240.8.0.1 portset=p ports=1":     "it would be printed as",
		"workload vpc-1 eni-1 namespace=4":                               "neither a name nor a process",
		"workload vpc-1 eni-1 addresses=10.0.0.2/32,10.0.0.1/32":         "it would be printed as",
		"router vpc-1 self networks=10.1.0.0/16,10.0.0.0/16":             "it would be printed as",
		"endpoint vpc-1 10.0.0.1 target=240.8.0.1 ports=1 owner=a\x00bc": "it would be printed as",
	} {
		e, err := Parse(text, Kinds()...)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, %v; want %s", text, e, err, want)
		}
	}
}

// FuzzParse: whatever is read prints as the very text that it was read from.
func FuzzParse(f *testing.F) {
	for _, k := range Kinds() {
		for _, e := range k.Examples() {
			f.Add(Record(e))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text, Kinds()...)
		if err != nil {
			return
		}
		if Record(e) != text {
			t.Fatalf("%q is printed as %q", text, Record(e))
		}
		if again, err := Parse(Record(e), Kinds()...); err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%q is read as %#v, and then as %#v, %v", text, e, again, err)
		}
		Ends(e)
		Turns(e)
	})
}

// dressed is an entry of which its kind knows nothing.
type dressed struct{ Entry }

// Whether two entries of one key have the same state, or the same record, is told as if
// both were printed, and also of entries that are not of the kind's own type.
func TestSameIsWhatTextsSay(t *testing.T) {
	for _, k := range Kinds() {
		rapid.Check(t, func(t *rapid.T) {
			one := entries[k](draw{t})
			words := strings.Split(Record(entries[k](draw{t})), " ")
			copy(words, strings.Split(one.Key().String(), " "))
			other, err := Parse(strings.Join(words, " "), k)
			if err != nil {
				t.Skip("no entry has this key and these fields")
			}
			for _, pair := range [][2]Entry{{one, other}, {one, one}, {other, dressed{one}}, {dressed{one}, one}} {
				if same := SameRecord(pair[0], pair[1], k); same != (Record(pair[0]) == Record(pair[1])) {
					t.Fatalf("%v for %q and %q", same, Record(pair[0]), Record(pair[1]))
				}
				if same := SameState(pair[0], pair[1], k); same != (pair[0].String() == pair[1].String()) {
					t.Fatalf("state: %v for %q and %q", same, pair[0], pair[1])
				}
			}
		})
	}
}

// Entries are compared again and again, ten thousand at a start: without making texts of
// them.
func TestEntriesAreComparedWithoutMakingTexts(t *testing.T) {
	for _, k := range []Kind{KindEndpoint, KindTarget, KindAllow, KindAddress, KindMember, KindPool, KindRoute, KindPortSet} {
		one := k.Examples()[0]
		other, err := Parse(Record(one), k)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if !SameState(one, other, k) {
				t.Fatalf("%s is another state than itself", one)
			}
		}); n > 2 { // the race detector loses room that is kept, now and then
			t.Errorf("to compare two entries of kind %s makes %v objects", k, n)
		}
	}
}
