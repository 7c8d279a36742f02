// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// endpointTTL is for how long the addresses of an endpoint may be kept, in seconds, as
// AWS has it, and endpointNegative for how long that a name is not there: somebody who
// asks a moment too early is to find it soon.
const (
	endpointTTL      = 60
	endpointNegative = 5
)

// named reports whether the host is asked for names at all.
func (r *reading) named() bool { return r.plan.domains.Endpoints != "" }

// deriveResolver asks for what the resolver of a VPC knows of the VPC, for the zone of
// its endpoints' names, and for the addresses at which the router has it. The servers of a
// DHCP option set are told for look-ups: workloads ask them themselves.
func (r *reading) deriveResolver(ref model.Ref) derived {
	vpc, ok := state.VPCs.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	e := desired.Resolver{VPC: vpc.ID, Off: !vpc.DNSSupport, Networks: vpc.Networks()}
	if vpc.DNSSupport && vpc.DNSHostnames {
		e.Internal = internalDomain(vpc.Region)
	}
	for s := range state.SubnetsByVPC.Rows(r.tx, ref) {
		for _, block := range []netip.Prefix{s.CIDR, s.CIDR6.Prefix} {
			if block.IsValid() {
				e.Zones = append(e.Zones, desired.ZonePrefix{Prefix: block, Zone: s.Zone})
			}
		}
	}
	e.Servers = r.servers(vpc)
	slices.SortFunc(e.Zones, func(a, b desired.ZonePrefix) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), cmp.Compare(a.Zone, b.Zone))
	})
	entries := append(r.endpointZone(vpc.ID, vpc.Region), e, desired.NewNameserver(vpc.ID, e.Networks...))
	if there, _ := valueOf[bool](r, unitHubs, model.Ref{}); there {
		zone := r.serviceZone()
		entries = append(entries, zone, desired.View{VPC: vpc.ID, Zone: zone.ID})
	}
	return derived{entries: append(entries, r.balancerViews(vpc.ID)...)}
}

// servers are those of the VPC's DHCP options, with an address of its resolver in the place
// of the word for it; none when that is the first.
func (r *reading) servers(vpc *model.VPC) (list []netip.Addr) {
	o, ok := state.DHCPOptions.Get(r.tx, vpc.Account, vpc.Region, vpc.DHCPOptions)
	if !ok {
		return nil
	}
	own := desired.NewNameserver(vpc.ID, vpc.Networks()...).Addrs
	for _, text := range o.DomainNameServers {
		a := own[0]
		if text != model.AmazonDNS {
			var err error
			if a, err = netip.ParseAddr(text); err != nil {
				continue // requests with such a text are refused
			}
		}
		if slices.Contains(own, a) && len(list) == 0 {
			return nil
		}
		list = append(list, a)
	}
	return list
}

// internalDomain is where the names of addresses are:
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-dns.html
func internalDomain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal."
	}
	return region + ".compute.internal."
}

// endpointZone is the zone of the names of a VPC's endpoints, which it alone sees of all
// VPCs. Who asks the host's authoritative server is told of those of all of them.
func (r *reading) endpointZone(vpc, region string) []desired.Entry {
	z := desired.NameZone{ID: endpointZoneOf(vpc), Name: model.EndpointDomain(region, r.plan.domains.Endpoints), Negative: endpointNegative, Public: true}
	return []desired.Entry{z, desired.View{VPC: vpc, Zone: z.ID}}
}

func endpointZoneOf(vpc string) string { return vpc + "/endpoints" }

// deriveNames gives the names of an association, the private one too, the addresses from
// which there is a way.
func (r *reading) deriveNames(ref model.Ref) derived {
	a, ok := state.EndpointAssociations.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok || !r.named() {
		return derived{}
	}
	d := derived{subjects: []standing{newStanding(SubjectNames, a.NamesRef(), stamp(a.CreatedAt, a.UpdatedAt), a.Deleting())}}
	if a.Deleting() {
		return d
	}
	w, led := valueOf[entrances](r, unitAssociation, ref)
	ep, ok := state.VPCEndpoints.Get(r.tx, a.Endpoint.Account, a.Endpoint.Region, a.Endpoint.ID)
	if !ok {
		return d
	}
	d.entries = r.privateName(a, ep, w.doors)
	if !led {
		d.problem = "nothing has the names: no address of the endpoint leads to its resource"
		return d
	}
	domain := model.EndpointDomain(w.vpc.Region, r.plan.domains.Endpoints)
	named := newNamedAddresses(endpointZoneOf(w.vpc.ID), ep.DNSRecordType)
	name := a.NameIn(domain)
	for _, door := range w.doors {
		named.add(name, door)
		named.add(a.ZonalNameIn(domain, door.Zone), door)
	}
	d.entries = append(append(d.entries, r.endpointZone(w.vpc.ID, w.vpc.Region)...), named.records()...)
	if len(named.all) == 0 {
		d.problem = "nothing has the names: the endpoint has no addresses of the kind of records that it is to have, " + ep.DNSRecordType
	}
	return d
}

// entrances are the addresses of a VPC from which there is a way to a resource.
type entrances struct {
	vpc   model.Ref
	doors []desired.ZoneAddr
}

// namedAddresses are addresses by the records that have them.
type namedAddresses struct {
	zone     string
	families string // of records, in the words of DnsRecordIpType
	all      []desired.NameRecord
}

func newNamedAddresses(zone, families string) namedAddresses {
	return namedAddresses{zone: zone, families: families}
}

// add gives a name one more address, if it is to have those of that family.
func (n *namedAddresses) add(name string, addr desired.ZoneAddr) {
	kind, other := "AAAA", "ipv4"
	if addr.Addr.Is4() {
		kind, other = "A", "ipv6"
	}
	if n.families == other {
		return
	}
	i := slices.IndexFunc(n.all, func(r desired.NameRecord) bool { return r.Name == name && r.Type == kind })
	if i < 0 {
		i = len(n.all)
		n.all = append(n.all, desired.NameRecord{Zone: n.zone, Name: name, Type: kind, TTL: endpointTTL})
	}
	n.all[i].Near = append(n.all[i].Near, addr)
}

func (n *namedAddresses) records() (records []desired.Entry) {
	for _, r := range n.all {
		slices.SortFunc(r.Near, func(a, b desired.ZoneAddr) int { return a.Addr.Compare(b.Addr) })
		records = append(records, r)
	}
	return records
}
