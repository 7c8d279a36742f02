// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// balancerTTL is for how long the addresses of a load balancer may be kept, in seconds, as AWS
// has it.
const balancerTTL = 60

// balancing is what those who lead to a load balancer must know of it.
type balancing struct {
	vpc   model.Ref
	ports []model.PortRange
	ways  []balancedWay
}

// balancedWay is one interface of a load balancer: its transit target, and what connections to
// that are spread over.
type balancedWay struct {
	ni     string
	target model.TransitTarget
	spread desired.Balance
}

// deriveBalancer asks for what connections to a load balancer's addresses are spread over, and
// for its names. Those of endpoints come by transit targets, which endpoints ask for.
func (r *reading) deriveBalancer(ref model.Ref) derived {
	b, ok := state.LoadBalancers.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{standingOf(SubjectBalancer, &b.Meta)}}
	if b.Deleting() {
		return d
	}
	value := balancing{vpc: b.Sibling(b.VPC)}
	var doors []desired.ZoneAddr
	ports := &resource{}
	value.ports = r.listenedPorts(b)
	ports.setPorts(value.ports)
	if ports.portSet != "" {
		d.entries = append(d.entries, desired.PortSet{VPC: b.VPC, Name: ports.portSet, Ranges: ports.portRanges})
	}
	for _, t := range b.Targets {
		ni, ok := state.NetworkInterfaces.Get(r.tx, b.Account, b.Region, t.Interface)
		if !ok || len(ni.Addresses) == 0 || t.Host != r.plan.host.Index {
			continue
		}
		own := ni.Addresses[0]
		doors = append(doors, desired.ZoneAddr{Addr: own, Zone: ni.Zone})
		for _, pool := range pools(ni) {
			d.entries = append(d.entries, pool)
			d.entries = append(d.entries, r.steer(pool.VPC, pool.Gateway.String(), ni.SubnetRef())...)
		}
		way := balancedWay{ni: ni.ID, target: t, spread: r.spread(b, ni)}
		value.ways = append(value.ways, way)
		if len(value.ports) > 0 {
			d.entries = append(d.entries, way.spread, desired.Endpoint{
				VPC: b.VPC, Addr: own, Target: own, Ports: ports.ports, PortSet: ports.portSet, Owner: b.ID,
			})
		}
	}
	d.entries = append(d.entries, r.balancerNames(b, doors)...)
	d.value = value
	return d
}

// listenedPorts are the ports of a load balancer's listeners.
func (r *reading) listenedPorts(b *model.LoadBalancer) (ports []model.PortRange) {
	for l := range state.ListenersByLoadBalancer.Rows(r.tx, b.Ref()) {
		ports = append(ports, model.PortRange{From: l.Port, To: l.Port})
	}
	return ports
}

// spread has what comes to the address of a load balancer's interface go to the targets of its
// listeners: to all of them, or to those that are in the interface's zone.
func (r *reading) spread(b *model.LoadBalancer, ni *model.NetworkInterface) desired.Balance {
	e := desired.Balance{VPC: b.VPC, Addr: ni.Addresses[0], Gateway: ni.Addresses[0]}
	for l := range state.ListenersByLoadBalancer.Rows(r.tx, b.Ref()) {
		g, ok := state.TargetGroups.Get(r.tx, l.Account, l.Region, l.TargetGroup)
		if !ok {
			continue
		}
		e.Listeners = append(e.Listeners, desired.Listener{Port: l.Port, Group: g.ID})
		if _, there := e.Group(g.ID); !there {
			e.Groups = append(e.Groups, r.targetGroup(b, g, ni.Zone))
		}
	}
	return e
}

// targetGroup is a target group as an interface of a load balancer in a zone has it.
func (r *reading) targetGroup(b *model.LoadBalancer, g *model.TargetGroup, zone string) desired.TargetGroup {
	e := desired.TargetGroup{ID: g.ID, Check: checkOf(&g.Check), CutUnhealthy: !g.KeepUnhealthy, CutGone: g.CutDrained}
	for _, t := range g.Targets {
		at := netip.AddrPortFrom(t.Addr, t.Port)
		switch {
		case !t.Anywhere && !g.CrossesZones(b) && state.ZoneAt(r.tx, g.Sibling(g.VPC), t.Addr) != zone:
		case t.Draining():
			e.Draining = append(e.Draining, at)
		default:
			e.Members = append(e.Members, at)
		}
	}
	return e
}

