// SPDX-License-Identifier: Apache-2.0

package model

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// endpointLabel is the label that all published names of endpoints have:
// https://docs.aws.amazon.com/vpc/latest/privatelink/use-resource-endpoint.html
const endpointLabel = "4232ccc"

// EndpointDomain is the domain of the names of a region's endpoints, in normal form
// like the suffix, which takes the place of AWS's on.aws.
func EndpointDomain(region, suffix string) string { return "vpc-lattice-rsc." + region + "." + suffix }

// EndpointZoneID is the identifier of the hosted zone that is shown with names in a
// domain of endpoints. It is nobody's zone, and the same each time.
func EndpointZoneID(domain string) string {
	sum := sha256.Sum256([]byte(strings.TrimSuffix(domain, RootName)))
	return "Z" + base32.StdEncoding.EncodeToString(sum[:])[:20]
}

// NameIn is the name in a domain of endpoints under which the endpoint of the
// association leads to its resource.
func (a *EndpointAssociation) NameIn(domain string) string {
	return a.nameIn(a.Endpoint.ID, domain)
}

// ZonalNameIn is the name of those of its addresses that are in an availability zone.
func (a *EndpointAssociation) ZonalNameIn(domain, zone string) string {
	return a.nameIn(a.Endpoint.ID+"-"+zone, domain)
}

func (a *EndpointAssociation) nameIn(first, domain string) string {
	return first + "." + a.Configuration.ID + "." + endpointLabel + "." + domain
}

// NamesRef is how the association's names are called as something that is acknowledged by
// itself: they may fail or lag behind while its packets get through.
func (a *EndpointAssociation) NamesRef() Ref { return a.Sibling(a.ID + namesOf) }

const namesOf = "/names"

// NamesOwner gives the reference of the association, or of the interface endpoint, whose
// NamesRef that is.
func NamesOwner(names Ref) Ref {
	names.ID = strings.TrimSuffix(names.ID, namesOf)
	return names
}

// ServiceNames is the domain of the regional and zonal names of all interface endpoints,
// whatever they lead to and wherever; see ServiceDomain.
func ServiceNames(suffix string) string { return "vpce." + suffix }

// ServiceZoneID is the identifier of the hosted zone that is shown with the regional and
// zonal names of a region's interface endpoints, like that of EndpointZoneID.
func ServiceZoneID(region, suffix string) string {
	return EndpointZoneID(region + "." + ServiceNames(suffix))
}

// NameIn is the regional name of an interface endpoint in the domain of its service.
func (e *VPCEndpoint) NameIn(domain string) string { return e.label() + "." + domain }

// ZonalNameIn is the name of those of its addresses that are in an availability zone.
func (e *VPCEndpoint) ZonalNameIn(domain, zone string) string {
	return e.label() + "-" + zone + "." + domain
}

// label is the identifier with eight characters that follow from it, as AWS has them.
func (e *VPCEndpoint) label() string {
	sum := sha256.Sum256([]byte(e.ID))
	return e.ID + "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
}

// NamesRef is how the names of an interface endpoint are called as something that is
// acknowledged by itself.
func (e *VPCEndpoint) NamesRef() Ref { return e.Sibling(e.ID + namesOf) }
