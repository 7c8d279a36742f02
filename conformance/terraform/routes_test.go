// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"reflect"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestRoutes makes route tables and prefix lists in each way that the provider has, changes
// them, and takes them down. After each change there is nothing more to do.
func TestRoutes(t *testing.T) {
	t.Parallel()
	here := server.NewAccount(t)
	before := inventory(t, here, harness.Region)
	w := newWorkspace(t, "routes", here)
	w.apply()
	var got map[string]any
	w.output("found", &got)
	if want := map[string]any{"table": true, "routes": 3.0, "target": true, "entries": []any{"203.0.113.0/24"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("data sources see %v, want %v", got, want)
	}
	w.unchanged("after the first apply")
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.destroy("-var=changed=true")
	if after := inventory(t, here, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
