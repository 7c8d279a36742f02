// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// neverAnswers says why nothing can answer at an address of a gateway's VPC;
// empty when something can. Addresses that nobody has yet, or that lie outside
// of the VPC, are none of these: a resource may come after its configuration.
func neverAnswers(tx *table.Txn, vpc *model.VPC, addr netip.Addr) string {
	for s := range state.SubnetsByVPC.Rows(tx, vpc.Ref()) {
		for _, block := range []netip.Prefix{s.CIDR, s.CIDR6.Prefix} {
			if what := model.ReservedFor(block, addr); what != "" {
				return fmt.Sprintf("it is %s of subnet %s, %s", what, s.ID, block)
			}
		}
	}
	// What is reserved in a block of the VPC is so in every subnet that lies
	// there, also in one that is made later.
	for _, block := range vpc.Networks() {
		if what := model.ReservedFor(block, addr); what != "" {
			return fmt.Sprintf("it is %s of %s, a block of %s", what, block, vpc.ID)
		}
	}
	for ni := range state.NetworkInterfacesByVPC.Rows(tx, vpc.Ref()) {
		if ni.Type == model.InterfaceGateway && hasAddress(ni, addr) {
			return fmt.Sprintf("it belongs to resource gateway %s, which only sends", ni.Owner)
		}
	}
	return ""
}

func hasAddress(ni *model.NetworkInterface, addr netip.Addr) bool {
	return ni.Prefix6.Contains(addr) || slices.Contains(ni.All(), addr) || slices.Contains(ni.Delegated(), addr)
}
