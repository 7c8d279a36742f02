// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// A client that opens all it can is refused at its share of the gateway, whatever it
// opens, and no other client is.
func TestAClientHasAShareOfANATGateway(t *testing.T) {
	const share = 8
	r := newNATRig(t, dataplane.Config{Shares: nft.Shares{Client: share}}, natAddress)
	r.serve("443")
	r.serve("444")
	var conns []net.Conn
	for i := range share {
		conn, _, err := r.dial(natClients[0], []string{"443", "444"}[i%2], testnet.Patience)
		if err != nil {
			t.Fatalf("connection %d: %v", i+1, err)
		}
		conns = append(conns, conn)
	}
	for _, port := range []string{"443", "444", "445"} {
		if _, _, err := r.dial(natClients[0], port, testnet.Patience); !refused(err) {
			t.Errorf("one more to port %s: %v, want a refusal", port, err)
		}
	}
	d, err := r.client.DialWith(t.Context(), &net.Dialer{LocalAddr: &net.UDPAddr{IP: natClients[0].AsSlice()}}, "udp4", natServer+":9")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.SetDeadline(time.Now().Add(testnet.Patience))
	if _, err = d.Write([]byte("x")); err == nil {
		_, err = d.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.EHOSTUNREACH) && !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a datagram beyond the share: %v, want an error", err)
	}
	for i := range 2 * share {
		if _, _, err := r.dial(natClients[1+i%2], "443", testnet.Patience); err != nil {
			t.Errorf("another client: %v", err)
		}
	}
	if err := testnet.Echo(conns[0], "still"); err != nil {
		t.Errorf("a connection of the share: %v", err)
	}
	// What another process puts goes on by what is counted; and with one less there is
	// room again.
	r.start()
	r.checkDump("after a restart")
	r.put(r.want)
	if u := r.use(); u.Refused < 4 || u.Connections > 4*share {
		t.Errorf("%+v, want some refused", u)
	}
	for _, conn := range conns[:4] {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, _, err := r.dial(natClients[0], "443", testnet.Patience); err == nil {
			break
		} else if time.Since(begun) > testnet.Patience {
			t.Fatalf("there is room again: %v", err)
		}
	}
}

// crowded is a NAT gateway at a router with several clients, which speak TCP by hand.
type crowded struct {
	*natInVPC
	server  *lab.Raw
	clients []*lab.Raw
}

// crowdedAddr is the address of a client.
func crowdedAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 1, byte(100 + i)}) }

func newCrowded(t testing.TB, config dataplane.Config, clients int) *crowded {
	t.Helper()
	s := base(t)
	s.host.Close()
	config.Instance = s.instance
	h, err := dataplane.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	server := lab.NewNamespace(t)
	s.host, s.server = h, server.NS
	c := &crowded{natInVPC: natInVPCOf(t, s)}
	var all []*lab.Namespace
	for i := range clients {
		ns := lab.NewNamespace(t)
		w := s.workload(provider, ns.NS, addr("10.0.1.1"), netip.PrefixFrom(crowdedAddr(i), 24))
		w.ENI, w.MAC = fmt.Sprintf("eni-0%015x1", i+1), fmt.Sprintf("02:00:00:00:01:%02x", i)
		c.entries[provider] = append(c.entries[provider], w,
			desired.Address{VPC: provider, Addr: crowdedAddr(i), Class: "c-open"}, desired.Steer{VPC: provider, From: w.ENI, Table: 1})
		all = append(all, ns)
	}
	c.put()
	for _, ns := range all {
		c.clients = append(c.clients, ns.Raw(func(flags byte) byte {
			if flags != testnet.SYN|testnet.ACK {
				return 0
			}
			return testnet.ACK
		}))
	}
	c.server = server.Raw(func(flags byte) byte {
		if flags&testnet.SYN == 0 {
			return 0
		}
		return testnet.SYN | testnet.ACK
	})
	return c
}

// open begins connections of a client.
func (c *crowded) open(client int, to netip.AddrPort, first, last int) {
	c.clients[client].Open(crowdedAddr(client), to, first, last)
}

// admitted counts the connections of all clients that the server has answered.
func (c *crowded) admitted(to netip.AddrPort) (n int) {
	for _, client := range c.clients {
		n += client.Answers(to, testnet.SYN|testnet.ACK)
	}
	return n
}

