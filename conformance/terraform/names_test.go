// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"fmt"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestNames makes hosted zones with records of each kind and VPCs of two accounts, imports
// and changes them, and takes them down.
func TestNames(t *testing.T) {
	t.Parallel()
	here, there := server.NewAccount(t), server.NewAccount(t)
	before := inventory(t, here, harness.Region) + inventory(t, there, harness.Region)
	variable := fmt.Sprintf(`TF_VAR_other={"account":%q,"id":%q,"secret":%q}`, there.Account, there.ID, there.Secret)
	first := newWorkspace(t, "names", here, variable)
	first.apply()
	found := false
	if first.output("found", &found); !found {
		t.Error("the data source finds another zone")
	}

	second := newWorkspace(t, "names", here, variable)
	second.imports(first.resources()) // in place of a plan without changes
	second.apply("-var=changed=true")
	second.unchanged("after a change", "-var=changed=true")
	second.destroy("-var=changed=true")
	if after := inventory(t, here, harness.Region) + inventory(t, there, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
