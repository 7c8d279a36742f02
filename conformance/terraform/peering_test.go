// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestPeering peers VPCs of two accounts, with options, routes and groups on both sides, and
// has interface endpoints in one of them; it changes them and takes all of it down.
func TestPeering(t *testing.T) {
	t.Parallel()
	requester, accepter := server.NewAccount(t), server.NewAccount(t)
	before := inventory(t, requester, harness.Region) + inventory(t, accepter, harness.Region)
	w := newWorkspace(t, "peering", requester, fmt.Sprintf(`TF_VAR_accepter={"id":%q,"secret":%q,"account":%q}`, accepter.ID, accepter.Secret, accepter.Account))
	w.apply()
	w.unchanged("after apply")
	var got map[string]any
	w.output("found", &got)
	if want := map[string]any{"id": true, "block": "10.1.0.0/16", "status": "active"}; !reflect.DeepEqual(got, want) {
		t.Errorf("it finds %v, want %v", got, want)
	}
	var regional string
	if w.output("regional", &regional); !strings.HasSuffix(regional, ".ec2."+harness.Region+".vpce.postern.internal") || strings.Count(regional, "-") != 3 {
		t.Errorf("the first name of an endpoint is its id and %q", regional)
	}
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.destroy("-var=changed=true")
	if after := inventory(t, requester, harness.Region) + inventory(t, accepter, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
