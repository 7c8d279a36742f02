// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/test/postern"
)

// Outcome is what a TCP connect must come to.
type Outcome string

// The outcomes. A refusal comes at once, a drop never answers.
const (
	Answered Outcome = "answered"
	Refused  Outcome = "refused"
	Dropped  Outcome = "dropped"
	// Unanswered is any of them but an answer.
	Unanswered Outcome = "refused or dropped"
	// Unforetold is any of all.
	Unforetold Outcome = "unforetold"
)

// Verdict is what must become of a packet that opens a connection.
type Verdict struct {
	Outcome Outcome
	// Reaches is the workload whose interface sees the packet, from one of
	// Sources; nil when none may.
	Reaches *Interface
	Sources []netip.Prefix
	// Passed and Stopped say what network ACLs made of it, when any was asked and it
	// would reach somebody without them.
	Passed, Stopped bool
}

// Predict is the oracle: what must become of a packet of this protocol from a
// workload to an address and port. It knows VPCs, security groups, network ACLs,
// endpoints and gateways as AWS describes them, and nothing of how they are made.
func (w *World) Predict(from *Interface, protocol string, to netip.Addr, port uint16) Verdict {
	if slices.Contains(from.Addresses, to) {
		return Verdict{Outcome: from.answers(port)} // to itself; nobody else is asked
	}
	if from != w.Outside && len(from.source(to)) == 0 {
		return Verdict{Outcome: Refused} // by itself: it has no address of the family
	}
	t := &trip{protocol: protocol, port: port}
	if from == w.Outside {
		return t.filtered(w.fromOutside(t, to))
	}
	there := from.VPC.At[to]
	if !from.admits(out, to, from.VPC.known(to), t) {
		return Verdict{Outcome: Dropped}
	}
	if dest, by, leads := from.VPC.leadsTo(to); leads {
		return w.toPeer(t, from, dest, by, to)
	}
	if there != nil && there.Endpoint != nil {
		t.hop(from.VPC, from.Subnet, from.VPC.subnet(to), from.source(to)[0].Addr(), to)
		return w.throughEndpoint(t, from, there, to)
	}
	if lead, leads := from.VPC.lead(from.Subnet, to); leads {
		return t.filtered(w.goOut(t, lead, from, from.Subnet, from.source(to), to))
	}
	return t.filtered(arrive(t, there, from.Subnet, from.source(to), from, to))
}

func (w *World) throughEndpoint(t *trip, from, endpoint *Interface, to netip.Addr) Verdict {
	resource := endpoint.Endpoint
	if to.Is4() != resource.IP.Is4() {
		return t.filtered(Verdict{Outcome: Refused}) // nothing is behind the address
	}
	if !endpoint.admits(in, from.source(to)[0].Addr(), from, t) {
		return Verdict{Outcome: Dropped}
	}
	if t.protocol != "tcp" || !resource.has(t.port) {
		return t.filtered(Verdict{Outcome: Refused})
	}
	if resource.Nowhere {
		return t.filtered(Verdict{Outcome: Refused})
	}
	var found []Verdict
	for _, subnet := range resource.leaves(endpoint.Zone) {
		each := &trip{t.protocol, t.port, slices.Clone(t.hops)}
		found = append(found, each.filtered(w.fromGateway(each, resource, subnet)))
	}
	for _, v := range found[1:] {
		if v.Outcome != found[0].Outcome || v.Reaches != found[0].Reaches {
			return Verdict{Outcome: Unforetold}
		}
		found[0].Sources = slices.Concat(found[0].Sources, v.Sources)
	}
	return found[0]
}

// fromGateway is the way from a gateway's subnet to a resource.
func (w *World) fromGateway(t *trip, resource *Resource, subnet *postern.Subnet) Verdict {
	gateway, sources := resource.Gateway, resource.sources(subnet)
	there := gateway.VPC.At[resource.IP]
	if there != nil && there.Attached && !gateway.admits(out, resource.IP, there, t) {
		return Verdict{Outcome: Dropped}
	}
	if lead, leads := gateway.VPC.lead(subnet, resource.IP); leads {
		if lead.By == byNAT && !gateway.admits(out, resource.IP, nil, t) {
			return Verdict{Outcome: Dropped} // without a NAT gateway there is nothing to ask about
		}
		return w.goOut(t, lead, gateway, subnet, sources, resource.IP)
	}
	return arrive(t, there, subnet, sources, gateway, resource.IP)
}

// arrive is the last step: only an attached workload receives anything.
func arrive(t *trip, there *Interface, from *postern.Subnet, sources []netip.Prefix, sender *Interface, to netip.Addr) Verdict {
	if there != nil && there.Silent {
		return Verdict{Outcome: Dropped}
	}
	if len(sources) > 0 {
		t.hop(sender.VPC, from, sender.VPC.subnet(to), sources[0].Addr(), to)
	}
	if there == nil || !there.Attached {
		return Verdict{Outcome: Refused}
	}
	if !there.admits(in, sources[0].Addr(), sender, t) {
		return Verdict{Outcome: Dropped}
	}
	return Verdict{Outcome: there.answers(t.port), Reaches: there, Sources: sources}
}

// answers is what becomes of a connection that has come to a workload.
func (i *Interface) answers(port uint16) Outcome {
	if i.Server && port == managedPort {
		return Answered
	}
	return portOutcome(port)
}

// admits asks the security groups of one side about the other.
func (i *Interface) admits(d direction, peer netip.Addr, other *Interface, t *trip) bool {
	for _, group := range i.Groups {
		for _, r := range group.Rules {
			matches := r.Protocol == "-1" || r.Protocol == t.protocol && (t.protocol[0] == 'i' || r.From <= t.port && t.port <= r.To)
			byGroup := other != nil && r.Group != nil && slices.Contains(other.Groups, r.Group)
			if r.Direction == d && matches && (byGroup || r.CIDR.IsValid() && r.CIDR.Contains(peer)) {
				return true
			}
		}
	}
	return false
}

func portOutcome(port uint16) Outcome {
	if slices.Contains(servedPorts, port) {
		return Answered
	}
	return Refused
}