// checks are how entries call the protocols of health checks.
var checks = map[string]string{"TCP": desired.CheckTCP, "HTTP": desired.CheckHTTP, "HTTPS": desired.CheckHTTPS}

func checkOf(c *model.HealthCheck) desired.Check {
	return desired.Check{
		Protocol: checks[c.Protocol], Port: c.Port, Path: c.Path, Codes: c.Codes,
		Interval: uint32(c.Interval), Timeout: uint32(c.Timeout), Healthy: uint32(c.Healthy), Unhealthy: uint32(c.Unhealthy),
	}
}

// balancerZone is the zone of the names of a region's load balancers. All VPCs see it: the
// names are public, wherever they point.
func (r *reading) balancerZone(region string) desired.NameZone {
	return desired.NameZone{
		ID: "load-balancers/" + region, Name: model.BalancerDomain(region, r.plan.domains.Endpoints), Negative: endpointNegative, Public: true,
	}
}

// balancerRegions are the regions in which there are load balancers, in order.
func (r *reading) balancerRegions() (regions []string) {
	for b := range state.LoadBalancersByAll.Rows(r.tx, state.Everything) {
		if at, is := slices.BinarySearch(regions, b.Region); !is {
			regions = slices.Insert(regions, at, b.Region)
		}
	}
	return regions
}

// balancerViews have a VPC see the names of load balancers, where there are any.
func (r *reading) balancerViews(vpc string) (entries []desired.Entry) {
	regions, _ := valueOf[[]string](r, unitBalancers, model.Ref{})
	for _, region := range regions {
		zone := r.balancerZone(region)
		entries = append(entries, zone, desired.View{VPC: vpc, Zone: zone.ID})
	}
	return entries
}

// balancerNames gives a load balancer its names: that of all its addresses, whoever asks, and
// one for each zone.
func (r *reading) balancerNames(b *model.LoadBalancer, doors []desired.ZoneAddr) []desired.Entry {
	if !r.named() {
		return nil
	}
	zone := r.balancerZone(b.Region)
	entries := []desired.Entry{zone}
	all := desired.NameRecord{Zone: zone.ID, Name: b.NameIn(zone.Name), Type: "A", TTL: balancerTTL}
	for _, door := range doors {
		zonal := all
		zonal.Name, zonal.Data = b.ZonalNameIn(zone.Name, door.Zone), []string{door.Addr.String()}
		entries = append(entries, zonal)
	}
	for _, door := range doors {
		all.Data = append(all.Data, door.Addr.String())
	}
	if len(doors) > 0 {
		entries = append(entries, all)
	}
	return entries
}

// balanced says where connections of an endpoint to an endpoint service configuration
// arrive, in one family: at its network load balancer, which has addresses of IPv4. Of several
// load balancers an endpoint goes to all, each in its zones.
func (r *reading) balanced(s *model.EndpointService, is4 bool) *resource {
	res := &resource{is4: is4}
	var ports []model.PortRange
	for _, id := range s.LoadBalancers {
		b, ok := valueOf[balancing](r, unitBalancer, s.Sibling(id))
		if !ok || !is4 {
			continue
		}
		provider, ok := valueOf[network](r, unitVPC, b.vpc)
		switch {
		case !ok:
			continue
		case res.provider.id != "" && res.provider.id != provider.id:
			res.problem = "the load balancers of service " + s.Name + " are in different VPCs, " + res.provider.id + " and " + provider.id
			return res
		}
		res.provider = provider
		for _, way := range b.ways {
			spread := way.spread
			spread.Addr = way.target.Addr(true)
			res.targets = append(res.targets, target{
				zone: way.target.Zone, host: way.target.Host, ni: way.ni, addr: spread.Addr, entry: spread, ok: len(b.ports) > 0,
			})
		}
		for _, port := range b.ports { // two load balancers may listen at the same one
			if !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	switch {
	case len(res.targets) == 0:
		res.problem = "service " + s.Name + " has no load balancer that connections could go to"
	case len(ports) == 0:
		res.problem = "no load balancer of service " + s.Name + " has a listener"
	}
	res.setPorts(ports)
	return res
}
