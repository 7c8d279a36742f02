// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"testing"

	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/policytest"
)

// TestCorpus asks every question of the corpus.
func TestCorpus(t *testing.T) {
	asks, err := policytest.Asks()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range asks {
		q, err := a.Question()
		if err != nil {
			t.Errorf("%s: %s: %v", a.Where, a.Name, err)
			continue
		}
		want := a.Want + " " + a.WantLayer
		v := policy.Evaluate(q)
		owner := v.Layer == policy.ResourcePolicy || v.Layer == policy.TrustPolicy || v.Layer == policy.SharePolicy
		another := q.Principal.Kind == policy.Service || a.Owner != "" && a.Owner != a.Account
		if v.Foreign != (another && owner && !v.Allowed) {
			t.Errorf("%s: %s: %+v says wrongly whose side denied", a.Where, a.Name, v)
		}
		if got := policytest.Answer(v); got != want {
			t.Errorf("%s: %s: %s %s as %s with %v and %v is %s, want %s",
				a.Where, a.Name, a.Action, a.Resource, a.As, a.Context, a.Policies, got, want)
		}
	}
	t.Logf("%d questions", len(asks))
	if len(asks) < 1300 {
		t.Errorf("the corpus has %d questions: files are missing", len(asks))
	}
}
