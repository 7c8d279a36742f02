// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// lost is how long an answer may take before it counts as one that does not come.
const lost = 250 * time.Millisecond

// subnet is one with a network ACL that lets all pass, in a VPC.
type subnet struct {
	vpc, name string
	blocks    []string
	enis      []string // of those that pass on packets of others
}

// but is what filters the subnet, with one rule before those that let all pass.
func (s subnet) but(rule desired.ACLRule, out bool) []desired.Entry {
	f := desired.Filtered{VPC: s.vpc, Subnet: s.name, ENIs: s.enis, ACL: "acl-" + s.name}
	for _, b := range s.blocks {
		f.Prefixes = append(f.Prefixes, prefix(b))
	}
	a := desired.ACL{VPC: s.vpc, Name: f.ACL}
	for _, all := range []string{"0.0.0.0/0", "::/0"} {
		a.In = append(a.In, desired.ACLRule{Allow: true, Rule: desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix(all)}})
	}
	a.Out = slices.Clone(a.In)
	side := &a.In
	if out {
		side = &a.Out
	}
	if rule.Peer.IsValid() {
		*side = append([]desired.ACLRule{rule}, *side...)
	}
	return []desired.Entry{a, f}
}

// open is what filters the subnet and lets all pass.
func (s subnet) open() []desired.Entry { return s.but(desired.ACLRule{}, false) }

// deny stops TCP by destination ports, and the block of the other side.
func deny(from, to int, block netip.Prefix) desired.ACLRule {
	return desired.ACLRule{Rule: desired.Rule{Protocol: 6, From: from, To: to, Peer: block}}
}

// borderCase is one rule in one place, and whether a connection comes about in spite of it.
type borderCase struct {
	name   string
	subnet subnet
	out    bool
	rule   desired.ACLRule
	passes bool
}

