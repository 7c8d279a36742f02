// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

var (
	rightsSeed   = flag.Uint64("rights-seed", 0, "the random numbers of TestConnectionsLiveByTheirRights; 0 takes others each time")
	rightsEvents = flag.Int("rights-events", 24, "how many events TestConnectionsLiveByTheirRights draws")
)

// party is a workload of the model. It accepts on one port whatever its addresses
// are.
type party struct {
	eni    string
	vpc    *postern.VPC
	subnet *postern.Subnet
	group  string
	ns     *testnet.NS
	// addrs are its addresses, first the one that it keeps in each family.
	addrs    []netip.Addr
	kept     int
	accepted chan net.Conn
}

// way is an endpoint of the model, and where it leads.
type way struct {
	*postern.Endpoint
	to *postern.Configuration
}

// link is a live connection of the model: who opened it, by what, and who
// answers. A way of nil is none: both are in one VPC.
type link struct {
	here, there        net.Conn
	opener, answerer   *party
	from, at           netip.Addr
	way                *way
	openedTo, toldFrom netip.AddrPort
}

// rights is the model: what there is, and which connections have a right to live.
type rights struct {
	*pair
	*rand.Rand
	clients, servers []*party
	resources        map[*postern.Configuration]netip.Addr
	ways             []*way
	links            []*link
}

const rightsPort = 7000

// Events that end an address's right to connections, and events that do not, are
// drawn at random under live connections, some with the process killed right
// after the call. After each one the connections that lost their right are reset
// at each end that can still hear, and forgotten by the routers; all others go on.
func TestConnectionsLiveByTheirRights(t *testing.T) {
	seed := *rightsSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-rights-seed %d", seed)
	m := &rights{pair: newPair(t), Rand: rand.New(rand.NewPCG(seed, 0)), resources: map[*postern.Configuration]netip.Addr{}}
	m.populate()
	for i := range *rightsEvents {
		for len(m.links) < 10 {
			m.open()
		}
		name, lose := m.event()
		t.Logf("%d: %s", i, name)
		m.check(name, lose)
		if t.Failed() {
			return
		}
	}
}

// populate makes three workloads in each VPC, two resources and three endpoints.
func (m *rights) populate() {
	// In subnets of their own, where no endpoint takes their addresses.
	clients, servers := m.consumer.Subnet(0, "10.0.2.0/24"), m.provider.Subnet(0, "10.0.2.0/24")
	for i := range 3 {
		m.clients = append(m.clients, m.party(clients, m.openClient, i))
		m.servers = append(m.servers, m.party(servers, m.openServer, i))
	}
	for i := range 4 { // of both families
		c := m.gateway.Configuration(m.servers[i/2].addrs[i%2], fmt.Sprint(rightsPort))
		m.resources[c] = m.servers[i/2].addrs[i%2]
		m.lead(c)
		if i < 2 {
			m.lead(c)
		}
	}
}

func (m *rights) lead(c *postern.Configuration) {
	m.ways = append(m.ways, &way{m.consumer.Endpoint(c, []*postern.Subnet{m.pair.clients}, m.openClient), c})
}

// party makes a workload with an address of each family that it keeps, and one
// of each that comes and goes.
func (m *rights) party(s *postern.Subnet, group string, i int) *party {
	w := s.Workload(fmt.Sprintf("10.0.2.%d", 20+i), group)
	p := &party{eni: w.ENI, vpc: s.VPC, subnet: s, group: group, ns: w.NS, addrs: []netip.Addr{w.IP, w.IP6}, kept: 2, accepted: make(chan net.Conn, 64)}
	for _, a := range []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.2.%d", 60+i)), s.Address6(uint16(60 + i))} {
		assign(m.Postern, p.eni, false, a)
		p.addrs = append(p.addrs, a)
	}
	m.listen(p)
	return p
}

// listen accepts in the party's namespace until the test ends.
func (m *rights) listen(p *party) {
	l, err := p.ns.Listen("tcp", fmt.Sprintf(":%d", rightsPort))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted <- conn
		}
	}()
}

// holder gives who has an address in a VPC.
func (m *rights) holder(among []*party, a netip.Addr) *party {
	for _, p := range among {
		if slices.Contains(p.addrs, a) {
			return p
		}
	}
	return nil
}

