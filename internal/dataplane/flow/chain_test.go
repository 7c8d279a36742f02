// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/test/lab"
)

// station is a router of a chain, with the next one by the addresses that lead
// there.
type station struct {
	*lab.Namespace
	name  string
	peers map[netip.Addr]*station
	users *int // how many have been given and not released
}

func (s *station) FD() int      { return s.Namespace.FD() }
func (s *station) Name() string { return s.name }
func (s *station) Release()     { *s.users-- }
func (s *station) Peer(a netip.Addr) (flow.Router, error) {
	p := s.peers[a]
	if p == nil {
		return nil, nil
	}
	*s.users++
	return p, nil
}

// entry is a tracked connection by the addresses of both directions.
type entry struct {
	opener, asked, answerer, known string
	protocol                       byte
}

// enter makes entries for many ports, as if connections were established.
func enter(t testing.TB, nsFD int, e entry, flows int) {
	t.Helper()
	conn, err := nfnl.Dial(nsFD)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var b nfnl.Builder
	tuple := func(typ uint16, from, to string, fromPort, toPort uint16) {
		source, dest := netip.MustParseAddr(from), netip.MustParseAddr(to)
		first := uint16(1)
		if source.Is6() {
			first = 3
		}
		b.Nest(typ, func() {
			b.Nest(1, func() { b.Bytes(first, source.AsSlice()); b.Bytes(first+1, dest.AsSlice()) })
			b.Nest(2, func() {
				b.Bytes(1, []byte{e.protocol})
				b.Bytes(2, binary.BigEndian.AppendUint16(nil, fromPort))
				b.Bytes(3, binary.BigEndian.AppendUint16(nil, toPort))
			})
		})
	}
	for i := range flows {
		family := uint8(unix.AF_INET)
		if netip.MustParseAddr(e.opener).Is6() {
			family = unix.AF_INET6
		}
		b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageNew, nfnl.Create|nfnl.Exclusive, family)
		tuple(1, e.opener, e.asked, uint16(1024+i), 5432)
		tuple(2, e.answerer, e.known, 5432, uint16(1024+i))
		b.Uint32(attrTimeout, 600)
		if e.protocol == unix.IPPROTO_TCP {
			b.Nest(attrProtoInfo, func() {
				b.Nest(1, func() { b.Bytes(1, []byte{3}) }) // TCP_CONNTRACK_ESTABLISHED
			})
		}
	}
	if failures, err := conn.Each(&b); err != nil || len(failures) > 0 {
		t.Fatalf("track flows: %v, %d failures, first %v", err, len(failures), failures[:min(1, len(failures))])
	}
}

func left(t testing.TB, n *lab.Namespace) int {
	t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(n.FD()), unix.NETLINK_NETFILTER)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	sum := 0
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		list, err := h.ConntrackTableList(netlink.ConntrackTable, family)
		if err != nil {
			t.Fatal(err)
		}
		sum += len(list)
	}
	return sum
}

// newChain is three routers: a client's, one that hands on, a server's.
func newChain(t testing.TB) (chain [3]*station, users *int) {
	t.Helper()
	users = new(int)
	for i := range chain {
		chain[i] = &station{Namespace: lab.NewNamespace(t), name: string(rune('a' + i)), peers: map[netip.Addr]*station{}, users: users}
	}
	lead := func(from int, addr string, to int) { chain[from].peers[netip.MustParseAddr(addr)] = chain[to] }
	for _, realm := range [][4]string{{"240.8.0.1", "240.0.0.10", "240.8.0.2", "240.0.0.70"}, {"fd70:8::1", "fd70::10", "fd70:8::2", "fd70::70"}} {
		lead(0, realm[0], 1)
		lead(1, realm[1], 0)
		lead(1, realm[2], 2)
		lead(2, realm[3], 1)
	}
	return chain, users
}

var chained = map[string][3]entry{
	"IPv4": {
		{"10.0.1.10", "10.0.1.100", "240.8.0.1", "240.0.0.10", unix.IPPROTO_TCP},
		{"240.0.0.10", "240.8.0.1", "240.8.0.2", "240.0.0.70", unix.IPPROTO_TCP},
		{"240.0.0.70", "240.8.0.2", "10.0.1.10", "10.0.1.50", unix.IPPROTO_TCP},
	},
	"IPv6": {
		{"2001:db8::10", "2001:db8::100", "fd70:8::1", "fd70::10", unix.IPPROTO_TCP},
		{"fd70::10", "fd70:8::1", "fd70:8::2", "fd70::70", unix.IPPROTO_TCP},
		{"fd70::70", "fd70:8::2", "2001:db8::10", "2001:db8::50", unix.IPPROTO_TCP},
	},
}

