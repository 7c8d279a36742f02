// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strings"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Leads reports whether what a route of a table leads to is there: a gateway that the VPC
// has, a NAT gateway that has not failed and is not being deleted, a peering connection that
// is active, an interface that something has. AWS calls other routes blackholes
// (https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html).
func Leads(tx *table.Txn, r *model.RouteTable, target string) bool {
	switch kind, _, _ := strings.Cut(target, "-"); kind {
	case "igw":
		g, ok := InternetGateways.Get(tx, r.Account, r.Region, target)
		return ok && g.VPC == r.VPC
	case "eigw":
		g, ok := EgressOnlyGateways.Get(tx, r.Account, r.Region, target)
		return ok && g.VPC == r.VPC && !g.Deleting()
	case "nat":
		n, ok := NATGateways.Get(tx, r.Account, r.Region, target)
		return ok && n.VPC == r.VPC && !n.Gone() && !n.Deleting()
	case "pcx":
		_, ok := PeerOf(tx, r.Sibling(r.VPC), target)
		return ok
	case "vpce":
		e, ok := VPCEndpoints.Get(tx, r.Account, r.Region, target)
		return ok && e.Type == model.EndpointGateway && !e.Deleting()
	case "eni":
		ni, ok := NetworkInterfaces.Get(tx, r.Account, r.Region, target)
		if !ok || ni.VPC != r.VPC {
			return false
		}
		attachment, ok := Attachments.Get(tx, r.Account, r.Region, target)
		return ni.Owner != "" || ok && attachment.DeletedAt.IsZero()
	}
	return false
}
