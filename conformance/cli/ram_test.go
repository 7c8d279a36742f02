// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"testing"

	"github.com/posternhq/postern/conformance/harness"
)

// What docs/sharing.md does, and the other commands of RAM.
func TestResourceSharing(t *testing.T) {
	t.Parallel()
	key, other := server.NewAccount(t), server.NewAccount(t)
	a, b := newTerminal(t, key), newTerminal(t, other)
	vpc := a.ok("ec2 create-vpc --cidr-block 10.0.0.0/16").at("Vpc.VpcId")
	subnet := a.ok("ec2 create-subnet --vpc-id %s --cidr-block 10.0.1.0/24", vpc).at("Subnet.SubnetId")
	gateway := a.ok("vpc-lattice create-resource-gateway --name gateway --vpc-identifier %s --subnet-ids %s", vpc, subnet).at("id")
	configuration := a.ok("vpc-lattice create-resource-configuration --name database --type SINGLE --resource-gateway-identifier %s --port-ranges 5432 --resource-configuration-definition ipResource={ipAddress=10.0.200.10}", gateway).at("arn")
	share := a.ok("ram create-resource-share --name databases --resource-arns %s --tags key=team,value=data", configuration).at("resourceShare.resourceShareArn")
	invite := func() string {
		a.ok("ram associate-resource-share --resource-share-arn %s --principals %s", share, other.Account).is("resourceShareAssociations.0.status", "ASSOCIATING")
		return b.ok("ram get-resource-share-invitations --resource-share-arns %s --query resourceShareInvitations[?status=='PENDING']", share).at("0.resourceShareInvitationArn")
	}
	b.ok("ram reject-resource-share-invitation --resource-share-invitation-arn %s", invite()).is("resourceShareInvitation.status", "REJECTED")
	invitation := invite()
	b.ok("ram list-pending-invitation-resources --resource-share-invitation-arn %s", invitation).is("resources.0.arn", configuration)
	b.ok("ram accept-resource-share-invitation --resource-share-invitation-arn %s", invitation).is("resourceShareInvitation.status", "ACCEPTED")
	b.ok("ram get-resource-shares --resource-owner OTHER-ACCOUNTS").is("resourceShares.0.resourceShareArn", share)
	b.ok("ram list-resources --resource-owner OTHER-ACCOUNTS").is("resources.0.arn", configuration)
	a.ok("ram list-principals --resource-owner SELF").is("principals.0.id", other.Account)
	a.ok("ram get-resource-share-associations --association-type PRINCIPAL").is("resourceShareAssociations.0.status", "ASSOCIATED")
	a.ok("ram get-resource-policies --resource-arns %s", configuration).has("policies", 1)
	a.ok("ram update-resource-share --resource-share-arn %s --name renamed", share).is("resourceShare.name", "renamed")
	a.ok("ram tag-resource --resource-share-arn %s --tags key=stage,value=test", share)
	a.ok("ram untag-resource --resource-share-arn %s --tag-keys team", share)
	a.ok("ram get-resource-shares --resource-owner SELF").has("resourceShares.0.tags", 1)
	kinds := a.ok("ram list-resource-types")
	kinds.is("resourceTypes.0.resourceType", "ec2:Subnet")
	kinds.is("resourceTypes.1.resourceType", "vpc-lattice:ResourceConfiguration")
	a.ok("ram list-source-associations").has("sourceAssociations", 0)
	b.ok("ram disassociate-resource-share --resource-share-arn %s --principals %s", share, other.Account).is("resourceShareAssociations.0.status", "DISASSOCIATED")
	b.refused("AccessDeniedException", "vpc-lattice get-resource-configuration --resource-configuration-identifier %s", configuration)
	permissions(t, key, share, configuration)
	a.ok("ram delete-resource-share --resource-share-arn %s", share).is("returnValue", "true")
}

// permissions makes a permission of an account's own, gives it to a share and takes it away.
func permissions(t *testing.T, key harness.Key, share, configuration string) {
	t.Helper()
	a := newTerminal(t, key)
	const template = `{"Effect":"Allow","Action":["vpc-lattice:GetResourceConfiguration"]}`
	own := a.ok("ram create-permission --name own --resource-type vpc-lattice:ResourceConfiguration --policy-template %s", template).at("permission.arn")
	a.ok("ram create-permission-version --permission-arn %s --policy-template %s", own, template).is("permission.version", "2")
	a.ok("ram set-default-permission-version --permission-arn %s --permission-version 1", own)
	a.ok("ram delete-permission-version --permission-arn %s --permission-version 2", own)
	a.ok("ram list-permission-versions --permission-arn %s", own).has("permissions", 1)
	a.ok("ram get-permission --permission-arn %s", own).is("permission.permission", template)
	a.ok("ram list-permissions --permission-type CUSTOMER_MANAGED").has("permissions", 1)
	a.ok("ram associate-resource-share-permission --resource-share-arn %s --permission-arn %s --replace", share, own)
	a.ok("ram list-permission-associations --permission-arn %s", own).has("permissions", 1)
	a.ok("ram list-resource-share-permissions --resource-share-arn %s", share).is("permissions.0.arn", own)
	a.ok("ram disassociate-resource-share --resource-share-arn %s --resource-arns %s", share, configuration)
	a.ok("ram disassociate-resource-share-permission --resource-share-arn %s --permission-arn %s", share, own)
	a.ok("ram delete-permission --permission-arn %s", own).is("returnValue", "true")
}
