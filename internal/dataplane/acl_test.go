// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// acl filters the subnet of the provider's gateway.
func acl(in ...desired.ACLRule) []desired.Entry {
	any := desired.ACLRule{Allow: true, Rule: desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix("0.0.0.0/0")}}
	return []desired.Entry{
		desired.ACL{VPC: provider, Name: "acl-1", In: append(in, any), Out: []desired.ACLRule{any}},
		desired.Filtered{VPC: provider, Subnet: "subnet-1", Prefixes: []netip.Prefix{prefix("10.0.1.48/28")}, ACL: "acl-1"},
	}
}

// A router with a filtered subnet is off the express lane: what the lane remembers of a
// connection ends at once, also in the middle of it, and no packet passes the rules. It
// comes back on the lane when the last such subnet goes, and stays off over a restart.
func TestAFilteredRouterIsOffTheLane(t *testing.T) {
	s := scenario4(t)
	s.apply()
	client, server := s.carried()
	s.carries("before anything is filtered", client, server, true)
	s.put(provider, acl())
	s.entries[provider] = append(s.entries[provider], acl()...)
	desired.Sort(s.entries[provider])
	s.say(client, server)
	s.carries("when the provider's router is filtered", client, server, false)
	s.checkDump()

	closed := acl(desired.ACLRule{Rule: desired.Rule{Protocol: 6, From: 0, To: 65535, Peer: prefix("10.0.1.10/32")}})
	s.put(provider, closed[:1])
	s.silent(server, client)
	s.put(provider, acl()[:1])
	receive(t, client)

	s.host.Close()
	next, err := dataplane.New(dataplane.Config{Instance: s.instance})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { next.Close() })
	s.host = next
	s.checkDump()
	s.apply()
	s.say(client, server)
	s.carries("after a restart", client, server, false)

	if failed := s.host.Apply(context.Background(), provider, nil, acl()); failed != nil {
		t.Fatal(failed)
	}
	s.say(client, server)
	s.say(client, server)
	s.carries("when nothing is filtered any more", client, server, true)
}

// carries sends a byte each way, which is a packet at least, and wants them to take the
// lane of the consumer's router, and that of the provider's or not.
func (s *scenario) carries(when string, client, server net.Conn, wanted bool) {
	s.t.Helper()
	carried := func() map[string]int64 {
		all, err := s.host.Uses(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		by := map[string]int64{}
		for _, u := range all {
			by[u.VPC] = int64(u.Carried.Packets)
		}
		return by
	}
	before := carried()
	s.say(client, server)
	after := carried()
	if n := after[consumer] - before[consumer]; n < 2 {
		s.t.Errorf("%s: %d packets took the lane of the consumer's router, want 2 at least", when, n)
	}
	if n := after[provider] - before[provider]; wanted && n < 2 || !wanted && n > 0 {
		s.t.Errorf("%s: %d packets took the lane of the provider's router, and it is to carry them: %t", when, n, wanted)
	}
}

// silent sends a byte that must not arrive.
func (s *scenario) silent(from, to net.Conn) {
	s.t.Helper()
	if _, err := from.Write([]byte("x")); err != nil {
		s.t.Fatal(err)
	}
	to.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	if n, err := to.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Errorf("%d bytes arrived: %v", n, err)
	}
}

func receive(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}
