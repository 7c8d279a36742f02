// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// maxExactPorts bounds how many single ports an endpoint has elements of its
// own for; beyond it shares a set of ranges.
const maxExactPorts = 16

// exit is a gateway's interface as the way to its resources: where it is, and the
// pool that connections leave from, by family.
type exit struct {
	vpc          string
	pool4, pool6 netip.Addr
}

func newExit(ni *model.NetworkInterface) exit {
	e := exit{vpc: ni.VPC, pool6: pool6(ni).Addr()}
	if len(ni.Addresses) > 0 {
		e.pool4 = ni.Addresses[0]
	}
	return e
}

// pool gives the pool for a resource's family; false says that there is none.
func (e exit) pool(is4 bool) (netip.Addr, bool) {
	if is4 {
		return e.pool4, e.pool4.IsValid()
	}
	return e.pool6, e.pool6.IsValid()
}

// resource is what those who lead to a resource must know of it.
type resource struct {
	provider network
	targets  []target
	// onward is what the rest of the way needs, when the resource is an endpoint of
	// the provider.
	onward     []desired.Entry
	is4        bool
	ports      []desired.PortRange // one by one, or as a shared set:
	portSet    string
	portRanges []desired.PortRange
	// problem is why nothing leads there.
	problem string
}

// target is one way into the provider's VPC. There may be none just now: the
// gateway's interface may be gone or have no addresses of the resource's family.
type target struct {
	zone  string
	entry desired.Target
	ok    bool
}

// deriveConfiguration translates the transit targets of a resource to it. Its
// value is the resource.
func (r *reading) deriveConfiguration(ref model.Ref) derived {
	rc, ok := state.ResourceConfigurations.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{standingOf(SubjectConfiguration, &rc.Meta)}}
	if rc.Deleting() {
		return d
	}
	res, vpc, led := r.resource(rc)
	if led {
		r.lead(rc, vpc, res)
		d.value = res
	}
	if d.problem = res.problem; d.problem != "" {
		return d
	}
	for _, t := range res.targets {
		if t.ok {
			d.entries = append(d.entries, t.entry)
		}
	}
	return d
}

// resource says what a configuration leads to, and in which VPC; false when its
// gateway or that VPC is gone, or it has no targets.
func (r *reading) resource(rc *model.ResourceConfiguration) (*resource, model.Ref, bool) {
	res := &resource{is4: rc.IP.Is4()}
	for _, t := range rc.Targets {
		entry, ok := r.targetEntry(rc, t)
		res.targets = append(res.targets, target{t.Zone, entry, ok})
	}
	res.setPorts(rc.Ports)
	vpc, ok := valueOf[model.Ref](r, unitGateway, rc.Sibling(rc.Gateway))
	if !ok {
		return res, vpc, false
	}
	res.provider, ok = valueOf[network](r, unitVPC, vpc)
	return res, vpc, ok && len(res.targets) > 0
}

// lead makes the targets lead on when the resource is an endpoint of the gateway's
// VPC. What leads to itself leads nowhere.
func (r *reading) lead(rc *model.ResourceConfiguration, vpc model.Ref, res *resource) {
	blocks, _ := valueOf[[]block](r, unitSubnets, vpc)
	i := slices.IndexFunc(blocks, func(b block) bool { return b.cidr4.Contains(rc.IP) || b.cidr6.Contains(rc.IP) })
	if i < 0 {
		return
	}
	step, ok := state.StepIn(r.tx, blocks[i].subnet, rc.IP)
	if !ok {
		return
	}
	if _, ends := state.Steps(r.tx, rc); !ends {
		res.problem = fmt.Sprintf("%s is an address of endpoint %s, from where the way leads back to itself or on through more than %d resource configurations",
			rc.IP, step.Endpoint.ID, state.MaxSteps)
		return
	}
	next, ok := valueOf[*resource](r, unitConfiguration, step.Endpoint.Configuration)
	if !ok {
		return
	}
	res.onward = wayFrom(step.Interface, step.Endpoint.ID, res.provider, next)
	for i := range res.targets {
		res.targets[i].entry.Onward = true
	}
}

