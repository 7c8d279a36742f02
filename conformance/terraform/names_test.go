// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"fmt"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestNames makes hosted zones with records of each kind and VPCs of two accounts, and
// changes them.
func TestNames(t *testing.T) {
	t.Parallel()
	here, there := server.NewAccount(t), server.NewAccount(t)
	before := inventory(t, here, harness.Region) + inventory(t, there, harness.Region)
	w := newWorkspace(t, "names", here, fmt.Sprintf(`TF_VAR_other={"account":%q,"id":%q,"secret":%q}`, there.Account, there.ID, there.Secret))
	w.apply()
	w.unchanged("after apply")
	found := false
	if w.output("found", &found); !found {
		t.Error("the data source finds another zone")
	}
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.ok("destroy", "-no-color", "-auto-approve", "-var=changed=true")
	if after := inventory(t, here, harness.Region) + inventory(t, there, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
