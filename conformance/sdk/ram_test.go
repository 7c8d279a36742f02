// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	"github.com/aws/aws-sdk-go-v2/service/ram/types"
	"github.com/aws/aws-sdk-go-v2/service/vpclattice"
)

const shareable = "vpc-lattice:ResourceConfiguration"

// offered makes a resource configuration, and a share that has it.
func (c *client) offered(principals ...string) (configuration, share string) {
	c.t.Helper()
	vpc := c.vpc("10.0.0.0/16")
	_, configuration = c.configuration("database", c.gateway("gateway", vpc, c.subnet(vpc, "10.0.1.0/24", "a")), resource, "5432")
	return configuration, *must(c.ram.CreateResourceShare(c.ctx, &ram.CreateResourceShareInput{
		Name: new("databases"), ResourceArns: []string{configuration}, Principals: principals, AllowExternalPrincipals: new(true),
		Tags: []types.Tag{{Key: new("team"), Value: new("data")}}, ClientToken: new("first"),
	}))(c).ResourceShare.ResourceShareArn
}

// invitation is the one to a share that the account has got.
func (c *client) invitation(share string) types.ResourceShareInvitation {
	c.t.Helper()
	found := must(c.ram.GetResourceShareInvitations(c.ctx, &ram.GetResourceShareInvitationsInput{ResourceShareArns: []string{share}}))(c).ResourceShareInvitations
	if len(found) != 1 {
		c.t.Fatalf("%d invitations, want 1", len(found))
	}
	return found[0]
}

func (c *client) shares(owner types.ResourceOwner) []types.ResourceShare {
	c.t.Helper()
	return must(c.ram.GetResourceShares(c.ctx, &ram.GetResourceSharesInput{ResourceOwner: owner}))(c).ResourceShares
}

// A share is offered, looked at, accepted, used and left, and ends.
func TestResourceShareLife(t *testing.T) {
	t.Parallel()
	a, b := newAccount(t), newAccount(t)
	configuration, share := a.offered(b.key.Account)
	matches(t, "share", &share, "arn:aws:ram:us-east-1:"+a.key.Account+":resource-share/[0-9a-f-]{36}")
	equal(t, "own shares", len(a.shares(types.ResourceOwnerSelf)), 1)
	equal(t, "shares before", len(b.shares(types.ResourceOwnerOtherAccounts)), 0)
	i := b.invitation(share)
	equal(t, "sender", i.SenderAccountId, a.key.Account)
	offer := must(b.ram.ListPendingInvitationResources(b.ctx, &ram.ListPendingInvitationResourcesInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn}))(b).Resources
	equal(t, "offer", offer[0].Arn, configuration)
	accepted := must(b.ram.AcceptResourceShareInvitation(b.ctx, &ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn, ClientToken: new("yes")}))(b)
	equal(t, "state", string(accepted.ResourceShareInvitation.Status), "ACCEPTED")
	must(b.ram.AcceptResourceShareInvitation(b.ctx, &ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn, ClientToken: new("yes")}))(b)
	refused(t, failure(b.ram.AcceptResourceShareInvitation(b.ctx, &ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn})), "ResourceShareInvitationAlreadyAcceptedException")

	equal(t, "shares after", len(b.shares(types.ResourceOwnerOtherAccounts)), 1)
	found := must(b.ram.ListResources(b.ctx, &ram.ListResourcesInput{
		ResourceOwner: types.ResourceOwnerOtherAccounts, ResourceShareArns: []string{share}, Principal: &b.key.Account,
	}))(b).Resources
	equal(t, "resource", found[0].Arn, configuration)
	owners := must(b.ram.ListPrincipals(b.ctx, &ram.ListPrincipalsInput{ResourceOwner: types.ResourceOwnerOtherAccounts}))(b).Principals
	equal(t, "owner", owners[0].Id, a.key.Account)
	principals := must(a.ram.ListPrincipals(a.ctx, &ram.ListPrincipalsInput{ResourceOwner: types.ResourceOwnerSelf, ResourceArn: &configuration, ResourceType: new(shareable)}))(a).Principals
	equal(t, "principal", principals[0].Id, b.key.Account)
	seen := must(b.lattice.ListResourceConfigurations(b.ctx, &vpclattice.ListResourceConfigurationsInput{}))(b).Items
	equal(t, "listed", seen[0].Arn, configuration)
	refused(t, failure(b.lattice.DeleteResourceConfiguration(b.ctx, &vpclattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &configuration})), "AccessDeniedException")
	refused(t, failure(b.ram.CreateResourceShare(b.ctx, &ram.CreateResourceShareInput{Name: new("onwards"), ResourceArns: []string{configuration}})), "OperationNotPermittedException")
	vpc := b.vpc("10.0.0.0/16")
	endpoint := b.endpoint(vpc, configuration, b.subnet(vpc, "10.0.1.0/24", "a"))
	by := must(a.lattice.ListResourceEndpointAssociations(a.ctx, &vpclattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &configuration}))(a).Items
	equal(t, "endpoint", []*string{by[0].VpcEndpointId, by[0].VpcEndpointOwner}, []string{endpoint, b.key.Account})

	must(b.ram.DisassociateResourceShare(b.ctx, &ram.DisassociateResourceShareInput{ResourceShareArn: &share, Principals: []string{b.key.Account}}))(b)
	refused(t, failure(b.lattice.GetResourceConfiguration(b.ctx, &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &configuration})), "AccessDeniedException")
	must(b.ec2.DeleteVpcEndpoints(b.ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{endpoint}}))(b)
	must(a.ram.DeleteResourceShare(a.ctx, &ram.DeleteResourceShareInput{ResourceShareArn: &share}))(a)
	equal(t, "state", string(a.shares(types.ResourceOwnerSelf)[0].Status), "DELETED")
}

