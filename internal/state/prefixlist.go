// SPDX-License-Identifier: Apache-2.0

package state

import (
	"net/netip"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Listed is what those who refer to a prefix list must know of it.
type Listed struct {
	Blocks []netip.Prefix
	IPv6   bool
	// Room is how many rules or routes a reference to the list counts for, however many
	// blocks it has now.
	Room int
}

// ListOf gives the prefix list with this name, a customer's or one of AWS's; false when
// there is none.
func ListOf(tx *table.Txn, ref model.Ref) (Listed, bool) {
	if l, ok := model.AWSPrefixListOf(ref.Region, ref.ID); ok {
		return Listed{Blocks: l.Blocks, IPv6: l.Blocks[0].Addr().Is6(), Room: len(l.Blocks)}, true
	}
	row, ok := PrefixLists.Get(tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return Listed{}, false
	}
	l := Listed{IPv6: row.IPv6, Room: row.MaxEntries}
	for _, e := range row.Entries {
		l.Blocks = append(l.Blocks, e.CIDR)
	}
	return l, true
}

// ownList is a reference to a prefix list, if an id names one, and not one of AWS's, which
// have no rows.
func ownList(m model.Meta, id string) []model.Ref {
	if _, ok := model.AWSPrefixListOf(m.Region, id); ok {
		return nil
	}
	return optional(m, id)
}
