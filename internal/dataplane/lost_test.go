// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// alive checks that an open connection carries a byte each way.
func (s *scenario) alive(what string, a, b net.Conn) {
	s.t.Helper()
	for _, ends := range [][2]net.Conn{{a, b}, {b, a}} {
		_, err := io.WriteString(ends[0], "z")
		ends[1].SetReadDeadline(time.Now().Add(testnet.Patience))
		_, err2 := io.ReadFull(ends[1], make([]byte, 1))
		if err = errors.Join(err, err2); err != nil {
			s.t.Errorf("%s: a connection that was open: %v", what, err)
		}
	}
}

// Somebody deletes a router's namespace under traffic. Nothing that goes through
// it is interrupted, and it has its name again afterwards.
func TestARouterDeletedByHandGoesOn(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		client, server := s.connect()
		defer client.Close()
		defer server.Close()
		s.serve()
		for _, vpc := range vpcs() {
			name := network.NamespaceName(s.instance, vpc)
			run(s.t, s.client.Name, "ip netns del "+name)
			s.checkTraffic()
			s.alive(vpc+" without its name", client, server)
			if rounds := s.repair(); rounds == 0 {
				s.t.Errorf("%s: nobody misses its name", vpc)
			}
			run(s.t, name, "ip link show lo")
			s.checkDump()
			s.checkTraffic()
			s.alive(vpc+" with its name again", client, server)
		}
	})
}

// Nobody had the router open: it is gone with all that went through it, and is
// made anew.
func TestARouterDeletedWhileNobodyRunsIsRemade(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.serve()
		for _, vpc := range vpcs() {
			s.host.Close()
			run(s.t, s.client.Name, "ip netns del "+network.NamespaceName(s.instance, vpc))
			next, err := dataplane.New(dataplane.Config{Instance: s.instance})
			if err != nil {
				s.t.Fatal(err)
			}
			s.t.Cleanup(func() { next.Close() })
			s.host = next
			if rounds := s.repair(); rounds == 0 {
				s.t.Errorf("%s: nobody misses it", vpc)
			}
			s.checkDump()
			s.checkTraffic()
		}
	})
}

// A workload takes its interface down for a while. Nobody undoes that, and its
// connections go on afterwards.
func TestConnectionsOutliveAnInterfaceThatIsDownForAWhile(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		client, server := s.connect()
		defer client.Close()
		defer server.Close()
		run(s.t, s.client.Name, "ip link set eth0 down")
		if rounds := s.repair(); rounds != 0 {
			s.t.Error("the interface is taken for damaged")
		}
		run(s.t, s.client.Name, "ip link set eth0 up")
		s.repair()
		s.checkDump()
		s.alive("when its interface is up again", client, server)
	})
}
