// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// leadOut has the scenario's target lead to an address of the outside, which the server
// has on its loopback device, by a table that the gateway's subnet has.
func (s *scenario) leadOut() (far netip.Addr) {
	s.t.Helper()
	far, all, gateway := addr("198.51.100.1"), "0.0.0.0/0", addr("10.0.1.50")
	if s.network == "tcp6" {
		far, all, gateway = addr("2001:db8:ffff::1"), "::/0", s.pool.Addr()
	}
	err := s.server.Run(func() error {
		return exec.Command("ip", "address", "add", far.String(), "dev", "lo").Run()
	})
	if err != nil {
		s.t.Fatal(err)
	}
	w := s.entry(provider, desired.KindWorkload).(desired.Workload)
	w.Unchecked = true
	target := s.entry(provider, desired.KindTarget).(desired.Target)
	target.Dest = far
	s.put(provider, []desired.Entry{w, target, desired.Through{VPC: provider, ENI: w.ENI, Class: "c-open"}})
	s.put(provider, []desired.Entry{
		desired.Table{VPC: provider, Number: 9, Routes: []desired.TableRoute{{Prefix: prefix(all), To: w.ENI}}},
		desired.Steer{VPC: provider, From: target.Addr.String(), Table: 9}, desired.Steer{VPC: provider, From: gateway.String(), Table: 9},
	})
	return far
}

// What comes to a target from another VPC goes out by the table of its gateway, in the
// express lane too, and so does what the router asks in the gateway's name.
func TestGatewaysGoOutByTheirTable(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		far := s.leadOut()
		client, server := s.connect()
		defer client.Close()
		defer server.Close()
		if to := netip.MustParseAddrPort(server.LocalAddr().String()).Addr().Unmap(); to != far {
			s.t.Errorf("the client is connected to %s, want %s", to, far)
		}
		if from := netip.MustParseAddrPort(server.RemoteAddr().String()).Addr().Unmap(); !s.pool.Contains(from) {
			s.t.Errorf("the server saw %s, want an address of %s", from, s.pool)
		}
		s.talk(client, server)
		if n := s.talk(client, server); n < 4 {
			s.t.Errorf("%d packets took the lane, want at least 4", n)
		}
		_, port, _ := net.SplitHostPort(s.endpoint)
		l, err := s.server.Listen(s.network, net.JoinHostPort("", port))
		if err != nil {
			s.t.Fatal(err)
		}
		defer l.Close()
		gateway := s.entry(provider, desired.KindTarget).(desired.Target).Gateway
		if err := s.host.Probe(s.t.Context(), provider, gateway, netip.AddrPortFrom(far, 5432)); err != nil {
			s.t.Error(err)
		}
		s.put(provider, []desired.Entry{desired.Table{VPC: provider, Number: 9, Routes: []desired.TableRoute{{Prefix: netip.PrefixFrom(far, far.BitLen()), To: desired.Unreachable}}}})
		ctx, cancel := context.WithTimeout(s.t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := s.host.Probe(ctx, provider, gateway, netip.AddrPortFrom(far, 5432)); err == nil {
			s.t.Error("a probe of what nothing leads to is answered")
		}
		s.expectRefusal("a resource that nothing leads to", s.endpoint)
	})
}

// A router has many tables, and each is found: each leads one address to the one of two
// workloads that its number says, and what it does not know is refused.
func TestManyTables(t *testing.T) {
	l := newLand(t, false)
	const tables, routes = 200, 50
	var put []desired.Entry
	for n := 1; n <= tables; n++ {
		put = append(put, l.manyRoutes(n, routes))
	}
	l.put(put...)
	l.check()
	for _, n := range []int{1, 2, 63, 64, 127, 128, 129, 199, 200} {
		l.put(l.steer(eniOf("a"), uint32(n)))
		l.expect("a", l.faraway, []string{"n", "m"}[n%2])
		l.expect("a", "198.51.101.1", "refused")
	}
	// Those that go leave the others as they are.
	for n := 2; n <= tables; n += 2 {
		l.del(l.table(n))
	}
	for _, n := range []int{1, 63, 127, 129, 199} {
		l.put(l.steer(eniOf("a"), uint32(n)))
		l.expect("a", l.faraway, "m")
	}
	l.put(l.steer(eniOf("a"), 200))
	l.expect("a", l.faraway, "refused")
	l.check()
}

// manyRoutes is a table that leads an address to one of the two appliances, by its number.
func (l *land) manyRoutes(number, routes int) desired.Table {
	list := []string{l.faraway + "/32", eniOf([]string{"n", "m"}[number%2])}
	for i := 1; i < routes; i++ {
		list = append(list, fmt.Sprintf("172.16.%d.0/24", i), eniOf("m"))
	}
	return l.table(number, list...)
}
