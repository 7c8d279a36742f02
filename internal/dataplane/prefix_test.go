// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// delegation is a VPC with a workload that has a prefix and uses an address of
// it, and a neighbour whose group alone may come to it.
type delegation struct {
	*scenario
	prefixes
	holder, other desired.Workload
	neighbour     *testnet.NS
}

// prefixes is what differs between the families.
type prefixes struct {
	scenario            func(testing.TB) *scenario
	everywhere          string
	prefix, inside      string // the prefix, and the address of it that the holder uses
	neighbours, another string // addresses, as their workloads have them
	damage              []string
}

const holderDevice = "w0bbbbbbbbbbbbb"

var prefixes4 = prefixes{
	scenario: scenario4, everywhere: "0.0.0.0/0", prefix: "10.0.1.32/28", inside: "10.0.1.40", neighbours: "10.0.1.11/24", another: "10.0.1.12/24",
	damage: []string{
		"ip route del 10.0.1.32/28",
		"ip route replace 10.0.1.32/28 via 10.0.1.99 dev " + holderDevice + " onlink proto 78",
		"ip route add 10.0.1.64/28 via 10.0.1.10 dev " + holderDevice + " onlink proto 78",
		"ip neigh del 10.0.1.10 dev " + holderDevice,
	},
}

// The link-local address comes from the holder's hardware address.
var prefixes6 = prefixes{
	scenario: scenario6, everywhere: "::/0", prefix: "2001:db8:0:1:2::/80", inside: "2001:db8:0:1:2::40", neighbours: "2001:db8:0:1::11/128", another: "2001:db8:0:1::12/128",
	damage: []string{
		"ip -6 route del 2001:db8:0:1:2::/80",
		"ip -6 route replace 2001:db8:0:1:2::/80 via 2001:db8:0:1::10 dev " + holderDevice + " onlink proto 78",
		"ip -6 route add 2001:db8:0:1:3::/80 via fe80::ff:fe00:2 dev " + holderDevice + " onlink proto 78",
		"ip -6 neigh del fe80::ff:fe00:2 dev " + holderDevice,
		"nft delete element inet postern class80 { 2001:db8:0:1:2:: }",
		"nft delete element inet postern member80-sg-holders { 2001:db8:0:1:2:: }",
	},
}

// eachFamily runs a test with prefixes of both families.
func eachFamily(t *testing.T, test func(*testing.T, prefixes)) {
	t.Run("IPv4", func(t *testing.T) { test(t, prefixes4) })
	t.Run("IPv6", func(t *testing.T) { test(t, prefixes6) })
}

