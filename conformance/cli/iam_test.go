// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// readNetworks allows a few reads, and has no blanks, as all arguments of these tests.
const readNetworks = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}]}`

// trust lets a principal assume a role.
func trust(principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}]}`
}

// with gives the terminal of somebody who has another key.
func (c *terminal) withKey(key answer) *terminal {
	c.t.Helper()
	return newTerminal(c.t, harness.Key{ID: key.at("AccessKey.AccessKeyId"), Secret: key.at("AccessKey.SecretAccessKey")})
}

// TestUsersAndGroups: a user has what its group has, from the next command on.
func TestUsersAndGroups(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	made := c.ok("iam create-user --user-name ann --path /eng/ --tags Key=team,Value=net")
	made.is("User.Path", "/eng/")
	arn := made.at("User.Arn")
	c.refused("EntityAlreadyExists", "iam create-user --user-name Ann")
	if r := c.run("iam wait user-exists --user-name ann"); r.Status != 0 {
		t.Errorf("aws iam wait: %s", r.Stderr)
	}
	key := c.ok("iam create-access-key --user-name ann")
	ann := c.withKey(key)
	ann.refused("AccessDenied", "iam list-users")
	ann.refused("UnauthorizedOperation", "ec2 describe-vpcs")
	c.ok("iam create-group --group-name net")
	c.ok("iam put-group-policy --group-name net --policy-name read --policy-document %s", readNetworks)
	c.ok("iam add-user-to-group --user-name ann --group-name net")
	ann.ok("ec2 describe-vpcs")
	ann.refused("UnauthorizedOperation", "ec2 create-vpc --cidr-block 10.0.0.0/16")
	c.ok("iam get-group --group-name net").is("Users.0.UserName", "ann")
	c.ok("iam list-groups-for-user --user-name ann").is("Groups.0.GroupName", "net")
	c.ok("iam get-group-policy --group-name net --policy-name read").is("PolicyDocument.Statement.0.Action", "ec2:Describe*")
	c.ok("iam list-group-policies --group-name net").is("PolicyNames.0", "read")
	c.refused("DeleteConflict", "iam delete-group --group-name net")
	c.ok("iam remove-user-from-group --user-name ann --group-name net")
	ann.refused("UnauthorizedOperation", "ec2 describe-vpcs")
	c.ok("iam delete-group-policy --group-name net --policy-name read")
	c.ok("iam update-group --group-name net --new-group-name network")
	c.ok("iam list-groups").is("Groups.0.GroupName", "network")
	c.ok("iam delete-group --group-name network")

	c.ok("iam put-user-policy --user-name ann --policy-name read --policy-document %s", readNetworks)
	c.ok("iam get-user-policy --user-name ann --policy-name read").is("PolicyDocument.Version", "2012-10-17")
	c.ok("iam list-user-policies --user-name ann").has("PolicyNames", 1)
	c.ok("iam get-context-keys-for-principal-policy --policy-source-arn %s", arn).has("ContextKeyNames", 0)
	simulated := c.ok("iam simulate-principal-policy --policy-source-arn %s --action-names ec2:DescribeVpcs ec2:CreateVpc", arn)
	simulated.is("EvaluationResults.0.EvalDecision", "allowed")
	simulated.is("EvaluationResults.1.EvalDecision", "implicitDeny")
	c.ok("iam delete-user-policy --user-name ann --policy-name read")
	c.ok("iam tag-user --user-name ann --tags Key=a,Value=b")
	c.ok("iam untag-user --user-name ann --tag-keys team")
	c.ok("iam list-user-tags --user-name ann").is("Tags.0.Key", "a")

	c.ok("iam get-access-key-last-used --access-key-id %s", key.at("AccessKey.AccessKeyId")).is("UserName", "ann")
	c.ok("iam update-access-key --user-name ann --access-key-id %s --status Inactive", key.at("AccessKey.AccessKeyId"))
	ann.refused("InvalidClientTokenId", "iam get-user")
	c.ok("iam list-access-keys --user-name ann").is("AccessKeyMetadata.0.Status", "Inactive")
	c.refused("DeleteConflict", "iam delete-user --user-name ann")
	c.ok("iam delete-access-key --user-name ann --access-key-id %s", key.at("AccessKey.AccessKeyId"))
	c.ok("iam update-user --user-name ann --new-user-name anna --new-path /")
	c.ok("iam get-user --user-name anna").is("User.Path", "/")
	for i := range 3 {
		c.ok("iam create-user --user-name u%d", i)
	}
	c.ok("iam list-users --page-size 2").has("Users", 4)
	c.ok("iam delete-user --user-name anna")
	c.refused("NoSuchEntity", "iam get-user --user-name anna")
}

