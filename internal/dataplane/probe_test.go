// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// probe asks whether something answers at a port of the server, from the gateway.
func (s *scenario) probe(port uint16, patience time.Duration) error {
	to := netip.AddrPortFrom(netip.MustParseAddrPort(s.direct).Addr(), port)
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	gateway := s.entry(provider, desired.KindTarget).(desired.Target).Gateway
	return s.host.Probe(ctx, provider, gateway, to)
}

// A probe comes from the gateway, as connections to the resource do, and is told of
// whatever they would be told of.
func TestAProbeIsAConnectionFromTheGateway(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		_, port, _ := net.SplitHostPort(s.endpoint)
		l, err := s.server.Listen(s.network, net.JoinHostPort("", port))
		if err != nil {
			s.t.Fatal(err)
		}
		defer l.Close()
		if err := s.probe(5432, testnet.Patience); err != nil {
			s.t.Fatal(err)
		}
		l.(*net.TCPListener).SetDeadline(time.Now().Add(testnet.Patience))
		conn, err := l.Accept()
		if err != nil {
			s.t.Fatal(err)
		}
		defer conn.Close()
		if from := netip.MustParseAddrPort(conn.RemoteAddr().String()); !s.pool.Contains(from.Addr()) {
			s.t.Errorf("the server saw %s, want an address of %s", from, s.pool)
		}
		if err := s.probe(5433, testnet.Patience); err == nil || !strings.Contains(err.Error(), "refused") {
			s.t.Errorf("a port that nobody has: %v", err)
		}

		// The security groups of the gateway are asked.
		class := s.entry(provider, desired.KindClass).(desired.Class)
		shut := class
		shut.Name, shut.Out = "c-shut", nil
		changed := []desired.Entry{shut}
		for _, e := range s.entries[provider] {
			if a, ok := e.(desired.Address); ok && s.pool.Contains(a.Addr) {
				a.Class = shut.Name
				changed = append(changed, a)
			}
		}
		s.put(provider, changed)
		if err := s.probe(5432, time.Second); err == nil || !strings.Contains(err.Error(), "no answer") {
			s.t.Errorf("a gateway that may send nothing: %v", err)
		}
		s.put(provider, slices.Clone(s.entries[provider]))
		if err := s.probe(5432, testnet.Patience); err != nil {
			s.t.Error(err)
		}
		// And those of whoever has the address.
		own := s.entry(provider, desired.KindAddress).(desired.Address)
		own.Class = "c-deaf"
		deaf := class
		deaf.Name, deaf.In = own.Class, nil
		s.put(provider, []desired.Entry{deaf, own})
		if err := s.probe(5432, time.Second); err == nil {
			s.t.Error("a server that lets nobody in answers")
		}
	})
}
