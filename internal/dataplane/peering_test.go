// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// peered is VPCs, each with a workload, which some are peered with others. The number of a
// VPC is in its id and in its blocks, 10.N.0.0/16 and 2001:db8:0:N00::/56.
type peered struct {
	testing.TB
	host    *dataplane.Host
	v6      bool
	network string
	all     netip.Prefix
	ns      map[int]*testnet.NS
	entries map[desired.Key]desired.Entry
}

func vpcOf(n int) string { return fmt.Sprintf("vpc-%d%016x", n, n) }

func eachPeered(t *testing.T, n int, test func(p *peered)) {
	for name, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) { test(newPeered(t, n, v6)) })
	}
}

func newPeered(t testing.TB, n int, v6 bool) *peered {
	h, _ := newHost(t)
	p := &peered{TB: t, host: h, v6: v6, network: "tcp4", all: prefix("0.0.0.0/0"), ns: map[int]*testnet.NS{}, entries: map[desired.Key]desired.Entry{}}
	if v6 {
		p.network, p.all = "tcp6", prefix("::/0")
	}
	for i := 1; i <= n; i++ {
		p.ns[i] = testnet.New(t)
		r := desired.Router{VPC: vpcOf(i), Networks: []netip.Prefix{p.block(i)}}
		w := desired.Workload{
			VPC: r.VPC, ENI: fmt.Sprintf("eni-0%016x", i), MAC: fmt.Sprintf("02:00:00:00:00:%02x", i), Device: "eth0", Namespace: p.ns[i].Desired(),
			Addresses: []netip.Prefix{netip.PrefixFrom(p.addr(i), 24)},
		}
		if v6 {
			r.Source6 = prefix(fmt.Sprintf("fd70:6f73:7400:%d::/64", i))
			w.Addresses[0] = netip.PrefixFrom(p.addr(i), 128)
		} else {
			r.Source4 = netip.PrefixFrom(addr(fmt.Sprintf("240.0.%d.0", i)), 26)
			w.Gateway = addr(fmt.Sprintf("10.%d.1.1", i))
			r.Gateways = []netip.Addr{w.Gateway}
		}
		p.put(r, p.class(i, p.all), w, desired.Address{VPC: r.VPC, Addr: p.addr(i), Class: "c-1"}, desired.Steer{VPC: r.VPC, From: w.ENI, Table: 1})
		served, err := p.ns[i].Serve(p.network, ":7")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { served.Close() })
	}
	return p
}

// class admits what is from one block and all that goes out.
func (p *peered) class(n int, from netip.Prefix) desired.Class {
	rule := func(peer netip.Prefix) []desired.Rule {
		return []desired.Rule{{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: peer}}
	}
	return desired.Class{VPC: vpcOf(n), Name: "c-1", In: rule(from), Out: rule(p.all)}
}

func (p *peered) block(n int) netip.Prefix {
	if p.v6 {
		return prefix(fmt.Sprintf("2001:db8:0:%d00::/56", n))
	}
	return prefix(fmt.Sprintf("10.%d.0.0/16", n))
}

// addr is that of the workload.
func (p *peered) addr(n int) netip.Addr {
	if p.v6 {
		return addr(fmt.Sprintf("2001:db8:0:%d01::10", n))
	}
	return addr(fmt.Sprintf("10.%d.1.10", n))
}

func (p *peered) put(list ...desired.Entry) {
	p.Helper()
	for _, e := range list {
		for key, err := range p.host.Apply(context.Background(), e.Key().Realm, []desired.Entry{e}, nil) {
			p.Errorf("put %s: %v", key, err)
		}
		p.entries[e.Key()] = e
	}
}

func (p *peered) del(list ...desired.Entry) {
	p.Helper()
	for _, e := range list {
		for key, err := range p.host.Apply(context.Background(), e.Key().Realm, nil, []desired.Entry{e}) {
			p.Errorf("delete %s: %v", key, err)
		}
		delete(p.entries, e.Key())
	}
}

