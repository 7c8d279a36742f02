// SPDX-License-Identifier: Apache-2.0

package state

import (
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// DeleteInterface removes a network interface and gives back its addresses, also
// those that it has given up before. The data plane has let go of them.
func DeleteInterface(tx *table.Txn, ni *model.NetworkInterface) {
	claimed := append(ni.All(), ni.Delegated()...)
	for _, p := range append(slices.Clone(ni.Prefixes6), ni.Prefix6) {
		if p.IsValid() {
			claimed = append(claimed, p.Addr())
		}
	}
	for _, a := range claimed {
		AddressClaims.Delete(tx, ni.Account, ni.Region, model.AddressClaimID(ni.Subnet, a))
	}
	for c := range AddressClaims.By(tx, ByInterface, ni.Ref().String()) {
		AddressClaims.Delete(tx, c.Account, c.Region, c.Ref().ID)
	}
	Statuses.Delete(tx, ni.Account, ni.Region, ni.ID)
	NetworkInterfaces.Delete(tx, ni.Account, ni.Region, ni.ID)
}
