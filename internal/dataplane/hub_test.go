// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// middle is a VPC between consumer and provider: what its gateway leads to is an
// endpoint there, which leads on to the provider.
const middle = "vpc-0ccccccccccccccc3"

// hub is a scenario whose way has two steps. In the middle everything but what
// gateway and endpoint need of each other is refused.
type hub struct {
	*scenario
	// first and second are the transit targets of the steps, inner the address of
	// the endpoint in the middle, and gateway the pool that it sees.
	first, second, inner netip.Addr
	gateway              netip.Prefix
	source               netip.Prefix // of the middle
}

func newHub(s *scenario) *hub {
	h := &hub{scenario: s,
		first: addr("240.8.0.1"), second: addr("240.8.0.2"), inner: addr("10.0.1.200"),
		gateway: prefix("10.0.1.90/32"), source: prefix("240.0.0.128/26"),
	}
	networks, all, source6 := "10.0.0.0/16", "0.0.0.0/0", netip.Prefix{}
	if s.network == "tcp6" {
		h.first, h.second, h.inner = addr("fd70:6f73:7400:8000::1"), addr("fd70:6f73:7400:8000::2"), addr("2001:db8:0:1::200")
		h.gateway, h.source = prefix("2001:db8:0:1:9::/124"), prefix("fd70:6f73:7400:3::/64")
		networks, all, source6, h.source = "2001:db8::/56", "::/0", h.source, netip.Prefix{}
	}
	router := s.common(middle, h.source, source6, networks, all)[0]
	if source6.IsValid() {
		h.source = source6
	}
	opener := h.entry(provider, desired.KindAllow).(desired.Allow).Source
	route := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
	s.entries[middle] = append([]desired.Entry{router,
		desired.NewLink(middle, provider),
		desired.Route{VPC: middle, Prefix: opener, Peer: consumer},
		desired.Route{VPC: middle, Prefix: route(h.second), Peer: provider},
		desired.Pool{VPC: middle, Gateway: h.gateway.Addr(), Addresses: []netip.Prefix{h.gateway}},
		desired.Address{VPC: middle, Addr: h.inner, Class: "c-door"},
		desired.Target{VPC: middle, Addr: h.first, Dest: h.inner, Gateway: h.gateway.Addr(), Onward: true},
		desired.Allow{VPC: middle, Source: opener, Target: h.first},
		desired.Endpoint{VPC: middle, Addr: h.inner, Target: h.second, Ports: []desired.PortRange{{From: 5432, To: 5432}}},
	}, h.classes(5432, h.gateway, route(h.inner))...)
	for a := h.gateway.Addr(); h.gateway.Contains(a); a = a.Next() {
		s.entries[middle] = append(s.entries[middle], desired.Address{VPC: middle, Addr: a, Class: "c-gateway"})
	}
	for i, e := range s.entries[consumer] {
		switch e := e.(type) {
		case desired.Link:
			s.entries[consumer][i] = desired.NewLink(consumer, middle)
		case desired.Route:
			e.Peer = middle
			s.entries[consumer][i] = e
		}
	}
	for i, e := range s.entries[provider] {
		switch e := e.(type) {
		case desired.Route:
			e.Prefix, e.Peer = h.source, middle
			s.entries[provider][i] = e
		case desired.Allow:
			s.entries[provider][i] = desired.Allow{VPC: provider, Source: h.source, Target: h.second}
		case desired.Target:
			e.Addr = h.second
			s.entries[provider][i] = e
		}
	}
	// Links are entries of the VPC with the smaller name.
	for _, vpc := range []string{middle, consumer} {
		s.entries[vpc] = slices.DeleteFunc(s.entries[vpc], func(e desired.Entry) bool {
			if string(e.Key().Realm) != vpc {
				s.entries[string(e.Key().Realm)] = append(s.entries[string(e.Key().Realm)], e)
			}
			return string(e.Key().Realm) != vpc
		})
	}
	return h
}

// classes are what the gateway may send to, and whom the endpoint admits, at a port.
func (h *hub) classes(port int, from, to netip.Prefix) []desired.Entry {
	rule := func(peer netip.Prefix) []desired.Rule {
		return []desired.Rule{{Protocol: 6, From: port, To: port, Peer: peer}}
	}
	return []desired.Entry{
		desired.Class{VPC: middle, Name: "c-gateway", Out: rule(to)},
		desired.Class{VPC: middle, Name: "c-door", In: rule(from)},
	}
}

var hubVPCs = []string{consumer, provider, middle}

// apply puts everything: twice, because links and routes need what others put.
func (h *hub) apply() {
	h.t.Helper()
	for _, vpc := range hubVPCs {
		h.put(vpc, h.entries[vpc][:1])
	}
	for range 2 {
		for _, vpc := range hubVPCs {
			h.host.Apply(h.t.Context(), desired.Realm(vpc), h.entries[vpc], nil)
		}
	}
	for _, vpc := range hubVPCs {
		if diff := cmp.Diff(desired.Text(h.entries[vpc]), h.dump(vpc)); diff != "" {
			h.t.Fatalf("%s: %s", vpc, diff)
		}
	}
}