// check compares what is there with what is wanted.
func (p *peered) check() {
	p.Helper()
	realms := map[desired.Realm][]desired.Entry{}
	for key, e := range p.entries {
		realms[key.Realm] = append(realms[key.Realm], e)
	}
	for realm, want := range realms {
		have, err := p.host.Dump(context.Background(), realm)
		if err != nil {
			p.Fatal(err)
		}
		if diff := cmp.Diff(desired.Text(want), desired.Text(have)); diff != "" {
			p.Errorf("%s: %s", realm, diff)
		}
	}
}

// side is what the router of a VPC has of its peering with another.
func (p *peered) side(own, theirs int) desired.Peering {
	return desired.Peering{VPC: vpcOf(own), Peer: vpcOf(theirs), Own: []netip.Prefix{p.block(own)}, Theirs: []netip.Prefix{p.block(theirs)}}
}

// peer peers two VPCs, without routes.
func (p *peered) peer(a, b int) {
	p.Helper()
	p.put(desired.NewLink(vpcOf(a), vpcOf(b)), p.side(a, b), p.side(b, a))
}

// route leads the first table of a VPC to blocks of others by a peer.
func (p *peered) route(n int, to map[int]int) desired.Table {
	t := desired.Table{VPC: vpcOf(n), Number: 1}
	for dest, by := range to {
		t.Routes = append(t.Routes, desired.TableRoute{Prefix: p.block(dest), To: vpcOf(by)})
	}
	return t
}

// reaches asks the workload of another VPC, and wants it to see the asker's address.
func (p *peered) reaches(from, to int) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), testnet.Patience)
	defer cancel()
	saw, err := p.ns[from].Ask(ctx, p.network, netip.AddrPortFrom(p.addr(to), 7).String())
	if err != nil {
		p.Errorf("%d asks %d: %v", from, to, err)
	} else if seen, err := netip.ParseAddrPort(saw); err != nil || seen.Addr() != p.addr(from) {
		p.Errorf("%d was seen by %d as %s", from, to, saw)
	}
}

// fails wants that a workload does not come to another one.
func (p *peered) fails(when string, from, to int) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), time.Second)
	defer cancel()
	if saw, err := p.ns[from].Ask(ctx, p.network, netip.AddrPortFrom(p.addr(to), 7).String()); err == nil {
		p.Errorf("%s: %d came to %d, which saw %s", when, from, to, saw)
	}
}

// Two VPCs reach each other as they are when they are peered, and each has a route to the
// other; the receiver's groups are asked.
func TestPeersReachEachOther(t *testing.T) {
	eachPeered(t, 2, func(p *peered) {
		p.put(p.route(1, map[int]int{2: 2}), p.route(2, map[int]int{1: 1}))
		p.fails("without peering", 1, 2)
		p.peer(1, 2)
		p.reaches(1, 2)
		p.reaches(2, 1)
		p.check()
		p.put(p.class(2, p.block(2)))
		p.fails("not admitted by groups", 1, 2)
		p.reaches(2, 1)
		p.put(p.class(2, p.block(1)))
		p.reaches(1, 2)
		p.put(p.route(2, nil))
		p.fails("without a way back", 1, 2)
		p.put(p.route(2, map[int]int{1: 1}))
		p.reaches(1, 2)
		p.del(p.side(1, 2), p.side(2, 1))
		p.fails("after peering", 1, 2)
		p.fails("after peering", 2, 1)
		p.check()
	})
}

// Both ends of a connection over a peering are told when it goes, or when whoever has the
// one end goes, also when it was in the express lane and idle.
func TestTheEndOfAPeeringCuts(t *testing.T) {
	eachPeered(t, 2, func(p *peered) {
		p.put(p.route(1, map[int]int{2: 2}), p.route(2, map[int]int{1: 1}))
		p.peer(1, 2)
		listener, err := p.ns[2].Listen(p.network, ":5432")
		if err != nil {
			p.Fatal(err)
		}
		p.Cleanup(func() { listener.Close() })
		for _, goes := range []desired.Entry{p.side(1, 2), p.side(2, 1), p.entries[desired.Address{VPC: vpcOf(1), Addr: p.addr(1)}.Key()]} {
			client, server := p.connect(listener)
			p.lane(client, server)
			p.del(goes)
			for name, conn := range map[string]net.Conn{"client": client, "server": server} {
				conn.SetReadDeadline(time.Now().Add(testnet.Patience))
				if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
					p.Errorf("without %s the %s reads %v", goes.Key(), name, err)
				}
			}
			p.put(goes)
			p.reaches(1, 2)
		}
		p.check()
	})
}

