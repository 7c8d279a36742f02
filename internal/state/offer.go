// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Naming is what the names of an installation are below.
type Naming struct {
	// Suffix is the domain of the names of endpoints, in normal form.
	Suffix string
	// AWS says that Postern's own APIs have their names in amazonaws.com too.
	AWS bool
}

// AWSDomain is where AWS has the names of its services, in normal form.
const AWSDomain = "amazonaws.com."

// Offer is a service as endpoints have it, be there a row of it or not.
type Offer struct {
	Name, Region string
	// Own is one of model.OwnServices, and Row the row of any other service; one of the two
	// is nil.
	Own *model.OwnService
	Row *model.EndpointService
}

// OfferNamed gives the service that has a name in a region, whoever may use it.
func OfferNamed(tx *table.Txn, region, name string) (Offer, bool) {
	if own, ok := model.OwnServiceOf(region, name); ok {
		return Offer{Name: name, Region: region, Own: &own}, true
	}
	for row := range EndpointServicesByName.Rows(tx, model.Ref{Region: region, ID: name}) {
		return Offer{Name: name, Region: region, Row: row}, true
	}
	return Offer{}, false
}

// OfferOf gives the service that an endpoint of type Interface or Gateway leads to.
func OfferOf(tx *table.Txn, e *model.VPCEndpoint) (Offer, bool) {
	if ref := e.Service; ref != (model.Ref{}) {
		row, ok := EndpointServices.Get(tx, ref.Account, ref.Region, ref.ID)
		return Offer{Name: e.ServiceName, Region: ref.Region, Row: row}, ok
	}
	own, ok := model.OwnServiceOf(e.Region, e.ServiceName)
	return Offer{Name: e.ServiceName, Region: e.Region, Own: &own}, ok
}

// Label is the label of the service in the names of its endpoints.
func (o Offer) Label() string {
	if o.Own != nil {
		return o.Own.Label
	}
	return o.Row.Label()
}

// Domain is the domain of the regional and zonal names of its endpoints.
func (o Offer) Domain(n Naming) string { return model.ServiceDomain(o.Label(), o.Region, n.Suffix) }

// Fronted reports whether connections to the service end in the host's front, where each
// endpoint has a transit target of its own.
func (o Offer) Fronted() bool { return o.Own != nil || o.Row.Relayed() }

// Takes reports whether endpoints of the service may have addresses of a family.
func (o Offer) Takes(is4 bool) bool {
	if o.Own != nil {
		return true
	}
	word := "ipv6"
	if is4 {
		word = "ipv4"
	}
	return slices.ContainsFunc(o.Row.Families, func(f string) bool { return f == word || f == "dualstack" })
}

// EndpointTypes are the types of endpoints that can lead to the service.
func (o Offer) EndpointTypes() []string {
	if _, ok := o.GatewayList(); ok {
		return []string{model.EndpointGateway, model.EndpointInterface}
	}
	return []string{model.EndpointInterface}
}

// GatewayList is the prefix list by which endpoints of type Gateway lead to the service; false
// when they cannot: it is none that the operator registered as S3 or DynamoDB.
func (o Offer) GatewayList() (model.AWSPrefixList, bool) {
	if o.Row == nil || !o.Row.Registered {
		return model.AWSPrefixList{}, false
	}
	return model.GatewayListOf(o.Region, o.Name)
}

// Subjects are the names that a certificate is for with which the service is known by all its
// names, without the final dot: those of its endpoints, and private ones.
func (o Offer) Subjects(n Naming) []string {
	domain := strings.TrimSuffix(o.Domain(n), model.RootName)
	names := []string{domain, "*." + domain}
	for _, name := range o.PrivateNames(n) {
		own := strings.TrimSuffix(name.Name, model.RootName)
		if names = append(names, own); name.Wild {
			names = append(names, "*."+own)
		}
	}
	return names
}

// EnforcesPolicies reports whether the policies of endpoints decide about requests: only
// who understands these can tell.
func (o Offer) EnforcesPolicies() bool { return o.Own != nil }

// ServiceName is a name by which clients call a service.
type ServiceName struct {
	// Name is in normal form.
	Name string
	// Wild says that all names below it lead there too.
	Wild bool
}

// PrivateNames are the names that the service has in a VPC with an endpoint and private DNS,
// none when there are none to be had. An own service has its standard names, a registered one
// what the operator said or, where AWS has amazonaws.com, the suffix behind its label, and an
// endpoint service configuration the name that its account has shown to be its own.
func (o Offer) PrivateNames(n Naming) []ServiceName {
	switch {
	case o.Own != nil && n.AWS:
		names := []ServiceName{{Name: o.Own.StandardName(o.Region, n.Suffix)}, {Name: o.Own.StandardName(o.Region, AWSDomain)}}
		if o.Own.Bare == o.Region {
			names = append(names, ServiceName{Name: o.Label() + "." + AWSDomain})
		}
		return names
	case o.Own != nil:
		return []ServiceName{{Name: o.Own.StandardName(o.Region, n.Suffix)}}
	case o.Row.PrivateName == "" && o.Row.Registered:
		return []ServiceName{{Name: o.Label() + "." + o.Region + "." + n.Suffix}}
	case !o.Row.Registered && o.Row.Verification.State != model.DomainVerified:
		return nil
	}
	name := normal(o.Row.PrivateName)
	above, wild := strings.CutPrefix(name, model.WildcardLabel+".")
	if name == "" {
		return nil
	}
	return []ServiceName{{Name: above, Wild: wild}}
}

// serviceZones are the domains that an endpoint to a service wants to have zones of its own for.
// One that was refused wants none.
func serviceZones(tx *table.Txn, n Naming, e *model.VPCEndpoint) (zones []string) {
	offer, ok := OfferOf(tx, e)
	if !ok || !e.HasPrivateNames() || e.Refused() {
		return nil
	}
	for _, name := range offer.PrivateNames(n) {
		zones = append(zones, name.Name)
	}
	slices.Sort(zones)
	return zones
}
