// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/posternhq/postern/conformance/harness"
)

// readNetworks allows a few reads, in a text with blanks that must come back.
const readNetworks = `{
  "Version": "2012-10-17",
  "Statement": [ {"Sid": "Read", "Effect": "Allow", "Action": ["ec2:Describe*"], "Resource": "*"} ]
}`

// trust lets a principal assume a role.
func trust(principal string) *string {
	return aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}]}`)
}

// identities is the SDK's client of IAM.
func (c *client) identities() *iam.Client { return iam.NewFromConfig(c.config) }

// TestUsersOfAnAccount makes a user with a key, which may do nothing until a policy says
// so, and not a moment longer than one does.
func TestUsersOfAnAccount(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.identities()
	user := must(api.CreateUser(c.ctx, &iam.CreateUserInput{
		UserName: new("ann"), Path: new("/eng/"), Tags: []types.Tag{{Key: new("team"), Value: new("net")}},
	}))(c).User
	matches(t, "the user's id", user.UserId, `AIDA[A-Z2-7]{17}`)
	equal(t, "the user's ARN", *user.Arn, "arn:aws:iam::"+c.key.Account+":user/eng/ann")
	if err := iam.NewUserExistsWaiter(api).Wait(c.ctx, &iam.GetUserInput{UserName: new("ann")}, patience); err != nil {
		t.Error(err)
	}
	key := must(api.CreateAccessKey(c.ctx, &iam.CreateAccessKeyInput{UserName: new("ann")}))(c).AccessKey
	info := must(c.sts.GetAccessKeyInfo(c.ctx, &sts.GetAccessKeyInfoInput{AccessKeyId: key.AccessKeyId}))(c)
	equal(t, "the account of the key", *info.Account, c.key.Account)

	ann := newClient(t, harness.Key{Account: c.key.Account, ID: *key.AccessKeyId, Secret: *key.SecretAccessKey}, harness.Region)
	equal(t, "who it is", *must(ann.sts.GetCallerIdentity(c.ctx, &sts.GetCallerIdentityInput{}))(c).Arn, *user.Arn)
	look := func() error {
		_, err := ann.ec2.DescribeVpcs(c.ctx, &ec2.DescribeVpcsInput{})
		return err
	}
	refused(t, look(), "UnauthorizedOperation")
	must(api.PutUserPolicy(c.ctx, &iam.PutUserPolicyInput{UserName: new("ann"), PolicyName: new("read"), PolicyDocument: new(readNetworks)}))(c)
	if err := look(); err != nil {
		t.Errorf("right after the policy was put: %v", err)
	}
	inline := must(api.GetUserPolicy(c.ctx, &iam.GetUserPolicyInput{UserName: new("ann"), PolicyName: new("read")}))(c)
	if text, err := url.PathUnescape(*inline.PolicyDocument); err != nil || text != readNetworks {
		t.Errorf("the policy came back as %q (%v)", *inline.PolicyDocument, err)
	}
	equal(t, "the policies", must(api.ListUserPolicies(c.ctx, &iam.ListUserPoliciesInput{UserName: new("ann")}))(c).PolicyNames, []string{"read"})
	_, err := api.DeleteUser(c.ctx, &iam.DeleteUserInput{UserName: new("ann")})
	typed[*types.DeleteConflictException](t, err)
	must(api.DeleteUserPolicy(c.ctx, &iam.DeleteUserPolicyInput{UserName: new("ann"), PolicyName: new("read")}))(c)
	refused(t, look(), "UnauthorizedOperation")

	must(api.UpdateAccessKey(c.ctx, &iam.UpdateAccessKeyInput{UserName: new("ann"), AccessKeyId: key.AccessKeyId, Status: types.StatusTypeInactive}))(c)
	refused(t, look(), "AuthFailure")
	equal(t, "the status", must(api.ListAccessKeys(c.ctx, &iam.ListAccessKeysInput{UserName: new("ann")}))(c).AccessKeyMetadata[0].Status, types.StatusTypeInactive)
	must(api.GetAccessKeyLastUsed(c.ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: key.AccessKeyId}))(c)
	must(api.DeleteAccessKey(c.ctx, &iam.DeleteAccessKeyInput{UserName: new("ann"), AccessKeyId: key.AccessKeyId}))(c)
	must(api.TagUser(c.ctx, &iam.TagUserInput{UserName: new("ann"), Tags: []types.Tag{{Key: new("more"), Value: new("")}}}))(c)
	must(api.UntagUser(c.ctx, &iam.UntagUserInput{UserName: new("ann"), TagKeys: []string{"team"}}))(c)
	equal(t, "the tags", *must(api.ListUserTags(c.ctx, &iam.ListUserTagsInput{UserName: new("ann")}))(c).Tags[0].Key, "more")
	must(api.UpdateUser(c.ctx, &iam.UpdateUserInput{UserName: new("ann"), NewUserName: new("anna"), NewPath: new("/")}))(c)
	equal(t, "the users", *must(api.ListUsers(c.ctx, &iam.ListUsersInput{}))(c).Users[0].UserName, "anna")
	must(api.DeleteUser(c.ctx, &iam.DeleteUserInput{UserName: new("anna")}))(c)
	_, err = api.GetUser(c.ctx, &iam.GetUserInput{UserName: new("anna")})
	typed[*types.NoSuchEntityException](t, err)
	must(api.GetUser(c.ctx, &iam.GetUserInput{}))(c)
}

// TestGroupsGiveTheirMembers what they have.
func TestGroupsGiveTheirMembers(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.identities()
	group := must(api.CreateGroup(c.ctx, &iam.CreateGroupInput{GroupName: new("net")}))(c).Group
	matches(t, "the group's id", group.GroupId, `AGPA[A-Z2-7]{17}`)
	for _, name := range []string{"a", "b", "c"} {
		must(api.CreateUser(c.ctx, &iam.CreateUserInput{UserName: &name}))(c)
		must(api.AddUserToGroup(c.ctx, &iam.AddUserToGroupInput{UserName: &name, GroupName: group.GroupName}))(c)
	}
	var members []string
	pages := iam.NewGetGroupPaginator(api, &iam.GetGroupInput{GroupName: group.GroupName, MaxItems: new(int32(2))})
	for pages.HasMorePages() {
		for _, u := range must(pages.NextPage(c.ctx))(c).Users {
			members = append(members, *u.UserName)
		}
	}
	equal(t, "the members", members, []string{"a", "b", "c"})
	equal(t, "the groups of a", *must(api.ListGroupsForUser(c.ctx, &iam.ListGroupsForUserInput{UserName: new("a")}))(c).Groups[0].GroupName, "net")
	must(api.PutGroupPolicy(c.ctx, &iam.PutGroupPolicyInput{GroupName: group.GroupName, PolicyName: new("p"), PolicyDocument: new(readNetworks)}))(c)
	must(api.GetGroupPolicy(c.ctx, &iam.GetGroupPolicyInput{GroupName: group.GroupName, PolicyName: new("p")}))(c)
	equal(t, "its policies", must(api.ListGroupPolicies(c.ctx, &iam.ListGroupPoliciesInput{GroupName: group.GroupName}))(c).PolicyNames, []string{"p"})
	simulated := must(api.SimulatePrincipalPolicy(c.ctx, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: aws.String("arn:aws:iam::" + c.key.Account + ":user/a"), ActionNames: []string{"ec2:DescribeVpcs", "ec2:CreateVpc"},
	}))(c).EvaluationResults
	equal(t, "what a may", []types.PolicyEvaluationDecisionType{simulated[0].EvalDecision, simulated[1].EvalDecision},
		[]types.PolicyEvaluationDecisionType{"allowed", "implicitDeny"})
	equal(t, "why", *simulated[0].MatchedStatements[0].SourcePolicyId, "group_net_p")
	must(api.DeleteGroupPolicy(c.ctx, &iam.DeleteGroupPolicyInput{GroupName: group.GroupName, PolicyName: new("p")}))(c)
	_, err := api.DeleteGroup(c.ctx, &iam.DeleteGroupInput{GroupName: group.GroupName})
	typed[*types.DeleteConflictException](t, err)
	for _, name := range members {
		must(api.RemoveUserFromGroup(c.ctx, &iam.RemoveUserFromGroupInput{UserName: &name, GroupName: group.GroupName}))(c)
	}
	must(api.UpdateGroup(c.ctx, &iam.UpdateGroupInput{GroupName: group.GroupName, NewGroupName: new("network")}))(c)
	equal(t, "the groups", *must(api.ListGroups(c.ctx, &iam.ListGroupsInput{}))(c).Groups[0].GroupName, "network")
	must(api.DeleteGroup(c.ctx, &iam.DeleteGroupInput{GroupName: new("network")}))(c)
}

// TestRolesOfAnAccount goes through all that a role has.
func TestRolesOfAnAccount(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.identities()
	_, err := api.CreateRole(c.ctx, &iam.CreateRoleInput{RoleName: new("x"), AssumeRolePolicyDocument: trust("arn:aws:iam::" + c.key.Account + ":role/none")})
	if e := typed[*types.MalformedPolicyDocumentException](t, err); !strings.HasPrefix(e.ErrorMessage(), "Invalid principal in policy") {
		t.Errorf("the message is %q, which Terraform looks at", e.ErrorMessage())
	}
	role := must(api.CreateRole(c.ctx, &iam.CreateRoleInput{
		RoleName: new("reader"), AssumeRolePolicyDocument: trust(c.key.Account), Description: new("reads"), MaxSessionDuration: new(int32(7200)),
		Tags: []types.Tag{{Key: new("team"), Value: new("net")}},
	}))(c).Role
	matches(t, "the role's id", role.RoleId, `AROA[A-Z2-7]{17}`)
	if err := iam.NewRoleExistsWaiter(api).Wait(c.ctx, &iam.GetRoleInput{RoleName: role.RoleName}, patience); err != nil {
		t.Error(err)
	}
	must(api.UpdateAssumeRolePolicy(c.ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: role.RoleName, PolicyDocument: trust(*role.Arn)}))(c)
	must(api.UpdateRole(c.ctx, &iam.UpdateRoleInput{RoleName: role.RoleName, MaxSessionDuration: new(int32(3600))}))(c)
	equal(t, "the description", *must(api.UpdateRoleDescription(c.ctx, &iam.UpdateRoleDescriptionInput{RoleName: role.RoleName, Description: new("looks")}))(c).Role.Description, "looks")
	got := must(api.GetRole(c.ctx, &iam.GetRoleInput{RoleName: role.RoleName}))(c).Role
	text, _ := url.PathUnescape(*got.AssumeRolePolicyDocument)
	equal(t, "the role", []any{text, *got.Description, *got.MaxSessionDuration, *got.Tags[0].Value}, []any{*trust(*role.Arn), "looks", 3600, "net"})
	equal(t, "the roles", *must(api.ListRoles(c.ctx, &iam.ListRolesInput{}))(c).Roles[0].RoleName, "reader")
	must(api.TagRole(c.ctx, &iam.TagRoleInput{RoleName: role.RoleName, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}}))(c)
	must(api.UntagRole(c.ctx, &iam.UntagRoleInput{RoleName: role.RoleName, TagKeys: []string{"team"}}))(c)
	equal(t, "the tags", *must(api.ListRoleTags(c.ctx, &iam.ListRoleTagsInput{RoleName: role.RoleName}))(c).Tags[0].Key, "a")
	must(api.PutRolePolicy(c.ctx, &iam.PutRolePolicyInput{RoleName: role.RoleName, PolicyName: new("p"), PolicyDocument: new(readNetworks)}))(c)
	must(api.GetRolePolicy(c.ctx, &iam.GetRolePolicyInput{RoleName: role.RoleName, PolicyName: new("p")}))(c)
	equal(t, "its policies", must(api.ListRolePolicies(c.ctx, &iam.ListRolePoliciesInput{RoleName: role.RoleName}))(c).PolicyNames, []string{"p"})
	must(api.DeleteRolePolicy(c.ctx, &iam.DeleteRolePolicyInput{RoleName: role.RoleName, PolicyName: new("p")}))(c)
	equal(t, "its instance profiles", len(must(api.ListInstanceProfilesForRole(c.ctx, &iam.ListInstanceProfilesForRoleInput{RoleName: role.RoleName}))(c).InstanceProfiles), 0)
	must(api.DeleteRole(c.ctx, &iam.DeleteRoleInput{RoleName: role.RoleName}))(c)
}

// TestManagedPolicies attaches one to all three, has versions of it, and bounds with it.
func TestManagedPolicies(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.identities()
	p := must(api.CreatePolicy(c.ctx, &iam.CreatePolicyInput{PolicyName: new("read"), PolicyDocument: new(readNetworks), Description: new("reads")}))(c).Policy
	matches(t, "the policy's id", p.PolicyId, `ANPA[A-Z2-7]{17}`)
	if err := iam.NewPolicyExistsWaiter(api).Wait(c.ctx, &iam.GetPolicyInput{PolicyArn: p.Arn}, patience); err != nil {
		t.Error(err)
	}
	must(api.CreateUser(c.ctx, &iam.CreateUserInput{UserName: new("u"), PermissionsBoundary: p.Arn}))(c)
	must(api.CreateGroup(c.ctx, &iam.CreateGroupInput{GroupName: new("g")}))(c)
	must(api.CreateRole(c.ctx, &iam.CreateRoleInput{RoleName: new("r"), AssumeRolePolicyDocument: trust(c.key.Account)}))(c)
	must(api.AttachUserPolicy(c.ctx, &iam.AttachUserPolicyInput{UserName: new("u"), PolicyArn: p.Arn}))(c)
	must(api.AttachGroupPolicy(c.ctx, &iam.AttachGroupPolicyInput{GroupName: new("g"), PolicyArn: p.Arn}))(c)
	must(api.AttachRolePolicy(c.ctx, &iam.AttachRolePolicyInput{RoleName: new("r"), PolicyArn: p.Arn}))(c)
	must(api.PutRolePermissionsBoundary(c.ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: new("r"), PermissionsBoundary: p.Arn}))(c)
	must(api.PutUserPermissionsBoundary(c.ctx, &iam.PutUserPermissionsBoundaryInput{UserName: new("u"), PermissionsBoundary: p.Arn}))(c)
	got := must(api.GetPolicy(c.ctx, &iam.GetPolicyInput{PolicyArn: p.Arn}))(c).Policy
	equal(t, "its use", []int32{*got.AttachmentCount, *got.PermissionsBoundaryUsageCount}, []int32{3, 2})
	with := must(api.ListEntitiesForPolicy(c.ctx, &iam.ListEntitiesForPolicyInput{PolicyArn: p.Arn}))(c)
	equal(t, "who has it", []any{*with.PolicyUsers[0].UserName, *with.PolicyGroups[0].GroupName, *with.PolicyRoles[0].RoleName}, []any{"u", "g", "r"})
	for _, list := range [][]types.AttachedPolicy{
		must(api.ListAttachedUserPolicies(c.ctx, &iam.ListAttachedUserPoliciesInput{UserName: new("u")}))(c).AttachedPolicies,
		must(api.ListAttachedGroupPolicies(c.ctx, &iam.ListAttachedGroupPoliciesInput{GroupName: new("g")}))(c).AttachedPolicies,
		must(api.ListAttachedRolePolicies(c.ctx, &iam.ListAttachedRolePoliciesInput{RoleName: new("r")}))(c).AttachedPolicies,
	} {
		equal(t, "what is attached", list, []types.AttachedPolicy{{PolicyArn: p.Arn, PolicyName: new("read")}})
	}
	details := must(api.GetAccountAuthorizationDetails(c.ctx, &iam.GetAccountAuthorizationDetailsInput{}))(c)
	equal(t, "all of them", []int{len(details.UserDetailList), len(details.GroupDetailList), len(details.RoleDetailList), len(details.Policies)}, []int{1, 1, 1, 1})
	second := must(api.CreatePolicyVersion(c.ctx, &iam.CreatePolicyVersionInput{PolicyArn: p.Arn, PolicyDocument: new(readNetworks)}))(c).PolicyVersion
	must(api.SetDefaultPolicyVersion(c.ctx, &iam.SetDefaultPolicyVersionInput{PolicyArn: p.Arn, VersionId: second.VersionId}))(c)
	must(api.GetPolicyVersion(c.ctx, &iam.GetPolicyVersionInput{PolicyArn: p.Arn, VersionId: second.VersionId}))(c)
	must(api.DeletePolicyVersion(c.ctx, &iam.DeletePolicyVersionInput{PolicyArn: p.Arn, VersionId: new("v1")}))(c)
	equal(t, "the versions", *must(api.ListPolicyVersions(c.ctx, &iam.ListPolicyVersionsInput{PolicyArn: p.Arn}))(c).Versions[0].VersionId, "v2")
	must(api.TagPolicy(c.ctx, &iam.TagPolicyInput{PolicyArn: p.Arn, Tags: []types.Tag{{Key: new("a"), Value: new("b")}, {Key: new("c"), Value: new("d")}}}))(c)
	must(api.UntagPolicy(c.ctx, &iam.UntagPolicyInput{PolicyArn: p.Arn, TagKeys: []string{"a"}}))(c)
	equal(t, "the tags", *must(api.ListPolicyTags(c.ctx, &iam.ListPolicyTagsInput{PolicyArn: p.Arn}))(c).Tags[0].Key, "c")
	_, err := api.DeletePolicy(c.ctx, &iam.DeletePolicyInput{PolicyArn: p.Arn})
	typed[*types.DeleteConflictException](t, err)
	must(api.DetachUserPolicy(c.ctx, &iam.DetachUserPolicyInput{UserName: new("u"), PolicyArn: p.Arn}))(c)
	must(api.DetachGroupPolicy(c.ctx, &iam.DetachGroupPolicyInput{GroupName: new("g"), PolicyArn: p.Arn}))(c)
	must(api.DetachRolePolicy(c.ctx, &iam.DetachRolePolicyInput{RoleName: new("r"), PolicyArn: p.Arn}))(c)
	must(api.DeleteRolePermissionsBoundary(c.ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: new("r")}))(c)
	must(api.DeleteUserPermissionsBoundary(c.ctx, &iam.DeleteUserPermissionsBoundaryInput{UserName: new("u")}))(c)
	must(api.DeletePolicy(c.ctx, &iam.DeletePolicyInput{PolicyArn: p.Arn}))(c)
	equal(t, "the account's policies", len(must(api.ListPolicies(c.ctx, &iam.ListPoliciesInput{Scope: types.PolicyScopeTypeLocal}))(c).Policies), 0)
}

// TestWhatUsersCannotHave asks for what clients look at before they delete a user or a role.
func TestWhatUsersCannotHave(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.identities()
	must(api.CreateUser(c.ctx, &iam.CreateUserInput{UserName: new("ann")}))(c)
	name := new("ann")
	must(api.ListMFADevices(c.ctx, &iam.ListMFADevicesInput{UserName: name}))(c)
	must(api.ListSSHPublicKeys(c.ctx, &iam.ListSSHPublicKeysInput{UserName: name}))(c)
	must(api.ListSigningCertificates(c.ctx, &iam.ListSigningCertificatesInput{UserName: name}))(c)
	must(api.ListServiceSpecificCredentials(c.ctx, &iam.ListServiceSpecificCredentialsInput{UserName: name}))(c)
	must(api.ListVirtualMFADevices(c.ctx, &iam.ListVirtualMFADevicesInput{}))(c)
	must(api.ListInstanceProfiles(c.ctx, &iam.ListInstanceProfilesInput{}))(c)
	must(api.ListServerCertificates(c.ctx, &iam.ListServerCertificatesInput{}))(c)
	must(api.ListOpenIDConnectProviders(c.ctx, &iam.ListOpenIDConnectProvidersInput{}))(c)
	must(api.ListSAMLProviders(c.ctx, &iam.ListSAMLProvidersInput{}))(c)
	for what, call := range map[string]func() error{
		"GetLoginProfile": func() error {
			_, err := api.GetLoginProfile(c.ctx, &iam.GetLoginProfileInput{UserName: name})
			return err
		},
		"DeleteLoginProfile": func() error {
			_, err := api.DeleteLoginProfile(c.ctx, &iam.DeleteLoginProfileInput{UserName: name})
			return err
		},
		"GetAccountPasswordPolicy": func() error {
			_, err := api.GetAccountPasswordPolicy(c.ctx, &iam.GetAccountPasswordPolicyInput{})
			return err
		},
	} {
		typed[*types.NoSuchEntityException](t, call())
		calls.Lock()
		calls.made["iam "+what] = true // it can never go well
		calls.Unlock()
	}
	equal(t, "users", must(api.GetAccountSummary(c.ctx, &iam.GetAccountSummaryInput{}))(c).SummaryMap["Users"], 1)
	alias := "account-" + c.key.Account
	must(api.CreateAccountAlias(c.ctx, &iam.CreateAccountAliasInput{AccountAlias: &alias}))(c)
	equal(t, "the aliases", must(api.ListAccountAliases(c.ctx, &iam.ListAccountAliasesInput{}))(c).AccountAliases, []string{alias})
	must(api.DeleteAccountAlias(c.ctx, &iam.DeleteAccountAliasInput{AccountAlias: &alias}))(c)
	keys := must(api.GetContextKeysForCustomPolicy(c.ctx, &iam.GetContextKeysForCustomPolicyInput{PolicyInputList: []string{
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"}}}}`,
	}}))(c)
	equal(t, "the keys", keys.ContextKeyNames, []string{"aws:CurrentTime"})
	must(api.GetContextKeysForPrincipalPolicy(c.ctx, &iam.GetContextKeysForPrincipalPolicyInput{PolicySourceArn: aws.String("arn:aws:iam::" + c.key.Account + ":user/ann")}))(c)
	custom := must(api.SimulateCustomPolicy(c.ctx, &iam.SimulateCustomPolicyInput{PolicyInputList: []string{readNetworks}, ActionNames: []string{"ec2:DescribeVpcs"}}))(c)
	equal(t, "the decision", custom.EvaluationResults[0].EvalDecision, types.PolicyEvaluationDecisionTypeAllowed)
}

// TestManyAtOnce: of requests for the same name one goes well, and nothing is made twice.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.identities()
	results := make(chan error)
	for range 8 {
		go func() {
			_, err := api.CreateUser(c.ctx, &iam.CreateUserInput{UserName: new("ann")})
			results <- err
		}()
	}
	made := 0
	for range 8 {
		err := <-results
		var taken *types.EntityAlreadyExistsException
		switch {
		case err == nil:
			made++
		case !errors.As(err, &taken):
			t.Errorf("got %v", err)
		}
	}
	if made != 1 {
		t.Errorf("%d users were made", made)
	}
	if since := time.Since(*must(api.GetUser(c.ctx, &iam.GetUserInput{UserName: new("ann")}))(c).User.CreateDate); since > time.Hour || since < -time.Hour {
		t.Errorf("it was made %v ago", since)
	}
}
