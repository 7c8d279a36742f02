// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// Where probes are off, an address of a name that ceases to answer leaves because of the
// connections that fail there, and is back when it answers.
func TestAnAddressLeavesWhenConnectionsToItFail(t *testing.T) {
	for family, make := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			s := make(t)
			s.apply()
			testWatched(s)
		})
	}
}

func testWatched(s *scenario) {
	const name = "db.example.com."
	all := s.spread(2)
	z := newZone(s.t)
	z.set(name, all...)
	target := s.entry(provider, desired.KindTarget).(desired.Target)
	f := desired.Follow{VPC: provider, Addr: target.Addr, Name: name, Floor: 60, Gateway: target.Gateway, Watched: 5432}
	a, _ := s.agent(z, f, vpcs())
	s.reaches("both answer", all...)

	family := "ip"
	if all[0].Is6() {
		family = "ip6"
	}
	s.rules("add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; add rule inet deaf in " + family + " daddr " + all[0].String() + " drop")
	begun, left := time.Now(), func() bool { return a.Names()[0].Addrs[0].Down != "" }
	for !left() && time.Since(begun) < testnet.Patience { // clients go on
		_ = s.knock(200 * time.Millisecond)
	}
	if !left() {
		s.t.Fatalf("%s is in use %s after it has ceased to answer: %+v", all[0], time.Since(begun), a.Names())
	}
	s.t.Logf("an address that does not answer left after %s", time.Since(begun))
	s.reaches("one does not answer", all[1])
	s.rules("delete table inet deaf")
	s.reaches("it answers again", all...)
}

// rules changes the rules of the server's own namespace.
func (s *scenario) rules(commands string) {
	s.t.Helper()
	var out []byte
	err := s.server.Run(func() (err error) {
		out, err = exec.Command("nft", commands).CombinedOutput()
		return err
	})
	if err != nil {
		s.t.Fatalf("nft %s: %v: %s", commands, err, out)
	}
}

// knock opens a connection and closes it.
func (s *scenario) knock(patience time.Duration) error {
	conn, err := s.client.DialWith(s.t.Context(), &net.Dialer{Timeout: patience}, s.network, s.endpoint)
	if err == nil {
		conn.Close()
	}
	return err
}
