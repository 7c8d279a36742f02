// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"fmt"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/iam"
)

// TestRefusals has what is wrong with requests: the codes and texts of AWS, and nothing is
// changed.
func TestRefusals(t *testing.T) {
	f := newFixture(t)
	f.user(t, "bob")
	ann, staff, role := f.user(t, "Ann"), f.group(t, "staff"), f.role(t, "worker", trusting(mine))
	read := f.policy(t, "read", readVPCs)
	ctx := f.ctx
	wide := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:::vpc/` + strings.Repeat("a", 7000) + `"}]}`
	gone := "arn:aws:iam::" + mine + ":policy/gone"
	foreign := *must[*shape.CreatePolicyOutput](t)(f.CreatePolicy(f.other, &shape.CreatePolicyInput{PolicyName: new("theirs"), PolicyDocument: new(readVPCs)})).Policy.Arn
	for _, test := range []struct {
		what, code, message string
		call                func() error
	}{
		{"a name that differs by case", "EntityAlreadyExists", "User with name ANN already exists.", func() error {
			return failure(f.CreateUser(ctx, &shape.CreateUserInput{UserName: new("ANN")}))
		}},
		{"the administrator's name", "EntityAlreadyExists", "User with name Admin already exists.", func() error {
			return failure(f.CreateUser(ctx, &shape.CreateUserInput{UserName: new("Admin")}))
		}},
		{"a group twice", "EntityAlreadyExists", "Group with name Staff already exists.", func() error {
			return failure(f.CreateGroup(ctx, &shape.CreateGroupInput{GroupName: new("Staff")}))
		}},
		{"a role twice", "EntityAlreadyExists", "Role with name worker already exists.", func() error {
			return failure(f.CreateRole(ctx, &shape.CreateRoleInput{RoleName: new("worker"), AssumeRolePolicyDocument: new(trusting(mine))}))
		}},
		{"a policy twice", "EntityAlreadyExists", "A policy called READ already exists. Duplicate names are not allowed.", func() error {
			return failure(f.CreatePolicy(ctx, &shape.CreatePolicyInput{PolicyName: new("READ"), PolicyDocument: new(readVPCs)}))
		}},
		{"a name that is taken", "EntityAlreadyExists", "User with name ann already exists.", func() error {
			return failure(f.UpdateUser(ctx, &shape.UpdateUserInput{UserName: new("bob"), NewUserName: new("ann")}))
		}},
		{"no such user", "NoSuchEntity", "The user with name eve cannot be found.", func() error {
			return failure(f.GetUser(ctx, &shape.GetUserInput{UserName: new("eve")}))
		}},
		{"another account's user", "NoSuchEntity", "The user with name Ann cannot be found.", func() error {
			return failure(f.DeleteUser(f.other, &shape.DeleteUserInput{UserName: ann.UserName}))
		}},
		{"no such role", "NoSuchEntity", "The role with name eve cannot be found.", func() error {
			return failure(f.ListInstanceProfilesForRole(ctx, &shape.ListInstanceProfilesForRoleInput{RoleName: new("eve")}))
		}},
		{"no such group", "NoSuchEntity", "The group with name eve cannot be found.", func() error {
			return failure(f.AddUserToGroup(ctx, &shape.AddUserToGroupInput{UserName: ann.UserName, GroupName: new("eve")}))
		}},
		{"no policy at all", "MalformedPolicyDocument", "", func() error {
			return failure(f.CreatePolicy(ctx, &shape.CreatePolicyInput{PolicyName: new("x"), PolicyDocument: new("{")}))
		}},
		{"a policy that is too large", "LimitExceeded", "Cannot exceed quota for PolicySize: 6144", func() error {
			return failure(f.CreatePolicy(ctx, &shape.CreatePolicyInput{PolicyName: new("x"), PolicyDocument: &wide}))
		}},
		{"an inline policy that is too large", "LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user Ann", func() error {
			return failure(f.PutUserPolicy(ctx, &shape.PutUserPolicyInput{UserName: ann.UserName, PolicyName: new("x"), PolicyDocument: &wide}))
		}},
		{"a trust policy that is too large", "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", func() error {
			return failure(f.UpdateAssumeRolePolicy(ctx, &shape.UpdateAssumeRolePolicyInput{RoleName: role.RoleName, PolicyDocument: &wide}))
		}},
		{"an identity policy as trust", "MalformedPolicyDocument", "", func() error {
			return failure(f.UpdateAssumeRolePolicy(ctx, &shape.UpdateAssumeRolePolicyInput{RoleName: role.RoleName, PolicyDocument: new(readVPCs)}))
		}},
		{"trust in nobody", "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/eve"`, func() error {
			return failure(f.CreateRole(ctx, &shape.CreateRoleInput{RoleName: new("x"), AssumeRolePolicyDocument: new(trusting("arn:aws:iam::" + mine + ":user/eve"))}))
		}},
		{"trust in a user of another path", "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/a/Ann"`, func() error {
			return failure(f.CreateRole(ctx, &shape.CreateRoleInput{RoleName: new("x"), AssumeRolePolicyDocument: new(trusting("arn:aws:iam::" + mine + ":user/a/Ann"))}))
		}},
		{"no ARN", "ValidationError", "Invalid ARN:  Could not be parsed!", func() error {
			return failure(f.GetPolicy(ctx, &shape.GetPolicyInput{PolicyArn: new("a-policy-without-an-arn")}))
		}},
		{"the ARN of something else", "InvalidInput", "ARN " + *ann.Arn + " is not valid.", func() error {
			return failure(f.AttachUserPolicy(ctx, &shape.AttachUserPolicyInput{UserName: ann.UserName, PolicyArn: ann.Arn}))
		}},
		{"no such policy", "NoSuchEntity", "Policy " + gone + " was not found.", func() error {
			return failure(f.GetPolicy(ctx, &shape.GetPolicyInput{PolicyArn: &gone}))
		}},
		{"another account's policy", "NoSuchEntity", "Policy " + foreign + " was not found.", func() error {
			return failure(f.GetPolicy(ctx, &shape.GetPolicyInput{PolicyArn: &foreign}))
		}},
		{"attaching no policy", "NoSuchEntity", "Policy " + gone + " does not exist or is not attachable.", func() error {
			return failure(f.AttachRolePolicy(ctx, &shape.AttachRolePolicyInput{RoleName: role.RoleName, PolicyArn: &gone}))
		}},
		{"attaching another account's policy", "NoSuchEntity", "Policy " + foreign + " does not exist or is not attachable.", func() error {
			return failure(f.AttachGroupPolicy(ctx, &shape.AttachGroupPolicyInput{GroupName: staff.GroupName, PolicyArn: &foreign}))
		}},
		{"detaching what is not attached", "NoSuchEntity", "Policy " + read + " was not found.", func() error {
			return failure(f.DetachGroupPolicy(ctx, &shape.DetachGroupPolicyInput{GroupName: staff.GroupName, PolicyArn: &read}))
		}},
		{"no policy as a boundary", "NoSuchEntity", "Scope ARN: " + gone + " does not exist or is not attachable.", func() error {
			return failure(f.PutUserPermissionsBoundary(ctx, &shape.PutUserPermissionsBoundaryInput{UserName: ann.UserName, PermissionsBoundary: &gone}))
		}},
		{"a user with no policy as a boundary", "NoSuchEntity", "Scope ARN: " + gone + " does not exist or is not attachable.", func() error {
			return failure(f.CreateUser(ctx, &shape.CreateUserInput{UserName: new("x"), PermissionsBoundary: &gone}))
		}},
		{"changing a policy of AWS", "AccessDenied", "", func() error {
			return failure(f.CreatePolicyVersion(ctx, &shape.CreatePolicyVersionInput{PolicyArn: new(readOnly), PolicyDocument: new(readVPCs)}))
		}},
		{"no such version", "NoSuchEntity", "Policy " + read + " version v2 does not exist or is not attachable.", func() error {
			return failure(f.GetPolicyVersion(ctx, &shape.GetPolicyVersionInput{PolicyArn: &read, VersionId: new("v2")}))
		}},
		{"the default version", "DeleteConflict", "Cannot delete the default version of a policy.", func() error {
			return failure(f.DeletePolicyVersion(ctx, &shape.DeletePolicyVersionInput{PolicyArn: &read, VersionId: new("v1")}))
		}},
		{"no such inline policy", "NoSuchEntity", "The role policy with name x cannot be found.", func() error {
			return failure(f.GetRolePolicy(ctx, &shape.GetRolePolicyInput{RoleName: role.RoleName, PolicyName: new("x")}))
		}},
		{"no such key", "NoSuchEntity", "The Access Key with id AKIAAAAAAAAAAAAAAAAA cannot be found.", func() error {
			return failure(f.DeleteAccessKey(ctx, &shape.DeleteAccessKeyInput{UserName: ann.UserName, AccessKeyId: new("AKIAAAAAAAAAAAAAAAAA")}))
		}},
		{"a key that expires", "InvalidInput", "", func() error {
			return failure(f.UpdateAccessKey(ctx, &shape.UpdateAccessKeyInput{UserName: ann.UserName, AccessKeyId: new("AKIAAAAAAAAAAAAAAAAA"), Status: new("Expired")}))
		}},
		{"keys of tags that differ by case", "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", func() error {
			return failure(f.TagRole(ctx, &shape.TagRoleInput{RoleName: role.RoleName, Tags: []shape.Tag{{Key: new("a"), Value: new("1")}, {Key: new("A"), Value: new("2")}}}))
		}},
		{"a tag of AWS", "InvalidInput", "", func() error {
			return failure(f.TagUser(ctx, &shape.TagUserInput{UserName: ann.UserName, Tags: []shape.Tag{{Key: new("aws:x"), Value: new("1")}}}))
		}},
		{"a marker that is none", "ValidationError", "Invalid Marker.", func() error {
			return failure(f.ListUsers(ctx, &shape.ListUsersInput{Marker: new("x")}))
		}},
		{"a password", "NoSuchEntity", "Login Profile for User Ann cannot be found.", func() error {
			return failure(f.DeleteLoginProfile(ctx, &shape.DeleteLoginProfileInput{UserName: ann.UserName}))
		}},
		{"a policy for passwords", "NoSuchEntity", "The Password Policy with domain name 111122223333 cannot be found.", func() error {
			return failure(f.GetAccountPasswordPolicy(ctx, &shape.GetAccountPasswordPolicyInput{}))
		}},
		{"an action without a service", "InvalidInput", "", func() error {
			return failure(f.SimulateCustomPolicy(ctx, &shape.SimulateCustomPolicyInput{PolicyInputList: []string{readVPCs}, ActionNames: []string{"DescribeVpcs"}}))
		}},
	} {
		t.Run(test.what, func(t *testing.T) { f.refused(t, test.code, test.message, test.call) })
	}
}

