// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/iam"
)

// refusal is a request that is refused: the code and text of AWS; an empty text is not
// looked at.
type refusal struct {
	what, code, message string
	call                func() error
}

// rows are what requests are refused because of.
type rows struct {
	ann     *shape.User
	staff   *shape.Group
	role    *shape.Role
	read    string // the ARN of a policy
	gone    string // one that is not there
	foreign string // and one of another account
	wide    string // a document that is too large
}

// TestRefusals has what is wrong with requests; nothing is changed by one.
func TestRefusals(t *testing.T) {
	f := newFixture(t)
	f.user(t, "bob")
	r := rows{
		ann: f.user(t, "Ann"), staff: f.group(t, "staff"), role: f.role(t, "worker", trusting(mine)), read: f.policy(t, "read", readVPCs),
		gone:    "arn:aws:iam::" + mine + ":policy/gone",
		foreign: *must[*shape.CreatePolicyOutput](t)(f.CreatePolicy(f.other, &shape.CreatePolicyInput{PolicyName: new("theirs"), PolicyDocument: new(readVPCs)})).Policy.Arn,
		wide:    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:::vpc/` + strings.Repeat("a", 7000) + `"}]}`,
	}
	for _, test := range slices.Concat(f.nameRefusals(r), f.documentRefusals(r), f.policyRefusals(r), f.otherRefusals(r)) {
		t.Run(test.what, func(t *testing.T) { f.refused(t, test.code, test.message, test.call) })
	}
}

func (f *fixture) nameRefusals(r rows) []refusal {
	return []refusal{
		{"a name that differs by case", "EntityAlreadyExists", "User with name ANN already exists.", func() error {
			return failure(f.CreateUser(f.ctx, &shape.CreateUserInput{UserName: new("ANN")}))
		}},
		{"the administrator's name", "EntityAlreadyExists", "User with name Admin already exists.", func() error {
			return failure(f.CreateUser(f.ctx, &shape.CreateUserInput{UserName: new("Admin")}))
		}},
		{"a group twice", "EntityAlreadyExists", "Group with name Staff already exists.", func() error {
			return failure(f.CreateGroup(f.ctx, &shape.CreateGroupInput{GroupName: new("Staff")}))
		}},
		{"a role twice", "EntityAlreadyExists", "Role with name worker already exists.", func() error {
			return failure(f.CreateRole(f.ctx, &shape.CreateRoleInput{RoleName: new("worker"), AssumeRolePolicyDocument: new(trusting(mine))}))
		}},
		{"a policy twice", "EntityAlreadyExists", "A policy called READ already exists. Duplicate names are not allowed.", func() error {
			return failure(f.CreatePolicy(f.ctx, &shape.CreatePolicyInput{PolicyName: new("READ"), PolicyDocument: new(readVPCs)}))
		}},
		{"a name that is taken", "EntityAlreadyExists", "User with name ann already exists.", func() error {
			return failure(f.UpdateUser(f.ctx, &shape.UpdateUserInput{UserName: new("bob"), NewUserName: new("ann")}))
		}},
		{"no such user", "NoSuchEntity", "The user with name eve cannot be found.", func() error {
			return failure(f.GetUser(f.ctx, &shape.GetUserInput{UserName: new("eve")}))
		}},
		{"another account's user", "NoSuchEntity", "The user with name Ann cannot be found.", func() error {
			return failure(f.DeleteUser(f.other, &shape.DeleteUserInput{UserName: r.ann.UserName}))
		}},
		{"no such role", "NoSuchEntity", "The role with name eve cannot be found.", func() error {
			return failure(f.ListInstanceProfilesForRole(f.ctx, &shape.ListInstanceProfilesForRoleInput{RoleName: new("eve")}))
		}},
		{"no such group", "NoSuchEntity", "The group with name eve cannot be found.", func() error {
			return failure(f.AddUserToGroup(f.ctx, &shape.AddUserToGroupInput{UserName: r.ann.UserName, GroupName: new("eve")}))
		}},
	}
}

