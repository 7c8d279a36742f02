// SPDX-License-Identifier: Apache-2.0

package request

import (
	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CheckRules counts the rules of a group for each direction and address family, a
// reference to a group in both families, and one to a prefix list for as many entries as
// that may have, as AWS does.
func CheckRules(tx *table.Txn, env *service.Env, g *model.SecurityGroup) error {
	type kind struct {
		egress, six bool
	}
	n := make(map[kind]int)
	for _, r := range g.Rules {
		switch {
		case r.Group != "":
			n[kind{r.Egress, false}]++
			n[kind{r.Egress, true}]++
		case r.PrefixList != "":
			l, _ := state.ListOf(tx, g.Sibling(r.PrefixList))
			n[kind{r.Egress, l.IPv6}] += l.Room
		default:
			n[kind{r.Egress, r.CIDR.Addr().Is6()}]++
		}
	}
	for _, count := range n {
		if most := env.Quotas.RulesPerGroup; count > most {
			return fault.EC2("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules (%d) per security group has been reached.", most)
		}
	}
	return nil
}

// CheckRoutes counts the routes of a table for each address family, without the local
// ones, and one to a prefix list for as many entries as that may have.
func CheckRoutes(tx *table.Txn, env *service.Env, r *model.RouteTable) error {
	n := make(map[bool]int)
	for _, route := range r.Routes {
		if route.PrefixList == "" {
			n[route.Dest.Addr().Is6()]++
			continue
		}
		l, _ := state.ListOf(tx, r.Sibling(route.PrefixList))
		n[l.IPv6] += l.Room
	}
	for _, count := range n {
		if most := env.Quotas.RoutesPerTable; count > most {
			return fault.EC2("RouteLimitExceeded", "The maximum number of routes (%d) of route table %s has been reached.", most, r.ID)
		}
	}
	return nil
}

// NumberTable gives a table its number with its first route.
func NumberTable(tx *table.Txn, r *model.RouteTable) error {
	if r.Number > 0 || len(r.Routes) == 0 {
		return nil
	}
	used := make(map[int]bool)
	for other := range state.RouteTablesByVPC.Rows(tx, r.Sibling(r.VPC)) {
		used[other.Number] = true
	}
	for r.Number = 1; used[r.Number]; r.Number++ {
		if r.Number == model.MaxRouteTableNumber {
			return fault.EC2("RouteTableLimitExceeded", "VPC %s has %d route tables with routes, and can have no more.", r.VPC, r.Number)
		}
	}
	return nil
}
