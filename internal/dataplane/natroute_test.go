// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// natInVPC is a VPC with a client, whose routes lead to a NAT gateway, whose routes lead
// to a workload that has the server's address, and stands for all that is outside.
type natInVPC struct {
	*scenario
	nat     desired.NAT
	gateway desired.Workload
}

const natInterface = "eni-0dddddddddddddddd"

func newNATInVPC(t testing.TB) *natInVPC {
	t.Helper()
	return natInVPCOf(t, base(t))
}

func natInVPCOf(t testing.TB, s *scenario) *natInVPC {
	t.Helper()
	server := s.workload(provider, s.server, addr("10.0.3.1"), prefix("10.0.3.10/24"))
	server.ENI, server.MAC, server.Unchecked = "eni-0fffffffffffffff", "02:00:00:00:00:0f", true
	client := s.workload(provider, s.client, addr("10.0.1.1"), prefix("10.0.1.10/24"))
	run(t, s.server.Name, "ip addr add "+natServer+"/32 dev lo")
	s.entries = map[string][]desired.Entry{provider: append(s.common(provider, prefix("240.0.0.0/26"), netip.Prefix{}, "10.0.0.0/16", "0.0.0.0/0"),
		client, server,
		desired.Address{VPC: provider, Addr: addr("10.0.1.10"), Class: "c-open"},
		desired.Address{VPC: provider, Addr: addr("10.0.3.10"), Class: "c-open"},
		desired.Through{VPC: provider, ENI: server.ENI, Class: "c-open"},
		desired.Through{VPC: provider, ENI: natInterface, Class: "c-open"},
		desired.Table{VPC: provider, Number: 1, Routes: []desired.TableRoute{{Prefix: prefix("0.0.0.0/0"), To: natInterface}}},
		desired.Table{VPC: provider, Number: 2, Routes: []desired.TableRoute{{Prefix: prefix("0.0.0.0/0"), To: server.ENI}}},
		desired.Steer{VPC: provider, From: client.ENI, Table: 1}, desired.Steer{VPC: provider, From: natInterface, Table: 2},
	)}
	n := &natInVPC{scenario: s, nat: desired.NAT{ID: gatewayID, VPC: provider, Addresses: []netip.Addr{natAddress, addr("10.0.1.20")}}}
	n.gateway = desired.Workload{
		VPC: provider, ENI: natInterface, MAC: "02:00:00:00:00:0d", Device: "eth0", Gateway: addr("10.0.1.1"),
		Addresses: []netip.Prefix{prefix("10.0.1.9/24"), prefix("10.0.1.20/24")}, Namespace: desired.Namespace{Realm: n.nat.Key().Realm}, Unchecked: true,
	}
	return n
}

// put puts both, the gateway first.
func (n *natInVPC) put() {
	n.t.Helper()
	for _, failed := range []map[desired.Key]error{
		n.host.Apply(n.t.Context(), n.nat.Key().Realm, []desired.Entry{n.nat}, nil),
		n.host.Apply(n.t.Context(), provider, append(slices.Clone(n.entries[provider]), n.gateway), nil),
	} {
		for key, err := range failed {
			n.t.Errorf("put %s: %v", key, err)
		}
	}
}

// whole reports whether all is there as it should be.
func (n *natInVPC) whole() bool {
	n.t.Helper()
	return n.dump(provider) == desired.Text(append(slices.Clone(n.entries[provider]), n.gateway)) &&
		n.dump(string(n.nat.Key().Realm)) == desired.Text([]desired.Entry{n.nat})
}