// What a share has is changed, tagged and listed; an invitation that was turned down can be
// made again.
func TestResourceShareChanges(t *testing.T) {
	t.Parallel()
	a, b := newAccount(t), newAccount(t)
	configuration, share := a.offered()
	again := must(a.ram.CreateResourceShare(a.ctx, &ram.CreateResourceShareInput{
		Name: new("databases"), ResourceArns: []string{configuration}, AllowExternalPrincipals: new(true),
		Tags: []types.Tag{{Key: new("team"), Value: new("data")}}, ClientToken: new("first"),
	}))(a)
	equal(t, "repeated", again.ResourceShare.ResourceShareArn, share)
	updated := must(a.ram.UpdateResourceShare(a.ctx, &ram.UpdateResourceShareInput{ResourceShareArn: &share, Name: new("renamed"), AllowExternalPrincipals: new(false)}))(a)
	equal(t, "name", updated.ResourceShare.Name, "renamed")
	invite := func() error {
		return failure(a.ram.AssociateResourceShare(a.ctx, &ram.AssociateResourceShareInput{ResourceShareArn: &share, Principals: []string{b.key.Account}}))
	}
	refused(t, invite(), "InvalidParameterException")
	must(a.ram.UpdateResourceShare(a.ctx, &ram.UpdateResourceShareInput{ResourceShareArn: &share, AllowExternalPrincipals: new(true)}))(a)
	must(a.ram.AssociateResourceShare(a.ctx, &ram.AssociateResourceShareInput{ResourceShareArn: &share, Principals: []string{b.key.Account}}))(a)
	must(b.ram.RejectResourceShareInvitation(b.ctx, &ram.RejectResourceShareInvitationInput{ResourceShareInvitationArn: b.invitation(share).ResourceShareInvitationArn}))(b)
	principals := func() []types.ResourceShareAssociation {
		return must(a.ram.GetResourceShareAssociations(a.ctx, &ram.GetResourceShareAssociationsInput{
			AssociationType: types.ResourceShareAssociationTypePrincipal, ResourceShareArns: []string{share},
		}))(a).ResourceShareAssociations
	}
	equal(t, "principals after a rejection", len(principals()), 0)
	if err := invite(); err != nil {
		t.Fatal(err)
	}
	equal(t, "state of who is invited", string(principals()[0].Status), "ASSOCIATING")
	policies := func() []string {
		return must(a.ram.GetResourcePolicies(a.ctx, &ram.GetResourcePoliciesInput{ResourceArns: []string{configuration}}))(a).Policies
	}
	equal(t, "policies before", len(policies()), 0)
	for _, i := range must(b.ram.GetResourceShareInvitations(b.ctx, &ram.GetResourceShareInvitationsInput{}))(b).ResourceShareInvitations {
		if i.Status == types.ResourceShareInvitationStatusPending {
			must(b.ram.AcceptResourceShareInvitation(b.ctx, &ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn}))(b)
		}
	}
	if got := policies(); len(got) != 1 || !strings.Contains(got[0], b.key.Account) {
		t.Errorf("policies after: %v", got)
	}
	must(a.ram.TagResource(a.ctx, &ram.TagResourceInput{ResourceShareArn: &share, Tags: []types.Tag{{Key: new("stage"), Value: new("é")}}}))(a)
	must(a.ram.UntagResource(a.ctx, &ram.UntagResourceInput{ResourceShareArn: &share, TagKeys: []string{"team"}}))(a)
	equal(t, "tags", a.shares(types.ResourceOwnerSelf)[0].Tags, []types.Tag{{Key: new("stage"), Value: new("é")}})
	kinds := must(a.ram.ListResourceTypes(a.ctx, &ram.ListResourceTypesInput{}))(a).ResourceTypes
	equal(t, "types", []*string{kinds[0].ResourceType, kinds[1].ResourceType}, []*string{new("ec2:Subnet"), new(shareable)})
	equal(t, "sources", len(must(a.ram.ListSourceAssociations(a.ctx, &ram.ListSourceAssociationsInput{}))(a).SourceAssociations), 0)
	refused(t, failure(b.ram.DeleteResourceShare(b.ctx, &ram.DeleteResourceShareInput{ResourceShareArn: &share})), "UnknownResourceException")
}

