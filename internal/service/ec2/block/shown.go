// SPDX-License-Identifier: Apache-2.0

package block

import (
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
)

// Shown is a block of a VPC or subnet as it is described. The words for states
// are the same for both.
type Shown struct {
	model.CIDRAssociation
	State string
}

// shown gives the blocks that a row has, and those of the same family that were
// taken away lately.
func shown(family int, has []model.CIDRAssociation, former []model.FormerBlock, now time.Time) []Shown {
	var all []Shown
	for _, b := range has {
		all = append(all, Shown{b, shape.VpcCidrBlockStateCodeAssociated})
	}
	for _, b := range model.Former(former, now) {
		if Family(b.Prefix) == family {
			all = append(all, Shown{b.CIDRAssociation, shape.VpcCidrBlockStateCodeDisassociated})
		}
	}
	return all
}

// OfVPC4 gives the IPv4 blocks of a VPC.
func OfVPC4(v *model.VPC, now time.Time) []Shown {
	return shown(4, v.CIDRs, v.FormerCIDRs, now)
}

// OfVPC6 gives the IPv6 blocks of a VPC.
func OfVPC6(v *model.VPC, now time.Time) []Shown {
	return shown(6, v.CIDRs6, v.FormerCIDRs, now)
}

// OfSubnet6 gives the IPv6 block of a subnet, and those that it had lately.
func OfSubnet6(s *model.Subnet, now time.Time) []Shown {
	if !s.CIDR6.Prefix.IsValid() {
		return shown(6, nil, s.FormerCIDRs, now)
	}
	return shown(6, []model.CIDRAssociation{s.CIDR6}, s.FormerCIDRs, now)
}

// Each collects a property of blocks, for filters.
func Each(blocks []Shown, property func(Shown) string) []string {
	var out []string
	for _, b := range blocks {
		out = append(out, property(b))
	}
	return out
}

// The properties of blocks that filters take.

// Text is the block itself.
func Text(b Shown) string { return b.Prefix.String() }

// ID is that of the association.
func ID(b Shown) string { return b.ID }

// Pool is where an IPv6 block is from.
func Pool(b Shown) string { return b.Pool }

// State is that of the association.
func State(b Shown) string { return b.State }