// eachBorder puts all subnets with open ACLs, and then each case after the other.
func eachBorder(t testing.TB, put func(...desired.Entry), subnets []subnet, cases []borderCase, ask func(context.Context) error) {
	t.Helper()
	tried := func(name string, passes bool) {
		t.Helper()
		patience := lost
		if passes {
			patience = testnet.Patience
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := ask(ctx); (err == nil) != passes {
			t.Errorf("%s: %v; does it pass: want %v", name, err, passes)
		} else if timeout, is := errors.AsType[net.Error](err); !passes && !(is && timeout.Timeout()) {
			t.Errorf("%s: %v, want silence", name, err)
		}
	}
	for _, s := range subnets {
		put(s.open()...)
	}
	tried("all is let pass", true)
	for _, c := range cases {
		put(c.subnet.but(c.rule, c.out)...)
		tried(c.name, c.passes)
		put(c.subnet.open()...)
	}
	tried("all is let pass again", true)
}

// What goes through a NAT gateway passes the borders of its subnet twice, as what it was
// and as what it becomes, in both directions; and so does the subnet of the appliance
// behind it, by whose interface the packets come, not by their addresses.
func TestACLsOfANATGatewaysSubnet(t *testing.T) {
	n := newNATInVPC(t)
	n.put()
	far, client, gateway := prefix(natServer+"/32"), prefix("10.0.1.10/32"), prefix("10.0.1.0/27")
	served, err := n.server.Serve("tcp4", natServer+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	clients := subnet{provider, "clients", []string{"10.0.1.10/32"}, nil}
	nats := subnet{provider, "nats", []string{"10.0.1.9/32", "10.0.1.20/32"}, []string{natInterface}}
	beyond := subnet{provider, "beyond", []string{"10.0.3.0/24"}, []string{"eni-0fffffffffffffff"}}
	put := func(entries ...desired.Entry) { n.scenario.put(provider, entries) }
	ask := func(ctx context.Context) error {
		_, err := n.client.Ask(ctx, "tcp4", natServer+":443")
		return err
	}
	const out, in = true, false
	eachBorder(t, put, []subnet{clients, nats, beyond}, []borderCase{
		{"out of the client's", clients, out, deny(443, 443, far), false},
		{"into the gateway's", nats, in, deny(443, 443, client), false},
		{"out of the gateway's", nats, out, deny(443, 443, far), false},
		{"to the appliance's address, which is not the packet's", nats, out, deny(0, 65535, prefix("10.0.3.10/32")), true},
		{"into the appliance's", beyond, in, deny(443, 443, gateway), false},
		{"from the client, whom it does not see", beyond, in, deny(443, 443, client), true},
		{"back out of the appliance's", beyond, out, deny(10536, 65535, gateway), false},
		{"back to the client, whom it does not see", beyond, out, deny(0, 65535, client), true},
		{"back into the gateway's", nats, in, deny(10536, 65535, far), false},
		{"back to other ports", nats, in, deny(0, 10535, far), true},
		{"back out of the gateway's", nats, out, deny(1024, 65535, client), false},
		{"back into the client's", clients, in, deny(1024, 65535, far), false},
		{"from the gateway, whom the client does not see", clients, in, deny(0, 65535, prefix("10.0.1.9/32")), true},
	}, ask)

	for _, s := range []subnet{clients, nats} {
		n.host.Apply(t.Context(), provider, nil, s.open())
	}
	both := subnet{provider, "both", []string{"10.0.1.9/32", "10.0.1.10/32", "10.0.1.20/32"}, []string{natInterface}}
	eachBorder(t, put, []subnet{both}, []borderCase{
		{"into the subnet of both", both, in, deny(0, 65535, client), true},
		{"back out of it", both, out, deny(0, 65535, client), true},
		{"out of the subnet of both", both, out, deny(443, 443, far), false},
		{"back into it", both, in, deny(10536, 65535, far), false},
	}, ask)
}

// A packet that an appliance passes on enters its subnet and leaves it, with the addresses
// of others, and so does the answer.
func TestACLsOfAnAppliancesSubnet(t *testing.T) {
	eachLand(t, func(l *land) {
		blocks := []string{"10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"}
		if l.network == "tcp6" {
			blocks = []string{"2001:db8:0:1::/64", "2001:db8:0:2::/64", "2001:db8:0:3::/64"}
		}
		from, to, own := prefix(blocks[0]), prefix(blocks[1]), prefix(blocks[2])
		l.put(l.table(1, blocks[1], eniOf("m")), l.table(2, blocks[0], eniOf("m")), l.steer(eniOf("a"), 1), l.steer(eniOf("b"), 2))
		l.expect("a", l.server, "b+m")
		clients, servers := subnet{consumer, "clients", blocks[:1], nil}, subnet{consumer, "servers", blocks[1:2], nil}
		appliances := subnet{consumer, "appliances", blocks[2:], []string{eniOf("m")}}
		const out, in = true, false
		eachBorder(l, l.put, []subnet{clients, servers, appliances}, []borderCase{
			{"out of the client's", clients, out, deny(7, 7, to), false},
			{"into the appliance's", appliances, in, deny(7, 7, from), false},
			{"out of the appliance's", appliances, out, deny(7, 7, to), false},
			{"into the server's", servers, in, deny(7, 7, from), false},
			{"back out of the server's", servers, out, deny(1024, 65535, from), false},
			{"back into the appliance's", appliances, in, deny(1024, 65535, to), false},
			{"back out of the appliance's", appliances, out, deny(1024, 65535, from), false},
			{"back into the client's", clients, in, deny(1024, 65535, to), false},
			{"from the appliance itself", servers, in, deny(0, 65535, own), true},
			{"to the appliance itself", clients, out, deny(0, 65535, own), true},
			{"of the appliance alone", appliances, in, deny(0, 65535, own), true},
		}, func(ctx context.Context) error {
			_, err := l.ns["a"].Ask(ctx, l.network, net.JoinHostPort(l.server, "7"))
			return err
		})
	})
}

// What a resource gateway sends out leaves the gateway's subnet with the gateway's
// address, whoever it came from, and enters the one of the interface that its routes lead
// to.
func TestACLsOfAGatewayThatGoesOut(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		far := s.leadOut()
		s.serve()
		beyond := netip.PrefixFrom(far, far.BitLen())
		own, pool := "10.0.1.0/28", "10.0.1.48/28"
		if far.Is6() {
			own, pool = "2001:db8:0:1::/80", "2001:db8:0:1:5::/80"
		}
		gateways := subnet{provider, "gateways", []string{pool}, nil}
		appliances := subnet{provider, "appliances", []string{own}, []string{s.entry(provider, desired.KindWorkload).(desired.Workload).ENI}}
		const out, in = true, false
		eachBorder(s.t, func(entries ...desired.Entry) { s.put(provider, entries) }, []subnet{gateways, appliances}, []borderCase{
			{"out of the gateway's", gateways, out, deny(5432, 5432, beyond), false},
			{"to the interface that it is led to", gateways, out, deny(0, 65535, prefix(own)), true},
			{"into the appliance's", appliances, in, deny(5432, 5432, prefix(pool)), false},
			{"from the client, whom nobody sees", appliances, in, deny(0, 65535, prefix(own)), true},
			{"back out of the appliance's", appliances, out, deny(1024, 65535, prefix(pool)), false},
			{"back into the gateway's", gateways, in, deny(1024, 65535, beyond), false},
		}, func(ctx context.Context) error {
			_, err := s.client.Ask(ctx, s.network, s.endpoint)
			return err
		})
	})
}
