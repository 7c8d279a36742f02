// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestModule makes what the most used module for VPCs makes, changes it in place and
// takes it down.
func TestModule(t *testing.T) {
	t.Parallel()
	key := server.NewAccount(t)
	before := inventory(t, key, harness.Region)
	w := newWorkspace(t, "module", key)
	w.apply()
	w.unchanged("after it was made")
	same := false
	if w.output("address", &same); !same {
		t.Error("the NAT gateway has another public address than its elastic one")
	}
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.destroy("-var=changed=true")
	if after := inventory(t, key, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
