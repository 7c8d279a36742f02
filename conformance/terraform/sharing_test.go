// SPDX-License-Identifier: Apache-2.0

package terraform

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestSharing shares a resource with another account, which accepts and makes an endpoint,
// changes the share, and takes all of it down on both sides.
func TestSharing(t *testing.T) {
	t.Parallel()
	owner, consumer := server.NewAccount(t), server.NewAccount(t)
	before := inventory(t, owner, harness.Region) + inventory(t, consumer, harness.Region)
	w := newWorkspace(t, "sharing", owner, fmt.Sprintf(`TF_VAR_consumer={"id":%q,"secret":%q,"account":%q}`, consumer.ID, consumer.Secret, consumer.Account))
	w.apply()
	w.unchanged("after apply")
	var got struct {
		Resources, Shared []string
		Status, Endpoint  string
	}
	w.output("sharing", &got)
	if !slices.Equal(got.Resources, got.Shared) || got.Status != "ACTIVE" || !strings.EqualFold(got.Endpoint, "available") {
		t.Errorf("the consumer has %+v", got)
	}
	w.apply("-var=changed=true")
	w.unchanged("after a change", "-var=changed=true")
	w.destroy()
	if after := inventory(t, owner, harness.Region) + inventory(t, consumer, harness.Region); after != before {
		t.Errorf("destroy left something:\n%s\nbefore there was:\n%s", after, before)
	}
}
