// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"fmt"
	"testing"
)

// TestIdentities makes users, groups, roles and policies in each way that the provider
// has, changes them, renames a user that others name, and takes them down. After each
// change there is nothing more to do.
func TestIdentities(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t, "identities", server.NewAccount(t))
	for _, step := range []struct {
		name string
		vars []string
		user string
	}{{"the first apply", nil, "ann"}, {"a change", []string{"-var=changed=true"}, "anna"}} {
		w.apply(step.vars...)
		var found struct {
			Role, Policy   bool
			Members, Users []string
			Allowed        []bool
		}
		if w.output("found", &found); fmt.Sprint(found) != fmt.Sprintf("{true true [%s] [%s] [false true]}", step.user, step.user) {
			t.Errorf("after %s the data sources see %+v", step.name, found)
		}
		w.unchanged("after "+step.name, step.vars...)
	}
	w.destroy("-var=changed=true")
}
