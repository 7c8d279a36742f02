// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

// TestOperationsOfEC2Classic are not unknown, and no region has them.
func TestOperationsOfEC2Classic(t *testing.T) {
	w := ec2test.NewWorld(t)
	for _, name := range []string{"DescribeVpcClassicLink", "DescribeVpcClassicLinkDnsSupport", "EnableVpcClassicLink", "MoveAddressToVpc"} {
		if !slices.Contains(shape.Service.Unserved, name) {
			t.Errorf("%s is no operation of the model that is not served", name)
		}
		err := w.API.Unserved(name)
		if !fault.Is(err, "UnsupportedOperation") || err.(*fault.Error).Message != "The functionality you requested is not available in this region." {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.API.Unserved("RunInstances"); err != nil {
		t.Errorf("RunInstances: %v", err)
	}
}
