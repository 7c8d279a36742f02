// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestGatewaysToTheOutside makes internet gateways in both ways, an egress-only one and
// elastic addresses, moves the addresses, and takes all down in the order that Terraform
// finds. After each change there is nothing more to do.
func TestGatewaysToTheOutside(t *testing.T) {
	t.Parallel()
	here := server.NewAccount(t)
	before := inventory(t, here, harness.Region)
	w := newWorkspace(t, "outside", here)
	w.apply()
	w.unchanged("after the first apply")
	var public, shown string
	w.output("public", &public)
	w.output("shown", &shown)
	if public == "" || public != shown {
		t.Errorf("the elastic address is %q, and the interface shows %q", public, shown)
	}
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.destroy("-var=changed=true")
	if after := inventory(t, here, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
