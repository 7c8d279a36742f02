// SPDX-License-Identifier: Apache-2.0

// Package block knows the CIDR blocks of VPCs and subnets: which there may be,
// and how they are described while they come and go.
package block

import (
	"fmt"
	"net/netip"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
)

// The sizes of blocks that AWS has
// (https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html).
const (
	maxBlock4, minBlock4 = 16, 28
	maxBlock6, minBlock6 = 44, 60
	stepBlock6           = 4
)

// MinSubnet6 is the prefix length of the smallest IPv6 block of a subnet, which
// is also that of most.
const MinSubnet6 = 64

// unusable is where no VPC can lie, and why.
var unusable = []struct {
	prefix netip.Prefix
	why    string
}{
	{model.Transit4, "the transit realm"},
	{model.Transit6, "the transit realm"},
	{netip.MustParsePrefix("0.0.0.0/8"), "reserved"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("::/16"), "reserved"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "the range of local services"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// Rule says how large the blocks of a kind of resource may be, and with which
// code others are refused.
type Rule struct {
	parameter string
	// largest and smallest are prefix lengths; step is their distance.
	largest, smallest, step int
	family                  int
	code                    string
}

// The rules for the blocks of VPCs and subnets.
var (
	VPC     = Rule{"cidrBlock", maxBlock4, minBlock4, 1, 4, "InvalidVpc.Range"}
	VPC6    = Rule{"ipv6CidrBlock", maxBlock6, minBlock6, stepBlock6, 6, "InvalidVpc.Range"}
	Subnet  = Rule{"cidrBlock", maxBlock4, minBlock4, 1, 4, "InvalidSubnet.Range"}
	Subnet6 = Rule{"ipv6CidrBlock", maxBlock6, MinSubnet6, stepBlock6, 6, "InvalidSubnet.Range"}
)

// Parse reads a block. Host bits are taken away, as AWS does.
func (r Rule) Parse(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || Family(prefix) != r.family {
		return netip.Prefix{}, fault.EC2("InvalidParameterValue", "Value (%s) for parameter %s is invalid. This is not a valid IPv%d CIDR block.", text, r.parameter, r.family)
	}
	prefix = prefix.Masked()
	if n := prefix.Bits(); n < r.largest || n > r.smallest || (n-r.largest)%r.step != 0 {
		return netip.Prefix{}, fault.EC2(r.code, "The CIDR '%s' is invalid: %s", text, r.sizes())
	}
	for _, u := range unusable {
		if u.prefix.Overlaps(prefix) {
			return netip.Prefix{}, fault.EC2(r.code, "The CIDR '%s' is invalid: it overlaps %s (%s)", text, u.prefix, u.why)
		}
	}
	return prefix, nil
}

func (r Rule) sizes() string {
	text := fmt.Sprintf("the size must be between /%d and /%d", r.largest, r.smallest)
	if r.step > 1 {
		text += fmt.Sprintf(" in steps of %d", r.step)
	}
	return text
}

// Family tells 4 from 6; an IPv4 address in IPv6 form is neither.
func Family(p netip.Prefix) int {
	switch {
	case p.Addr().Is4():
		return 4
	case p.Addr().Is4In6():
		return 0
	}
	return 6
}

// Overlapping finds a block that overlaps p.
func Overlapping(blocks []model.CIDRAssociation, p netip.Prefix) (model.CIDRAssociation, bool) {
	for _, b := range blocks {
		if b.Prefix.Overlaps(p) {
			return b, true
		}
	}
	return model.CIDRAssociation{}, false
}

// Within finds the block that contains all of p.
func Within(blocks []model.CIDRAssociation, p netip.Prefix) (model.CIDRAssociation, bool) {
	for _, b := range blocks {
		if b.Prefix.Bits() <= p.Bits() && b.Prefix.Contains(p.Addr()) {
			return b, true
		}
	}
	return model.CIDRAssociation{}, false
}
