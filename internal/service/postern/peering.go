// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"fmt"
	"iter"
	"strings"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// peerings yields the VPC peering connections that have a row of an account whose resources
// are seen: once each, as who asked sees them if that one is seen.
func peerings(tx *table.Txn, sees func(account string) bool) iter.Seq[shape.Resource] {
	return func(yield func(shape.Resource) bool) {
		for p := range state.PeeringConnections.All(tx) {
			if !sees(p.Account) {
				continue
			}
			if !p.Asks() && sees(p.Requester.Account) {
				asked := p.Of(p.Requester.Account)
				if _, ok := state.PeeringConnections.Get(tx, asked.Account, asked.Region, asked.ID); ok {
					continue
				}
			}
			r := always("vpc-peering-connection", &p.Meta)
			r.State, r.Reason = &p.Code, service.Optional(aboutPeering(tx, p, sees))
			if !yield(r) {
				return
			}
		}
	}
}

// aboutPeering says why a connection is not active, and of one that is in which of the VPCs
// nothing leads there. Routes are told only to who sees the VPC.
func aboutPeering(tx *table.Txn, p *model.PeeringConnection, sees func(account string) bool) string {
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	switch p.Code {
	case model.PeeringPending:
		return fmt.Sprintf("account %s may accept it for %s until %s", p.Accepter.Account, p.Accepter.VPC, at(p.ExpiresAt))
	case model.PeeringExpired:
		return fmt.Sprintf("account %s did not accept it by %s", p.Accepter.Account, at(p.EndedAt))
	case model.PeeringRejected, model.PeeringDeleted:
		return fmt.Sprintf("by account %s at %s", p.EndedBy, at(p.EndedAt))
	case model.PeeringActive:
		var without []string
		for _, s := range p.Sides() {
			if sees(s.Account) && !routed(tx, p.Of(s.Account), s.VPC) {
				without = append(without, s.VPC)
			}
		}
		if len(without) > 0 {
			return "no route leads to it in " + strings.Join(without, " and ")
		}
		return ""
	}
	return p.Message
}

// routed reports whether a route table of a VPC has a route to a connection.
func routed(tx *table.Txn, connection model.Ref, vpc string) bool {
	for t := range state.RouteTablesByTarget.Rows(tx, connection) {
		if t.VPC == vpc {
			return true
		}
	}
	return false
}
