// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestNetworkACLs makes network ACLs in each way that the provider has, takes the default
// one over, changes them, and takes them down. After each change there is nothing more to
// do.
func TestNetworkACLs(t *testing.T) {
	t.Parallel()
	here := server.NewAccount(t)
	before := inventory(t, here, harness.Region)
	w := newWorkspace(t, "acls", here)
	w.apply()
	var found int
	if w.output("found", &found); found != 3 {
		t.Errorf("the data source sees %d ACLs, want 3", found)
	}
	w.unchanged("after the first apply")
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.destroy("-var=changed=true")
	if after := inventory(t, here, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
