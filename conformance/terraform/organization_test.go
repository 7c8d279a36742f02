// SPDX-License-Identifier: Apache-2.0

package terraform

import "testing"

// TestOrganization makes the organization, changes it and takes it down. It runs alone:
// what accounts share needs no invitation meanwhile.
func TestOrganization(t *testing.T) {
	w := newWorkspace(t, "organization", server.Admin)
	w.apply()
	var made int
	if w.output("accounts", &made); made != 1 {
		t.Errorf("the data source sees %d accounts of the name, want 1", made)
	}
	w.unchanged("after the first apply")
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.destroy("-var=changed=true")
	w.apply() // nothing was left in the way
	w.destroy()
}
