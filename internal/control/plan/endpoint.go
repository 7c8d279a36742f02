// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
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
	subnet       model.Ref
	pool4, pool6 netip.Addr
}

func newExit(ni *model.NetworkInterface) exit {
	e := exit{vpc: ni.VPC, subnet: ni.SubnetRef(), pool6: pool6(ni).Addr()}
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
// gateway's interface may be gone or have no addresses of the resource's family, or
// it is another host's, which translates it.
type target struct {
	zone string
	host int
	ni   string
	addr netip.Addr
	// entry is a Target, or a Follow when the resource has a name, or a FollowDatabase.
	entry desired.Entry
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
	if rc.Deleting() || rc.IsGroup() {
		d.subjects = append(d.subjects, r.endingAfter(rc)...)
		d.problem = r.unbound(rc)
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
			d.entries = append(d.entries, r.steerTarget(rc, t)...)
		}
	}
	return d
}

// endingAfter gives the configuration of a database that is being deleted with this child
// of it: it goes after its children, so it waits for the same.
func (r *reading) endingAfter(rc *model.ResourceConfiguration) []standing {
	if !rc.Deleting() || !rc.LeadsToDatabase() {
		return nil
	}
	if above, ok := state.ResourceConfigurations.Get(r.tx, rc.Account, rc.Region, rc.Group); !ok || !above.Deleting() {
		return nil
	}
	return []standing{newStanding(SubjectConfiguration, rc.Sibling(rc.Group), 0, false)}
}

// unbound says that the database is gone that a configuration was made for, if it is.
// Another one of that name is another database.
func (r *reading) unbound(rc *model.ResourceConfiguration) string {
	if rc.Type != model.TypeARN || rc.Deleting() || state.IsDatabase(r.tx, rc.Sibling(rc.Database)) {
		return ""
	}
	return fmt.Sprintf("%s with resource id %s, which it was made for, is gone; a database that has its name since is another one", rc.DatabaseARN, rc.Database)
}

// resource says what a configuration leads to, and in which VPC; false when its
// gateway or that VPC is gone, or it has no targets.
func (r *reading) resource(rc *model.ResourceConfiguration) (*resource, model.Ref, bool) {
	res := &resource{is4: rc.Is4()}
	for _, t := range rc.Targets {
		entry, ok := r.targetEntry(rc, t)
		res.targets = append(res.targets, target{t.Zone, t.Host, t.Interface, t.Addr(res.is4), entry, ok})
	}
	if rc.LeadsToDatabase() {
		if _, ok := r.followDatabase(rc, desired.FollowDatabase{}); !ok {
			res.problem = fmt.Sprintf("what it leads to of database %s does not exist any more", rc.Database)
		}
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
// VPC. What leads to itself leads nowhere, and so does what nobody can have: the
// request was refused, but subnets, blocks and gateways may have come later.
func (r *reading) lead(rc *model.ResourceConfiguration, vpc model.Ref, res *resource) {
	there, _ := valueOf[land](r, unitSubnets, vpc)
	subnet, found, reserved := there.at(rc.IP)
	if reserved != "" {
		res.problem = fmt.Sprintf("nothing can answer at %s: it is %s", rc.IP, reserved)
	}
	if !found || reserved != "" {
		return
	}
	if gateway, is := state.GatewayAt(r.tx, subnet, rc.IP); is {
		res.problem = fmt.Sprintf("nothing can answer at %s: it belongs to resource gateway %s, which only sends", rc.IP, gateway)
		return
	}
	if balancer, is := state.BalancerAt(r.tx, subnet, rc.IP); is {
		res.problem = fmt.Sprintf("%s is an address of load balancer %s, to which resource gateways do not lead; make an endpoint service of it, or offer its targets", rc.IP, balancer)
		return
	}
	step, ok := state.StepIn(r.tx, subnet, rc.IP)
	if !ok {
		r.leadToService(rc, subnet, res)
		return
	}
	if _, ends := state.Steps(r.tx, rc); !ends {
		res.problem = fmt.Sprintf("%s is an address of endpoint %s, from where the way leads back to itself or on through more than %d resource configurations",
			rc.IP, step.Association.Endpoint.ID, state.MaxSteps)
		return
	}
	next, ok := valueOf[*resource](r, unitConfiguration, step.Association.Configuration)
	if !ok {
		return
	}
	r.leadOn(res, door{rc.IP, step.Interface.Zone, step.Interface.ID, step.Association.Endpoint.ID}, next)
}

// leadToService makes the targets lead on when the resource is an interface endpoint of the
// gateway's VPC. The way ends with its service.
func (r *reading) leadToService(rc *model.ResourceConfiguration, subnet model.Ref, res *resource) {
	ep, ni, ok := state.InterfaceEndpointAt(r.tx, subnet, rc.IP)
	if !ok {
		return
	}
	offer, ok := state.OfferOf(r.tx, ep)
	if !ok {
		return
	}
	if next := r.behind(ep, offer, rc.Is4()); next.problem != "" {
		res.problem = next.problem
	} else if len(next.targets) > 0 {
		r.leadOn(res, door{rc.IP, ni.Zone, ni.ID, ep.ID}, next)
	}
}

// leadOn makes the targets of a resource lead on by a door of its VPC.
func (r *reading) leadOn(res *resource, from door, next *resource) {
	if res.problem = r.elsewhere(from, next); res.problem != "" {
		return
	}
	res.onward = from.way(res.provider, next)
	for i := range res.targets {
		if entry, ok := res.targets[i].entry.(desired.Target); ok {
			entry.Onward = true
			res.targets[i].entry = entry
		}
	}
}

// targetEntry translates one transit target, on the host where it is.
func (r *reading) targetEntry(rc *model.ResourceConfiguration, t model.TransitTarget) (desired.Entry, bool) {
	x, ok := valueOf[exit](r, unitInterface, rc.Sibling(t.Interface))
	if !ok || t.Host != r.plan.host.Index {
		return nil, false
	}
	gateway, ok := x.pool(rc.Is4())
	switch {
	case !ok:
		return nil, false
	case rc.LeadsToDatabase():
		return r.followDatabase(rc, desired.FollowDatabase{VPC: x.vpc, Addr: t.Addr(rc.Is4()), Gateway: gateway})
	case rc.HasName():
		return r.follow(rc, desired.Follow{VPC: x.vpc, Addr: t.Addr(rc.Is4()), Gateway: gateway})
	}
	return desired.Target{VPC: x.vpc, Addr: t.Addr(rc.Is4()), Dest: rc.IP, Gateway: gateway}, true
}

// steerTarget has what comes to a target take the course of the subnet that its gateway's
// interface is in.
func (r *reading) steerTarget(rc *model.ResourceConfiguration, t target) []desired.Entry {
	x, ok := valueOf[exit](r, unitInterface, rc.Sibling(t.ni))
	if !ok {
		return nil
	}
	return r.steer(x.vpc, t.addr.String(), x.subnet)
}

// follow has a target follow the name of a resource, which is looked up as the gateway
// says.
func (r *reading) follow(rc *model.ResourceConfiguration, f desired.Follow) (desired.Entry, bool) {
	gateway, ok := state.ResourceGateways.Get(r.tx, rc.Account, rc.Region, rc.Gateway)
	if !ok {
		return nil, false
	}
	name, err := model.NormalName(rc.DNS.Name)
	if err != nil {
		return nil, false // requests with such a name are refused
	}
	f.Name, f.InVPC = name, gateway.ResolvesInVPC()
	f.Port, f.Watched = uint32(rc.ProbedPort()), uint32(rc.WatchedPort())
	return f, true
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