// ask opens a connection to the endpoint and says how that went.
func (h *hub) ask(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	conn, err := h.client.Dial(ctx, h.network, h.endpoint)
	if err == nil {
		conn.Close()
	}
	return err
}

func eachHub(t *testing.T, test func(*hub)) {
	each(t, func(s *scenario) { test(newHub(s)) })
}

// A resource that is an endpoint of its gateway's VPC leads on to where that leads:
// packets go through two gateways, with the express lane and without.
func TestAnEndpointLeadsThroughAnEndpoint(t *testing.T) {
	eachHub(t, func(h *hub) {
		h.apply()
		client, server := h.carried()
		if n := h.talk(client, server); n < 6 {
			t.Errorf("%d packets took the lane of three routers, want at least 6", n)
		}
		from := netip.MustParseAddrPort(server.RemoteAddr().String())
		if !h.pool.Contains(from.Addr().Unmap()) {
			t.Errorf("the server sees %s, want an address of %s", from, h.pool)
		}
		h.serve()
		h.checkTraffic()
		h.slowly()
		h.checkTraffic()
	})
}

// The middle asks the groups of its gateway and its endpoint, with the addresses
// that they have there, and the ports of its endpoint.
func TestTheMiddleOfAWayIsAsked(t *testing.T) {
	eachHub(t, func(h *hub) {
		h.apply()
		h.serve()
		route := netip.PrefixFrom(h.inner, h.inner.BitLen())
		other := prefix("10.9.9.9/32")
		if h.network == "tcp6" {
			other = prefix("2001:db8:9::9/128")
		}
		client := h.entry(consumer, desired.KindWorkload).(desired.Workload).Addresses[0].Addr()
		source := netip.PrefixFrom(client, client.BitLen())
		for _, c := range []struct {
			name     string
			classes  []desired.Entry
			admitted bool
		}{
			{"both admit", h.classes(5432, h.gateway, route), true},
			{"the endpoint does not admit the gateway", h.classes(5432, other, route), false},
			{"the endpoint admits the client alone", h.classes(5432, source, route), false},
			{"the gateway may not send to the endpoint", h.classes(5432, h.gateway, other), false},
			{"another port", h.classes(80, h.gateway, route), false},
			{"the transit source is nobody", h.classes(5432, h.entry(middle, desired.KindAllow).(desired.Allow).Source, route), false},
			{"both admit again", h.classes(5432, h.gateway, route), true},
		} {
			h.put(middle, c.classes)
			patience := testnet.Patience
			if !c.admitted {
				patience = 300 * time.Millisecond
			}
			err := h.ask(patience)
			var timeout net.Error
			switch {
			case c.admitted && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case !c.admitted && !(errors.As(err, &timeout) && timeout.Timeout()):
				t.Errorf("%s: %v, want silence", c.name, err)
			}
		}
		door := h.entry(middle, desired.KindEndpoint).(desired.Endpoint)
		for _, c := range []struct {
			name string
			put  []desired.Entry
			del  []desired.Entry
		}{
			{"the endpoint has another port", []desired.Entry{desired.Endpoint{VPC: middle, Addr: h.inner, Target: h.second, Ports: []desired.PortRange{{From: 80, To: 80}}}}, nil},
			{"the endpoint has other ranges of ports", []desired.Entry{
				desired.PortSet{VPC: middle, Name: "p-2", Ranges: []desired.PortRange{{From: 6000, To: 6100}}},
				desired.Endpoint{VPC: middle, Addr: h.inner, Target: h.second, PortSet: "p-2"},
			}, nil},
			{"the endpoint is gone", nil, []desired.Entry{door}},
			{"the association is gone", []desired.Entry{door}, []desired.Entry{h.entry(middle, desired.KindAllow)}},
		} {
			if failed := h.host.Apply(t.Context(), middle, c.put, c.del); len(failed) > 0 {
				t.Fatalf("%s: %v", c.name, failed)
			}
			if err := h.ask(testnet.Patience); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: %v, want a refusal", c.name, err)
			}
		}
		h.put(middle, []desired.Entry{h.entry(middle, desired.KindAllow),
			desired.PortSet{VPC: middle, Name: "p-2", Ranges: []desired.PortRange{{From: 5000, To: 6100}}},
			desired.Endpoint{VPC: middle, Addr: h.inner, Target: h.second, PortSet: "p-2"}})
		if err := h.ask(testnet.Patience); err != nil {
			t.Errorf("a range of ports: %v", err)
		}
	})
}

