// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/scope"
	"github.com/posternhq/postern/bench/wiring"
	"github.com/posternhq/postern/test/testnet"
)

// clientCount is how many client workloads there are.
const clientCount = 8

// Each candidate has a server of its own, so that none answers for all. These
// are their first ports; proxies listen at the port that they forward to.
const (
	directBase = 7000 + 10*iota
	routingBase
	haproxyBase
	nginxBase
	copyBase
	posternBase
)

// belongings are what one thing has, and go with it.
type belongings struct{ scope.Scope }

// agent starts an agent that goes with the scope.
func (s *belongings) agent(ctx context.Context, ns *testnet.NS, threads int) (*load.Agent, error) {
	a, err := load.Start(ctx, ns, threads)
	if err != nil {
		return nil, err
	}
	s.Add(a.Close)
	return a, nil
}

// lab is the topology of all candidates but Postern:
//
//	client 0…7 ── A ── B ── server       routed; proxies run in A
//	client 0…7 ───────────── server      direct
type lab struct {
	belongings
	clients []*load.Agent
	a, b    *testnet.NS
}

// Addresses of the lab.
var (
	routerA = netip.MustParseAddr("10.2.0.1")
	routerB = netip.MustParseAddr("10.2.0.2")
	serverB = netip.MustParseAddr("10.3.0.1") // B's address towards the server
	server  = netip.MustParseAddr("10.3.0.2")
)

// clientAddress is client i's address towards A, and A's towards it.
func clientAddress(i int) (own, router netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 1, byte(i), 2}), netip.AddrFrom4([4]byte{10, 1, byte(i), 1})
}

// directAddress is client i's address towards the server, and the server's
// towards it.
func directAddress(i int) (own, server netip.Addr) {
	return netip.AddrFrom4([4]byte{10, 4, byte(i), 2}), netip.AddrFrom4([4]byte{10, 4, byte(i), 1})
}

// newLab builds the lab. The caller calls Close, also when this fails.
func newLab(ctx context.Context) (*lab, error) {
	l := &lab{}
	var s *testnet.NS
	for _, ns := range []**testnet.NS{&l.a, &l.b, &s} {
		made, err := l.Namespace()
		if err != nil {
			return l, err
		}
		*ns = made
	}
	if err := l.routers(s); err != nil {
		return l, err
	}
	for i := range clientCount {
		if err := l.client(ctx, i, s); err != nil {
			return l, err
		}
	}
	for _, port := range []uint16{directBase, routingBase, haproxyBase, nginxBase, copyBase} {
		answering, err := l.agent(ctx, s, 1)
		if err != nil {
			return l, err
		}
		if err := answering.Serve(netip.AddrPortFrom(netip.IPv4Unspecified(), port)); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l *lab) routers(s *testnet.NS) error {
	err := errors.Join(
		wiring.Wire(wiring.End{NS: l.a, Device: "b", Address: routerA}, wiring.End{NS: l.b, Device: "a", Address: routerB}, wiring.FabricMTU),
		wiring.Wire(wiring.End{NS: l.b, Device: "server", Address: serverB}, wiring.End{NS: s, Device: "eth0", Address: server}, wiring.WorkloadMTU),
		wiring.Route(l.a, "10.3.0.0/24", routerB),
		wiring.Route(l.b, "10.1.0.0/16", routerA),
		wiring.Route(l.b, "10.2.0.0/24", routerA),
		wiring.Route(s, "0.0.0.0/0", serverB),
		wiring.Forward(l.a),
		wiring.Forward(l.b),
	)
	if err != nil {
		return fmt.Errorf("build routers: %w", err)
	}
	return nil
}

func (l *lab) client(ctx context.Context, i int, s *testnet.NS) error {
	ns, err := l.Namespace()
	if err != nil {
		return err
	}
	own, router := clientAddress(i)
	near, far := directAddress(i)
	err = errors.Join(
		wiring.Wire(wiring.End{NS: ns, Device: "eth0", Address: own}, wiring.End{NS: l.a, Device: fmt.Sprint("client", i), Address: router}, wiring.WorkloadMTU),
		wiring.Wire(wiring.End{NS: ns, Device: "eth1", Address: near}, wiring.End{NS: s, Device: fmt.Sprint("client", i), Address: far}, wiring.WorkloadMTU),
		wiring.Route(ns, "0.0.0.0/0", router),
	)
	if err != nil {
		return fmt.Errorf("build client %d: %w", i, err)
	}
	a, err := l.agent(ctx, ns, 1)
	l.clients = append(l.clients, a)
	return err
}
