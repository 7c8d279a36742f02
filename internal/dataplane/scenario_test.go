// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

const (
	consumer = "vpc-0aaaaaaaaaaaaaaa1"
	provider = "vpc-0bbbbbbbbbbbbbbb2"
)

// scenario is two VPCs with the same addresses: a client in one reaches a
// server in the other through an endpoint. Client and server have the same
// address.
type scenario struct {
	t        testing.TB
	instance string
	host     *dataplane.Host
	client   *testnet.NS
	server   *testnet.NS
	// endpoint is where the client finds the server, pool one address that
	// the server sees.
	network, endpoint, direct string
	pool                      netip.Prefix
	entries                   map[string][]desired.Entry
	// ends are how the server's ends of connections ended, by the client.
	ends sync.Map
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func newHost(t testing.TB) (*dataplane.Host, string) {
	t.Helper()
	testnet.Require(t)
	instance := "t" + testnet.RandomName(6)
	testnet.Abandon(t, "postern-"+instance+"-*")
	h, err := dataplane.New(dataplane.Config{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		if _, err := dataplane.Clean(context.Background(), instance); err != nil {
			t.Error(err)
		}
		left, err := filepath.Glob(filepath.Join(network.Directory, "postern-"+instance+"-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	return h, instance
}

func scenario4(t testing.TB) *scenario {
	s := base(t)
	s.network, s.endpoint, s.direct = "tcp4", "10.0.1.100:5432", "10.0.1.10:5432"
	s.pool = prefix("10.0.1.50/32")
	s.entries = map[string][]desired.Entry{
		consumer: append(s.common(consumer, prefix("240.0.0.0/26"), netip.Prefix{}, "10.0.0.0/16", "0.0.0.0/0"),
			desired.NewLink(consumer, provider),
			desired.Route{VPC: consumer, Prefix: prefix("240.8.0.1/32"), Peer: provider},
			s.workload(consumer, s.client, addr("10.0.1.1"), prefix("10.0.1.10/24")),
			desired.Address{VPC: consumer, Addr: addr("10.0.1.10"), Class: "c-open"},
			desired.Address{VPC: consumer, Addr: addr("10.0.1.100"), Class: "c-open"},
			desired.Member{VPC: consumer, Group: "sg-1", Addr: addr("10.0.1.10")},
			desired.NewNameserver(consumer, prefix("10.0.0.0/16")),
			desired.PortSet{VPC: consumer, Name: "p-1", Ranges: []desired.PortRange{{From: 6000, To: 6100}}},
			desired.Endpoint{VPC: consumer, Addr: addr("10.0.1.100"), Target: addr("240.8.0.1"), Ports: []desired.PortRange{{From: 5432, To: 5432}}, PortSet: "p-1"},
		),
		provider: append(s.common(provider, prefix("240.0.0.64/26"), netip.Prefix{}, "10.0.0.0/16", "0.0.0.0/0"),
			desired.Route{VPC: provider, Prefix: prefix("240.0.0.0/26"), Peer: consumer},
			s.workload(provider, s.server, addr("10.0.1.1"), prefix("10.0.1.10/24")),
			desired.Address{VPC: provider, Addr: addr("10.0.1.10"), Class: "c-open"},
			desired.Address{VPC: provider, Addr: addr("10.0.1.50"), Class: "c-open"},
			desired.Pool{VPC: provider, Gateway: addr("10.0.1.50"), Addresses: []netip.Prefix{s.pool}},
			desired.Target{VPC: provider, Addr: addr("240.8.0.1"), Dest: addr("10.0.1.10"), Gateway: addr("10.0.1.50")},
			desired.Allow{VPC: provider, Source: prefix("240.0.0.0/26"), Target: addr("240.8.0.1")},
		),
	}
	return s
}

func scenario6(t testing.TB) *scenario {
	s := base(t)
	s.network, s.endpoint, s.direct = "tcp6", "[2001:db8:0:1::100]:5432", "[2001:db8:0:1::10]:5432"
	s.pool = prefix("2001:db8:0:1:5::/124")
	own := prefix("2001:db8:0:1::10/128")
	s.entries = map[string][]desired.Entry{
		consumer: append(s.common(consumer, netip.Prefix{}, prefix("fd70:6f73:7400:1::/64"), "2001:db8::/56", "::/0"),
			desired.NewLink(consumer, provider),
			desired.Route{VPC: consumer, Prefix: prefix("fd70:6f73:7400:8000::1/128"), Peer: provider},
			s.workload(consumer, s.client, netip.Addr{}, own),
			desired.Address{VPC: consumer, Addr: own.Addr(), Class: "c-open"},
			desired.Address{VPC: consumer, Addr: addr("2001:db8:0:1::100"), Class: "c-open"},
			desired.Endpoint{VPC: consumer, Addr: addr("2001:db8:0:1::100"), Target: addr("fd70:6f73:7400:8000::1"), Ports: []desired.PortRange{{From: 5432, To: 5432}}},
		),
		provider: append(s.common(provider, netip.Prefix{}, prefix("fd70:6f73:7400:2::/64"), "2001:db8::/56", "::/0"),
			desired.Route{VPC: provider, Prefix: prefix("fd70:6f73:7400:1::/64"), Peer: consumer},
			s.workload(provider, s.server, netip.Addr{}, own),
			desired.Address{VPC: provider, Addr: own.Addr(), Class: "c-open"},
			desired.Pool{VPC: provider, Gateway: s.pool.Addr(), Addresses: []netip.Prefix{s.pool}},
			desired.Target{VPC: provider, Addr: addr("fd70:6f73:7400:8000::1"), Dest: own.Addr(), Gateway: s.pool.Addr()},
			desired.Allow{VPC: provider, Source: prefix("fd70:6f73:7400:1::/64"), Target: addr("fd70:6f73:7400:8000::1")},
		),
	}
	for a := s.pool.Addr(); s.pool.Contains(a); a = a.Next() {
		s.entries[provider] = append(s.entries[provider], desired.Address{VPC: provider, Addr: a, Class: "c-open"})
	}
	return s
}

func base(t testing.TB) *scenario {
	t.Helper()
	h, instance := newHost(t)
	return &scenario{t: t, host: h, instance: instance, client: testnet.New(t), server: testnet.New(t)}
}

func (s *scenario) common(vpc string, source4, source6 netip.Prefix, cidr, all string) []desired.Entry {
	r := desired.Router{VPC: vpc, Networks: []netip.Prefix{prefix(cidr)}, Source4: source4, Source6: source6}
	if source4.IsValid() {
		r.Gateways = []netip.Addr{addr("10.0.1.1")}
	}
	any := desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix(all)}
	group := desired.Rule{Protocol: 6, From: 1, To: 1024, Group: "sg-1"}
	return []desired.Entry{r, desired.Class{VPC: vpc, Name: "c-open", In: []desired.Rule{any, group}, Out: []desired.Rule{any}}}
}

func (s *scenario) workload(vpc string, ns *testnet.NS, gateway netip.Addr, addresses ...netip.Prefix) desired.Workload {
	return desired.Workload{
		VPC: vpc, ENI: "eni-0" + vpc[5:21], MAC: "02:00:00:00:00:0" + vpc[20:21], Addresses: addresses,
		Gateway: gateway, Device: "eth0", Namespace: ns.Desired(),
	}
}

func vpcs() []string { return []string{provider, consumer} }

// apply puts everything; routers first, since a link needs both.
func (s *scenario) apply() {
	s.t.Helper()
	for _, vpc := range vpcs() {
		s.put(vpc, s.entries[vpc][:1])
	}
	for _, vpc := range vpcs() {
		s.put(vpc, s.entries[vpc])
	}
	// The provider's route needs the link, which is the consumer's entry.
	s.put(provider, s.entries[provider])
}

func (s *scenario) put(vpc string, entries []desired.Entry) {
	s.t.Helper()
	for key, err := range s.host.Apply(context.Background(), desired.Realm(vpc), entries, nil) {
		if key.Kind == desired.KindRoute && vpc == provider {
			continue // again when the link is there
		}
		s.t.Errorf("apply %s: %v", key, err)
	}
}

func (s *scenario) dump(vpc string) string {
	s.t.Helper()
	entries, err := s.host.Dump(context.Background(), desired.Realm(vpc))
	if err != nil {
		s.t.Fatal(err)
	}
	return desired.Text(entries)
}

// checkDump compares what is there with what is desired, as text.
func (s *scenario) checkDump() {
	s.t.Helper()
	for _, vpc := range vpcs() {
		if diff := cmp.Diff(desired.Text(s.entries[vpc]), s.dump(vpc)); diff != "" {
			s.t.Errorf("%s: %s", vpc, diff)
		}
	}
}

// serve starts the server and stops it with the test.
func (s *scenario) serve() {
	s.t.Helper()
	_, port, err := net.SplitHostPort(s.endpoint)
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := s.server.Serve(s.network, net.JoinHostPort("", port))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { l.Close() })
}

// checkTraffic asks the server through the endpoint.
func (s *scenario) checkTraffic() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), testnet.Patience)
	defer cancel()
	saw, err := s.client.Ask(ctx, s.network, s.endpoint)
	if err != nil {
		s.t.Errorf("through the endpoint: %v", err)
		return
	}
	if from, err := netip.ParseAddrPort(saw); err != nil || !s.pool.Contains(from.Addr()) {
		s.t.Errorf("the server saw %s, want an address of %s", saw, s.pool)
	}
}
