// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// there is the port that the server of these tests has, and 5432 that of the target.
const there = 7000

func atThere(addrs ...netip.Addr) (list []netip.AddrPort) {
	for _, a := range addrs {
		list = append(list, netip.AddrPortFrom(a, there))
	}
	return list
}

// forwarding is the target with these forwards, of which those without a port are of 5432.
func (s *scenario) forwarding(forwards ...desired.Forward) desired.Target {
	t := s.entry(provider, desired.KindTarget).(desired.Target)
	t.Dest, t.Cut, t.Forwards = netip.Addr{}, true, forwards
	for i := range forwards {
		if forwards[i].Port == 0 {
			forwards[i].Port = 5432
		}
	}
	return t
}

// forward makes the target have forwards, and sees that it is read back so.
func (s *scenario) forward(forwards ...desired.Forward) {
	s.t.Helper()
	t := s.forwarding(forwards...)
	s.put(provider, []desired.Entry{t})
	if !strings.Contains(s.dump(provider), t.String()+"\n") {
		s.t.Errorf("the router has\n%swithout %s", s.dump(provider), t)
	}
}

// Connections whose port changes are carried by the lane, both ways.
func TestTheLaneCarriesWhatChangesItsPort(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		all := s.spreadAt(2, "7000")
		s.forward(desired.Forward{To: atThere(all...)})
		s.connectedTo(all)
		before := s.lane()
		for _, conn := range s.connectedTo(all) {
			for range 5 {
				s.echoed(conn)
			}
		}
		if n := s.lane() - before; n < 2*5*4 {
			s.t.Errorf("%d packets of two connections took the lane, want at least 40", n)
		}
	})
}

// What a port does not lead to any more is cut or goes on as its forward says.
func TestAForwardSaysWhatIsCut(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		all := s.spreadAt(3, "7000")
		s.forward(desired.Forward{To: atThere(all...)})
		open := s.connectedTo(all)
		s.forward(desired.Forward{To: atThere(all[2])}) // it does not say anything of others
		for _, conn := range open {
			s.echoed(conn)
		}
		s.forward(desired.Forward{To: atThere(all[2]), Except: atThere(all[0])})
		s.expectReset("the client", open[all[0]])
		s.serverReset()
		s.echoed(open[all[1]])
		s.echoed(open[all[2]])
		s.forward(desired.Forward{To: atThere(all[2]), Cut: true, Except: atThere(all[1])})
		s.echoed(open[all[1]])
		s.forward(desired.Forward{To: atThere(all[2]), Cut: true})
		s.expectReset("the client", open[all[1]])
		s.echoed(open[all[2]])
		s.forward(desired.Forward{Port: 6000, To: atThere(all[2])}) // there is no such port any more
		s.expectReset("the client", open[all[2]])
	})
}

// A process that ended between a change and the cut leaves it to the next one.
func TestTheNextProcessCutsForAForward(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		all := s.spreadAt(3, "7000")
		s.forward(desired.Forward{To: atThere(all...)})
		open := s.connectedTo(all)
		s.host.Close()
		s.inTable(s.forwarding(desired.Forward{To: atThere(all[2]), Except: atThere(all[0])}))
		s.adopt()
		s.expectReset("the client", open[all[0]])
		s.echoed(open[all[1]])
		s.echoed(open[all[2]])
	})
}

// inTable has the provider's table be as an entry says, and cuts nothing.
func (s *scenario) inTable(put ...desired.Entry) {
	s.t.Helper()
	table, err := nft.Open(int(s.router(provider).Fd()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer table.Close()
	if failed := table.Apply(s.t.Context(), put, nil); failed != nil {
		s.t.Fatal(failed)
	}
}

// A client in the VPC of a load balancer reaches its members by its address, from where they
// see it come; the lane carries that, and a member that goes takes its connections with it,
// also when the process has ended in between.
func TestAClientOfTheSameVPC(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		all := s.spreadAt(3, "7000")
		door, own := addr("10.0.1.120"), prefix("10.0.1.30/24")
		if s.network == "tcp6" {
			door, own = addr("2001:db8:0:1::120"), prefix("2001:db8:0:1::30/128")
		}
		client := testnet.New(t)
		w := s.workload(provider, client, s.entry(provider, desired.KindWorkload).(desired.Workload).Gateway, own)
		w.ENI, w.MAC = "eni-0cccccccccccccccc", "02:00:00:00:00:0c"
		target := s.forwarding(desired.Forward{To: atThere(all...)})
		target.Addr = door
		s.put(provider, []desired.Entry{
			w, desired.Address{VPC: provider, Addr: own.Addr(), Class: "c-open"}, desired.Address{VPC: provider, Addr: door, Class: "c-open"}, target,
			desired.Endpoint{VPC: provider, Addr: door, Target: door, Ports: []desired.PortRange{{From: 5432, To: 5432}}},
		})
		s.client, s.endpoint = client, net.JoinHostPort(door.String(), "5432")
		before := s.lane()
		open := s.connectedTo(all)
		for _, conn := range open {
			s.echoed(conn)
		}
		if n := s.lane() - before; n < 6 {
			s.t.Errorf("%d packets took the lane, want at least 6", n)
		}
		if l, err := client.Listen(s.network, net.JoinHostPort(own.Addr().String(), "7000")); err != nil {
			s.t.Error(err)
		} else { // it is reached through the door as well, by itself
			target.Forwards = []desired.Forward{{Port: 5432, To: atThere(own.Addr())}}
			s.put(provider, []desired.Entry{target})
			s.seesPool(l)
			l.Close()
		}
		target.Forwards = []desired.Forward{{Port: 5432, To: atThere(all[2]), Except: atThere(all[0])}}
		s.put(provider, []desired.Entry{target})
		s.expectReset("the client", open[all[0]])
		s.serverReset()
		s.echoed(open[all[1]])
		s.host.Close()
		target.Forwards = []desired.Forward{{Port: 5432, To: atThere(all[2]), Except: atThere(all[1])}}
		s.inTable(target)
		s.adopt()
		s.expectReset("the client", open[all[1]])
		s.echoed(open[all[2]])
		s.remove(provider, target)
		s.expectReset("the client", open[all[2]])
	})
}

// seesPool connects to the endpoint, and wants a listener to see an address of the pool.
func (s *scenario) seesPool(l net.Listener) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testnet.Patience)
	defer cancel()
	conn, err := s.client.Dial(ctx, s.network, s.endpoint)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.Close()
	got, err := l.Accept()
	if err != nil {
		s.t.Error(err)
		return
	}
	defer got.Close()
	if from := got.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); !s.pool.Contains(from) {
		s.t.Errorf("it comes from %s, want an address of %s", from, s.pool)
	}
}
