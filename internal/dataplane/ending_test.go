// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// router opens the namespace of a VPC's router.
func (s *scenario) router(vpc string) *os.File {
	s.t.Helper()
	ns, err := network.OpenNamespace(network.NamespaceName(s.instance, vpc))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { ns.Close() })
	return ns
}

// tracked lists the TCP connections that a router tracks, but for those that
// have come to their end.
func (s *scenario) tracked(vpc string) (found []string) {
	s.t.Helper()
	family := netlink.InetFamily(unix.AF_INET)
	if s.network == "tcp6" {
		family = unix.AF_INET6
	}
	err := network.Inside(s.router(vpc), func() error {
		list, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
		for _, f := range list {
			if f.Forward.Protocol == unix.IPPROTO_TCP {
				found = append(found, f.String())
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// expectNoneTracked wants both routers to have forgotten all connections.
func (s *scenario) expectNoneTracked(when string) {
	s.t.Helper()
	for _, vpc := range vpcs() {
		if found := s.tracked(vpc); len(found) > 0 {
			s.t.Errorf("%s: router %s still tracks %q", when, vpc, found)
		}
	}
}

// entry gives the first wanted entry of a kind.
func (s *scenario) entry(vpc string, kind desired.Kind) desired.Entry {
	s.t.Helper()
	i := slices.IndexFunc(s.entries[vpc], func(e desired.Entry) bool { return e.Key().Kind == kind })
	if i < 0 {
		s.t.Fatalf("%s has no %s", vpc, kind)
	}
	return s.entries[vpc][i]
}

func (s *scenario) remove(vpc string, entries ...desired.Entry) {
	s.t.Helper()
	for key, err := range s.host.Apply(s.t.Context(), desired.Realm(vpc), nil, entries) {
		s.t.Errorf("delete %s: %v", key, err)
	}
}

// expectReset wants a connection to end with a reset.
func (s *scenario) expectReset(name string, conn net.Conn) {
	s.t.Helper()
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		s.t.Errorf("%s reads %v, want a reset", name, err)
	}
}

// silence makes an end deaf and dumb: nothing that it does can help.
func silence(t testing.TB, ns *testnet.NS) {
	t.Helper()
	run(t, ns.Name, "nft add table inet silence")
	for _, hook := range []string{"input", "output"} {
		run(t, ns.Name, fmt.Sprintf("nft add chain inet silence %[1]s { type filter hook %[1]s priority -500; policy drop; }", hook))
	}
}

// Whatever is taken away on one side, the connections are gone from the tracking
// of both routers, although no end answers. Deleting an endpoint leaves the
// association that another endpoint of its VPC uses.
func TestConnectionsAreGoneOnBothSides(t *testing.T) {
	for _, c := range []struct {
		vpc  string
		kind desired.Kind
	}{
		{consumer, desired.KindEndpoint}, {consumer, desired.KindWorkload}, {consumer, desired.KindAddress}, {consumer, desired.KindRoute},
		{provider, desired.KindTarget}, {provider, desired.KindAllow}, {provider, desired.KindWorkload}, {provider, desired.KindPool},
		{provider, desired.KindRoute},
	} {
		t.Run(c.vpc+" "+c.kind.String(), func(t *testing.T) {
			each(t, func(s *scenario) {
				s.apply()
				client, server := s.connect()
				defer client.Close()
				defer server.Close()
				silence(t, s.client)
				silence(t, s.server)
				e := s.entry(c.vpc, c.kind)
				if c.kind == desired.KindPool { // as a whole gateway goes
					s.remove(c.vpc, s.entry(c.vpc, desired.KindTarget), e)
				} else {
					s.remove(c.vpc, e)
				}
				s.expectNoneTracked("after")
			})
		})
	}
}

// The next owner of an address does not speak in the session of the former one,
// with segments of his own making either: not when the interface was detached,
// nor when it lost the address, nor when the address was moved.
func TestTheNextOwnerOfAnAddressHasNoPartInOldSessions(t *testing.T) {
	for name, give := range map[string]func(s *scenario, old, next desired.Workload){
		"detached": func(s *scenario, old, next desired.Workload) {
			s.remove(consumer, old)
			s.put(consumer, []desired.Entry{next})
		},
		"unassigned": func(s *scenario, old, next desired.Workload) {
			s.put(consumer, []desired.Entry{without(old)})
			s.put(consumer, []desired.Entry{next})
		},
		"moved": func(s *scenario, old, next desired.Workload) {
			s.put(consumer, []desired.Entry{without(old), next})
		},
		"moved, the new one first": func(s *scenario, old, next desired.Workload) {
			s.put(consumer, []desired.Entry{next})
			s.put(consumer, []desired.Entry{without(old)})
		},
		"vanished and detached": func(s *scenario, old, next desired.Workload) {
			run(s.t, s.client.Name, "ip link del eth0")
			s.remove(consumer, old)
			s.put(consumer, []desired.Entry{next})
		},
		"vanished": func(s *scenario, old, next desired.Workload) {
			run(s.t, s.client.Name, "ip link del eth0")
			s.put(consumer, []desired.Entry{next})
		},
		"to another namespace": func(s *scenario, old, next desired.Workload) {
			old.Namespace = next.Namespace
			s.put(consumer, []desired.Entry{old})
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *scenario) {
				s.apply()
				client, server := s.connect()
				defer client.Close()
				defer server.Close()
				s.say(client, server)
				from := client.LocalAddr().(*net.TCPAddr).AddrPort()
				to := netip.MustParseAddrPort(s.endpoint)
				old := s.entry(consumer, desired.KindWorkload).(desired.Workload)
				attacker := testnet.New(t)
				next := s.workload(consumer, attacker, old.Gateway, old.Addresses...)
				next.ENI, next.MAC = "eni-0ccccccccccccccc3", "02:00:00:00:00:03"
				closed := desired.Class{VPC: consumer, Name: "c-closed"}
				s.put(consumer, []desired.Entry{closed, desired.Address{VPC: consumer, Addr: from.Addr(), Class: closed.Name}})
				give(s, old, next)
				s.expectNoneTracked("the address is given away")
				var forged []testnet.Writable
				for _, flags := range []byte{testnet.SYN, testnet.ACK, testnet.PSH | testnet.ACK} {
					for i := range 4 {
						forged = append(forged, testnet.Segment{From: from, To: to, Flags: flags, Sequence: uint32(i) << 30, Data: "forged"[:6*int(flags&testnet.PSH/testnet.PSH)]})
					}
				}
				if err := attacker.Send(forged...); err != nil {
					t.Fatal(err)
				}
				s.expectReset("the server", server)
				s.expectNoneTracked("the next owner has sent")
			})
		})
	}
}

// without is the workload with another address instead of its own.
func without(w desired.Workload) desired.Workload {
	other := w.Addresses[0].Addr().Next()
	w.Addresses = []netip.Prefix{netip.PrefixFrom(other, w.Addresses[0].Bits())}
	return w
}

// A router that goes as a whole takes its connections along, and the other one
// forgets them with what led there.
func TestARouterTakesItsConnectionsAlong(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		client, server := s.connect()
		defer client.Close()
		defer server.Close()
		s.remove(consumer, s.entries[consumer]...)
		s.remove(provider, s.entry(provider, desired.KindAllow), s.entry(provider, desired.KindRoute))
		s.expectReset("the server", server)
		if found := s.tracked(provider); len(found) > 0 {
			s.t.Errorf("the provider's router still tracks %q", found)
		}
	})
}