func isTimeout(err error) bool {
	n, ok := err.(net.Error)
	return ok && n.Timeout()
}

// connect opens a connection from the first VPC to the second one.
func (p *peered) connect(l net.Listener) (client, server net.Conn) {
	p.Helper()
	client, err := p.ns[1].Dial(p.Context(), p.network, netip.AddrPortFrom(p.addr(2), 5432).String())
	if err == nil {
		server, err = l.Accept()
	}
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// lane sees that a connection is carried by the express lane of both routers.
func (p *peered) lane(client, server net.Conn) {
	p.Helper()
	packets := func() uint64 {
		c, err := p.host.ExpressLane()
		if err != nil {
			p.Fatal(err)
		}
		if c == nil {
			testnet.Unable(p.TB, "this kernel has no express lane")
		}
		return uint64(c.Packets)
	}
	say := func() {
		for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
			way[1].SetDeadline(time.Now().Add(testnet.Patience))
			if _, err := way[0].Write([]byte("x")); err != nil {
				p.Fatal(err)
			}
			if _, err := io.ReadFull(way[1], make([]byte, 1)); err != nil {
				p.Fatal(err)
			}
		}
	}
	say()
	before := packets()
	say()
	if n := packets() - before; n < 4 {
		p.Errorf("%d packets took the lane, want at least 4", n)
	}
}

// A peering is no way to the peers of a peer, whatever the routes say.
func TestAPeeringIsNoTransit(t *testing.T) {
	eachPeered(t, 3, func(p *peered) {
		p.peer(1, 2)
		p.peer(2, 3)
		p.put(p.route(1, map[int]int{2: 2, 3: 2}), p.route(2, map[int]int{1: 1, 3: 3}), p.route(3, map[int]int{1: 2, 2: 2}))
		p.reaches(1, 2)
		p.reaches(2, 3)
		p.reaches(3, 2)
		p.fails("over a third one", 1, 3)
		p.fails("over a third one", 3, 1)
		p.check()
	})
}

// A link that somebody has taken away comes back with all that led over it.
func TestThePeeringComesBackWithItsLink(t *testing.T) {
	p := newPeered(t, 2, false)
	p.peer(1, 2)
	p.put(p.route(1, map[int]int{2: 2}), p.route(2, map[int]int{1: 1}))
	p.reaches(1, 2)
	link := desired.NewLink(vpcOf(1), vpcOf(2))
	p.del(link)
	p.put(link)
	for _, n := range []int{1, 2} {
		have, err := p.host.Dump(context.Background(), desired.Realm(vpcOf(n)))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(desired.Text(have), p.side(n, 3-n).String()+" damaged") {
			t.Errorf("%d has a link that takes nothing from its peer, and that does not show:\n%s", n, desired.Text(have))
		}
	}
	p.put(p.side(1, 2), p.side(2, 1))
	p.reaches(1, 2)
	p.check()
}

// The network ACLs of both ends hold, in both directions of a connection.
func TestNetworkACLsOfPeersHold(t *testing.T) {
	eachPeered(t, 2, func(p *peered) {
		p.peer(1, 2)
		p.put(p.route(1, map[int]int{2: 2}), p.route(2, map[int]int{1: 1}))
		pass := desired.ACLRule{Allow: true, Rule: desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: p.all}}
		stop := func(peer int) desired.ACLRule {
			return desired.ACLRule{Rule: desired.Rule{Protocol: 6, From: -1, To: -1, Peer: p.block(peer)}}
		}
		filtered := func(n int, in, out []desired.ACLRule) []desired.Entry {
			return []desired.Entry{
				desired.ACL{VPC: vpcOf(n), Name: "acl-1", In: in, Out: out},
				desired.Filtered{VPC: vpcOf(n), Subnet: "subnet-1", ACL: "acl-1", Prefixes: []netip.Prefix{netip.PrefixFrom(p.addr(n), map[bool]int{false: 24, true: 64}[p.v6]).Masked()}},
			}
		}
		open := []desired.ACLRule{pass}
		for when, entries := range map[string][]desired.Entry{
			"out of the sender's":           filtered(1, open, []desired.ACLRule{stop(2), pass}),
			"into the receiver's":           filtered(2, []desired.ACLRule{stop(1), pass}, open),
			"the answer, out of the second": filtered(2, open, []desired.ACLRule{stop(1), pass}),
			"the answer, into the first":    filtered(1, []desired.ACLRule{stop(2), pass}, open),
		} {
			p.put(entries...)
			p.fails(when, 1, 2)
			slices.Reverse(entries)
			p.del(entries...)
			p.reaches(1, 2)
		}
		for _, n := range []int{1, 2} {
			p.put(filtered(n, open, open)...)
		}
		p.reaches(1, 2)
		p.reaches(2, 1)
		p.check()
	})
}

