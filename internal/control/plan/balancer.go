// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// balancerTTL is for how long the addresses of a load balancer may be kept, in seconds, as AWS
// has it.
const balancerTTL = 60

// deriveBalancer asks for what connections leave a load balancer from, and for its names.
func (r *reading) deriveBalancer(ref model.Ref) derived {
	b, ok := state.LoadBalancers.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	d := derived{subjects: []standing{standingOf(SubjectBalancer, &b.Meta)}}
	if b.Deleting() {
		return d
	}
	var doors []desired.ZoneAddr
	for ni := range state.NetworkInterfacesByOwner.Rows(r.tx, ref) {
		for _, pool := range pools(ni) {
			d.entries = append(d.entries, pool)
			d.entries = append(d.entries, r.steer(pool.VPC, pool.Gateway.String(), ni.SubnetRef())...)
		}
		for _, addr := range ni.Addresses {
			doors = append(doors, desired.ZoneAddr{Addr: addr, Zone: ni.Zone})
		}
	}
	d.entries = append(d.entries, r.balancerNames(b, doors)...)
	return d
}

// balancerNames gives a load balancer its names, which everybody can look up, in a zone of
// its own.
func (r *reading) balancerNames(b *model.LoadBalancer, doors []desired.ZoneAddr) []desired.Entry {
	if !r.named() {
		return nil
	}
	domain := model.BalancerDomain(b.Region, r.plan.domains.Endpoints)
	name := b.NameIn(domain)
	zone := desired.NameZone{ID: b.VPC + "/" + name, Name: name, Negative: endpointNegative, Public: true}
	named := namedAddresses{zone: zone.ID}
	for _, door := range doors {
		named.add(name, door)
		named.add(b.ZonalNameIn(domain, door.Zone), door)
	}
	entries := []desired.Entry{zone, desired.View{VPC: b.VPC, Zone: zone.ID}}
	for i := range named.all {
		named.all[i].TTL = balancerTTL
	}
	return append(entries, named.records()...)
}

// balanced says where connections of an endpoint to an endpoint service configuration
// arrive, in one family: at its network load balancer.
func (r *reading) balanced(s *model.EndpointService, is4 bool) *resource {
	return &resource{is4: is4, problem: "service " + s.Name + " has no load balancer"}
}