func (f *fixture) documentRefusals(r rows) []refusal {
	return []refusal{
		{"no policy at all", "MalformedPolicyDocument", "", func() error {
			return failure(f.CreatePolicy(f.ctx, &shape.CreatePolicyInput{PolicyName: new("x"), PolicyDocument: new("{")}))
		}},
		{"a policy that is too large", "LimitExceeded", "Cannot exceed quota for PolicySize: 6144", func() error {
			return failure(f.CreatePolicy(f.ctx, &shape.CreatePolicyInput{PolicyName: new("x"), PolicyDocument: &r.wide}))
		}},
		{"an inline policy that is too large", "LimitExceeded", "Maximum policy size of 2048 bytes exceeded for user Ann", func() error {
			return failure(f.PutUserPolicy(f.ctx, &shape.PutUserPolicyInput{UserName: r.ann.UserName, PolicyName: new("x"), PolicyDocument: &r.wide}))
		}},
		{"a trust policy that is too large", "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", func() error {
			return failure(f.UpdateAssumeRolePolicy(f.ctx, &shape.UpdateAssumeRolePolicyInput{RoleName: r.role.RoleName, PolicyDocument: &r.wide}))
		}},
		{"an identity policy as trust", "MalformedPolicyDocument", "", func() error {
			return failure(f.UpdateAssumeRolePolicy(f.ctx, &shape.UpdateAssumeRolePolicyInput{RoleName: r.role.RoleName, PolicyDocument: new(readVPCs)}))
		}},
		{"trust in nobody", "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/eve"`, func() error {
			return failure(f.CreateRole(f.ctx, &shape.CreateRoleInput{RoleName: new("x"), AssumeRolePolicyDocument: new(trusting("arn:aws:iam::" + mine + ":user/eve"))}))
		}},
		{"trust in a user of another path", "MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:user/a/Ann"`, func() error {
			return failure(f.CreateRole(f.ctx, &shape.CreateRoleInput{RoleName: new("x"), AssumeRolePolicyDocument: new(trusting("arn:aws:iam::" + mine + ":user/a/Ann"))}))
		}},
	}
}

func (f *fixture) policyRefusals(r rows) []refusal {
	return []refusal{
		{"no ARN", "ValidationError", "Invalid ARN:  Could not be parsed!", func() error {
			return failure(f.GetPolicy(f.ctx, &shape.GetPolicyInput{PolicyArn: new("a-policy-without-an-arn")}))
		}},
		{"the ARN of something else", "InvalidInput", "ARN " + *r.ann.Arn + " is not valid.", func() error {
			return failure(f.AttachUserPolicy(f.ctx, &shape.AttachUserPolicyInput{UserName: r.ann.UserName, PolicyArn: r.ann.Arn}))
		}},
		{"no such policy", "NoSuchEntity", "Policy " + r.gone + " was not found.", func() error {
			return failure(f.GetPolicy(f.ctx, &shape.GetPolicyInput{PolicyArn: &r.gone}))
		}},
		{"another account's policy", "NoSuchEntity", "Policy " + r.foreign + " was not found.", func() error {
			return failure(f.GetPolicy(f.ctx, &shape.GetPolicyInput{PolicyArn: &r.foreign}))
		}},
		{"attaching no policy", "NoSuchEntity", "Policy " + r.gone + " does not exist or is not attachable.", func() error {
			return failure(f.AttachRolePolicy(f.ctx, &shape.AttachRolePolicyInput{RoleName: r.role.RoleName, PolicyArn: &r.gone}))
		}},
		{"attaching another account's policy", "NoSuchEntity", "Policy " + r.foreign + " does not exist or is not attachable.", func() error {
			return failure(f.AttachGroupPolicy(f.ctx, &shape.AttachGroupPolicyInput{GroupName: r.staff.GroupName, PolicyArn: &r.foreign}))
		}},
		{"detaching what is not attached", "NoSuchEntity", "Policy " + r.read + " was not found.", func() error {
			return failure(f.DetachGroupPolicy(f.ctx, &shape.DetachGroupPolicyInput{GroupName: r.staff.GroupName, PolicyArn: &r.read}))
		}},
		{"no policy as a boundary", "NoSuchEntity", "Scope ARN: " + r.gone + " does not exist or is not attachable.", func() error {
			return failure(f.PutUserPermissionsBoundary(f.ctx, &shape.PutUserPermissionsBoundaryInput{UserName: r.ann.UserName, PermissionsBoundary: &r.gone}))
		}},
		{"a user with no policy as a boundary", "NoSuchEntity", "Scope ARN: " + r.gone + " does not exist or is not attachable.", func() error {
			return failure(f.CreateUser(f.ctx, &shape.CreateUserInput{UserName: new("x"), PermissionsBoundary: &r.gone}))
		}},
		{"changing a policy of AWS", "AccessDenied", "", func() error {
			return failure(f.CreatePolicyVersion(f.ctx, &shape.CreatePolicyVersionInput{PolicyArn: new(readOnly), PolicyDocument: new(readVPCs)}))
		}},
		{"no such version", "NoSuchEntity", "Policy " + r.read + " version v2 does not exist or is not attachable.", func() error {
			return failure(f.GetPolicyVersion(f.ctx, &shape.GetPolicyVersionInput{PolicyArn: &r.read, VersionId: new("v2")}))
		}},
		{"the default version", "DeleteConflict", "Cannot delete the default version of a policy.", func() error {
			return failure(f.DeletePolicyVersion(f.ctx, &shape.DeletePolicyVersionInput{PolicyArn: &r.read, VersionId: new("v1")}))
		}},
	}
}