// A resource that a VPC offers to its peer by an endpoint, and one that it offers to others
// by a gateway and that a peer has: both are reached over what is there, with the addresses
// of the VPC between.
func TestEndpointsAndResourcesOfPeers(t *testing.T) {
	for name, c := range map[string]struct{ consumer, provider, resource int }{
		"an endpoint of the peer's": {2, 3, 3}, // 1 is a peer of 2, which has an endpoint to 3
		"a resource at the peer's":  {1, 2, 3}, // 1 has an endpoint to 2, of which 3 is a peer
	} {
		eachPeered(t, 3, func(p *peered) {
			target, endpoint, pool := addr("240.8.0.1"), p.other(c.consumer), p.other(c.provider)
			source, pools := netip.PrefixFrom(addr(fmt.Sprintf("240.0.%d.0", c.consumer)), 26), netip.PrefixFrom(pool, 32)
			if p.v6 {
				target, source, pools = addr("fd70:6f73:7400:8000::1"), prefix(fmt.Sprintf("fd70:6f73:7400:%d::/64", c.consumer)), netip.PrefixFrom(pool, 124).Masked()
				pool = pools.Addr()
			}
			consumer, provider := vpcOf(c.consumer), vpcOf(c.provider)
			gateways := []desired.Entry{desired.Pool{VPC: provider, Gateway: pool, Addresses: []netip.Prefix{pools}}}
			for a := pool; pools.Contains(a); a = a.Next() {
				gateways = append(gateways, desired.Address{VPC: provider, Addr: a, Class: "c-1"})
			}
			p.put(gateways...)
			p.put(
				desired.NewLink(consumer, provider), desired.Route{VPC: consumer, Prefix: netip.PrefixFrom(target, target.BitLen()), Peer: provider},
				desired.Route{VPC: provider, Prefix: source, Peer: consumer},
				desired.Target{VPC: provider, Addr: target, Dest: p.addr(c.resource), Gateway: pool}, desired.Allow{VPC: provider, Source: source, Target: target},
				desired.Address{VPC: consumer, Addr: endpoint, Class: "c-1"},
				desired.Endpoint{VPC: consumer, Addr: endpoint, Target: target, Ports: []desired.PortRange{{From: 7, To: 7}}},
			)
			if c.consumer == 2 {
				p.peer(1, 2)
				p.put(p.route(1, map[int]int{2: 2}), p.route(2, map[int]int{1: 1}), desired.Steer{VPC: consumer, From: endpoint.String(), Table: 1})
			} else {
				p.peer(2, 3)
				p.put(p.route(2, map[int]int{3: 3}), p.route(3, map[int]int{2: 2}), desired.Steer{VPC: provider, From: target.String(), Table: 1})
			}
			ctx, cancel := context.WithTimeout(p.Context(), testnet.Patience)
			defer cancel()
			saw, err := p.ns[1].Ask(ctx, p.network, netip.AddrPortFrom(endpoint, 7).String())
			if err != nil {
				p.Errorf("%s: %v", name, err)
			} else if seen, err := netip.ParseAddrPort(saw); err != nil || !pools.Contains(seen.Addr()) {
				p.Errorf("%s: the resource saw %s, want one of %s", name, saw, pools)
			}
			p.check()
			p.put(desired.Class{VPC: provider, Name: "c-none", In: p.class(c.provider, p.all).In})
			for _, e := range gateways[1:] {
				a := e.(desired.Address)
				a.Class = "c-none"
				p.put(a)
			}
			limited, done := context.WithTimeout(p.Context(), time.Second)
			defer done()
			if saw, err := p.ns[1].Ask(limited, p.network, netip.AddrPortFrom(endpoint, 7).String()); err == nil {
				p.Errorf("%s: past the groups of the gateway, which send nothing, %s was seen", name, saw)
			}
		})
	}
}

