// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/sts"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func assume(key, role string, external *string) ask {
	return ask{key: key, service: "sts", operation: "AssumeRole", in: &sts.AssumeRoleInput{
		RoleArn: &role, RoleSessionName: new("s"), ExternalId: external,
	}}
}

// TestRolesAreAssumedByWhomTheyTrust has roles of one account and users of two.
func TestRolesAreAssumedByWhomTheyTrust(t *testing.T) {
	w := newWorld(t)
	may := statement("Allow", "sts:AssumeRole", "*", "")
	near, far := w.user(mine, "ANN", may), w.user(theirs, "BOB", may)
	idle, idleFar := w.user(mine, "IDA"), w.user(theirs, "IKE")
	w.role(mine, "ALL", trusting(`"*"`, ""))
	w.role(mine, "MINE", trusting(`{"AWS":"111122223333"}`, ""))
	w.role(mine, "THEIRS", trusting(`{"AWS":"arn:aws:iam::444455556666:root"}`, ""))
	w.role(mine, "CODE", trusting(`"*"`, `"StringEquals":{"sts:ExternalId":"42"}`))
	w.role(mine, "ANNS", trusting(`{"AWS":"arn:aws:iam::111122223333:user/staff/ANN"}`, ""))
	w.change(func(tx *table.Txn) {
		r, _ := state.Roles.Get(tx, mine, "", "AROAANNS")
		r = r.Clone()
		r.Trusted = []model.Trusted{{ARN: "arn:aws:iam::111122223333:user/staff/ANN", Entity: model.Ref{Account: mine, ID: "AIDAANN"}}}
		state.Roles.Put(tx, r)
	})
	role := func(name string) string { return "arn:aws:iam::111122223333:role/" + name }
	for _, test := range []struct {
		what string
		ask  ask
		yes  bool
	}{
		{"everyone is trusted, and this account's user may", assume(near, role("ALL"), nil), true},
		{"everyone is trusted, and another account's user may", assume(far, role("ALL"), nil), true},
		{"everyone is trusted, and another account's user may not", assume(idleFar, role("ALL"), nil), false},
		{"the account is trusted", assume(near, role("MINE"), nil), true},
		{"the account is trusted, and its user may not", assume(idle, role("MINE"), nil), false},
		{"another account is trusted", assume(near, role("THEIRS"), nil), false},
		{"another account is trusted, and its user may", assume(far, role("THEIRS"), nil), true},
		{"an external id, and none", assume(far, role("CODE"), nil), false},
		{"an external id, and another", assume(far, role("CODE"), new("43")), false},
		{"an external id, and that", assume(far, role("CODE"), new("42")), true},
		{"a user", assume(near, role("ANNS"), nil), true},
		{"a user, and another", assume(idle, role("ANNS"), nil), false},
	} {
		if err := w.may(test.ask); (err == nil) != test.yes {
			t.Errorf("%s: %v, want allowed: %v", test.what, err, test.yes)
		}
	}
	is, none := w.may(assume(far, role("MINE"), nil)), w.may(assume(far, role("GONE"), nil))
	if is == nil || none == nil || strings.ReplaceAll(is.Error(), "MINE", "X") != strings.ReplaceAll(none.Error(), "GONE", "X") {
		t.Errorf("it is told which roles there are:\n%v\n%v", is, none)
	}
	// A user that is made again with the name is somebody else.
	w.change(func(tx *table.Txn) {
		state.Users.Delete(tx, mine, "", "AIDAANN")
		state.Users.Put(tx, &model.User{Meta: w.meta(mine, "AIDANEXT"), Name: "ANN", Path: "/staff/"})
		w.inline(tx, mine, "AIDANEXT", []string{may})
		for k := range state.AccessKeys.Scope(tx, "", "") {
			if k.ID == near {
				k = k.Clone()
				k.User = "AIDANEXT"
				state.AccessKeys.Put(tx, k)
			}
		}
	})
	w.allowed("the next one of the name", assume(near, role("MINE"), nil))
	w.refused("the next one, as the one before", "", assume(near, role("ANNS"), nil))
}

// TestTrustTakenAwayWhileUnderWay changes a trust policy between the decision and the
// handler's view.
func TestTrustTakenAwayWhileUnderWay(t *testing.T) {
	w := newWorld(t)
	key := w.user(theirs, "BOB", statement("Allow", "sts:AssumeRole", "*", ""))
	w.role(mine, "ALL", trusting(`"*"`, ""))
	ctx, err := w.begin(assume(key, "arn:aws:iam::111122223333:role/ALL", nil))
	if err != nil {
		t.Fatal(err)
	}
	w.role(mine, "ALL", trusting(`{"AWS":"111122223333"}`, ""))
	if _, err := w.DB.View(ctx); err == nil {
		t.Error("the role is assumed by whom it does not trust any more")
	}
}
