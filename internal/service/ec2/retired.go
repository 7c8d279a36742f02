// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"slices"

	"github.com/posternhq/postern/internal/aws/fault"
)

// retired are the operations of EC2-Classic and of its link to VPCs, which AWS
// has ended in all regions and clients still call to see what a VPC has
// (https://aws.amazon.com/blogs/aws/ec2-classic-is-retiring-heres-how-to-prepare/).
var retired = []string{
	"AttachClassicLinkVpc", "DescribeClassicLinkInstances", "DescribeMovingAddresses", "DescribeVpcClassicLink",
	"DescribeVpcClassicLinkDnsSupport", "DetachClassicLinkVpc", "DisableVpcClassicLink", "DisableVpcClassicLinkDnsSupport",
	"EnableVpcClassicLink", "EnableVpcClassicLinkDnsSupport", "MoveAddressToVpc", "RestoreAddressToClassic",
}

// Unserved gives AWS's own error for operations that it does not serve either.
func (a *API) Unserved(operation string) error {
	if slices.Contains(retired, operation) {
		return fault.EC2("UnsupportedOperation", "The functionality you requested is not available in this region.")
	}
	return nil
}