func (f *fixture) otherRefusals(r rows) []refusal {
	return []refusal{
		{"no such inline policy", "NoSuchEntity", "The role policy with name x cannot be found.", func() error {
			return failure(f.GetRolePolicy(f.ctx, &shape.GetRolePolicyInput{RoleName: r.role.RoleName, PolicyName: new("x")}))
		}},
		{"no such key", "NoSuchEntity", "The Access Key with id AKIAAAAAAAAAAAAAAAAA cannot be found.", func() error {
			return failure(f.DeleteAccessKey(f.ctx, &shape.DeleteAccessKeyInput{UserName: r.ann.UserName, AccessKeyId: new("AKIAAAAAAAAAAAAAAAAA")}))
		}},
		{"a key that expires", "InvalidInput", "", func() error {
			return failure(f.UpdateAccessKey(f.ctx, &shape.UpdateAccessKeyInput{UserName: r.ann.UserName, AccessKeyId: new("AKIAAAAAAAAAAAAAAAAA"), Status: new("Expired")}))
		}},
		{"keys of tags that differ by case", "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.", func() error {
			return failure(f.TagRole(f.ctx, &shape.TagRoleInput{RoleName: r.role.RoleName, Tags: []shape.Tag{{Key: new("a"), Value: new("1")}, {Key: new("A"), Value: new("2")}}}))
		}},
		{"a tag of AWS", "InvalidInput", "", func() error {
			return failure(f.TagUser(f.ctx, &shape.TagUserInput{UserName: r.ann.UserName, Tags: []shape.Tag{{Key: new("aws:x"), Value: new("1")}}}))
		}},
		{"a marker that is none", "ValidationError", "Invalid Marker.", func() error {
			return failure(f.ListUsers(f.ctx, &shape.ListUsersInput{Marker: new("x")}))
		}},
		{"a password", "NoSuchEntity", "Login Profile for User Ann cannot be found.", func() error {
			return failure(f.DeleteLoginProfile(f.ctx, &shape.DeleteLoginProfileInput{UserName: r.ann.UserName}))
		}},
		{"a policy for passwords", "NoSuchEntity", "The Password Policy with domain name 111122223333 cannot be found.", func() error {
			return failure(f.GetAccountPasswordPolicy(f.ctx, &shape.GetAccountPasswordPolicyInput{}))
		}},
		{"an action without a service", "InvalidInput", "", func() error {
			return failure(f.SimulateCustomPolicy(f.ctx, &shape.SimulateCustomPolicyInput{PolicyInputList: []string{readVPCs}, ActionNames: []string{"DescribeVpcs"}}))
		}},
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