// open opens a connection from a random address of a random client, through an
// endpoint or to another client.
func (m *rights) open() {
	m.t.Helper()
	l := &link{opener: m.clients[m.IntN(len(m.clients))]}
	if m.IntN(3) == 0 {
		l.answerer = m.clients[m.IntN(len(m.clients))]
		if l.answerer == l.opener {
			return
		}
		l.at = l.answerer.addrs[m.IntN(len(l.answerer.addrs))]
		l.openedTo = netip.AddrPortFrom(l.at, rightsPort)
	} else {
		l.way = m.ways[m.IntN(len(m.ways))]
		l.at = m.resources[l.way.to]
		l.answerer = m.holder(m.servers, l.at)
		to := l.way.Address()
		if l.at.Is6() {
			to = l.way.Address6()
		}
		l.openedTo = netip.AddrPortFrom(to, rightsPort)
	}
	l.from = l.opener.addrs[m.IntN(len(l.opener.addrs))]
	if l.answerer == nil || l.from.Is4() != l.at.Is4() {
		return
	}
	m.connect(l)
}

// connect waits until the way is open: the addresses of a workload take a moment
// to come.
func (m *rights) connect(l *link) {
	m.t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: l.from.AsSlice()}}
	var refusal error
	err := instance.Poll(m.t.Context(), testnet.Patience, "a connection", func() (bool, error) {
		ctx, cancel := context.WithTimeout(m.t.Context(), testnet.Patience)
		defer cancel()
		l.here, refusal = l.opener.ns.DialWith(ctx, dialer, "tcp", l.openedTo.String())
		return refusal == nil, nil
	})
	if err != nil {
		m.t.Fatalf("from %s to %s at %s: %v: %v", l.from, l.openedTo, l.at, err, refusal)
	}
	l.toldFrom = l.here.LocalAddr().(*net.TCPAddr).AddrPort()
	select {
	case l.there = <-l.answerer.accepted:
	case <-time.After(testnet.Patience):
		m.t.Fatalf("connection from %s to %s: %s does not accept it", l.toldFrom, l.openedTo, l.at)
	}
	m.t.Cleanup(func() { l.here.Close(); l.there.Close() })
	if err := l.talk(); err != nil {
		m.t.Fatalf("connection from %s to %s: %v", l.toldFrom, l.openedTo, err)
	}
	m.links = append(m.links, l)
}

// talk sends a byte each way.
func (l *link) talk() error {
	for _, way := range [][2]net.Conn{{l.here, l.there}, {l.there, l.here}} {
		way[0].SetDeadline(time.Now().Add(testnet.Patience))
		way[1].SetDeadline(time.Now().Add(testnet.Patience))
		if _, err := way[0].Write([]byte{'x'}); err != nil {
			return err
		}
		if _, err := way[1].Read(make([]byte, 1)); err != nil {
			return err
		}
	}
	return nil
}

// loss says which connections have lost their right, and which of their ends
// cannot hear of it: those whose address has gone.
type loss struct {
	ended func(*link) bool
	hears func(p *party, a netip.Addr) bool
}

func nothing() loss { return loss{ended: func(*link) bool { return false }} }

// ofAddress is the loss of an address by its holder.
func ofAddress(p *party, gone ...netip.Addr) loss {
	lost := func(q *party, a netip.Addr) bool { return q == p && slices.Contains(gone, a) }
	return loss{
		ended: func(l *link) bool { return lost(l.opener, l.from) || lost(l.answerer, l.at) },
		hears: func(q *party, a netip.Addr) bool { return !lost(q, a) },
	}
}

// ofWay is the loss of an endpoint.
func ofWay(w *way) loss {
	return loss{ended: func(l *link) bool { return l.way == w }, hears: func(*party, netip.Addr) bool { return true }}
}

// check compares every connection with the model.
func (m *rights) check(event string, lose loss) {
	m.t.Helper()
	var left []*link
	for _, l := range m.links {
		name := fmt.Sprintf("after %s: connection from %s to %s at %s", event, l.toldFrom, l.openedTo, l.at)
		if !lose.ended(l) {
			if err := l.talk(); err != nil {
				m.t.Errorf("%s: %v, want it to live on", name, err)
			}
			left = append(left, l)
			continue
		}
		if lose.hears(l.opener, l.from) {
			m.expectEnd(name+": the opener", l.here)
		}
		if lose.hears(l.answerer, l.at) {
			m.expectEnd(name+": the answerer", l.there)
		}
		if n := tracked(m.Postern, m.consumer.ID, l.toldFrom); n > 0 {
			m.t.Errorf("%s: the router tracks it still", name)
		}
		l.here.Close()
		l.there.Close()
	}
	m.links = left
}

func (m *rights) expectEnd(name string, conn net.Conn) {
	m.t.Helper()
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		m.t.Errorf("%s reads %v, want a reset", name, err)
	}
}
