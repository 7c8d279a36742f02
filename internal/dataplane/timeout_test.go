// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// lanes runs a test with the express lane and without it, in both families.
func lanes(t *testing.T, test func(s *scenario)) {
	for name, slow := range map[string]bool{"lane": false, "slow path": true} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *scenario) {
				if slow {
					s.host.Close()
					h, err := dataplane.New(dataplane.Config{Instance: s.instance, SlowPathOnly: true})
					if err != nil {
						s.t.Fatal(err)
					}
					s.t.Cleanup(func() { h.Close() })
					s.host = h
				}
				s.apply()
				test(s)
			})
		})
	}
}

// left gives for how many seconds connection tracking of each router keeps the
// connections to the scenario's port.
func (s *scenario) left() (list []uint32) {
	s.t.Helper()
	for _, vpc := range vpcs() {
		router, err := network.OpenNamespace(network.NamespaceName(s.instance, vpc))
		if err != nil {
			s.t.Fatal(err)
		}
		err = network.Inside(router, func() error {
			for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
				all, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
				if err != nil {
					return err
				}
				for _, f := range all {
					if f.Forward.DstPort == 5432 {
						list = append(list, f.TimeOut)
					}
				}
			}
			return nil
		})
		router.Close()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return list
}

// keeps checks for how long both routers keep the one connection there is.
func (s *scenario) keeps(what string, least, most uint32) {
	s.t.Helper()
	list := s.left()
	good := len(list) == 2
	for _, n := range list {
		good = good && n >= least && n <= most
	}
	if !good {
		s.t.Errorf("%s: kept for %v s in the routers, want %d to %d in both", what, list, least, most)
	}
}

const idleSeconds = 350

func TestHalfClosedConnectionsAreKeptLikeOpenOnes(t *testing.T) {
	lanes(t, func(s *scenario) {
		client, server := s.connect()
		defer client.Close()
		defer server.Close()
		if err := client.(*net.TCPConn).CloseWrite(); err != nil {
			s.t.Fatal(err)
		}
		if _, err := server.Read(make([]byte, 1)); err != io.EOF {
			s.t.Fatalf("the server reads %v", err)
		}
		s.keeps("closed by the client", idleSeconds-60, idleSeconds)
		if _, err := io.WriteString(server, "answer"); err != nil {
			s.t.Fatal(err)
		}
		if _, err := io.ReadFull(client, make([]byte, 6)); err != nil {
			s.t.Errorf("the client reads %v", err)
		}
		s.keeps("closed by the client, and answered", idleSeconds-60, idleSeconds)
	})
}

func TestUnansweredConnectionsAreForgottenSoon(t *testing.T) {
	lanes(t, func(s *scenario) {
		s.mute(true)
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		if conn, err := s.client.Dial(ctx, s.network, s.endpoint); err == nil {
			conn.Close()
			s.t.Fatal("connected with a server that says nothing")
		}
		s.keeps("not answered", 0, 5)
	})
}

// mute has the server neither hear nor say anything, or stops that.
func (s *scenario) mute(on bool) {
	s.t.Helper()
	if !on {
		run(s.t, s.server.Name, "nft delete table inet mute")
		return
	}
	run(s.t, s.server.Name, "nft add table inet mute")
	for _, hook := range []string{"input", "output"} {
		run(s.t, s.server.Name, "nft add chain inet mute "+hook+" { type filter hook "+hook+" priority 0; policy drop; }")
	}
}

// What an end has still to send when both have closed arrives, although it is
// lost at first.
func TestTheTailOfAClosedConnectionSurvivesALoss(t *testing.T) {
	lanes(t, func(s *scenario) {
		client, server := s.connect()
		defer server.Close()
		if err := server.(*net.TCPConn).CloseWrite(); err != nil {
			s.t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			s.t.Fatalf("the client reads %v", err)
		}
		s.mute(true)
		const size = 8 << 10
		_, err := client.Write(make([]byte, size))
		if err = errors.Join(err, client.Close()); err != nil {
			s.t.Fatal(err)
		}
		s.keeps("closed by both, with data on its way", 30, 120)
		s.mute(false)
		server.SetReadDeadline(time.Now().Add(testnet.Patience))
		if n, err := io.Copy(io.Discard, server); n != size || err != nil {
			s.t.Errorf("the server reads %d bytes, %v; want %d", n, err, size)
		}
		s.keeps("closed by both, with all data there", 30, 120)
	})
}