// other is an address of a VPC that is not the workload's.
func (p *peered) other(n int) netip.Addr {
	if p.v6 {
		return addr(fmt.Sprintf("2001:db8:0:%d01::100", n))
	}
	return addr(fmt.Sprintf("10.%d.1.100", n))
}

// A load balancer of a VPC is reached by its peer, and has members in its own VPC and in the
// other peer's: they see its address, and its groups are asked both ways. So does a probe.
func TestALoadBalancerAmongPeers(t *testing.T) {
	eachPeered(t, 3, func(p *peered) {
		door, vpc := p.other(2), vpcOf(2)
		p.peer(1, 2)
		p.peer(2, 3)
		p.put(p.route(1, map[int]int{2: 2}), p.route(2, map[int]int{1: 1, 3: 3}), p.route(3, map[int]int{2: 2}))
		class := func(in, out netip.Prefix) desired.Class {
			c := p.class(2, in)
			c.Name, c.Out[0].Peer = "c-balancer", out
			return c
		}
		target := func(member int) desired.Target {
			return desired.Target{VPC: vpc, Addr: door, Gateway: door, Forwards: []desired.Forward{{Port: 80, To: []netip.AddrPort{netip.AddrPortFrom(p.addr(member), 7)}}}}
		}
		p.put(class(p.all, p.all), desired.Address{VPC: vpc, Addr: door, Class: "c-balancer"},
			desired.Pool{VPC: vpc, Gateway: door, Addresses: []netip.Prefix{netip.PrefixFrom(door, door.BitLen())}},
			desired.Steer{VPC: vpc, From: door.String(), Table: 1}, desired.Endpoint{VPC: vpc, Addr: door, Target: door, Ports: []desired.PortRange{{From: 80, To: 80}}})
		ask := func(from int, patience time.Duration) (string, error) {
			ctx, cancel := context.WithTimeout(p.Context(), patience)
			defer cancel()
			return p.ns[from].Ask(ctx, p.network, netip.AddrPortFrom(door, 80).String())
		}
		probe := func(member int, patience time.Duration) error {
			ctx, cancel := context.WithTimeout(p.Context(), patience)
			defer cancel()
			return p.host.Probe(ctx, vpc, door, netip.AddrPortFrom(p.addr(member), 7))
		}
		for _, member := range []int{2, 3} {
			p.put(target(member))
			for _, from := range []int{1, 2} {
				saw, err := ask(from, testnet.Patience)
				if seen, wrong := netip.ParseAddrPort(saw); err != nil || wrong != nil || seen.Addr() != door {
					p.Errorf("%d asks the member %d: %v; it saw %s, want %s", from, member, err, saw, door)
				}
			}
			asked := !p.v6 || member == 2 // an answer of IPv6 has no way to the router itself over a link
			if asked {
				if err := probe(member, testnet.Patience); err != nil {
					p.Error(err)
				}
			}
			p.put(class(p.all, p.block(1)))
			for _, from := range []int{1, 2} {
				if saw, err := ask(from, time.Second); err == nil {
					p.Errorf("%d came to the member %d past the groups of the load balancer, which sends nothing there: %s", from, member, saw)
				}
			}
			if err := probe(member, time.Second); err == nil {
				p.Errorf("a probe came to the member %d past the groups of the load balancer", member)
			}
			p.put(class(p.block(2), p.all))
			if _, err := ask(1, time.Second); err == nil {
				p.Error("a peer came in past the groups of the load balancer")
			}
			p.put(class(p.all, p.all))
		}
		p.check()
	})
}