// A gateway's namespace is joined to its router as a workload is, found again after a
// restart, and joined again when one of both is gone. No workload can be put into it.
func TestANATGatewayIsJoinedToItsRouter(t *testing.T) {
	n := newNATInVPC(t)
	if failed := n.host.Apply(t.Context(), provider, append(slices.Clone(n.entries[provider]), n.gateway), nil); failed[n.gateway.Key()] == nil || errors.Is(failed[n.gateway.Key()], dataplane.ErrNamespaceGone) {
		t.Errorf("it is joined before it is there: %v", failed)
	}
	n.put()
	if !n.whole() {
		t.Fatalf("there is\n%s%s", n.dump(provider), n.dump(string(n.nat.Key().Realm)))
	}
	name := network.NamespaceName(n.instance, gatewayID)
	for _, damage := range []struct{ where, line string }{
		{name, "ip link set eth0 down"}, {name, "ip link del eth0"}, {name, "ip route del default"}, {name, "ip addr del 10.0.1.20/32 dev eth0"},
		{name, "tc qdisc del dev eth0 clsact"}, {network.NamespaceName(n.instance, provider), "ip link del w" + n.gateway.ENI[4:18]},
		{network.NamespaceName(n.instance, provider), "ip link set w" + n.gateway.ENI[4:18] + " group 78"},
	} {
		run(t, damage.where, damage.line)
		if n.whole() {
			t.Errorf("%s in %s is not seen", damage.line, damage.where)
		}
		n.put()
		if !n.whole() {
			t.Errorf("%s in %s is not repaired:\n%s%s", damage.line, damage.where, n.dump(provider), n.dump(string(n.nat.Key().Realm)))
		}
	}
	n.host.Close()
	if err := network.DeleteNamespace(name); err != nil {
		t.Fatal(err)
	}
	next, err := dataplane.New(dataplane.Config{Instance: n.instance})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	n.host = next
	if n.whole() {
		t.Error("that its namespace is gone is not seen")
	}
	n.put()
	if !n.whole() {
		t.Errorf("after a restart there is\n%s%s", n.dump(provider), n.dump(string(n.nat.Key().Realm)))
	}
	w := n.workload(provider, n.server, addr("10.0.1.1"), prefix("10.0.1.30/24"))
	w.ENI, w.Namespace = "eni-0eeeeeeeeeeeeeee", desired.Namespace{Name: name}
	if failed := n.host.Apply(t.Context(), provider, []desired.Entry{w}, nil); !errors.Is(failed[w.Key()], network.ErrNotForWorkloads) {
		t.Errorf("a workload in its namespace: %v", failed)
	}
}

// opened connects the client with the server outside, and gives both ends.
func (n *natInVPC) opened() (client, server net.Conn) {
	n.t.Helper()
	l, err := n.server.Listen("tcp4", natServer+":443")
	if err != nil {
		n.t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(n.t.Context(), testnet.Patience)
	defer cancel()
	if client, err = n.client.Dial(ctx, "tcp4", natServer+":443"); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { server.Close() })
	return client, server
}

// says sends a message one way and wants it to come.
func (n *natInVPC) says(from, to net.Conn, message string) {
	n.t.Helper()
	to.SetReadDeadline(time.Now().Add(testnet.Patience))
	back := make([]byte, len(message))
	if _, err := from.Write([]byte(message)); err != nil {
		n.t.Error(err)
	} else if _, err := io.ReadFull(to, back); err != nil || string(back) != message {
		n.t.Errorf("%q comes as %q, %v", message, back, err)
	}
}

// use is what the gateway says that it has.
func (n *natInVPC) use() dataplane.NATUse {
	n.t.Helper()
	all, err := n.host.NATs(n.t.Context())
	if err != nil || len(all) != 1 {
		n.t.Fatalf("%+v, %v, want one nat gateway", all, err)
	}
	return all[0]
}