func delegated(t *testing.T, p prefixes) delegation {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		testnet.Unable(t, "this test uses the program ip of iproute2")
	}
	s := p.scenario(t)
	d := delegation{scenario: s, prefixes: p, neighbour: testnet.New(t)}
	d.holder = s.entry(provider, desired.KindWorkload).(desired.Workload)
	d.holder.Prefixes = []netip.Prefix{prefix(p.prefix)}
	neighbours := prefix(p.neighbours)
	d.other = s.workload(provider, d.neighbour, d.holder.Gateway, neighbours)
	d.other.ENI, d.other.MAC = "eni-0ddddddddddddddd4", "02:00:00:00:00:04"
	ssh := desired.Rule{Protocol: 6, From: 7000, To: 7000, Group: "sg-neighbours"}
	back := desired.Rule{Protocol: 6, From: 7002, To: 7002, Group: "sg-holders"}
	all := desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix(p.everywhere)}
	s.entries[provider] = append(slices.DeleteFunc(s.entries[provider], func(e desired.Entry) bool { return e.Key() == d.holder.Key() }),
		desired.Class{VPC: provider, Name: "c-inner", In: []desired.Rule{ssh}, Out: []desired.Rule{all}}, d.holder, d.other,
		desired.Class{VPC: provider, Name: "c-neighbours", In: []desired.Rule{back}, Out: []desired.Rule{all}},
		desired.Address{VPC: provider, Addr: neighbours.Addr(), Class: "c-neighbours"},
		desired.Member{VPC: provider, Group: "sg-neighbours", Addr: neighbours.Addr()})
	s.entries[provider] = append(s.entries[provider], d.of(d.holder.Prefixes[0])...)
	desired.Sort(s.entries[provider])
	s.apply()
	run(t, s.server.Name, "ip addr add "+netip.PrefixFrom(addr(d.inside), addr(d.inside).BitLen()).String()+" dev eth0"+nodad(d.inside))
	l, err := s.server.Serve(s.network, d.at("7000"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return d
}

// of are the entries by which the addresses of a prefix are the holder's.
func (d delegation) of(p netip.Prefix) (entries []desired.Entry) {
	add := func(a netip.Addr, bits int) {
		entries = append(entries, desired.Address{VPC: provider, Addr: a, Bits: bits, Class: "c-inner"},
			desired.Member{VPC: provider, Group: "sg-holders", Addr: a, Bits: bits})
	}
	if p.Addr().Is6() {
		add(p.Addr(), p.Bits())
		return entries
	}
	for a := p.Addr(); p.Contains(a); a = a.Next() {
		add(a, 0)
	}
	return entries
}

// at is a port of the address of the prefix.
func (d delegation) at(port string) string { return net.JoinHostPort(d.inside, port) }

// nodad has an IPv6 address work at once.
func nodad(a string) string {
	if addr(a).Is6() {
		return " nodad"
	}
	return ""
}

// dial connects the neighbour with the holder at an address of the prefix, and
// hears whom that one sees.
func (d delegation) dial(port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), testnet.Patience)
	defer cancel()
	conn, err := d.neighbour.Dial(ctx, d.network, d.at(port))
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(testnet.Patience)) // of the whole test
	if _, err := testnet.AskOn(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// silent wants nobody to answer the neighbour at an address of the prefix.
func (d delegation) silent(what, port string) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), time.Second)
	defer cancel()
	if conn, err := d.neighbour.Dial(ctx, d.network, d.at(port)); err == nil {
		conn.Close()
		d.t.Errorf("%s is reached", what)
	}
}

// A workload is reached at each address of its prefix that it uses, by whom its
// groups admit, and may speak from them. The address that it has given itself
// stays.
func TestAWorkloadIsReachedInItsPrefix(t *testing.T) { eachFamily(t, isReachedInItsPrefix) }

func isReachedInItsPrefix(t *testing.T, p prefixes) {
	d := delegated(t, p)
	conn, err := d.dial("7000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := testnet.Echo(conn, "hello"); err != nil {
		t.Error(err)
	}
	l, err := d.server.Serve(d.network, d.at("7001"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d.silent("a port that its groups do not admit", "7001")
	l, err = d.neighbour.Serve(d.network, ":7002")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
	defer cancel()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.inside)}}
	back, err := d.server.DialWith(ctx, from, d.network, netip.AddrPortFrom(prefix(d.neighbours).Addr(), 7002).String())
	if err != nil {
		t.Fatalf("from an address of the prefix: %v", err)
	}
	defer back.Close()
	if saw, err := testnet.AskOn(back); err != nil || netip.MustParseAddrPort(saw).Addr() != addr(d.inside) {
		t.Errorf("the neighbour saw %q, %v", saw, err)
	}
	d.apply()
	d.checkDump()
	if err := testnet.Echo(conn, "and again"); err != nil {
		t.Error(err)
	}
}

// A prefix that is taken away ends the connections of its addresses, and those
// only; its former holder is not reached there any more, whoever has it next is.
func TestAPrefixIsTakenAway(t *testing.T) { eachFamily(t, isTakenAway) }

