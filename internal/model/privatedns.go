// SPDX-License-Identifier: Apache-2.0

package model

import "strings"

// The preferences for which domains of a resource its consumer has private names:
// https://docs.aws.amazon.com/vpc-lattice/latest/ug/resource-configuration.html
const (
	PreferVerified          = "VERIFIED_DOMAINS_ONLY" // also of who does not say
	PreferAll               = "ALL_DOMAINS"
	PreferVerifiedSpecified = "VERIFIED_DOMAINS_AND_SPECIFIED_DOMAINS"
	PreferSpecified         = "SPECIFIED_DOMAINS_ONLY"
)

// DNSPreferences are the values of PrivateDnsPreference, which EC2's API has no
// enumeration for.
var DNSPreferences = []string{PreferVerified, PreferAll, PreferVerifiedSpecified, PreferSpecified}

// PrefersSpecified reports whether a preference goes by the domains that the consumer
// specifies.
func PrefersSpecified(preference string) bool {
	return preference == PreferVerifiedSpecified || preference == PreferSpecified
}

// Admits reports whether the endpoint's private DNS has a domain of its resource, which
// is in normal form and may be one that its provider has verified.
func (e *VPCEndpoint) Admits(domain string, verified bool) bool {
	if !e.PrivateDNS {
		return false
	}
	switch e.DNSPreference {
	case PreferAll:
		return true
	case PreferSpecified:
		return e.specifies(domain)
	case PreferVerifiedSpecified:
		return verified || e.specifies(domain)
	}
	return verified
}

// specifies reports whether one of the specified domains is the domain, or a wildcard
// for what is below one that it is below.
func (e *VPCEndpoint) specifies(domain string) bool {
	for _, text := range e.DNSDomains {
		name, err := NormalName(text)
		if err != nil {
			continue
		}
		parent, wild := strings.CutPrefix(name, WildcardLabel+".")
		if name == domain || wild && domain != parent && NameWithin(domain, parent) {
			return true
		}
	}
	return false
}

// PrivateZone is the zone of an endpoint's private names in a domain, which is in normal
// form. Its VPC alone sees it.
func (e *VPCEndpoint) PrivateZone(domain string) string { return e.ID + "/" + domain }
