// SPDX-License-Identifier: Apache-2.0

package vpc

import (
	"encoding/binary"
	"net/netip"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The block of a default VPC, and the size of its subnets:
// https://docs.aws.amazon.com/vpc/latest/userguide/default-vpc.html
var defaultBlock = netip.MustParsePrefix("172.31.0.0/16")

// DefaultSubnetBits is the size of a default subnet.
const DefaultSubnetBits = 20

// NewDefault makes the rows of an account's default VPC in a region:
// 172.31.0.0/16, with a subnet in each zone. There is no internet gateway for
// it to have.
func NewDefault(env *service.Env, account, region string) *Parts {
	p := New(env, account, region, defaultBlock, false)
	p.VPC.Default, p.VPC.DNSHostnames = true, true
	for i, zone := range env.Zones(region) {
		if i == 1<<(DefaultSubnetBits-defaultBlock.Bits()) {
			break // the block is full
		}
		s := NewDefaultSubnet(env, p.VPC, zone, p.VPC.CreatedAt)
		s.CIDR = DefaultSubnetBlock(defaultBlock, i)
		p.subnets = append(p.subnets, s)
	}
	return p
}

// NewDefaultSubnet makes the row of a default subnet, without a block.
func NewDefaultSubnet(env *service.Env, v *model.VPC, zone service.Zone, now time.Time) *model.Subnet {
	return &model.Subnet{
		Meta: model.Meta{Account: v.Account, Region: v.Region, ID: env.NewID("subnet"), CreatedAt: now, UpdatedAt: now},
		VPC:  v.ID, Zone: zone.Name, ZoneID: zone.ID,
		DefaultForZone: true, MapPublicIP: true, HostnameType: shape.HostnameTypeIpName,
	}
}

// DefaultSubnetBlock gives the block of a default subnet by its number in the
// block of the VPC.
func DefaultSubnetBlock(block netip.Prefix, index int) netip.Prefix {
	a := block.Masked().Addr().As4()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])|uint32(index)<<(32-DefaultSubnetBits))
	return netip.PrefixFrom(netip.AddrFrom4(a), DefaultSubnetBits)
}

// Default gives the default VPC of an account in a region, or nil.
func Default(tx *table.Txn, account, region string) *model.VPC {
	for v := range state.VPCs.Scope(tx, account, region) {
		if v.Default {
			return v
		}
	}
	return nil
}