// TestRolesAndPolicies reads policies from files, as people do.
func TestRolesAndPolicies(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	file := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(file, []byte("{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": []\n}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.refused("MalformedPolicyDocument", "iam create-policy --policy-name p --policy-document {")
	c.refused("MalformedPolicyDocument", "iam create-policy --policy-name p --policy-document file://%s", file)
	if err := os.WriteFile(file, []byte(readNetworks+"\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := c.ok("iam create-policy --policy-name p --policy-document file://%s --tags Key=a,Value=b", file)
	arn := made.at("Policy.Arn")
	account := strings.Split(arn, ":")[4]
	made.is("Policy.DefaultVersionId", "v1")
	c.refused("MalformedPolicyDocument", "iam create-role --role-name r --assume-role-policy-document %s", trust("arn:aws:iam::"+account+":user/nobody"))
	c.ok("iam create-role --role-name r --assume-role-policy-document %s", trust(account)).is("Role.MaxSessionDuration", "3600")
	c.ok("iam create-user --user-name u --permissions-boundary %s", arn)
	c.ok("iam create-group --group-name g")
	for _, kind := range []string{"user", "group", "role"} {
		name := fmt.Sprintf("--%s-name %s", kind, kind[:1])
		c.ok("iam attach-%s-policy %s --policy-arn %s", kind, name, arn)
		c.ok("iam list-attached-%s-policies %s", kind, name).is("AttachedPolicies.0.PolicyArn", arn)
	}
	c.ok("iam put-role-permissions-boundary --role-name r --permissions-boundary %s", arn)
	c.ok("iam put-user-permissions-boundary --user-name u --permissions-boundary %s", arn)
	c.ok("iam get-policy --policy-arn %s", arn).is("Policy.AttachmentCount", "3")
	c.ok("iam list-entities-for-policy --policy-arn %s", arn).has("PolicyRoles", 1)
	details := c.ok("iam get-account-authorization-details")
	details.has("RoleDetailList", 1)
	details.is("Policies.0.PolicyVersionList.0.Document.Statement.0.Effect", "Allow")

	c.ok("iam create-policy-version --policy-arn %s --policy-document %s", arn, readNetworks).is("PolicyVersion.VersionId", "v2")
	c.ok("iam set-default-policy-version --policy-arn %s --version-id v2", arn)
	c.ok("iam get-policy-version --policy-arn %s --version-id v2", arn).is("PolicyVersion.IsDefaultVersion", "true")
	c.refused("DeleteConflict", "iam delete-policy-version --policy-arn %s --version-id v2", arn)
	c.ok("iam delete-policy-version --policy-arn %s --version-id v1", arn)
	c.ok("iam list-policy-versions --policy-arn %s", arn).has("Versions", 1)
	c.ok("iam tag-policy --policy-arn %s --tags Key=c,Value=d", arn)
	c.ok("iam untag-policy --policy-arn %s --tag-keys a", arn)
	c.ok("iam list-policy-tags --policy-arn %s", arn).is("Tags.0.Key", "c")
	c.ok("iam list-policies --scope Local").is("Policies.0.PolicyName", "p")
	c.refused("DeleteConflict", "iam delete-policy --policy-arn %s", arn)

	c.ok("iam get-role --role-name r").is("Role.AssumeRolePolicyDocument.Statement.0.Principal.AWS", account)
	c.ok("iam update-assume-role-policy --role-name r --policy-document %s", trust("arn:aws:iam::"+account+":role/r"))
	c.ok("iam update-role --role-name r --max-session-duration 7200")
	c.ok("iam update-role-description --role-name r --description reads").is("Role.Description", "reads")
	c.ok("iam list-roles").is("Roles.0.MaxSessionDuration", "7200")
	c.ok("iam tag-role --role-name r --tags Key=a,Value=b")
	c.ok("iam list-role-tags --role-name r").is("Tags.0.Value", "b")
	c.ok("iam untag-role --role-name r --tag-keys a")
	c.ok("iam put-role-policy --role-name r --policy-name i --policy-document %s", readNetworks)
	c.ok("iam get-role-policy --role-name r --policy-name i").is("PolicyDocument.Statement.0.Resource", "*")
	c.ok("iam list-role-policies --role-name r").has("PolicyNames", 1)
	c.ok("iam delete-role-policy --role-name r --policy-name i")
	c.ok("iam list-instance-profiles-for-role --role-name r").has("InstanceProfiles", 0)

	c.ok("iam delete-role-permissions-boundary --role-name r")
	c.ok("iam delete-user-permissions-boundary --user-name u")
	for _, kind := range []string{"user", "group", "role"} {
		name := fmt.Sprintf("--%s-name %s", kind, kind[:1])
		c.ok("iam detach-%s-policy %s --policy-arn %s", kind, name, arn)
		c.ok("iam delete-%s %s", kind, name)
	}
	c.ok("iam delete-policy --policy-arn %s", arn)
}

// TestWhatUsersCannotHave asks for what people and programs look at.
func TestWhatUsersCannotHave(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	c.ok("iam create-user --user-name ann")
	for command, list := range map[string]string{
		"list-mfa-devices": "MFADevices", "list-ssh-public-keys": "SSHPublicKeys", "list-signing-certificates": "Certificates",
		"list-service-specific-credentials": "ServiceSpecificCredentials",
	} {
		c.ok("iam %s --user-name ann", command).has(list, 0)
		c.refused("NoSuchEntity", "iam %s --user-name nobody", command)
	}
	for command, list := range map[string]string{
		"list-virtual-mfa-devices": "VirtualMFADevices", "list-instance-profiles": "InstanceProfiles", "list-server-certificates": "ServerCertificateMetadataList",
		"list-open-id-connect-providers": "OpenIDConnectProviderList", "list-saml-providers": "SAMLProviderList", "list-account-aliases": "AccountAliases",
	} {
		c.ok("iam %s", command).has(list, 0)
	}
	c.alwaysRefused("NoSuchEntity", "iam get-login-profile --user-name ann")
	c.alwaysRefused("NoSuchEntity", "iam delete-login-profile --user-name ann")
	c.alwaysRefused("NoSuchEntity", "iam get-account-password-policy")
	c.ok("iam get-account-summary").is("SummaryMap.Users", "1")
	c.ok("iam create-account-alias --account-alias first-of-many")
	newAccount(t).refused("EntityAlreadyExists", "iam create-account-alias --account-alias first-of-many")
	c.ok("iam list-account-aliases").is("AccountAliases.0", "first-of-many")
	c.ok("iam delete-account-alias --account-alias first-of-many")
	c.ok("iam get-context-keys-for-custom-policy --policy-input-list %s", readNetworks).has("ContextKeyNames", 0)
	custom := c.ok("iam simulate-custom-policy --policy-input-list %s --action-names ec2:DescribeVpcs", readNetworks)
	custom.is("EvaluationResults.0.EvalDecision", "allowed")
	custom.is("EvaluationResults.0.MatchedStatements.0.SourcePolicyId", "PolicyInputList.1")
	c.refused("ValidationError", "iam create-user --user-name %s", "a/b")
	c.refused("ValidationError", "iam update-access-key --access-key-id AKIAAAAAAAAAAAAAAAAA --status Half")
}
