// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"fmt"
	"strings"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// What the resolver of a VPC is: off refuses every question.
const (
	resolverOn  = "on"
	resolverOff = "off"
)

// resolvers yields what is answered in each VPC: which hosted zones it sees, and under
// which names its endpoints are.
func (a *API) resolvers(tx *table.Txn) func(yield func(shape.Resolver) bool) {
	return func(yield func(shape.Resolver) bool) {
		for vpc := range state.VPCs.All(tx) {
			if !yield(a.resolver(tx, vpc)) {
				return
			}
		}
	}
}

func (a *API) resolver(tx *table.Txn, vpc *model.VPC) shape.Resolver {
	r := shape.Resolver{Account: &vpc.Account, Region: &vpc.Region, Vpc: &vpc.ID, State: new(resolverOn)}
	if !vpc.DNSSupport {
		r.State = new(resolverOff)
	}
	sees := vpc.DNSSupport && vpc.DNSHostnames
	for z := range state.HostedZonesByVPC.Rows(tx, vpc.Ref()) {
		r.Zones = append(r.Zones, shape.ResolverZone{Id: &z.ID, Name: new(shown(z.Name)), Seen: &sees})
	}
	if len(r.Zones) > 0 && !sees {
		r.Hint = service.Optional(zonesHint(vpc, len(r.Zones)))
	}
	for e := range state.VPCEndpointsByVPC.Rows(tx, vpc.Ref()) {
		if offer, ok := state.OfferOf(tx, e); ok && e.Type == model.EndpointInterface && e.Accepted() && len(e.Interfaces) > 0 {
			r.Names = append(r.Names, a.endpointName(tx, &e.Meta, e.ID, e.NameIn(offer.Domain(a.Naming()))))
		}
		for row := range state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()) {
			r.Names = append(r.Names, a.endpointName(tx, &row.Meta, row.Endpoint.ID, row.NameIn(model.EndpointDomain(row.Endpoint.Region, a.Suffix))))
		}
	}
	for _, d := range state.PrivateDomains(tx, a.Naming(), vpc.Ref()) {
		r.PrivateDomains = append(r.PrivateDomains, privateDomain(vpc, d))
	}
	addOptions(tx, &r, vpc)
	return r
}

// privateDomain tells whether a VPC asks an endpoint's own zone about a domain.
func privateDomain(vpc *model.VPC, d state.PrivateDomain) shape.PrivateDomain {
	out := shape.PrivateDomain{Domain: service.Optional(shown(d.Domain)), Endpoint: &d.Endpoint.ID, State: new(domainUsed)}
	if d.LeftOut == "" && !(vpc.DNSSupport && vpc.DNSHostnames) {
		d.LeftOut = attributesOff(vpc) + " of the VPC must be true"
	}
	if d.LeftOut != "" {
		out.State, out.Reason = new(domainLeftOut), &d.LeftOut
	}
	return out
}

// addOptions tells what workloads of a VPC are told of name servers.
func addOptions(tx *table.Txn, r *shape.Resolver, vpc *model.VPC) {
	r.DhcpOptions = new(model.NoDHCPOptions)
	if o, ok := state.DHCPOptions.Get(tx, vpc.Account, vpc.Region, vpc.DHCPOptions); ok {
		r.DhcpOptions, r.DnsServers, r.DnsSearch = &o.ID, o.DomainNameServers, strings.Fields(o.DomainName)
	}
}

// verifications yields how it stands with the domains that accounts say are theirs.
func verifications(tx *table.Txn) func(yield func(shape.Verification) bool) {
	return func(yield func(shape.Verification) bool) {
		for v := range state.DomainVerifications.All(tx) {
			if !yield(shape.Verification{
				Id: &v.ID, Account: &v.Account, Region: &v.Region, Domain: &v.Domain, State: &v.State, Record: new(v.RecordName()), Value: &v.Value,
				Problem: service.Optional(v.Problem), LookedAt: moment(v.LookedAt), NextAt: moment(v.NextAt),
			}) {
				return
			}
		}
	}
}

// Whether a VPC sees a private domain of an endpoint.
const (
	domainUsed    = "used"
	domainLeftOut = "left-out"
)

// zonesHint says why a VPC does not see its hosted zones: this is what users miss first.
func zonesHint(vpc *model.VPC, zones int) string {
	return fmt.Sprintf("it does not see its hosted zones (%d): %s of the VPC must be true", zones, attributesOff(vpc))
}

// attributesOff names the attributes of a VPC that are off and that zones need.
func attributesOff(vpc *model.VPC) string {
	var off []string
	if !vpc.DNSSupport {
		off = append(off, "enableDnsSupport")
	}
	if !vpc.DNSHostnames {
		off = append(off, "enableDnsHostnames")
	}
	return strings.Join(off, " and ")
}

// shown is a name as people write it.
func shown(name string) string {
	if name == model.RootName {
		return name
	}
	return strings.TrimSuffix(name, model.RootName)
}

// endpointName tells how an association or an interface endpoint is called, and whether that
// resolves.
func (a *API) endpointName(tx *table.Txn, row *model.Meta, endpoint, name string) shape.EndpointName {
	domain := model.EndpointDomain(row.Region, a.Suffix)
	n := shape.EndpointName{Name: new(shown(name)), Endpoint: &endpoint, State: new(string(model.Pending))}
	status, out := state.NamesOut(tx, row, domain)
	switch {
	case row.Deleting():
		n.State = new(string(model.Deleting))
	case out:
		n.State = new(string(model.Ready))
	case status.State == model.StatusFailed && status.Domain == domain:
		n.State, n.Reason = new(string(model.Failed)), service.Optional(status.Reason)
	}
	return n
}
