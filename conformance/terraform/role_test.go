// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"fmt"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestRole makes a role for another account, and a network by a session of it, which the
// provider begins itself; and takes both down.
func TestRole(t *testing.T) {
	t.Parallel()
	partner, vendor := server.NewAccount(t), server.NewAccount(t)
	before := inventory(t, vendor, harness.Region)
	w := newWorkspace(t, "role", partner, fmt.Sprintf(`TF_VAR_vendor={account=%q,id=%q,secret=%q}`, vendor.Account, vendor.ID, vendor.Secret))
	w.ok("apply", "-auto-approve", "-no-color", "-target=aws_iam_role_policy.networks") // there is no session before
	w.apply()
	w.unchanged("after apply")
	var made struct{ Owner, By string }
	w.output("made", &made)
	if want := "arn:aws:sts::" + vendor.Account + ":assumed-role/operator/terraform"; made.Owner != vendor.Account || made.By != want {
		t.Errorf("the network is %s's, made by %s; want %s's, by %s", made.Owner, made.By, vendor.Account, want)
	}
	w.destroy()
	if after := inventory(t, vendor, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
