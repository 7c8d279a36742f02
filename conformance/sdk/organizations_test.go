// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	orgs "github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/aws-sdk-go-v2/service/ram"

	"github.com/posternhq/postern/conformance/harness"
)

const scp = orgtypes.PolicyTypeServiceControlPolicy

// TestOrganizations makes the organization of all accounts, bounds one of them, and removes
// it. It runs alone: what accounts share needs no invitation meanwhile.
func TestOrganizations(t *testing.T) {
	admin, member := newClient(t, server.Admin, harness.Region), newAccount(t)
	o := admin.orgs
	_, err := o.DescribeOrganization(t.Context(), &orgs.DescribeOrganizationInput{})
	typed[*orgtypes.AWSOrganizationsNotInUseException](t, err)
	made := must(o.CreateOrganization(t.Context(), &orgs.CreateOrganizationInput{}))(admin).Organization
	equal(t, "the member's", must(member.orgs.DescribeOrganization(t.Context(), &orgs.DescribeOrganizationInput{}))(member).Organization.Id, *made.Id)
	_, err = member.orgs.ListAccounts(t.Context(), &orgs.ListAccountsInput{})
	typed[*orgtypes.AccessDeniedException](t, err)
	root := *must(o.ListRoots(t.Context(), &orgs.ListRootsInput{}))(admin).Roots[0].Id
	must(o.EnablePolicyType(t.Context(), &orgs.EnablePolicyTypeInput{RootId: &root, PolicyType: scp}))(admin)
	unit := *must(o.CreateOrganizationalUnit(t.Context(), &orgs.CreateOrganizationalUnitInput{ParentId: &root, Name: new("apps")}))(admin).OrganizationalUnit.Id
	must(o.UpdateOrganizationalUnit(t.Context(), &orgs.UpdateOrganizationalUnitInput{OrganizationalUnitId: &unit, Name: new("services")}))(admin)
	named := must(o.DescribeOrganizationalUnit(t.Context(), &orgs.DescribeOrganizationalUnitInput{OrganizationalUnitId: &unit}))(admin).OrganizationalUnit
	equal(t, "name", named.Name, "services")
	equal(t, "path", named.Path, *made.Id+"/"+root+"/"+unit+"/")
	must(o.MoveAccount(t.Context(), &orgs.MoveAccountInput{AccountId: &member.key.Account, SourceParentId: &root, DestinationParentId: &unit}))(admin)
	where(t, admin, member.key.Account, root, unit)
	bounded(t, admin, member, unit)
	labels(t, admin, unit)
	letIn(t, admin, member)
	created(t, admin)
	must(o.MoveAccount(t.Context(), &orgs.MoveAccountInput{AccountId: &member.key.Account, SourceParentId: &unit, DestinationParentId: &root}))(admin)
	must(o.DeleteOrganizationalUnit(t.Context(), &orgs.DeleteOrganizationalUnitInput{OrganizationalUnitId: &unit}))(admin)
	must(o.DisablePolicyType(t.Context(), &orgs.DisablePolicyTypeInput{RootId: &root, PolicyType: scp}))(admin)
	must(o.DeleteOrganization(t.Context(), &orgs.DeleteOrganizationInput{}))(admin)
}

// where looks for an account in a unit, from all sides.
func where(t *testing.T, admin *client, account, root, unit string) {
	t.Helper()
	o := admin.orgs
	equal(t, "parent", must(o.ListParents(t.Context(), &orgs.ListParentsInput{ChildId: &account}))(admin).Parents[0].Id, unit)
	equal(t, "child", must(o.ListChildren(t.Context(), &orgs.ListChildrenInput{ParentId: &unit, ChildType: orgtypes.ChildTypeAccount}))(admin).Children[0].Id, account)
	equal(t, "account", must(o.ListAccountsForParent(t.Context(), &orgs.ListAccountsForParentInput{ParentId: &unit}))(admin).Accounts[0].Id, account)
	equal(t, "unit", must(o.ListOrganizationalUnitsForParent(t.Context(), &orgs.ListOrganizationalUnitsForParentInput{ParentId: &root}))(admin).OrganizationalUnits[0].Id, unit)
	equal(t, "status", must(o.DescribeAccount(t.Context(), &orgs.DescribeAccountInput{AccountId: &account}))(admin).Account.Status, orgtypes.AccountStatusActive)
	var all []string
	pages := orgs.NewListAccountsPaginator(o, &orgs.ListAccountsInput{MaxResults: new(int32(1))})
	for pages.HasMorePages() {
		for _, a := range must(pages.NextPage(t.Context()))(admin).Accounts {
			all = append(all, *a.Id)
		}
	}
	if !slices.Contains(all, account) || !slices.Contains(all, server.Admin.Account) {
		t.Errorf("accounts are %v", all)
	}
}