// TestQuotas fills each to the brim.
func TestQuotas(t *testing.T) {
	f := newFixture(t)
	q := &f.World.Quotas
	q.UsersPerAccount, q.GroupsPerAccount, q.RolesPerAccount, q.PoliciesPerAccount = 2, 2, 2, 3
	q.GroupsPerUser, q.PoliciesPerEntity = 1, 2
	f.user(t, "a")
	ann := f.user(t, "ann")
	f.group(t, "a")
	staff := f.group(t, "staff")
	f.role(t, "a", trusting(mine))
	f.role(t, "worker", trusting(mine))
	var policies []string
	for i := range 3 {
		policies = append(policies, f.policy(t, fmt.Sprint("p", i), readVPCs))
	}
	f.refused(t, "LimitExceeded", "Cannot exceed quota for UsersPerAccount: 2", func() error {
		return failure(f.CreateUser(f.ctx, &shape.CreateUserInput{UserName: new("x")}))
	})
	f.refused(t, "LimitExceeded", "Cannot exceed quota for GroupsPerAccount: 2", func() error {
		return failure(f.CreateGroup(f.ctx, &shape.CreateGroupInput{GroupName: new("x")}))
	})
	f.refused(t, "LimitExceeded", "Cannot exceed quota for RolesPerAccount: 2", func() error {
		return failure(f.CreateRole(f.ctx, &shape.CreateRoleInput{RoleName: new("x"), AssumeRolePolicyDocument: new(trusting(mine))}))
	})
	f.refused(t, "LimitExceeded", "Cannot exceed quota for PoliciesPerAccount: 3", func() error {
		return failure(f.CreatePolicy(f.ctx, &shape.CreatePolicyInput{PolicyName: new("x"), PolicyDocument: new(readVPCs)}))
	})
	join := func(group string) error {
		return failure(f.AddUserToGroup(f.ctx, &shape.AddUserToGroupInput{UserName: ann.UserName, GroupName: &group}))
	}
	if err := join("a"); err != nil {
		t.Fatal(err)
	}
	f.refused(t, "LimitExceeded", "Cannot exceed quota for GroupsPerUser: 1", func() error { return join(*staff.GroupName) })
	attach := func(arn string) error {
		return failure(f.AttachUserPolicy(f.ctx, &shape.AttachUserPolicyInput{UserName: ann.UserName, PolicyArn: &arn}))
	}
	for _, arn := range []string{policies[0], policies[1], policies[0]} { // the last one is there already
		if err := attach(arn); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(t, "LimitExceeded", "Cannot exceed quota for PoliciesPerUser: 2", func() error { return attach(policies[2]) })
	version := func() error {
		return failure(f.CreatePolicyVersion(f.ctx, &shape.CreatePolicyVersionInput{PolicyArn: &policies[0], PolicyDocument: new(readVPCs)}))
	}
	for range 4 {
		if err := version(); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(t, "LimitExceeded", "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.", version)
	key := func() error {
		return failure(f.CreateAccessKey(f.ctx, &shape.CreateAccessKeyInput{UserName: ann.UserName}))
	}
	for range 2 {
		if err := key(); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(t, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2", key)
	// Inline policies count together, and what is put again once.
	half := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:::vpc/` + strings.Repeat("a", 1200) + `"}]}`
	inline := func(name string) error {
		return failure(f.PutUserPolicy(f.ctx, &shape.PutUserPolicyInput{UserName: ann.UserName, PolicyName: &name, PolicyDocument: new(half)}))
	}
	for _, name := range []string{"one", "one"} {
		if err := inline(name); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(t, "LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user ann", func() error { return inline("two") })
}
