// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"unique"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// deriveEndpoint asks for nothing where ways are asked for by associations. Its value is
// the reference of the endpoint's VPC, while the endpoint is to be there. One of type
// Interface has its ways by itself.
func (r *reading) deriveEndpoint(ref model.Ref) derived {
	ep, ok := state.VPCEndpoints.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{standingOf(SubjectEndpoint, &ep.Meta)}}
	switch ep.Type {
	case model.EndpointInterface:
		return r.deriveInterfaceEndpoint(ep, d)
	case model.EndpointGateway:
		return r.deriveGatewayEndpoint(ep, d)
	}
	if !ep.Deleting() {
		d.value = unique.Make(ep.Sibling(ep.VPC)) // many have the same
	}
	return d
}

// deriveAssociation leads the association's addresses to the transit targets of its
// resource, and admits the consumer's VPC there. Its endpoint waits for the same. Its
// value is where the ways begin.
func (r *reading) deriveAssociation(ref model.Ref) derived {
	a, ok := state.EndpointAssociations.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{
		standingOf(SubjectAssociation, &a.Meta), newStanding(SubjectEndpoint, a.Endpoint, 0, false),
	}}
	if a.Deleting() {
		d.subjects = append(d.subjects, r.endingWith(a)...)
		return d
	}
	vpc, ok := valueOf[unique.Handle[model.Ref]](r, unitEndpoint, a.Endpoint)
	if !ok {
		return d
	}
	res, ok := valueOf[*resource](r, unitConfiguration, a.Configuration)
	if !ok {
		d.subjects = append(d.subjects, r.endingWith(a)...)
		return d
	}
	if d.problem = res.problem; d.problem != "" {
		return d
	}
	consumer, ok := valueOf[network](r, unitVPC, vpc.Value())
	if !ok {
		return d
	}
	d.problem = a.Lack
	from := entrances{vpc: vpc.Value()}
	r.open(&d, &from, r.doors(a), consumer, res)
	if from.doors != nil {
		d.value = from
	}
	return d
}

// endingWith gives the child of a group that is being deleted and had an association: it
// goes after that, so it waits for the same.
func (r *reading) endingWith(a *model.EndpointAssociation) []standing {
	ref := a.Configuration
	if a.Group == "" {
		return nil
	}
	if rc, ok := state.ResourceConfigurations.Get(r.tx, ref.Account, ref.Region, ref.ID); !ok || !rc.Deleting() {
		return nil
	}
	return []standing{newStanding(SubjectConfiguration, ref, 0, false)}
}

// elsewhere says that a door leads to a target on another host, if it does. Hosts have
// no routes to each other yet.
func (r *reading) elsewhere(from door, res *resource) string {
	far := from.choose(res)
	if far.host == r.plan.host.Index || from.addr.Is4() != res.is4 {
		return ""
	}
	return fmt.Sprintf("its resource is reached by %s on host %d, to which host %d has no route", far.ni, far.host, r.plan.host.Index)
}

// door is where a way begins: an address in the consumer's VPC that leads to a
// resource. All that differs between kinds of associations is which doors they have.
type door struct {
	addr netip.Addr
	// zone is where those are who use the door, and spread deals doors without a
	// gateway in their zone to those that there are.
	zone, spread string
	owner        string
}

// doors gives the addresses that lead to an association's resource: its own, or
// those of the endpoint's interfaces that are nobody's own.
func (r *reading) doors(a *model.EndpointAssociation) (doors []door) {
	for _, own := range a.Addresses {
		ref := a.Interface(own)
		ni, ok := state.NetworkInterfaces.Get(r.tx, ref.Account, ref.Region, ref.ID)
		if ok && ni.Type == model.InterfaceEndpoint && ni.Sibling(ni.Owner) == a.Endpoint {
			doors = append(doors, door{own.Addr, ni.Zone, own.Interface, a.Endpoint.ID})
		}
	}
	if a.Owns() {
		return doors
	}
	for ni := range state.NetworkInterfacesByOwner.Rows(r.tx, a.Endpoint) {
		for _, addr := range ni.All() {
			if state.EndpointAssociationsByAddress.Count(r.tx, state.Address{Interface: ni.Ref(), Addr: addr}) == 0 {
				doors = append(doors, door{addr, ni.Zone, ni.ID, a.Endpoint.ID})
			}
		}
	}
	return doors
}

// open asks for the ways from doors to a resource, and adds to the entrances those from which
// there is one. What is elsewhere is a problem.
func (r *reading) open(d *derived, from *entrances, doors []door, consumer network, res *resource) {
	for _, door := range doors {
		if elsewhere := r.elsewhere(door, res); elsewhere != "" {
			d.problem = elsewhere
			continue
		}
		if way := door.way(consumer, res); way != nil {
			d.entries = append(d.entries, way...)
			from.doors = append(from.doors, desired.ZoneAddr{Addr: door.addr, Zone: door.zone})
		}
	}
}

// way asks for everything on the way from a door to a resource, through as many
// gateways as it leads, also for what others ask for themselves: so the association
// waits for all of it. A door of the other family leads nowhere.
func (from door) way(consumer network, res *resource) []desired.Entry {
	far := from.choose(res)
	if from.addr.Is4() != res.is4 || !far.ok {
		return nil
	}
	if spread, is := far.entry.(desired.Balance); is && consumer.id == res.provider.id {
		return from.inside(spread, res)
	}
	target, source := far.addr, consumer.source(res.is4)
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
	return append(entries, desired.Endpoint{
		VPC: consumer.id, Addr: from.addr, Target: target, Ports: res.ports, PortSet: res.portSet, Owner: from.owner,
	})
}

// inside is way to a load balancer of the door's own VPC. As the load balancer's own address
// is, the door is a target of its router: there is no link of a router with itself.
func (from door) inside(spread desired.Balance, res *resource) (entries []desired.Entry) {
	spread.Addr = from.addr
	entries = append(entries, spread)
	if res.portSet != "" {
		entries = append(entries, desired.PortSet{VPC: spread.VPC, Name: res.portSet, Ranges: res.portRanges})
	}
	return append(entries, desired.Endpoint{
		VPC: spread.VPC, Addr: from.addr, Target: from.addr, Ports: res.ports, PortSet: res.portSet, Owner: from.owner,
	})
}

// choose prefers a gateway interface in the door's zone; without one, the doors of
// an endpoint spread over the zones that there are, always the same way.
func (from door) choose(res *resource) target {
	for _, t := range res.targets {
		if t.zone == from.zone {
			return t
		}
	}
	h := fnv.New32a()
	h.Write([]byte(from.spread))
	return res.targets[int(h.Sum32())%len(res.targets)]
}
