// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// maxExactPorts bounds how many single ports an endpoint has elements of its
// own for; beyond it shares a set of ranges.
const maxExactPorts = 16

// deriveConfiguration translates the transit targets of a resource to it.
func (p *Plan) deriveConfiguration(tx *table.Txn, ref model.Ref) ([]desired.Entry, []Subject) {
	rc, ok := state.ResourceConfigurations.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return nil, nil
	}
	subjects := []Subject{{SubjectConfiguration, ref}}
	if rc.Deleting() {
		return nil, subjects
	}
	var entries []desired.Entry
	for _, t := range rc.Targets {
		if e, ok := p.targetEntry(tx, rc, t); ok {
			entries = append(entries, e)
		}
	}
	return entries, subjects
}

// targetEntry translates one transit target; there is none when the gateway's
// interface is gone or has no addresses of the resource's family.
func (p *Plan) targetEntry(tx *table.Txn, rc *model.ResourceConfiguration, t model.TransitTarget) (desired.Target, bool) {
	ni, ok := state.NetworkInterfaces.Get(tx, rc.Account, rc.Region, t.Interface)
	if !ok {
		return desired.Target{}, false
	}
	gateway, ok := gatewayAddress(ni, rc.IP)
	return desired.Target{VPC: ni.VPC, Addr: p.target(t, rc.IP), Dest: rc.IP, Gateway: gateway}, ok
}

// gatewayAddress names the pool of a gateway's interface that connections to a
// resource of this family leave from.
func gatewayAddress(ni *model.NetworkInterface, resource netip.Addr) (netip.Addr, bool) {
	if resource.Is4() {
		if len(ni.Addresses) == 0 {
			return netip.Addr{}, false
		}
		return ni.Addresses[0], true
	}
	pool := pool6(ni)
	return pool.Addr(), pool.IsValid()
}

// target gives the address of a transit target, in the resource's family.
func (p *Plan) target(t model.TransitTarget, resource netip.Addr) netip.Addr {
	if resource.Is4() {
		return model.TransitTarget4(p.host.Index, t.Index)
	}
	return model.TransitTarget6(p.host.Index, t.Index)
}

// deriveEndpoint leads the endpoint's addresses to the transit targets of its
// resource, and admits the consumer's VPC there. The association must exist:
// either side may have removed it.
func (p *Plan) deriveEndpoint(tx *table.Txn, ref model.Ref) ([]desired.Entry, []Subject) {
	ep, ok := state.VPCEndpoints.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return nil, nil
	}
	subjects := []Subject{{SubjectEndpoint, ref}}
	active := false
	for a := range state.EndpointAssociations.By(tx, state.ByEndpoint, ref.String()) {
		subjects = append(subjects, Subject{SubjectAssociation, a.Ref()})
		active = active || !a.Deleting()
	}
	if ep.Deleting() || !active {
		return nil, subjects
	}
	rc, ok := state.ResourceConfigurations.Get(tx, ep.Configuration.Account, ep.Configuration.Region, ep.Configuration.ID)
	if !ok || rc.Deleting() || len(rc.Targets) == 0 {
		return nil, subjects
	}
	way, ok := p.wayTo(tx, ep, rc)
	if !ok {
		return nil, subjects
	}
	var entries []desired.Entry
	for ni := range state.NetworkInterfaces.By(tx, state.ByOwner, ref.String()) {
		entries = append(entries, p.deriveEndpointInterface(tx, way, ni)...)
	}
	return entries, subjects
}

// way is what all interfaces of one endpoint share.
type way struct {
	configuration      *model.ResourceConfiguration
	consumer, provider *model.VPC
	ports              []desired.PortRange
	portSet            string
	portRanges         []desired.PortRange
	endpoint           string
}

func (p *Plan) wayTo(tx *table.Txn, ep *model.VPCEndpoint, rc *model.ResourceConfiguration) (*way, bool) {
	gw, ok := state.ResourceGateways.Get(tx, rc.Account, rc.Region, rc.Gateway)
	if !ok {
		return nil, false
	}
	consumer, ok := state.VPCs.Get(tx, ep.Account, ep.Region, ep.VPC)
	if !ok {
		return nil, false
	}
	provider, ok := state.VPCs.Get(tx, gw.Account, gw.Region, gw.VPC)
	if !ok {
		return nil, false
	}
	w := &way{configuration: rc, consumer: consumer, provider: provider, endpoint: ep.ID}
	w.setPorts(rc.Ports)
	return w, true
}

// setPorts keeps a few single ports as they are and names a shared set for
// anything else.
func (w *way) setPorts(ports []model.PortRange) {
	exact := len(ports) <= maxExactPorts
	for _, r := range ports {
		w.portRanges = append(w.portRanges, desired.PortRange{From: r.From, To: r.To})
		exact = exact && r.From == r.To
	}
	// Users list ports in any order; entries have them in one.
	slices.SortFunc(w.portRanges, func(a, b desired.PortRange) int { return cmp.Compare(a.From, b.From) })
	if exact {
		w.ports, w.portRanges = w.portRanges, nil
		return
	}
	w.portSet = desired.PortSetName(w.portRanges)
}

// deriveEndpointInterface asks for everything on the way from one interface to
// the resource, also for the far end that the configuration asks for itself:
// so the endpoint waits for all of it.
func (p *Plan) deriveEndpointInterface(tx *table.Txn, w *way, ni *model.NetworkInterface) []desired.Entry {
	addresses, source := ni.Addresses, model.TransitSource4(p.host.Index, w.consumer.TransitIndex)
	if !w.configuration.IP.Is4() {
		addresses, source = ni.Addresses6, model.TransitSource6(p.host.Index, w.consumer.TransitIndex)
	}
	if len(addresses) == 0 {
		return nil
	}
	far, ok := p.targetEntry(tx, w.configuration, chooseTarget(w.configuration.Targets, ni))
	if !ok {
		return nil
	}
	target := far.Addr
	entries := []desired.Entry{
		far,
		desired.NewLink(w.consumer.ID, w.provider.ID),
		desired.Route{VPC: w.consumer.ID, Prefix: netip.PrefixFrom(target, target.BitLen()), Peer: w.provider.ID},
		desired.Route{VPC: w.provider.ID, Prefix: source, Peer: w.consumer.ID},
		desired.Allow{VPC: w.provider.ID, Source: source, Target: target},
	}
	if w.portSet != "" {
		entries = append(entries, desired.PortSet{VPC: w.consumer.ID, Name: w.portSet, Ranges: w.portRanges})
	}
	for _, a := range addresses {
		entries = append(entries, desired.Endpoint{
			VPC: w.consumer.ID, Addr: a, Target: target, Ports: w.ports, PortSet: w.portSet, Owner: w.endpoint,
		})
	}
	return entries
}

// chooseTarget prefers a gateway interface in the zone of the endpoint's
// interface; without one, interfaces of the same endpoint spread over the
// zones that there are, always the same way.
func chooseTarget(targets []model.TransitTarget, ni *model.NetworkInterface) model.TransitTarget {
	for _, t := range targets {
		if t.Zone == ni.Zone {
			return t
		}
	}
	h := fnv.New32a()
	h.Write([]byte(ni.ID))
	return targets[int(h.Sum32())%len(targets)]
}
