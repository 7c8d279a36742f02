// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"slices"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestGroup makes a group with children and an endpoint for it, exchanges a child under the
// endpoint and changes another one, and takes all of it down.
func TestGroup(t *testing.T) {
	t.Parallel()
	key := server.NewAccount(t)
	before := inventory(t, key, harness.Region)
	w := newWorkspace(t, "group", key)
	w.apply()
	w.unchanged("after apply")
	w.members()
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.members()
	w.destroy()
	if after := inventory(t, key, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}

// members wants the endpoint to be associated with the group's children, and with nothing
// else.
func (w *workspace) members() {
	w.t.Helper()
	var got struct{ Members, Children []string }
	w.output("group", &got)
	if len(got.Children) != 2 || !slices.Equal(got.Members, got.Children) {
		w.t.Errorf("the endpoint is associated with %v, and the group has %v", got.Members, got.Children)
	}
}