// A process that ended between taking something away and cutting the connections
// leaves these to the next one, which cuts them before anything else.
func TestTheNextProcessCutsWhatTheFormerLeft(t *testing.T) {
	for _, c := range []struct {
		vpc  string
		kind desired.Kind
	}{
		{consumer, desired.KindEndpoint}, {consumer, desired.KindWorkload},
		{provider, desired.KindTarget}, {provider, desired.KindAllow}, {provider, desired.KindWorkload}, {provider, desired.KindPool},
	} {
		t.Run(c.vpc+" "+c.kind.String(), func(t *testing.T) {
			each(t, func(s *scenario) {
				s.apply()
				client, server := s.connect()
				defer client.Close()
				defer server.Close()
				s.host.Close()
				s.takeAway(c.vpc, s.entry(c.vpc, c.kind))
				s.adopt()
				s.expectNoneTracked("the next process has begun")
				if c.kind != desired.KindWorkload || c.vpc == provider {
					s.expectReset("the client", client)
				}
				if c.kind != desired.KindWorkload || c.vpc == consumer {
					s.expectReset("the server", server)
				}
			})
		})
	}
}

// A process that finds everything as it should be cuts nothing.
func TestTheNextProcessLeavesConnectionsAlone(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		client, server := s.connect()
		defer client.Close()
		defer server.Close()
		s.host.Close()
		s.adopt()
		s.say(client, server)
		s.apply()
		s.say(client, server)
	})
}

