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
		for row := range state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()) {
			r.Names = append(r.Names, a.endpointName(tx, row))
		}
	}
	return r
}

// zonesHint says why a VPC does not see its hosted zones: this is what users miss first.
func zonesHint(vpc *model.VPC, zones int) string {
	var off []string
	if !vpc.DNSSupport {
		off = append(off, "enableDnsSupport")
	}
	if !vpc.DNSHostnames {
		off = append(off, "enableDnsHostnames")
	}
	return fmt.Sprintf("it does not see its hosted zones (%d): %s of the VPC must be true", zones, strings.Join(off, " and "))
}

// shown is a name as people write it.
func shown(name string) string {
	if name == model.RootName {
		return name
	}
	return strings.TrimSuffix(name, model.RootName)
}

// endpointName tells how an association is called, and whether that resolves.
func (a *API) endpointName(tx *table.Txn, row *model.EndpointAssociation) shape.EndpointName {
	domain := model.EndpointDomain(row.Endpoint.Region, a.Suffix)
	n := shape.EndpointName{Name: new(shown(row.NameIn(domain))), Endpoint: new(row.Endpoint.ID), State: new(string(model.Pending))}
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