// An account's own permission decides what its shares let others do.
func TestOwnPermission(t *testing.T) {
	t.Parallel()
	a, b := newAccount(t), newAccount(t)
	template := `{"Effect": "Allow", "Action": "vpc-lattice:CreateServiceNetworkResourceAssociation"}`
	made := must(a.ram.CreatePermission(a.ctx, &ram.CreatePermissionInput{Name: new("networks-only"), ResourceType: new(shareable), PolicyTemplate: &template}))(a).Permission
	equal(t, "ARN", made.Arn, "arn:aws:ram:us-east-1:"+a.key.Account+":permission/networks-only")
	refused(t, failure(a.ram.CreatePermission(a.ctx, &ram.CreatePermissionInput{Name: new("more"), ResourceType: new(shareable), PolicyTemplate: new(`{"Effect": "Deny"}`)})), "MalformedPolicyTemplateException")
	refused(t, failure(a.ram.CreatePermission(a.ctx, &ram.CreatePermissionInput{Name: new("more"), ResourceType: new(shareable), PolicyTemplate: new(`{"Effect": "Allow", "Action": "ec2:RunInstances"}`)})), "InvalidPolicyException")
	configuration, share := a.offered(b.key.Account)
	must(b.ram.AcceptResourceShareInvitation(b.ctx, &ram.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: b.invitation(share).ResourceShareInvitationArn}))(b)
	get := func() error {
		return failure(b.lattice.GetResourceConfiguration(b.ctx, &vpclattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &configuration}))
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	permit := func(arn *string, version int32, replace bool) error {
		return failure(a.ram.AssociateResourceSharePermission(a.ctx, &ram.AssociateResourceSharePermissionInput{
			ResourceShareArn: &share, PermissionArn: arn, PermissionVersion: &version, Replace: &replace,
		}))
	}
	refused(t, permit(made.Arn, 1, false), "InvalidParameterException")
	must(a.ram.AssociateResourceSharePermission(a.ctx, &ram.AssociateResourceSharePermissionInput{ResourceShareArn: &share, PermissionArn: made.Arn, Replace: new(true)}))(a)
	refused(t, get(), "AccessDeniedException")
	more := `{"Effect":"Allow","Action":["vpc-lattice:Get*","vpc-lattice:CreateServiceNetworkResourceAssociation"]}`
	second := must(a.ram.CreatePermissionVersion(a.ctx, &ram.CreatePermissionVersionInput{PermissionArn: made.Arn, PolicyTemplate: &more}))(a).Permission
	equal(t, "version", []any{second.Version, second.DefaultVersion, second.Permission}, []any{"2", true, more})
	refused(t, get(), "AccessDeniedException") // shares keep their version
	if err := permit(made.Arn, 2, true); err != nil {
		t.Fatal(err)
	}
	if err := get(); err != nil {
		t.Errorf("with the second version: %v", err)
	}
	held := must(a.ram.ListResourceSharePermissions(a.ctx, &ram.ListResourceSharePermissionsInput{ResourceShareArn: &share}))(a).Permissions
	equal(t, "held", []*string{held[0].Arn, held[0].Version}, []*string{made.Arn, new("2")})
	equal(t, "associations", len(must(a.ram.ListPermissionAssociations(a.ctx, &ram.ListPermissionAssociationsInput{PermissionArn: made.Arn}))(a).Permissions), 1)
	equal(t, "versions", len(must(a.ram.ListPermissionVersions(a.ctx, &ram.ListPermissionVersionsInput{PermissionArn: made.Arn}))(a).Permissions), 2)
	equal(t, "permissions", len(must(a.ram.ListPermissions(a.ctx, &ram.ListPermissionsInput{ResourceType: new(shareable)}))(a).Permissions), 2)
	must(a.ram.SetDefaultPermissionVersion(a.ctx, &ram.SetDefaultPermissionVersionInput{PermissionArn: made.Arn, PermissionVersion: new(int32(1))}))(a)
	refused(t, failure(a.ram.DeletePermissionVersion(a.ctx, &ram.DeletePermissionVersionInput{PermissionArn: made.Arn, PermissionVersion: new(int32(2))})), "OperationNotPermittedException")
	refused(t, failure(a.ram.DeletePermission(a.ctx, &ram.DeletePermissionInput{PermissionArn: made.Arn})), "OperationNotPermittedException")
	managed := "arn:aws:ram::aws:permission/AWSRAMPermissionVpcLatticeResourceConfiguration"
	got := must(a.ram.GetPermission(a.ctx, &ram.GetPermissionInput{PermissionArn: &managed}))(a).Permission
	equal(t, "managed", []any{got.Version, got.IsResourceTypeDefault}, []any{"2", true})
	if err := permit(&managed, 2, true); err != nil {
		t.Fatal(err)
	}
	must(a.ram.DeletePermissionVersion(a.ctx, &ram.DeletePermissionVersionInput{PermissionArn: made.Arn, PermissionVersion: new(int32(2))}))(a)
	must(a.ram.DeletePermission(a.ctx, &ram.DeletePermissionInput{PermissionArn: made.Arn}))(a)
	must(a.ram.DisassociateResourceShare(a.ctx, &ram.DisassociateResourceShareInput{ResourceShareArn: &share, ResourceArns: []string{configuration}}))(a)
	must(a.ram.DisassociateResourceSharePermission(a.ctx, &ram.DisassociateResourceSharePermissionInput{ResourceShareArn: &share, PermissionArn: &managed}))(a)
}