// A connection through three routers is cut in all of them, whichever one begins,
// and what has other ports stays.
func TestCutGoesAlongTheChain(t *testing.T) {
	for family, entries := range chained {
		for begin, match := range []flow.Match{
			{Dest: netip.MustParseAddr(entries[0].asked)},
			{Party: netip.PrefixFrom(netip.MustParseAddr(entries[1].asked), netip.MustParseAddr(entries[1].asked).BitLen())},
			{Party: netip.PrefixFrom(netip.MustParseAddr(entries[2].answerer), netip.MustParseAddr(entries[2].answerer).BitLen())},
		} {
			t.Run(family+" from "+string(rune('a'+begin)), func(t *testing.T) {
				chain, users := newChain(t)
				const flows = 10
				for i, e := range entries {
					enter(t, chain[i].FD(), e, flows)
					other := entry{entries[0].known, entries[2].known, entries[2].known, entries[0].known, unix.IPPROTO_UDP}
					enter(t, chain[i].FD(), other, 1)
				}
				told := map[string]int{}
				n, err := flow.Cut(t.Context(), chain[begin], []flow.Match{match}, func(r flow.Router) error {
					for i, s := range chain {
						if got := left(t, s.Namespace); got != 1 {
							t.Errorf("router %d has %d connections when the lane is told, want the other one", i, got)
						}
					}
					told[r.Name()]++
					return nil
				})
				if err != nil || n != flows || len(told) != len(chain) {
					t.Errorf("cut %d, %v, told of %v; want %d, and each router once", n, err, told, flows)
				}
				if *users != 0 {
					t.Errorf("%d routers were not released", *users)
				}
			})
		}
	}
}

// Datagrams and connections alike belong to whoever has the address.
func TestCutTakesEveryProtocol(t *testing.T) {
	n := lab.NewNamespace(t)
	for _, protocol := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		enter(t, n.FD(), entry{"10.0.1.10", "10.0.1.11", "10.0.1.11", "10.0.1.10", protocol}, 1)
		enter(t, n.FD(), entry{"10.0.1.12", "10.0.1.10", "10.0.1.10", "10.0.1.12", protocol}, 1)
		enter(t, n.FD(), entry{"10.0.1.12", "10.0.1.11", "10.0.1.11", "10.0.1.12", protocol}, 1)
	}
	cut, err := flow.Cut(t.Context(), flow.Alone(n.FD()), []flow.Match{{Party: netip.MustParsePrefix("10.0.1.10/32")}}, nil)
	if err != nil || cut != 4 || left(t, n) != 2 {
		t.Errorf("cut %d, %v, left %d; want 4 and 2", cut, err, left(t, n))
	}
}

// A hundred thousand connections are cut in both routers within what the
// reconciler gives one attempt.
func TestCuttingVeryMany(t *testing.T) {
	chain, _ := newChain(t)
	entries := chained["IPv4"]
	const rounds, each = 4, 25_000
	for i := range rounds {
		e := entries[0]
		e.opener = netip.AddrFrom4([4]byte{10, 0, 1, byte(10 + i)}).String()
		e.known = netip.AddrFrom4([4]byte{240, 0, 0, byte(10 + i)}).String()
		enter(t, chain[0].FD(), e, each)
		pool := netip.AddrFrom4([4]byte{10, 0, 1, byte(50 + i)}).String()
		enter(t, chain[1].FD(), entry{e.known, "240.8.0.1", "10.0.1.10", pool, unix.IPPROTO_TCP}, each)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begun := time.Now()
	n, err := flow.Cut(ctx, chain[0], []flow.Match{{Dest: netip.MustParseAddr("10.0.1.100")}}, nil)
	t.Logf("%d after %v", n, time.Since(begun))
	if err != nil || n != rounds*each || left(t, chain[0].Namespace)+left(t, chain[1].Namespace) != 0 {
		t.Errorf("cut %d, %v", n, err)
	}
}

// BenchmarkCutNone looks for connections where there are none, as each workload
// that is attached costs.
func BenchmarkCutNone(b *testing.B) {
	n := lab.NewNamespace(b)
	for b.Loop() {
		if cut, err := flow.Cut(b.Context(), flow.Alone(n.FD()), []flow.Match{{Party: netip.MustParsePrefix("10.0.1.10/32")}}, nil); cut != 0 || err != nil {
			b.Fatal(cut, err)
		}
	}
}
