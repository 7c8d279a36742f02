// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// maxDNSDomains is how many domains PrivateDnsSpecifiedDomains can name.
const maxDNSDomains = 10

// checkDNSOptions checks options, which are kept and shown also without private DNS.
func checkDNSOptions(o *shape.DnsOptionsSpecification, family model.IPFamily) error {
	if o == nil {
		return nil
	}
	record, preference := service.Value(o.DnsRecordIpType), service.Value(o.PrivateDnsPreference)
	needs4 := record == shape.DnsRecordIpTypeIpv4 || record == shape.DnsRecordIpTypeDualstack
	needs6 := record == shape.DnsRecordIpTypeIpv6 || record == shape.DnsRecordIpTypeDualstack
	switch {
	case needs4 && !family.Has4(), needs6 && !family.Has6():
		return fault.EC2("InvalidParameter", "DnsRecordIpType %s does not go with the endpoint's IpAddressType", record)
	case service.Value(o.PrivateDnsOnlyForInboundResolverEndpoint):
		return request.Unserved("inbound resolver endpoints")
	case preference != "" && !slices.Contains(model.DNSPreferences, preference):
		return fault.EC2("InvalidParameterValue", "PrivateDnsPreference '%s' is not one of %s", preference, strings.Join(model.DNSPreferences, ", "))
	}
	return checkSpecified(preference, o.PrivateDnsSpecifiedDomains)
}

// checkSpecified wants domains with the preferences that go by them, and with no other:
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DnsOptionsSpecification.html
func checkSpecified(preference string, domains []string) error {
	specified := model.PrefersSpecified(preference)
	switch {
	case len(domains) > maxDNSDomains:
		return fault.EC2("InvalidParameterValue", "%d PrivateDnsSpecifiedDomains, an endpoint can have %d", len(domains), maxDNSDomains)
	case specified && len(domains) == 0:
		return fault.EC2("InvalidParameterCombination", "PrivateDnsPreference %s needs PrivateDnsSpecifiedDomains: 1 to %d domain names", preference, maxDNSDomains)
	case !specified && len(domains) > 0:
		return fault.EC2("InvalidParameterCombination", "PrivateDnsSpecifiedDomains goes with PrivateDnsPreference %s or %s only", model.PreferVerifiedSpecified, model.PreferSpecified)
	}
	for _, domain := range domains {
		if !isSpecifiable(domain) {
			return fault.EC2("InvalidParameterValue", "PrivateDnsSpecifiedDomains: '%s' is neither a fully qualified domain name nor a wildcard such as *.example.com", domain)
		}
	}
	return nil
}

// isSpecifiable reports whether a text is a name of at least two labels, the first of which
// may be an asterisk.
func isSpecifiable(domain string) bool {
	name, err := model.NormalName(domain)
	if err != nil || len(domain) > 255 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	if len(labels) < 2 {
		return false
	}
	if labels[0] == model.WildcardLabel {
		labels = labels[1:]
	}
	return !slices.ContainsFunc(labels, func(label string) bool {
		return label == "" || strings.Contains(label, `\`) || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-")
	})
}

func setDNSOptions(e *model.VPCEndpoint, in *shape.CreateVpcEndpointInput) {
	e.PrivateDNS = service.Value(in.PrivateDnsEnabled)
	if o := in.DnsOptions; o != nil {
		e.DNSRecordType, e.DNSPreference = service.Value(o.DnsRecordIpType), service.Value(o.PrivateDnsPreference)
		e.DNSDomains = o.PrivateDnsSpecifiedDomains
	}
}

// checkPrivateDNS sees that the VPC of an endpoint can have private DNS, and that none of the
// endpoint's domains is another's in the VPC. The messages begin with EC2's words.
func (a Endpoints) checkPrivateDNS(tx *table.Txn, v *model.VPC, e *model.VPCEndpoint) error {
	if !e.PrivateDNS {
		return nil
	}
	if !v.DNSSupport || !v.DNSHostnames {
		return fault.EC2("InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for %s", v.ID)
	}
	for _, domain := range state.PrivateZones(tx, a.Naming(), e) {
		other := ""
		if zone, taken := state.HostedZoneIn(tx, v.Ref(), domain); taken {
			other = "hosted zone " + zone.ID
		} else if ep, taken := state.PrivateZoneIn(tx, a.Naming(), v.Ref(), domain, e.ID); taken && ep.Type != model.EndpointGateway {
			other = "VPC endpoint " + ep.ID
		}
		if other != "" {
			return fault.EC2("InvalidParameter", "private-dns-enabled cannot be set because there is already a conflicting DNS domain for %s in the VPC %s: that of %s",
				strings.TrimSuffix(domain, model.RootName), v.ID, other)
		}
	}
	return nil
}

// switchPrivateDNS switches the private DNS of the caller's copy of an endpoint on or off.
func (a Endpoints) switchPrivateDNS(tx *table.Txn, v *model.VPC, e *model.VPCEndpoint, on *bool) error {
	if on == nil || *on == e.PrivateDNS {
		return nil
	}
	e.PrivateDNS = *on
	e.Update(e.UpdatedAt)
	return a.checkPrivateDNS(tx, v, e)
}

// privateNameOf gives the private name under which an endpoint leads to a resource, when every
// resolver that is asked for it has it.
func (a Endpoints) privateNameOf(tx *table.Txn, each endpointAssociation) *shape.DnsEntry {
	e, c := each.endpoint, each.row.Configuration
	rc, ok := state.ResourceConfigurations.Get(tx, c.Account, c.Region, c.ID)
	if !ok {
		return nil
	}
	name, ok := state.PrivateNameOf(tx, e, rc)
	if !ok || name.Name == "" || !state.HasPrivateZone(tx, a.Naming(), e, name.Zone) {
		return nil
	}
	if _, out := state.NamesOut(tx, &each.row.Meta, model.EndpointDomain(each.row.Endpoint.Region, a.Suffix)); !out {
		return nil
	}
	v, ok := state.VPCs.Get(tx, e.Account, e.Region, e.VPC)
	if !ok || !v.DNSSupport || !v.DNSHostnames {
		return nil
	}
	return &shape.DnsEntry{
		DnsName: new(strings.TrimSuffix(name.Name, model.RootName)), HostedZoneId: new(model.EndpointZoneID(e.PrivateZone(name.Zone))),
	}
}
