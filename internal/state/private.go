// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// PrivateName is the private name by which an endpoint leads to a resource, in normal
// form.
type PrivateName struct {
	// Zone is the domain that the endpoint's VPC asks the endpoint's own zone about.
	Zone string
	// Name is empty when the resource has no name in the domain.
	Name string
}

// PrivateNameOf gives the private name that an endpoint has for a resource; false when it has
// none. A resource by itself has its custom domain. A child is below the domain of its group,
// which is one zone for all, or, where the consumer wants this name and not the whole
// domain, in a zone of its own. Children of a group without a domain have none:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
func PrivateNameOf(tx *table.Txn, e *model.VPCEndpoint, rc *model.ResourceConfiguration) (PrivateName, bool) {
	switch {
	case rc.LeadsToDatabase():
		return databaseNameOf(tx, e, rc)
	case !e.PrivateDNS, rc.IsGroup():
		return PrivateName{}, false
	}
	own, above, domain := normal(rc.CustomDomain), rc, normal(rc.CustomDomain)
	if rc.Group != "" {
		group, ok := ResourceConfigurations.Get(tx, rc.Account, rc.Region, rc.Group)
		if !ok {
			return PrivateName{}, false
		}
		if above, domain = group, normal(group.GroupDomain); domain == "" {
			return PrivateName{}, false
		}
		if !model.NameWithin(own, domain) {
			own = ""
		}
	}
	for _, zone := range []string{domain, own} {
		if zone != "" && e.Admits(zone, verified(tx, e, above, zone)) && !loops(tx, e, rc, zone) {
			return PrivateName{zone, own}, true
		}
	}
	return PrivateName{}, false
}

// databaseNameOf gives the database's own name for a part of it, which is a zone of its own
// in every VPC that has an endpoint to it, whether that has private DNS or not. Where the
// database is, the name is the database's:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
func databaseNameOf(tx *table.Txn, e *model.VPCEndpoint, rc *model.ResourceConfiguration) (PrivateName, bool) {
	name := normal(rc.DNS.Name)
	gw, ok := ResourceGateways.Get(tx, rc.Account, rc.Region, rc.Gateway)
	if !ok || name == "" || gw.Sibling(gw.VPC) == e.Sibling(e.VPC) {
		return PrivateName{}, false
	}
	return PrivateName{Zone: name, Name: name}, true
}

