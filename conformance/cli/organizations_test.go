// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// TestOrganizations makes an organization of all accounts of the server, and removes it. It
// runs alone: what accounts share needs no invitation meanwhile.
func TestOrganizations(t *testing.T) {
	admin, member := newTerminal(t, server.Admin), server.NewAccount(t)
	admin.refused("AWSOrganizationsNotInUseException", "organizations describe-organization")
	admin.ok("organizations create-organization")
	admin.refused("AlreadyInOrganizationException", "organizations create-organization --feature-set ALL")
	newTerminal(t, member).ok("organizations describe-organization").is("Organization.MasterAccountId", server.Admin.Account)
	newTerminal(t, member).refused("AccessDeniedException", "organizations list-accounts")
	root := admin.ok("organizations list-roots").at("Roots.0.Id")
	admin.ok("organizations enable-policy-type --root-id %s --policy-type SERVICE_CONTROL_POLICY", root).is("Root.PolicyTypes.0.Status", "ENABLED")

	unit := admin.ok("organizations create-organizational-unit --parent-id %s --name apps --tags Key=a,Value=b", root).at("OrganizationalUnit.Id")
	admin.ok("organizations update-organizational-unit --organizational-unit-id %s --name services", unit)
	admin.ok("organizations describe-organizational-unit --organizational-unit-id %s", unit).is("OrganizationalUnit.Name", "services")
	admin.ok("organizations list-organizational-units-for-parent --parent-id %s", root).has("OrganizationalUnits", 1)
	admin.ok("organizations move-account --account-id %s --source-parent-id %s --destination-parent-id %s", member.Account, root, unit)
	admin.ok("organizations list-parents --child-id %s", member.Account).is("Parents.0.Id", unit)
	admin.ok("organizations list-children --parent-id %s --child-type ACCOUNT", unit).is("Children.0.Id", member.Account)
	admin.ok("organizations list-accounts-for-parent --parent-id %s", unit).is("Accounts.0.Id", member.Account)
	admin.ok("organizations describe-account --account-id %s", member.Account).is("Account.Status", "ACTIVE")
	admin.ok("organizations list-tags-for-resource --resource-id %s", unit).is("Tags.0.Value", "b")
	admin.ok("organizations tag-resource --resource-id %s --tags Key=c,Value=d", unit)
	admin.ok("organizations untag-resource --resource-id %s --tag-keys a c", unit)

	policy := controlPolicy(admin, unit, member.Account)
	admin.ok("organizations delete-policy --policy-id %s", policy)
	serviceAccess(admin, member)
	created := admin.ok("organizations create-account --account-name team --email team@example.com")
	created.is("CreateAccountStatus.State", "SUCCEEDED")
	admin.ok("organizations describe-create-account-status --create-account-request-id %s", created.at("CreateAccountStatus.Id")).
		is("CreateAccountStatus.AccountId", created.at("CreateAccountStatus.AccountId"))
	admin.ok("organizations list-create-account-status --states SUCCEEDED").has("CreateAccountStatuses", 1)
	made := created.at("CreateAccountStatus.AccountId")
	inside := admin.ok("sts assume-role --role-arn arn:aws:iam::%s:role/OrganizationAccountAccessRole --role-session-name org", made)
	if inside.at("Credentials.AccessKeyId") == "" {
		t.Error("the management account does not come into the account that it made")
	}
	admin.ok("organizations close-account --account-id %s", made)
	admin.ok("organizations list-accounts")
	admin.ok("organizations move-account --account-id %s --source-parent-id %s --destination-parent-id %s", member.Account, unit, root)
	admin.ok("organizations delete-organizational-unit --organizational-unit-id %s", unit)
	admin.ok("organizations disable-policy-type --root-id %s --policy-type SERVICE_CONTROL_POLICY", root)
	admin.ok("organizations delete-organization")
}

// controlPolicy makes a policy by which a unit makes no VPCs, and takes it away.
func controlPolicy(admin *terminal, unit, account string) string {
	admin.t.Helper()
	file := filepath.Join(admin.t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ec2:CreateVpc","Resource":"*"}}`), 0o600); err != nil {
		admin.t.Fatal(err)
	}
	policy := admin.ok("organizations create-policy --name no-vpcs --description none --type SERVICE_CONTROL_POLICY --content file://%s", file).at("Policy.PolicySummary.Id")
	admin.ok("organizations update-policy --policy-id %s --name no-more-vpcs", policy)
	admin.ok("organizations describe-policy --policy-id %s", policy).is("Policy.PolicySummary.Name", "no-more-vpcs")
	admin.ok("organizations list-policies --filter SERVICE_CONTROL_POLICY").has("Policies", 2)
	admin.ok("organizations attach-policy --policy-id %s --target-id %s", policy, unit)
	admin.ok("organizations list-policies-for-target --target-id %s --filter SERVICE_CONTROL_POLICY", unit).has("Policies", 2)
	admin.ok("organizations list-targets-for-policy --policy-id %s", policy).is("Targets.0.TargetId", unit)
	admin.refused("PolicyInUseException", "organizations delete-policy --policy-id %s", policy)
	admin.ok("organizations detach-policy --policy-id %s --target-id %s", policy, unit)
	admin.refused("ConstraintViolationException", "organizations detach-policy --policy-id p-FullAWSAccess --target-id %s", account)
	return policy
}

func serviceAccess(admin *terminal, member harness.Key) {
	admin.t.Helper()
	admin.ok("ram enable-sharing-with-aws-organization").is("returnValue", "true")
	admin.ok("organizations list-aws-service-access-for-organization").is("EnabledServicePrincipals.0.ServicePrincipal", "ram.amazonaws.com")
	lend(admin, newTerminal(admin.t, member), member.Account)
	admin.ok("organizations disable-aws-service-access --service-principal ram.amazonaws.com")
	admin.ok("organizations enable-aws-service-access --service-principal cloudtrail.amazonaws.com")
	admin.ok("organizations list-delegated-administrators").has("DelegatedAdministrators", 0)
	admin.refused("InvalidInputException", "organizations enable-aws-service-access --service-principal example.com")
}

// lend shares a subnet within the organization, in which an account makes an interface then.
func lend(admin, member *terminal, account string) {
	admin.t.Helper()
	vpc := admin.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	made := admin.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24", vpc)
	subnet, arn := made.at("Subnet.SubnetId"), made.at("Subnet.SubnetArn")
	share := admin.ok("ram create-resource-share --name network --resource-arns %s --principals %s", arn, account).at("resourceShare.resourceShareArn")
	member.ok("ram list-resources --resource-owner OTHER-ACCOUNTS --resource-type ec2:Subnet").is("resources.0.arn", arn)
	member.ok("ec2 describe-vpcs --vpc-ids %s", vpc).has("Vpcs", 1)
	group := member.ok("ec2 create-security-group --vpc-id %s --group-name own --description own", vpc).at("GroupId")
	ni := member.ok("ec2 create-network-interface --subnet-id %s --groups %s", subnet, group)
	ni.is("NetworkInterface.OwnerId", account)
	admin.refused("DependencyViolation", "ec2 delete-subnet --subnet-id %s", subnet)
	admin.ok("ram delete-resource-share --resource-share-arn %s", share)
	member.ok("ec2 delete-network-interface --network-interface-id %s", ni.at("NetworkInterface.NetworkInterfaceId"))
	member.ok("ec2 delete-security-group --group-id %s", group)
	admin.ok("ec2 delete-subnet --subnet-id %s", subnet)
	admin.ok("ec2 delete-vpc --vpc-id %s", vpc)
}
