// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TestAUsersLife makes a user with all that one can have, looks at it, renames it and
// deletes it, which is refused as long as it has something.
func TestAUsersLife(t *testing.T) {
	f := newFixture(t)
	bound := f.policy(t, "bound", readVPCs)
	out := must[*shape.CreateUserOutput](t)(f.CreateUser(f.ctx, &shape.CreateUserInput{
		UserName: new("Ann"), Path: new("/eng/"), PermissionsBoundary: &bound, Tags: []shape.Tag{{Key: new("team"), Value: new("net")}},
	}))
	if arn := "arn:aws:iam::111122223333:user/eng/Ann"; *out.User.Arn != arn || !strings.HasPrefix(*out.User.UserId, "AIDA") {
		t.Errorf("the user is %s %s, want %s", *out.User.Arn, *out.User.UserId, arn)
	}
	got := must[*shape.GetUserOutput](t)(f.GetUser(f.ctx, &shape.GetUserInput{UserName: new("aNN")})).User
	if diff := cmp.Diff(out.User, got); diff != "" {
		t.Errorf("GetUser shows another one (-made +got):\n%s", diff)
	}
	if *got.PermissionsBoundary.PermissionsBoundaryArn != bound || *got.Tags[0].Value != "net" {
		t.Errorf("it lacks boundary or tags: %+v", got)
	}
	self := must[*shape.GetUserOutput](t)(f.GetUser(f.as(t, got), &shape.GetUserInput{})).User
	if *self.UserId != *got.UserId {
		t.Errorf("the user is told that it is %s", *self.UserId)
	}
	listed := must[*shape.ListUsersOutput](t)(f.ListUsers(f.ctx, &shape.ListUsersInput{PathPrefix: new("/eng")})).Users
	if len(listed) != 1 || listed[0].Tags != nil || listed[0].PermissionsBoundary != nil {
		t.Errorf("listed are %+v, want one user without tags and boundary, as AWS lists them", listed)
	}

	f.group(t, "staff")
	ann := new("Ann")
	for what, err := range map[string]error{
		"join":    failure(f.AddUserToGroup(f.ctx, &shape.AddUserToGroupInput{UserName: ann, GroupName: new("STAFF")})),
		"again":   failure(f.AddUserToGroup(f.ctx, &shape.AddUserToGroupInput{UserName: ann, GroupName: new("staff")})),
		"inline":  failure(f.PutUserPolicy(f.ctx, &shape.PutUserPolicyInput{UserName: ann, PolicyName: new("read"), PolicyDocument: new(readVPCs)})),
		"managed": failure(f.AttachUserPolicy(f.ctx, &shape.AttachUserPolicyInput{UserName: ann, PolicyArn: &bound})),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	key := must[*shape.CreateAccessKeyOutput](t)(f.CreateAccessKey(f.ctx, &shape.CreateAccessKeyInput{UserName: ann})).AccessKey
	if told, ok := model.AccountOfKey(*key.AccessKeyId); !ok || told != mine {
		t.Errorf("the key %s tells the account %s", *key.AccessKeyId, told)
	}
	inline := must[*shape.GetUserPolicyOutput](t)(f.GetUserPolicy(f.ctx, &shape.GetUserPolicyInput{UserName: ann, PolicyName: new("read")}))
	if text := decoded(t, inline.PolicyDocument); text != readVPCs {
		t.Errorf("the policy came back as %q", text)
	}

	if _, err := f.UpdateUser(f.ctx, &shape.UpdateUserInput{UserName: ann, NewUserName: new("Anna"), NewPath: new("/")}); err != nil {
		t.Fatal(err)
	}
	renamed := must[*shape.GetUserOutput](t)(f.GetUser(f.ctx, &shape.GetUserInput{UserName: new("Anna")})).User
	if *renamed.Arn != "arn:aws:iam::111122223333:user/Anna" || *renamed.UserId != *got.UserId {
		t.Errorf("after renaming it is %s %s", *renamed.Arn, *renamed.UserId)
	}
	f.refused(t, "NoSuchEntity", "", func() error { return failure(f.GetUser(f.ctx, &shape.GetUserInput{UserName: ann})) })

	f.deleteAtLast(t, "Anna", bound, key.AccessKeyId)
	again := f.user(t, "Anna")
	if *again.UserId == *got.UserId {
		t.Error("a user that is made again has the id of the one before")
	}
}

// deleteAtLast deletes a user who has a key, a group and policies, and the policy.
func (f *fixture) deleteAtLast(t *testing.T, name, bound string, key *string) {
	t.Helper()
	ann := &name
	remove := func() error { return failure(f.DeleteUser(f.ctx, &shape.DeleteUserInput{UserName: ann})) }
	for _, step := range []struct {
		message string
		free    func() error
	}{
		{"Cannot delete entity, must delete access keys first.", func() error {
			return failure(f.DeleteAccessKey(f.ctx, &shape.DeleteAccessKeyInput{UserName: ann, AccessKeyId: key}))
		}},
		{"Cannot delete entity, must remove users from group first.", func() error {
			return failure(f.RemoveUserFromGroup(f.ctx, &shape.RemoveUserFromGroupInput{UserName: ann, GroupName: new("staff")}))
		}},
		{"Cannot delete entity, must detach all policies first.", func() error {
			return failure(f.DetachUserPolicy(f.ctx, &shape.DetachUserPolicyInput{UserName: ann, PolicyArn: &bound}))
		}},
		{"Cannot delete entity, must delete policies first.", func() error {
			return failure(f.DeleteUserPolicy(f.ctx, &shape.DeleteUserPolicyInput{UserName: ann, PolicyName: new("read")}))
		}},
	} {
		f.refused(t, "DeleteConflict", step.message, remove)
		if err := step.free(); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(t, "DeleteConflict", "Cannot delete a policy attached to entities.", func() error {
		return failure(f.DeletePolicy(f.ctx, &shape.DeletePolicyInput{PolicyArn: &bound}))
	})
	if err := remove(); err != nil {
		t.Fatal(err)
	}
	if err := failure(f.DeletePolicy(f.ctx, &shape.DeletePolicyInput{PolicyArn: &bound})); err != nil {
		t.Error(err)
	}
}

// TestAccessKeysRotate takes the steps that AWS describes: a second key, the first one off,
// and gone.
func TestAccessKeysRotate(t *testing.T) {
	f := newFixture(t)
	ann := f.user(t, "ann")
	ctx := f.as(t, ann) // by itself
	create := func() *shape.AccessKey {
		return must[*shape.CreateAccessKeyOutput](t)(f.CreateAccessKey(ctx, &shape.CreateAccessKeyInput{})).AccessKey
	}
	first, second := create(), create()
	for _, key := range []*shape.AccessKey{first, second} {
		row, _ := state.AccessKeys.Get(f.World.DB.Snapshot(), "", "", *key.AccessKeyId)
		if row.User != *ann.UserId || row.Secret != "" || row.ARN != "" {
			t.Errorf("the row is %+v, want it to be the user's and sealed", row)
		}
		if secret, err := account.Secret(f.World.Seal, row); err != nil || secret != *key.SecretAccessKey {
			t.Errorf("the row's secret is another one than the client was told (%v)", err)
		}
	}
	status := func(id *string) string {
		for _, k := range must[*shape.ListAccessKeysOutput](t)(f.ListAccessKeys(ctx, &shape.ListAccessKeysInput{})).AccessKeyMetadata {
			if *k.AccessKeyId == *id {
				return *k.UserName + " " + *k.Status
			}
		}
		return "gone"
	}
	update := func(to string) error {
		return failure(f.UpdateAccessKey(ctx, &shape.UpdateAccessKeyInput{AccessKeyId: first.AccessKeyId, Status: &to}))
	}
	for _, to := range []string{"Inactive", "Active", "Inactive"} {
		if err := update(to); err != nil || status(first.AccessKeyId) != "ann "+to {
			t.Errorf("made %s, the key is %s (%v)", to, status(first.AccessKeyId), err)
		}
	}
	use := must[*shape.GetAccessKeyLastUsedOutput](t)(f.GetAccessKeyLastUsed(f.ctx, &shape.GetAccessKeyLastUsedInput{AccessKeyId: second.AccessKeyId}))
	if *use.UserName != "ann" || *use.AccessKeyLastUsed.ServiceName != "N/A" || use.AccessKeyLastUsed.LastUsedDate != nil {
		t.Errorf("of a key that was never used it is said %+v", use.AccessKeyLastUsed)
	}
	f.refused(t, "NoSuchEntity", "", func() error {
		return failure(f.GetAccessKeyLastUsed(f.other, &shape.GetAccessKeyLastUsedInput{AccessKeyId: second.AccessKeyId}))
	})
	if err := failure(f.DeleteAccessKey(ctx, &shape.DeleteAccessKeyInput{AccessKeyId: first.AccessKeyId})); err != nil || status(first.AccessKeyId) != "gone" {
		t.Errorf("deleted, the key is %s (%v)", status(first.AccessKeyId), err)
	}
	// Nobody has another one's keys by their id.
	f.user(t, "bob")
	f.refused(t, "NoSuchEntity", "", func() error {
		return failure(f.UpdateAccessKey(f.ctx, &shape.UpdateAccessKeyInput{UserName: new("bob"), AccessKeyId: second.AccessKeyId, Status: new("Inactive")}))
	})
}

// TestTheAdministratorsKeys are of nobody that IAM lists, and can be changed all the same.
func TestTheAdministratorsKeys(t *testing.T) {
	f := newFixture(t)
	key := must[*shape.CreateAccessKeyOutput](t)(f.CreateAccessKey(f.ctx, &shape.CreateAccessKeyInput{})).AccessKey
	row, _ := state.AccessKeys.Get(f.World.DB.Snapshot(), "", "", *key.AccessKeyId)
	if row.User != "" || row.ARN != "arn:aws:iam::111122223333:user/test" || row.Account != mine {
		t.Errorf("the row is %+v", row)
	}
	keys := must[*shape.ListAccessKeysOutput](t)(f.ListAccessKeys(f.ctx, &shape.ListAccessKeysInput{})).AccessKeyMetadata
	if len(keys) != 1 || *keys[0].UserName != "test" {
		t.Errorf("listed are %+v", keys)
	}
	if others := must[*shape.ListAccessKeysOutput](t)(f.ListAccessKeys(f.other, &shape.ListAccessKeysInput{})).AccessKeyMetadata; len(others) != 0 {
		t.Errorf("another account has %+v", others)
	}
	remove := func() error {
		return failure(f.DeleteAccessKey(f.ctx, &shape.DeleteAccessKeyInput{AccessKeyId: key.AccessKeyId}))
	}
	f.refused(t, "DeleteConflict", "", remove)
	f.refused(t, "DeleteConflict", "", func() error {
		return failure(f.UpdateAccessKey(f.ctx, &shape.UpdateAccessKeyInput{AccessKeyId: key.AccessKeyId, Status: new("Inactive")}))
	})
	must[*shape.CreateAccessKeyOutput](t)(f.CreateAccessKey(f.ctx, &shape.CreateAccessKeyInput{}))
	if err := remove(); err != nil {
		t.Errorf("another key works, and the first one stays: %v", err)
	}
	self := must[*shape.GetUserOutput](t)(f.GetUser(f.ctx, &shape.GetUserInput{})).User
	if *self.Arn != "arn:aws:iam::111122223333:user/test" {
		t.Errorf("the administrator is told that it is %s", *self.Arn)
	}
}

// TestTrustIsInWhoWasThere: who is made again with a name is somebody else, and the policy
// shows it.
func TestTrustIsInWhoWasThere(t *testing.T) {
	f := newFixture(t)
	ann := f.user(t, "ann")
	theirs := must[*shape.CreateUserOutput](t)(f.CreateUser(f.other, &shape.CreateUserInput{UserName: new("zoe"), Path: new("/x/")})).User
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["` + *ann.Arn + `","` + *theirs.Arn + `"]},"Action":"sts:AssumeRole"}]}`
	f.role(t, "worker", text)
	shown := func() string {
		return decoded(t, must[*shape.GetRoleOutput](t)(f.GetRole(f.ctx, &shape.GetRoleInput{RoleName: new("worker")})).Role.AssumeRolePolicyDocument)
	}
	if got := shown(); got != text {
		t.Errorf("the trust policy came back as %s", got)
	}
	if _, err := f.UpdateUser(f.ctx, &shape.UpdateUserInput{UserName: ann.UserName, NewUserName: new("anna")}); err != nil {
		t.Fatal(err)
	}
	if got, want := shown(), strings.Replace(text, "user/ann", "user/anna", 1); got != want {
		t.Errorf("after renaming it is %s, want %s", got, want)
	}
	if _, err := f.DeleteUser(f.ctx, &shape.DeleteUserInput{UserName: new("anna")}); err != nil {
		t.Fatal(err)
	}
	f.user(t, "ann")
	if got, want := shown(), strings.Replace(text, *ann.Arn, *ann.UserId, 1); got != want {
		t.Errorf("after deleting and making again it is %s, want %s", got, want)
	}
	f.put(t, func(tx *table.Txn) {
		for row := range state.RolesByName.Rows(tx, model.Ref{Account: mine, ID: "worker"}) {
			if len(row.Trusted) != 2 || row.Trusted[0].Entity.ID != *ann.UserId || row.Trusted[1].Entity != (model.Ref{Account: other, ID: *theirs.UserId}) {
				t.Errorf("trusted are %+v", row.Trusted)
			}
		}
	})
}

// TestVersions: numbers are never used again, and the default one counts.
func TestVersions(t *testing.T) {
	f := newFixture(t)
	arn := f.policy(t, "read", readVPCs)
	add := func(asDefault bool) string {
		return *must[*shape.CreatePolicyVersionOutput](t)(f.CreatePolicyVersion(f.ctx, &shape.CreatePolicyVersionInput{
			PolicyArn: &arn, PolicyDocument: new(strings.Replace(readVPCs, "Vpcs", "Subnets", 1)), SetAsDefault: &asDefault,
		})).PolicyVersion.VersionId
	}
	versions := func() (all []string) {
		for _, v := range must[*shape.ListPolicyVersionsOutput](t)(f.ListPolicyVersions(f.ctx, &shape.ListPolicyVersionsInput{PolicyArn: &arn})).Versions {
			text := *v.VersionId
			if *v.IsDefaultVersion {
				text += "*"
			}
			all = append(all, text)
		}
		return all
	}
	if add(false) != "v2" || add(true) != "v3" || !slices.Equal(versions(), []string{"v3*", "v2", "v1"}) {
		t.Errorf("versions are %v", versions())
	}
	f.refused(t, "DeleteConflict", "", func() error { return failure(f.DeletePolicy(f.ctx, &shape.DeletePolicyInput{PolicyArn: &arn})) })
	for _, v := range []string{"v1", "v2"} {
		if _, err := f.DeletePolicyVersion(f.ctx, &shape.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: &v}); err != nil {
			t.Fatal(err)
		}
	}
	if add(false) != "v4" {
		t.Errorf("a number was used again: %v", versions())
	}
	if _, err := f.SetDefaultPolicyVersion(f.ctx, &shape.SetDefaultPolicyVersionInput{PolicyArn: &arn, VersionId: new("v4")}); err != nil || !slices.Equal(versions(), []string{"v4*", "v3"}) {
		t.Errorf("versions are %v (%v)", versions(), err)
	}
	got := must[*shape.GetPolicyVersionOutput](t)(f.GetPolicyVersion(f.ctx, &shape.GetPolicyVersionInput{PolicyArn: &arn, VersionId: new("v4")}))
	if text := decoded(t, got.PolicyVersion.Document); !strings.Contains(text, "DescribeSubnets") {
		t.Errorf("version 4 is %s", text)
	}
	if _, err := f.DeletePolicyVersion(f.ctx, &shape.DeletePolicyVersionInput{PolicyArn: &arn, VersionId: new("v3")}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DeletePolicy(f.ctx, &shape.DeletePolicyInput{PolicyArn: &arn}); err != nil {
		t.Fatal(err)
	}
	if left := state.PolicyVersions.CountScope(f.World.DB.Snapshot(), mine, ""); left != 0 {
		t.Errorf("%d versions are left of a policy that was deleted", left)
	}
}

// TestPages goes through lists in pages while things come and go.
func TestPages(t *testing.T) {
	f := newFixture(t)
	for i := range 7 {
		f.user(t, fmt.Sprint("u", i))
	}
	var names []string
	in := &shape.ListUsersInput{MaxItems: new(int32(3))}
	for page := 0; ; page++ {
		out := must[*shape.ListUsersOutput](t)(f.ListUsers(f.ctx, in))
		for _, u := range out.Users {
			names = append(names, *u.UserName)
		}
		if *out.IsTruncated != (out.Marker != nil) {
			t.Errorf("page %d is truncated: %v, and has the marker %v", page, *out.IsTruncated, out.Marker)
		}
		if out.Marker == nil {
			break
		}
		if page == 0 {
			if _, err := f.DeleteUser(f.ctx, &shape.DeleteUserInput{UserName: new("u2")}); err != nil { // the last one of this page
				t.Fatal(err)
			}
			f.user(t, "u00") // before it
		}
		in.Marker = out.Marker
	}
	if want := []string{"u0", "u1", "u2", "u3", "u4", "u5", "u6"}; !slices.Equal(names, want) {
		t.Errorf("the pages have %v, want %v", names, want)
	}
	// A marker is good for its own list only.
	f.refused(t, "ValidationError", "Invalid Marker.", func() error {
		return failure(f.ListRoles(f.ctx, &shape.ListRolesInput{Marker: in.Marker}))
	})
}