// adopt begins another host for the same instance, as a new process does.
func (s *scenario) adopt() {
	s.t.Helper()
	next, err := dataplane.New(dataplane.Config{Instance: s.instance})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { next.Close() })
	s.host = next
	for _, vpc := range vpcs() {
		if failed := next.Apply(context.Background(), desired.Realm(vpc), nil, nil); failed != nil {
			s.t.Error(failed)
		}
	}
}

// takeAway removes an entry from the kernel and cuts nothing.
func (s *scenario) takeAway(vpc string, e desired.Entry) {
	s.t.Helper()
	switch e := e.(type) {
	case desired.Workload:
		run(s.t, network.NamespaceName(s.instance, vpc), "ip link del w"+e.ENI[4:18])
	default:
		table, err := nft.Open(int(s.router(vpc).Fd()))
		if err != nil {
			s.t.Fatal(err)
		}
		defer table.Close()
		gone := []desired.Entry{e}
		if _, pool := e.(desired.Pool); pool {
			gone = append(gone, s.entry(vpc, desired.KindTarget))
		}
		if failed := table.Apply(s.t.Context(), nil, gone); failed != nil {
			s.t.Fatal(failed)
		}
	}
}

// An address that moves takes nothing along: its connections end on both sides,
// those of other addresses go on, and new ones come to the new holder at once.
func TestAnAddressMovesBetweenWorkloads(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		old := s.entry(provider, desired.KindWorkload).(desired.Workload)
		other := old.Addresses[0].Addr().Next()
		keep := old
		keep.Addresses = append([]netip.Prefix{netip.PrefixFrom(other, old.Addresses[0].Bits())}, old.Addresses...)
		class := desired.Address{VPC: provider, Addr: other, Class: "c-open"}
		s.put(provider, []desired.Entry{class, keep})
		client, server := s.connect()
		defer client.Close()
		defer server.Close()
		neighbour := testnet.New(s.t)
		third := s.workload(provider, neighbour, old.Gateway, netip.PrefixFrom(other.Next(), old.Addresses[0].Bits()))
		third.ENI, third.MAC = "eni-0ddddddddddddddd4", "02:00:00:00:00:04"
		s.put(provider, []desired.Entry{third, desired.Address{VPC: provider, Addr: other.Next(), Class: "c-open"}})
		l, err := s.server.Serve(s.network, net.JoinHostPort("", "7000"))
		if err != nil {
			s.t.Fatal(err)
		}
		defer l.Close()
		ctx, cancel := context.WithTimeout(s.t.Context(), testnet.Patience)
		defer cancel()
		lives, err := neighbour.Dial(ctx, s.network, net.JoinHostPort(other.String(), "7000"))
		if err != nil {
			s.t.Fatal(err)
		}
		defer lives.Close()
		if _, err := testnet.AskOn(lives); err != nil {
			s.t.Fatal(err)
		}
		left, got := keep, third
		left.Addresses = keep.Addresses[:1]
		got.Addresses = append(slices.Clone(third.Addresses), old.Addresses...)
		s.put(provider, []desired.Entry{left, got})
		s.expectReset("the client", client)
		if err := testnet.Echo(lives, "still here"); err != nil {
			s.t.Errorf("the connection of another address: %v", err)
		}
		_, port, _ := net.SplitHostPort(s.endpoint)
		l, err = neighbour.Serve(s.network, net.JoinHostPort("", port))
		if err != nil {
			s.t.Fatal(err)
		}
		defer l.Close()
		s.checkTraffic()
	})
}

// A kind of which nobody has thought what its removal cuts is missing in the
// table.
func TestEveryKindIsInTheTableOfWhatEnds(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "connections.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range desired.Kinds() {
		if !strings.Contains(string(text), "`"+kind.String()+"`") {
			t.Errorf("docs/connections.md does not say what a removed %s cuts", kind)
		}
	}
}
