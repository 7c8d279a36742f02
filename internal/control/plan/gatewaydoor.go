// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// deriveGatewayEndpoint leads the address of a service to it for those subnets of a VPC whose
// route table has a route there by the endpoint. It is a door that no interface has: what it
// admits are these subnets. Its value is where the way begins.
func (r *reading) deriveGatewayEndpoint(ep *model.VPCEndpoint, d derived) derived {
	if ep.Deleting() || !leads(ep) {
		return d
	}
	offer, ok := state.OfferOf(r.tx, ep)
	if !ok {
		d.problem = "its service " + ep.ServiceName + " is gone"
		return d
	}
	list, ok := offer.GatewayList()
	if !ok {
		d.problem = "its service " + ep.ServiceName + " has no addresses that routes could lead to"
		return d
	}
	vpc := ep.Sibling(ep.VPC)
	if own := func(p netip.Prefix) bool { return p.Contains(list.ServiceAddr()) }; slices.ContainsFunc(r.land(vpc).blocks, own) {
		d.problem = fmt.Sprintf("the service is at %s, which is an address of the VPC's own", list.ServiceAddr())
		return d
	}
	from := entrances{vpc: vpc}
	d.value = from // with a value it is derived again when there is more
	if some, _ := valueOf[bool](r, unitPeopled, vpc); !some {
		return d
	}
	class := desired.Class{VPC: ep.VPC, Name: desired.ClassName([]string{ep.ID}), In: sortedRules(r.routedBy(ep, list.ID))}
	consumer, ok := valueOf[network](r, unitVPC, vpc)
	if !ok || len(class.In) == 0 {
		return d
	}
	res := r.behind(ep, offer, true)
	if d.problem = res.problem; d.problem != "" || len(res.targets) == 0 {
		return d
	}
	r.open(&d, &from, []door{{addr: list.ServiceAddr(), spread: ep.ID, owner: ep.ID}}, consumer, res)
	if from.doors != nil {
		d.entries = append(d.entries, class, desired.Address{VPC: ep.VPC, Addr: list.ServiceAddr(), Class: class.Name})
		d.value = from
	}
	return d
}

// routedBy admits the subnets whose route table has a route to a prefix list by an endpoint.
func (r *reading) routedBy(ep *model.VPCEndpoint, list string) (rules []desired.Rule) {
	for s := range state.SubnetsByVPC.Rows(r.tx, ep.Sibling(ep.VPC)) {
		used := r.tableOf(s.Ref(), s.VPC)
		t, ok := state.RouteTables.Get(r.tx, used.Account, used.Region, used.ID)
		if !ok || !s.CIDR.IsValid() {
			continue
		}
		for _, route := range t.Routes {
			if route.Target == ep.ID && route.PrefixList == list {
				rules = append(rules, anything(s.CIDR))
			}
		}
	}
	return rules
}

// anything admits all packets of a block.
func anything(block netip.Prefix) desired.Rule {
	return desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: block}
}