// Connections go out through the router, the gateway and the router again; the express
// lane carries them through all three, also when the gateway has got other addresses and
// another process looks after it.
func TestTheExpressLaneServesNATGateways(t *testing.T) {
	n := newNATInVPC(t)
	n.put()
	client, server := n.opened()
	from := netip.MustParseAddrPort(server.RemoteAddr().String())
	if !slices.Contains(n.nat.Addresses, from.Addr()) || from.Port() < 10536 {
		t.Errorf("the server sees %s, want an address of %v", from, n.nat.Addresses)
	}
	carried := func(when string) {
		t.Helper()
		before := n.use()
		for range 10 {
			n.says(client, server, "there")
			n.says(server, client, "and back")
		}
		now := n.use()
		if lane, all := now.Carried.Packets-before.Carried.Packets, now.Packets-before.Packets; lane < 20 || lane > all {
			t.Errorf("%s: %d of %d packets took the lane through the gateway, want 20 and more", when, lane, all)
		}
	}
	n.says(client, server, "first")
	carried("at first")
	n.nat.Addresses, n.nat.Draining = []netip.Addr{addr("10.0.1.20")}, []netip.Addr{natAddress}
	n.put()
	carried("with other addresses")
	n.host.Close()
	next, err := dataplane.New(dataplane.Config{Instance: n.instance})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	n.host = next
	if !n.whole() {
		t.Errorf("after a restart there is\n%s", n.dump(provider))
	}
	carried("after a restart")
	if u := n.use(); u.Express != 1 || u.Attempts != 1 {
		t.Errorf("%+v, want one connection", u)
	}
}

// An error of somebody on the way, also of the router itself, comes to the client: that
// a packet is too large for a link, or has gone too far.
func TestErrorsComeThroughANATGateway(t *testing.T) {
	n := newNATInVPC(t)
	n.put()
	tap := n.client.Tap(t)
	for hops := range byte(4) {
		udp := testnet.Packet{From: addr("10.0.1.10"), To: addr(natServer), Protocol: unix.IPPROTO_UDP, Hops: hops + 1, Body: []byte{9, 9, 9, 9, 0, 8, 0, 0}}
		testnet.Send(t, n.client, udp)
		p := tap.Next(testnet.Patience, func(p []byte) bool { return p[9] == unix.IPPROTO_ICMP })
		want := map[bool]byte{true: 11, false: 3}[hops < 3] // the last one comes to the server
		if p == nil || p[20] != want || !slices.Equal(p[40:44], udp.From.AsSlice()) || !slices.Equal(p[44:48], udp.To.AsSlice()) {
			t.Errorf("after %d hops the client gets % x, want an ICMP message of type %d", hops+1, p, want)
		}
	}
	client, server := n.opened()
	run(t, network.NamespaceName(n.instance, provider), "ip link set w"+"0fffffffffffff mtu 1300")
	data := make([]byte, 100_000)
	go client.Write(data)
	server.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := io.ReadFull(server, data); err != nil {
		t.Errorf("much data over a link with a small MTU: %v", err)
	}
}

// What the routes of a gateway's own subnet refuse is refused for who has sent it.
func TestRefusalsComeThroughANATGateway(t *testing.T) {
	n := newNATInVPC(t)
	for i, e := range n.entries[provider] {
		if table, is := e.(desired.Table); is && table.Number == 2 {
			table.Routes = []desired.TableRoute{{Prefix: prefix("0.0.0.0/0"), To: desired.Unreachable}}
			n.entries[provider][i] = table
		}
	}
	n.put()
	if _, err := n.client.Dial(t.Context(), "tcp4", natServer+":443"); !refused(err) {
		t.Errorf("TCP: %v, want a refusal", err)
	}
	tap := n.client.Tap(t)
	udp := testnet.Packet{From: addr("10.0.1.10"), To: addr(natServer), Protocol: unix.IPPROTO_UDP, Body: []byte{9, 9, 0, 53, 0, 8, 0, 0}}
	testnet.Send(t, n.client, udp)
	p := tap.Next(testnet.Patience, func(p []byte) bool { return p[9] == unix.IPPROTO_ICMP })
	if p == nil || p[20] != 3 || !slices.Equal(p[40:44], udp.From.AsSlice()) || !slices.Equal(p[44:48], udp.To.AsSlice()) {
		t.Errorf("UDP: the client gets % x, want an error", p)
	}
}