// Whatever is taken away on a way of two steps, the connection is cut in all three
// routers and both ends see a reset. In the middle it may be the endpoint of the
// second step, though the connection was never opened to its address there.
func TestAWayOfTwoStepsIsCutAsAWhole(t *testing.T) {
	onwardNoMore := func(h *hub) ([]desired.Entry, []desired.Entry) {
		target := h.entry(middle, desired.KindTarget).(desired.Target)
		target.Onward = false
		return []desired.Entry{target}, nil
	}
	remove := func(vpc string, kind desired.Kind) func(h *hub) ([]desired.Entry, []desired.Entry) {
		return func(h *hub) ([]desired.Entry, []desired.Entry) { return nil, []desired.Entry{h.entry(vpc, kind)} }
	}
	for _, c := range []struct {
		name   string
		vpc    string
		change func(*hub) (put, del []desired.Entry)
	}{
		{"endpoint", consumer, remove(consumer, desired.KindEndpoint)},
		{"first association", middle, remove(middle, desired.KindAllow)},
		{"first target", middle, remove(middle, desired.KindTarget)},
		{"endpoint in the middle", middle, remove(middle, desired.KindEndpoint)},
		{"target that leads on no more", middle, onwardNoMore},
		{"second association", provider, remove(provider, desired.KindAllow)},
		{"second target", provider, remove(provider, desired.KindTarget)},
		{"server", provider, remove(provider, desired.KindWorkload)},
		{"client", consumer, remove(consumer, desired.KindWorkload)},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachHub(t, func(h *hub) {
				h.apply()
				client, server := h.carried()
				put, del := c.change(h)
				if failed := h.host.Apply(t.Context(), desired.Realm(c.vpc), put, del); len(failed) > 0 {
					t.Fatal(failed)
				}
				for _, vpc := range hubVPCs {
					if found := h.tracked(vpc); len(found) > 0 {
						t.Errorf("router %s still tracks %q", vpc, found)
					}
				}
				if c.name != "client" {
					h.expectReset("client", client)
				}
				if c.name != "server" {
					h.expectReset("server", server)
				}
			})
		})
	}
}

// What an earlier process left when it ended between taking the endpoint in the
// middle away and cutting is found by the next one.
func TestAWayThatLostItsMiddleIsCutByTheNextProcess(t *testing.T) {
	eachHub(t, func(h *hub) {
		h.apply()
		client, server := h.carried()
		h.takeAway(middle, h.entry(middle, desired.KindEndpoint))
		h.adopt()
		if failed := h.host.Apply(t.Context(), middle, nil, nil); len(failed) > 0 {
			t.Fatal(failed)
		}
		for _, vpc := range hubVPCs {
			if found := h.tracked(vpc); len(found) > 0 {
				t.Errorf("router %s still tracks %q", vpc, found)
			}
		}
		h.expectReset("client", client)
		h.expectReset("server", server)
	})
}

// Targets that lead to each other's endpoints are not planned. Should they be there
// all the same, a packet goes round until its hops are used up, and no longer.
func TestAWayThatLeadsToItselfEnds(t *testing.T) {
	eachHub(t, func(h *hub) {
		door := h.entry(middle, desired.KindEndpoint).(desired.Endpoint)
		for i, e := range h.entries[provider] {
			if e, ok := e.(desired.Target); ok { // leads to an endpoint of the provider, which leads back to the middle
				e.Dest, e.Onward = h.inner, true
				h.entries[provider][i] = e
			}
		}
		door.VPC, door.Target = provider, h.first
		h.entries[provider] = append(h.entries[provider], door,
			desired.Address{VPC: provider, Addr: h.inner, Class: "c-open"},
			desired.Route{VPC: provider, Prefix: netip.PrefixFrom(h.first, h.first.BitLen()), Peer: middle})
		source := prefix("240.0.0.64/26")
		if h.network == "tcp6" {
			source = prefix("fd70:6f73:7400:2::/64")
		}
		h.entries[middle] = append(h.entries[middle],
			desired.Allow{VPC: middle, Source: source, Target: h.first},
			desired.Route{VPC: middle, Prefix: source, Peer: provider})
		h.apply()
		before := h.forwarded(middle)
		if err := h.ask(300 * time.Millisecond); err == nil {
			t.Error("a connection that leads nowhere is established")
		}
		if n := h.forwarded(middle) - before; n > 200 {
			t.Errorf("%d packets were forwarded in the middle for one connection", n)
		}
	})
}

// forwarded counts the packets that a router has forwarded.
func (h *hub) forwarded(vpc string) (n int) {
	h.t.Helper()
	out, err := exec.Command("ip", "-s", "-n", network.NamespaceName(h.instance, vpc), "link", "show").Output()
	if err != nil {
		h.t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	for i, line := range lines {
		if strings.Contains(line, "TX:") && i+1 < len(lines) {
			var bytes, packets int
			fmt.Sscan(lines[i+1], &bytes, &packets)
			n += packets
		}
	}
	return n
}
