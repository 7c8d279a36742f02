// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
)

// shownBlock is a block of a VPC or subnet as it is described. The words for
// states are the same for both.
type shownBlock struct {
	model.CIDRAssociation
	state string
}

// shownBlocks gives the blocks that a row has, and those of the same family
// that were taken away lately.
func shownBlocks(family int, has []model.CIDRAssociation, former []model.FormerBlock, now time.Time) []shownBlock {
	var shown []shownBlock
	for _, b := range has {
		shown = append(shown, shownBlock{b, shape.VpcCidrBlockStateCodeAssociated})
	}
	for _, b := range model.Former(former, now) {
		if familyOf(b.Prefix) == family {
			shown = append(shown, shownBlock{b.CIDRAssociation, shape.VpcCidrBlockStateCodeDisassociated})
		}
	}
	return shown
}

func vpcBlocks4(v *model.VPC, now time.Time) []shownBlock {
	return shownBlocks(4, v.CIDRs, v.FormerCIDRs, now)
}

func vpcBlocks6(v *model.VPC, now time.Time) []shownBlock {
	return shownBlocks(6, v.CIDRs6, v.FormerCIDRs, now)
}

func subnetBlocks6(s *model.Subnet, now time.Time) []shownBlock {
	if !s.CIDR6.Prefix.IsValid() {
		return shownBlocks(6, nil, s.FormerCIDRs, now)
	}
	return shownBlocks(6, []model.CIDRAssociation{s.CIDR6}, s.FormerCIDRs, now)
}

// each collects a property of blocks, for filters.
func each(blocks []shownBlock, property func(shownBlock) string) []string {
	var out []string
	for _, b := range blocks {
		out = append(out, property(b))
	}
	return out
}

func blockText(b shownBlock) string  { return b.Prefix.String() }
func blockID(b shownBlock) string    { return b.ID }
func blockPool(b shownBlock) string  { return b.Pool }
func blockState(b shownBlock) string { return b.state }