// bounded attaches a policy to a unit, and sees that it holds for the account in it.
func bounded(t *testing.T, admin, member *client, unit string) {
	t.Helper()
	o := admin.orgs
	vpc := func() (*ec2.CreateVpcOutput, error) {
		return member.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")})
	}
	create := func(content string) (*orgs.CreatePolicyOutput, error) {
		return o.CreatePolicy(t.Context(), &orgs.CreatePolicyInput{Name: new("no-vpcs"), Description: new(""), Type: scp, Content: &content})
	}
	_, err := create("{")
	typed[*orgtypes.MalformedPolicyDocumentException](t, err)
	id := must(create(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ec2:CreateVpc","Resource":"*"}}`))(admin).Policy.PolicySummary.Id
	must(o.UpdatePolicy(t.Context(), &orgs.UpdatePolicyInput{PolicyId: id, Description: new("none")}))(admin)
	equal(t, "description", must(o.DescribePolicy(t.Context(), &orgs.DescribePolicyInput{PolicyId: id}))(admin).Policy.PolicySummary.Description, "none")
	equal(t, "policies", len(must(o.ListPolicies(t.Context(), &orgs.ListPoliciesInput{Filter: scp}))(admin).Policies), 2)
	must(vpc())(member)
	must(o.AttachPolicy(t.Context(), &orgs.AttachPolicyInput{PolicyId: id, TargetId: &unit}))(admin)
	_, err = vpc()
	refused(t, err, "UnauthorizedOperation")
	equal(t, "attached", len(must(o.ListPoliciesForTarget(t.Context(), &orgs.ListPoliciesForTargetInput{TargetId: &unit, Filter: scp}))(admin).Policies), 2)
	equal(t, "target", must(o.ListTargetsForPolicy(t.Context(), &orgs.ListTargetsForPolicyInput{PolicyId: id}))(admin).Targets[0].TargetId, unit)
	_, err = o.DeletePolicy(t.Context(), &orgs.DeletePolicyInput{PolicyId: id})
	typed[*orgtypes.PolicyInUseException](t, err)
	must(o.DetachPolicy(t.Context(), &orgs.DetachPolicyInput{PolicyId: id, TargetId: &unit}))(admin)
	must(vpc())(member)
	_, err = o.DetachPolicy(t.Context(), &orgs.DetachPolicyInput{PolicyId: new("p-FullAWSAccess"), TargetId: &unit})
	if reason := typed[*orgtypes.ConstraintViolationException](t, err).Reason; reason != orgtypes.ConstraintViolationExceptionReasonMinPolicyTypeAttachmentLimitExceeded {
		t.Errorf("the reason is %s", reason)
	}
	must(o.DeletePolicy(t.Context(), &orgs.DeletePolicyInput{PolicyId: id}))(admin)
}

func labels(t *testing.T, admin *client, unit string) {
	t.Helper()
	o := admin.orgs
	must(o.TagResource(t.Context(), &orgs.TagResourceInput{ResourceId: &unit, Tags: []orgtypes.Tag{{Key: new("a"), Value: new("1")}, {Key: new("b"), Value: new("2")}}}))(admin)
	must(o.UntagResource(t.Context(), &orgs.UntagResourceInput{ResourceId: &unit, TagKeys: []string{"a"}}))(admin)
	equal(t, "tags", must(o.ListTagsForResource(t.Context(), &orgs.ListTagsForResourceInput{ResourceId: &unit}))(admin).Tags, []orgtypes.Tag{{Key: new("b"), Value: new("2")}})
}

func letIn(t *testing.T, admin, member *client) {
	t.Helper()
	o, name := admin.orgs, "ram.amazonaws.com"
	must(ram.NewFromConfig(admin.config).EnableSharingWithAwsOrganization(t.Context(), &ram.EnableSharingWithAwsOrganizationInput{}))(admin)
	lend(t, admin, member)
	must(o.EnableAWSServiceAccess(t.Context(), &orgs.EnableAWSServiceAccessInput{ServicePrincipal: &name}))(admin)
	equal(t, "service", must(o.ListAWSServiceAccessForOrganization(t.Context(), &orgs.ListAWSServiceAccessForOrganizationInput{}))(admin).EnabledServicePrincipals[0].ServicePrincipal, name)
	must(o.DisableAWSServiceAccess(t.Context(), &orgs.DisableAWSServiceAccessInput{ServicePrincipal: &name}))(admin)
	equal(t, "administrators", len(must(o.ListDelegatedAdministrators(t.Context(), &orgs.ListDelegatedAdministratorsInput{}))(admin).DelegatedAdministrators), 0)
}

func created(t *testing.T, admin *client) {
	t.Helper()
	o := admin.orgs
	status := must(o.CreateAccount(t.Context(), &orgs.CreateAccountInput{AccountName: new("team"), Email: new("team@example.com")}))(admin).CreateAccountStatus
	equal(t, "state", must(o.DescribeCreateAccountStatus(t.Context(), &orgs.DescribeCreateAccountStatusInput{CreateAccountRequestId: status.Id}))(admin).CreateAccountStatus.State, orgtypes.CreateAccountStateSucceeded)
	equal(t, "creations", len(must(o.ListCreateAccountStatus(t.Context(), &orgs.ListCreateAccountStatusInput{}))(admin).CreateAccountStatuses), 1)
	_, err := o.DeleteOrganization(t.Context(), &orgs.DeleteOrganizationInput{})
	typed[*orgtypes.OrganizationNotEmptyException](t, err)
	must(o.CloseAccount(t.Context(), &orgs.CloseAccountInput{AccountId: status.AccountId}))(admin)
}

// lend shares a subnet within the organization, in which the member makes an interface then.
func lend(t *testing.T, admin, member *client) {
	t.Helper()
	ctx := t.Context()
	vpc := must(admin.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}))(admin).Vpc
	subnet := must(admin.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.VpcId, CidrBlock: new("10.0.1.0/24")}))(admin).Subnet
	_, err := admin.ram.CreateResourceShare(ctx, &ram.CreateResourceShareInput{Name: new("out"), ResourceArns: []string{*subnet.SubnetArn}, Principals: []string{"123123123123"}})
	refused(t, err, "OperationNotPermittedException")
	share := must(admin.ram.CreateResourceShare(ctx, &ram.CreateResourceShareInput{
		Name: new("network"), ResourceArns: []string{*subnet.SubnetArn}, Principals: []string{member.key.Account},
	}))(admin).ResourceShare
	seen := must(member.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{*subnet.SubnetId}}))(member).Subnets
	equal(t, "owner of the subnet", seen[0].OwnerId, admin.key.Account)
	group := must(member.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: vpc.VpcId, GroupName: new("own"), Description: new("own")}))(member).GroupId
	ni := must(member.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet.SubnetId, Groups: []string{*group}}))(member).NetworkInterface
	equal(t, "owner of the interface", ni.OwnerId, member.key.Account)
	_, err = admin.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: subnet.SubnetId})
	refused(t, err, "DependencyViolation")
	must(admin.ram.DeleteResourceShare(ctx, &ram.DeleteResourceShareInput{ResourceShareArn: share.ResourceShareArn}))(admin)
	must(member.ec2.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: ni.NetworkInterfaceId}))(member)
	must(member.ec2.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: group}))(member)
	must(admin.ec2.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: subnet.SubnetId}))(admin)
	must(admin.ec2.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc.VpcId}))(admin)
}