// PrivateZones gives the domains that an endpoint has zones of its own for, in order.
func PrivateZones(tx *table.Txn, n Naming, e *model.VPCEndpoint) (zones []string) {
	if e.ToService() {
		return serviceZones(tx, n, e)
	}
	rc, ok := ResourceConfigurations.Get(tx, e.Configuration.Account, e.Configuration.Region, e.Configuration.ID)
	if !ok || !e.HasPrivateNames() {
		return nil
	}
	if !rc.IsGroup() {
		if name, ok := PrivateNameOf(tx, e, rc); ok {
			zones = append(zones, name.Zone)
		}
		return zones
	}
	if domain, ok := GroupZone(tx, e, rc); ok {
		zones = append(zones, domain)
	}
	for child := range ResourceConfigurationsByGroup.Rows(tx, rc.Ref()) {
		if name, ok := PrivateNameOf(tx, e, child); ok && !child.Deleting() {
			zones = append(zones, name.Zone)
		}
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// GroupZone gives the domain of a group that an endpoint to it has a zone for as a whole.
func GroupZone(tx *table.Txn, e *model.VPCEndpoint, rc *model.ResourceConfiguration) (domain string, ok bool) {
	domain = normal(rc.GroupDomain)
	return domain, e.PrivateDNS && rc.IsGroup() && domain != "" && e.Admits(domain, verified(tx, e, rc, domain))
}

// PrivateDomain is a domain of a resource that an endpoint with private DNS leads to.
type PrivateDomain struct {
	Endpoint *model.VPCEndpoint
	// Domain is in normal form; empty when the resource has none that could be used.
	Domain string
	// LeftOut is why the endpoint has no zone for it in its VPC; empty when it has one.
	LeftOut string
}

// PrivateDomains gives the domains of the resources that the endpoints of a VPC with
// private DNS lead to. Of endpoints that want one domain the oldest has it, see
// HasPrivateZone; the order is that of their age.
func PrivateDomains(tx *table.Txn, n Naming, vpc model.Ref) (list []PrivateDomain) {
	endpoints := slices.SortedFunc(VPCEndpointsByPrivate.Rows(tx, vpc), func(a, b *model.VPCEndpoint) int {
		if older(a, b) {
			return -1
		}
		return 1
	})
	if len(endpoints) == 0 {
		return nil
	}
	taken := map[string]string{}
	for z := range HostedZonesByVPC.Rows(tx, vpc) {
		if !z.Deleting() {
			taken[z.Name] = "hosted zone " + z.ID
		}
	}
	for _, e := range endpoints {
		used := PrivateZones(tx, n, e)
		for _, domain := range used {
			d := PrivateDomain{Endpoint: e, Domain: domain}
			switch by := taken[domain]; {
			case by != "":
				d.LeftOut = by + " has the domain in this VPC"
			case !e.Accepted():
				d.LeftOut = "the endpoint waits for the owner of its service to accept it"
				fallthrough
			default:
				taken[domain] = "endpoint " + e.ID
			}
			list = append(list, d)
		}
		list = append(list, domainsLeftOut(tx, e, used)...)
	}
	return list
}

// domainsLeftOut gives what an endpoint does not want as a zone, or cannot have.
func domainsLeftOut(tx *table.Txn, e *model.VPCEndpoint, used []string) (list []PrivateDomain) {
	rc, ok := ResourceConfigurations.Get(tx, e.Configuration.Account, e.Configuration.Region, e.Configuration.ID)
	if !ok || rc.Type == model.TypeARN {
		return nil
	}
	add := func(of *model.ResourceConfiguration, domain string) {
		if domain == "" || slices.Contains(used, domain) {
			return
		}
		used = append(used, domain)
		list = append(list, PrivateDomain{Endpoint: e, Domain: domain, LeftOut: leftOut(tx, e, of, rc, domain)})
	}
	domain := normal(rc.CustomDomain)
	if rc.IsGroup() {
		domain = normal(rc.GroupDomain)
	}
	if domain == "" {
		return []PrivateDomain{{Endpoint: e, LeftOut: "its resource has no domain of its own"}}
	}
	whole := slices.Contains(used, domain)
	add(rc, domain)
	for child := range ResourceConfigurationsByGroup.Rows(tx, rc.Ref()) {
		if own := normal(child.CustomDomain); !whole && rc.IsGroup() && !child.Deleting() && model.NameWithin(own, domain) {
			add(child, own)
		}
	}
	return list
}

// leftOut says why an endpoint has no zone for a domain of a resource, which is that of
// another one, its group, or its own.
func leftOut(tx *table.Txn, e *model.VPCEndpoint, rc, above *model.ResourceConfiguration, domain string) string {
	switch {
	case e.Admits(domain, verified(tx, e, above, domain)) && loops(tx, e, rc, domain):
		return "the resource's own name is in the domain, and is looked up in this VPC"
	case e.DNSPreference == model.PreferSpecified:
		return "PrivateDnsSpecifiedDomains does not have it"
	case e.DNSPreference == model.PreferVerifiedSpecified:
		return "its provider has not verified it, and PrivateDnsSpecifiedDomains does not have it"
	}
	return "its provider has not verified it"
}

// PrivateZoneIn gives the endpoint of a VPC that has a zone of its own for a domain. Of
// several the oldest has it; except is not one of them, if it is an endpoint at all.
func PrivateZoneIn(tx *table.Txn, n Naming, vpc model.Ref, domain, except string) (first *model.VPCEndpoint, ok bool) {
	for e := range VPCEndpointsByPrivate.Rows(tx, vpc) {
		if e.ID == except || first != nil && !older(e, first) || !slices.Contains(PrivateZones(tx, n, e), domain) {
			continue
		}
		first = e
	}
	return first, first != nil
}

// HostedZoneIn gives the hosted zone of a domain that a VPC is associated with.
func HostedZoneIn(tx *table.Txn, vpc model.Ref, domain string) (*model.HostedZone, bool) {
	for z := range HostedZonesByVPC.Rows(tx, vpc) {
		if z.Name == domain && !z.Deleting() {
			return z, true
		}
	}
	return nil, false
}

// HasPrivateZone reports whether an endpoint has a domain in its VPC, where no hosted zone
// and no older endpoint has it. Requests that would make two of them are refused, but
// domains are verified and children are added later.
func HasPrivateZone(tx *table.Txn, n Naming, e *model.VPCEndpoint, domain string) bool {
	vpc := e.Sibling(e.VPC)
	if _, taken := HostedZoneIn(tx, vpc, domain); taken {
		return false
	}
	other, taken := PrivateZoneIn(tx, n, vpc, domain, e.ID)
	return !taken || older(e, other)
}

// older reports which of two endpoints has a name that both want. One of type Gateway gives
// way: it has it without having been asked to.
func older(a, b *model.VPCEndpoint) bool {
	if gives := a.Type == model.EndpointGateway; gives != (b.Type == model.EndpointGateway) {
		return !gives
	}
	if !a.CreatedAt.Equal(b.CreatedAt) {
		return a.CreatedAt.Before(b.CreatedAt)
	}
	return a.Ref().String() < b.Ref().String()
}

// loops reports whether who asks for a resource's own name in its gateway's VPC would be
// led to the endpoint there, and from that to the name again:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
func loops(tx *table.Txn, e *model.VPCEndpoint, rc *model.ResourceConfiguration, domain string) bool {
	if !rc.HasName() {
		return false
	}
	gw, ok := ResourceGateways.Get(tx, rc.Account, rc.Region, rc.Gateway)
	return ok && gw.DNSResolution == "IN_VPC" && gw.Sibling(gw.VPC) == e.Sibling(e.VPC) && model.NameWithin(normal(rc.DNS.Name), domain)
}

// verified reports whether the provider of a resource has shown, to an endpoint, that a
// domain is its own.
func verified(tx *table.Txn, e *model.VPCEndpoint, rc *model.ResourceConfiguration, domain string) bool {
	v, ok := DomainVerifications.Get(tx, rc.Account, rc.Region, rc.Verification)
	return ok && v.HoldsFor(e.CreatedAt) && model.NameWithin(domain, normal(v.Domain))
}

// normal gives the normal form of a name, empty when it has none.
func normal(text string) string {
	name, err := model.NormalName(text)
	if err != nil {
		return ""
	}
	return name
}