func isTakenAway(t *testing.T, p prefixes) {
	d := delegated(t, p)
	inside, err := d.dial("7000")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	d.serve()
	own, err := d.neighbour.Dial(t.Context(), d.network, d.direct)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if _, err := testnet.AskOn(own); err != nil {
		t.Fatal(err)
	}
	bare := d.holder
	bare.Prefixes = nil
	d.put(provider, []desired.Entry{bare})
	for _, found := range d.tracked(provider) {
		if strings.Contains(found, d.inside) {
			t.Errorf("the router still tracks %s", found)
		}
	}
	d.expectReset("the neighbour", inside)
	if err := testnet.Echo(own, "still here"); err != nil {
		t.Errorf("the connection of another address: %v", err)
	}
	d.silent("the former holder", "7000")
	third := testnet.New(t)
	next := d.workload(provider, third, d.holder.Gateway, prefix(d.another))
	next.ENI, next.MAC, next.Prefixes = "eni-0eeeeeeeeeeeeeee5", "02:00:00:00:00:05", d.holder.Prefixes
	d.put(provider, []desired.Entry{next})
	run(t, third.Name, "ip addr add "+netip.PrefixFrom(addr(d.inside), addr(d.inside).BitLen()).String()+" dev lo"+nodad(d.inside))
	l, err := third.Serve(d.network, d.at("7000"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := d.dial("7000")
	if err != nil {
		t.Fatalf("the next holder: %v", err)
	}
	defer conn.Close()
	d.remove(provider, next)
	d.expectReset("the neighbour of a workload that goes", conn)
	if left := d.dump(provider); strings.Contains(left, "prefixes="+d.prefix) {
		t.Errorf("left: %s", left)
	}
}

// What is damaged of a prefix is seen and mended, and what the next process finds
// whole it leaves alone.
func TestAPrefixIsMended(t *testing.T) { eachFamily(t, isMended) }

func isMended(t *testing.T, p prefixes) {
	d := delegated(t, p)
	d.checkDump()
	router := network.NamespaceName(d.instance, provider)
	for _, line := range d.damage {
		run(t, router, line)
		if rounds := d.repair(); rounds == 0 {
			t.Errorf("%s: the damage is not seen", line)
		}
		d.checkDump()
		conn, err := d.dial("7000")
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		conn.Close()
	}
	conn, err := d.dial("7000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d.host.Close()
	d.adopt()
	d.checkDump()
	if err := testnet.Echo(conn, "still here"); err != nil {
		t.Error(err)
	}
	d.host.Close()
	run(t, router, d.damage[0]) // as a process leaves it that ended before it cut
	d.adopt()
	d.expectReset("the neighbour", conn)
}

// A workload with an IPv6 prefix and no IPv6 address is reached in the prefix, and
// through an endpoint.
func TestAWorkloadHasAnIPv6PrefixAlone(t *testing.T) {
	d := delegated(t, prefixes6)
	d.remove(provider, d.holder)
	d.holder.Gateway, d.holder.Addresses = addr("10.0.1.1"), []netip.Prefix{prefix("10.0.1.10/24")}
	router := d.entry(provider, desired.KindRouter).(desired.Router)
	router.Networks, router.Gateways = append(router.Networks, prefix("10.0.0.0/16")), []netip.Addr{d.holder.Gateway}
	target := d.entry(provider, desired.KindTarget).(desired.Target)
	target.Dest = addr(d.inside)
	inner := desired.Class{VPC: provider, Name: "c-inner", In: []desired.Rule{{Protocol: 6, From: 5432, To: 5432, Peer: prefix("::/0")}}}
	for _, changed := range []desired.Entry{router, target, inner, d.holder} {
		i := slices.IndexFunc(d.entries[provider], func(e desired.Entry) bool { return e.Key() == changed.Key() })
		d.entries[provider][i] = changed
	}
	d.apply()
	d.checkDump()
	run(t, d.server.Name, "ip addr add "+d.inside+"/128 dev eth0 nodad")
	d.checkDump()
	d.serve()
	d.checkTraffic()
	conn, err := d.dial("5432")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	run(t, d.server.Name, "ip -6 route del default")
	if rounds := d.repair(); rounds == 0 {
		t.Error("nobody misses the way out")
	}
	d.checkTraffic()
}
