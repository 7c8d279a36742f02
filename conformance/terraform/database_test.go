// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
	"github.com/posternhq/postern/test/child"
)

// TestDatabaseByARN offers a database that exists already by its ARN. Its children, which
// come by themselves, are nothing that a plan would change.
func TestDatabaseByARN(t *testing.T) {
	t.Parallel()
	key := server.NewAccount(t)
	before := inventory(t, key, harness.Region)
	w := newWorkspace(t, "arn", key)
	w.apply()
	var vpc string
	w.output("vpc", &vpc)
	postern := func(args ...string) string {
		r := child.Exec(w.environment, server.Binary, append([]string{"database"}, args...)...)
		if r.Status != 0 {
			t.Fatalf("postern database %v: status %d: %s", args, r.Status, r.Stderr)
		}
		return r.Stdout
	}
	made := postern("register", "shop", "--vpc", vpc, "--port", "5432", "--ask", "tcp", "--member", "10.0.1.20", "--member", "10.0.1.21")
	arn := "-var=arn=" + strings.Fields(made)[2]
	w.apply(arn)
	w.unchanged("after apply", arn)
	postern("deregister", "shop")
	w.unchanged("when the database is gone", arn)
	w.destroy(arn)
	if after := inventory(t, key, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
