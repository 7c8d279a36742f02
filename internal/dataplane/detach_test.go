// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// When a workload is detached, the other end of its connections is told so when
// it says something: by a reset or by an ICMP error.
func TestTheOtherEndLearnsOfADetachedWorkload(t *testing.T) {
	for _, slow := range []bool{false, true} {
		for _, gone := range vpcs() {
			t.Run(fmt.Sprintf("%s, slow path only %v", gone, slow), func(t *testing.T) {
				each(t, func(s *scenario) {
					if slow {
						s.slowly()
					}
					s.apply()
					client, server := s.connect()
					s.t.Cleanup(func() { client.Close(); server.Close() })
					s.say(client, server)
					s.detach(gone, client, server)
				})
			})
		}
	}
}

// detach takes one end's workload away and speaks from the other end.
func (s *scenario) detach(gone string, client, server net.Conn) {
	s.t.Helper()
	left, at := server, s.server
	if gone == provider {
		left, at = client, s.client
	}
	errs := s.icmp(at)
	i := slices.IndexFunc(s.entries[gone], func(e desired.Entry) bool { return e.Key().Kind == desired.KindWorkload })
	if failed := s.host.Apply(s.t.Context(), desired.Realm(gone), nil, s.entries[gone][i:i+1]); failed != nil {
		s.t.Fatal(failed)
	}
	if _, err := left.Write([]byte("x")); errors.Is(err, syscall.ECONNRESET) {
		return
	} else if err != nil {
		s.t.Fatal(err)
	}
	reset := make(chan error, 1)
	left.SetReadDeadline(time.Now().Add(testnet.Patience))
	go func() {
		_, err := left.Read(make([]byte, 1))
		reset <- err
	}()
	select {
	case err := <-reset:
		if !errors.Is(err, syscall.ECONNRESET) && !refused(err) {
			s.t.Errorf("the end that is left reads %v, want a reset or an error", err)
		}
	case <-errs:
	}
}

// icmp tells of the first ICMP message that says that something cannot be
// reached.
func (s *scenario) icmp(at *testnet.NS) <-chan struct{} {
	s.t.Helper()
	network, address, typ := "ip4:icmp", "0.0.0.0", byte(3)
	if s.network == "tcp6" {
		network, address, typ = "ip6:ipv6-icmp", "::", 1
	}
	conn, err := at.ListenPacket(network, address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	told := make(chan struct{})
	go func() {
		for message := make([]byte, 1500); ; {
			n, _, err := conn.ReadFrom(message)
			if err != nil {
				return
			}
			if n > 0 && message[0] == typ {
				close(told)
				return
			}
		}
	}()
	return told
}