// eventually waits for what comes by itself.
func (c *crowded) eventually(what string, condition func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// The clients of a gateway have a share of the router each, and the gateway has one of
// its own, which is another: it is no client. Beyond that a connection is refused by a
// reset, and the workloads of the VPC go on.
func TestANATGatewayHasAShareOfItsRouter(t *testing.T) {
	const each, share, clients = 20, 90, 5
	c := newCrowded(t, dataplane.Config{Shares: nft.Shares{Client: each, NAT: share}}, clients)
	to := netip.MustParseAddrPort(natServer + ":443")
	for i := range clients - 1 {
		c.open(i, to, 1024, 1024+each-1)
	}
	c.eventually("all are admitted", func() bool { return c.admitted(to) == (clients-1)*each })
	c.open(clients-1, to, 1024, 1024+each-1)
	c.eventually("all are answered", func() bool { return c.clients[clients-1].Heard(to) == each })
	if n := c.admitted(to); n != share {
		t.Errorf("%d connections were admitted, want %d", n, share)
	}
	list, err := c.host.Shares(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]dataplane.Share{}
	for _, s := range list {
		found[s.Of] = s
	}
	if s := found["nat"]; s.Holder != gatewayID || s.Used != share || s.Limit != share || s.Refused == 0 {
		t.Errorf("the gateway's share is %+v, of %v", s, found)
	}
	if s := found["client"]; s.Used > each || s.Refused > 0 {
		t.Errorf("a client's share is %+v", s)
	}
	l, err := c.client.ListenPacket("udp4", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.SetDeadline(time.Now().Add(testnet.Patience))
	conn, err := c.natInVPC.server.Dial(t.Context(), "udp4", "10.0.1.10:80")
	if err == nil {
		defer conn.Close()
		_, err = conn.Write([]byte("here"))
	}
	if err == nil {
		_, _, err = l.ReadFrom(make([]byte, 10))
	}
	if err != nil {
		t.Errorf("a workload of the VPC: %v", err)
	}
}

// At its real size, through a router: 55,000 connections to one destination, of two
// clients, are open. One more finds no port and hears nothing, as on AWS; to another
// port of the same server, and for other workloads, all goes on.
func TestANATGatewayHas55000ConnectionsThroughItsRouter(t *testing.T) {
	const most, each, many = 55000, 32000, 1000
	c := newCrowded(t, dataplane.Config{SlowPathOnly: true}, 3)
	if room := dataplaneRoom(c); room < 200_000 {
		t.Skipf("a router of this machine tracks %d connections", room)
	}
	c.nat.Addresses = c.nat.Addresses[:1]
	c.put()
	to := netip.MustParseAddrPort(natServer + ":443")
	// The last ports are found by chance. Of each step nearly all is answered or lost before
	// the next one, so that none waits for as long as the gateway remembers a SYN.
	for step := 0; step < 2*each/many && c.admitted(to) < most-5; step++ {
		first := 1024 + step/2*many
		c.open(step%2, to, first, first+many-1)
		for begun := time.Now(); time.Since(begun) < time.Second; time.Sleep(5 * time.Millisecond) {
			if c.admitted(to)+int(c.use().Lost) >= (step+1)*many {
				break
			}
		}
	}
	u := c.use()
	if n := c.admitted(to); n > most || n < most-5 || u.Connections > most || u.Refused > 0 || u.Lost == 0 {
		t.Errorf("%d connections are admitted, %+v, want %d", n, u, most)
	}
	for _, port := range []uint16{443, 444} {
		to := netip.AddrPortFrom(to.Addr(), port)
		before := c.use().Lost
		c.open(2, to, 1024, 1024)
		if port == 443 {
			c.eventually("one more is lost", func() bool { return c.use().Lost > before || c.admitted(to) == most })
			continue
		}
		c.eventually("one more to another port is admitted", func() bool { return c.admitted(to) == 1 })
	}
	list, err := c.host.Shares(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Refused > 0 && s.Of != "express lane" {
			t.Errorf("refused beyond a share: %s", s)
		}
	}
}

// dataplaneRoom is how many connections the router can track.
func dataplaneRoom(c *crowded) int64 {
	c.t.Helper()
	uses, err := c.host.Uses(c.t.Context())
	if err != nil || len(uses) != 1 {
		c.t.Fatalf("%+v, %v, want one router", uses, err)
	}
	return uses[0].Limit
}