// targetEntry translates one transit target.
func (r *reading) targetEntry(rc *model.ResourceConfiguration, t model.TransitTarget) (desired.Target, bool) {
	x, ok := valueOf[exit](r, unitInterface, rc.Sibling(t.Interface))
	if !ok {
		return desired.Target{}, false
	}
	addr := model.TransitTarget6(r.plan.host.Index, t.Index)
	if rc.IP.Is4() {
		addr = model.TransitTarget4(r.plan.host.Index, t.Index)
	}
	gateway, ok := x.pool(rc.IP.Is4())
	return desired.Target{VPC: x.vpc, Addr: addr, Dest: rc.IP, Gateway: gateway}, ok
}

// setPorts keeps a few single ports as they are and names a shared set for
// anything else.
func (res *resource) setPorts(ports []model.PortRange) {
	exact := len(ports) <= maxExactPorts
	for _, r := range ports {
		res.portRanges = append(res.portRanges, desired.PortRange{From: r.From, To: r.To})
		exact = exact && r.From == r.To
	}
	// Users list ports in any order; entries have them in one.
	slices.SortFunc(res.portRanges, func(a, b desired.PortRange) int { return cmp.Compare(a.From, b.From) })
	if exact {
		res.ports, res.portRanges = res.portRanges, nil
		return
	}
	res.portSet = desired.PortSetName(res.portRanges)
}

// deriveEndpoint leads the endpoint's addresses to the transit targets of its
// resource, and admits the consumer's VPC there. The association must exist:
// either side may have removed it.
func (r *reading) deriveEndpoint(ref model.Ref) derived {
	ep, ok := state.VPCEndpoints.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{standingOf(SubjectEndpoint, &ep.Meta)}}
	active := false
	for a := range state.EndpointAssociationsByEndpoint.Rows(r.tx, ref) {
		d.subjects = append(d.subjects, standingOf(SubjectAssociation, &a.Meta))
		active = active || !a.Deleting()
	}
	if ep.Deleting() || !active {
		return d
	}
	res, ok := valueOf[*resource](r, unitConfiguration, ep.Configuration)
	if !ok {
		return d
	}
	if d.problem = res.problem; d.problem != "" {
		return d
	}
	consumer, ok := valueOf[network](r, unitVPC, ep.Sibling(ep.VPC))
	if !ok {
		return d
	}
	for ni := range state.NetworkInterfacesByOwner.Rows(r.tx, ref) {
		d.entries = append(d.entries, wayFrom(ni, ep.ID, consumer, res)...)
	}
	return d
}

// wayFrom asks for everything on the way from one interface of an endpoint to the
// resource, through as many gateways as it leads, also for what others ask for
// themselves: so the endpoint waits for all of it.
func wayFrom(ni *model.NetworkInterface, endpoint string, consumer network, res *resource) []desired.Entry {
	addresses, source := ni.Addresses, consumer.source(res.is4)
	if !res.is4 {
		addresses = ni.Addresses6
	}
	far := res.choose(ni)
	if len(addresses) == 0 || !far.ok {
		return nil
	}
	target := far.entry.Addr
	entries := []desired.Entry{
		far.entry,
		desired.NewLink(consumer.id, res.provider.id),
		desired.Route{VPC: consumer.id, Prefix: netip.PrefixFrom(target, target.BitLen()), Peer: res.provider.id},
		desired.Route{VPC: res.provider.id, Prefix: source, Peer: consumer.id},
		desired.Allow{VPC: res.provider.id, Source: source, Target: target},
	}
	entries = append(entries, res.onward...)
	if res.portSet != "" {
		entries = append(entries, desired.PortSet{VPC: consumer.id, Name: res.portSet, Ranges: res.portRanges})
	}
	for _, a := range addresses {
		entries = append(entries, desired.Endpoint{
			VPC: consumer.id, Addr: a, Target: target, Ports: res.ports, PortSet: res.portSet, Owner: endpoint,
		})
	}
	return entries
}

// choose prefers a gateway interface in the zone of the endpoint's interface;
// without one, interfaces of the same endpoint spread over the zones that there
// are, always the same way.
func (res *resource) choose(ni *model.NetworkInterface) target {
	for _, t := range res.targets {
		if t.zone == ni.Zone {
			return t
		}
	}
	h := fnv.New32a()
	h.Write([]byte(ni.ID))
	return res.targets[int(h.Sum32())%len(res.targets)]
}
