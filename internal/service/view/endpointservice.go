// SPDX-License-Identifier: Apache-2.0

package view

import (
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// OfferNamed finds the service with a name in the caller's region, if the caller may have
// endpoints to it. Whom a service was not offered to is not told that there is one:
// https://docs.aws.amazon.com/vpc/latest/privatelink/configure-endpoint-service.html
func OfferNamed(tx *table.Txn, who access.View, name string) (state.Offer, bool) {
	o, ok := state.OfferNamed(tx, who.Region, name)
	if !ok || o.Row != nil && !offered(who, o.Row) {
		return state.Offer{}, false
	}
	return o, true
}

// OfferedServices gives the services with a row that the caller may have endpoints to, in
// the order of their names.
func OfferedServices(tx *table.Txn, who access.View) (all []*model.EndpointService) {
	for s := range state.EndpointServicesByRegion.Rows(tx, model.Ref{Region: who.Region}) {
		if offered(who, s) {
			all = append(all, s)
		}
	}
	return all
}

// offered reports whether the caller may have endpoints to a service of its region: its
// own, one that the operator registered, or one that it is a principal of.
func offered(who access.View, s *model.EndpointService) bool {
	if s.Region != who.Region || who.Account == "" {
		return false
	}
	return who.Owns(s.Account) || s.Registered || slices.ContainsFunc(s.Principals, func(p model.ServicePrincipal) bool {
		return p.ARN == "*" || p.ARN == rootARN(who.Account) || who.Entity != "" && p.ARN == who.Entity
	})
}

// rootARN stands for an account with all its users and roles.
func rootARN(account string) string { return model.ARN("iam", "", account, "root") }

// BalancerNamed finds a load balancer of the caller's that is not being deleted by its ARN.
func BalancerNamed(tx *table.Txn, who access.View, arn string) (*model.LoadBalancer, bool) {
	p, err := model.ParseARN(arn)
	if err != nil || p.Service != state.Balancing || p.Type != "loadbalancer" {
		return nil, false
	}
	ref := model.Ref{Account: p.Account, Region: p.Region, ID: p.ID}
	if !Own(who, ref) {
		return nil, false
	}
	b, ok := At(tx, who, state.LoadBalancers, ref)
	return b, ok && !b.Deleting()
}
