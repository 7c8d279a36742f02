// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"net/netip"
	"slices"
)

// Outcome is what a TCP connect must come to.
type Outcome string

// The outcomes. A refusal comes at once, a drop never answers.
const (
	Answered Outcome = "answered"
	Refused  Outcome = "refused"
	Dropped  Outcome = "dropped"
)

// Verdict is what must become of a packet that opens a connection.
type Verdict struct {
	Outcome Outcome
	// Reaches is the workload whose interface sees the packet, from one of
	// Sources; nil when none may.
	Reaches *Interface
	Sources []netip.Prefix
}

// Predict is the oracle: what must become of a packet of this protocol from a
// workload to an address and port. It knows VPCs, security groups, endpoints
// and gateways as AWS describes them, and nothing of how they are made.
func (w *World) Predict(from *Interface, protocol string, to netip.Addr, port uint16) Verdict {
	if slices.Contains(from.Addresses, to) {
		return Verdict{Outcome: portOutcome(port)} // to itself; nobody else is asked
	}
	if from == w.Outside {
		return w.fromOutside(protocol, to, port)
	}
	there := from.VPC.At[to]
	if !from.admits(out, to, there, protocol, port) {
		return Verdict{Outcome: Dropped}
	}
	if there != nil && there.Endpoint != nil {
		return w.throughEndpoint(from, there, protocol, to, port)
	}
	if lead, leads := from.VPC.lead(from.Subnet, to); leads {
		return w.goOut(lead, from, from.source(to), to, protocol, port)
	}
	return arrive(there, from.source(to), from, protocol, port)
}

func (w *World) throughEndpoint(from, endpoint *Interface, protocol string, to netip.Addr, port uint16) Verdict {
	resource := endpoint.Endpoint
	if to.Is4() != resource.IP.Is4() {
		return Verdict{Outcome: Refused} // nothing is behind the address
	}
	if !endpoint.admits(in, from.source(to)[0].Addr(), from, protocol, port) {
		return Verdict{Outcome: Dropped}
	}
	if protocol != "tcp" || !resource.has(port) {
		return Verdict{Outcome: Refused}
	}
	gateway := resource.Gateway
	there := gateway.VPC.At[resource.IP]
	if there != nil && there.Attached && !gateway.admits(out, resource.IP, there, protocol, port) {
		return Verdict{Outcome: Dropped}
	}
	if lead, leads := gateway.VPC.lead(resource.subnet(endpoint.Zone), resource.IP); leads {
		if lead.By == byNAT && !gateway.admits(out, resource.IP, nil, protocol, port) {
			return Verdict{Outcome: Dropped} // without a NAT gateway there is nothing to ask about
		}
		return w.goOut(lead, gateway, resource.sources(endpoint.Zone), resource.IP, protocol, port)
	}
	return arrive(there, resource.sources(endpoint.Zone), gateway, protocol, port)
}

// arrive is the last step: only an attached workload receives anything.
func arrive(there *Interface, sources []netip.Prefix, sender *Interface, protocol string, port uint16) Verdict {
	if there != nil && there.Silent {
		return Verdict{Outcome: Dropped}
	}
	if there == nil || !there.Attached {
		return Verdict{Outcome: Refused}
	}
	if !there.admits(in, sources[0].Addr(), sender, protocol, port) {
		return Verdict{Outcome: Dropped}
	}
	return Verdict{Outcome: portOutcome(port), Reaches: there, Sources: sources}
}

// admits asks the security groups of one side about the other.
func (i *Interface) admits(d direction, peer netip.Addr, other *Interface, protocol string, port uint16) bool {
	for _, group := range i.Groups {
		for _, r := range group.Rules {
			matches := r.Protocol == "-1" || r.Protocol == protocol && (protocol[0] == 'i' || r.From <= port && port <= r.To)
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
