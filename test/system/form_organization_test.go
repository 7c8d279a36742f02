// SPDX-License-Identifier: Apache-2.0

package system

import (
	"github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/test/postern"
)

// fillOrganization makes an organization with an account of its own, a unit that an account
// is in, and a policy that controls that unit.
func fillOrganization(s *pair, account string) {
	p, svc := s.Postern, organizations.Service
	tags := []organizations.Tag{{Key: new("Name"), Value: new("thing")}}
	postern.Call[organizations.CreateOrganizationOutput](p, svc, "CreateOrganization", &organizations.CreateOrganizationInput{})
	root := postern.Call[organizations.ListRootsOutput](p, svc, "ListRoots", &organizations.ListRootsInput{}).Roots[0].Id
	kind := new(organizations.PolicyTypeServiceControlPolicy)
	postern.Call[organizations.EnablePolicyTypeOutput](p, svc, "EnablePolicyType", &organizations.EnablePolicyTypeInput{RootId: root, PolicyType: kind})
	postern.Call[organizations.EnableAWSServiceAccessOutput](p, svc, "EnableAWSServiceAccess", &organizations.EnableAWSServiceAccessInput{
		ServicePrincipal: new("ram.amazonaws.com"),
	})
	unit := postern.Call[organizations.CreateOrganizationalUnitOutput](p, svc, "CreateOrganizationalUnit", &organizations.CreateOrganizationalUnitInput{
		ParentId: root, Name: new("unit"), Tags: tags,
	}).OrganizationalUnit.Id
	policy := postern.Call[organizations.CreatePolicyOutput](p, svc, "CreatePolicy", &organizations.CreatePolicyInput{
		Name: new("no NAT gateways"), Description: new("denies"), Type: kind, Tags: tags,
		Content: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:CreateNatGateway","Resource":"*"}]}`),
	}).Policy.PolicySummary.Id
	postern.Call[organizations.AttachPolicyOutput](p, svc, "AttachPolicy", &organizations.AttachPolicyInput{PolicyId: policy, TargetId: unit})
	postern.Call[organizations.MoveAccountOutput](p, svc, "MoveAccount", &organizations.MoveAccountInput{
		AccountId: &account, SourceParentId: root, DestinationParentId: unit,
	})
	postern.Call[organizations.CreateAccountOutput](p, svc, "CreateAccount", &organizations.CreateAccountInput{
		AccountName: new("made"), Email: new("made@example.com"), Tags: tags,
	})
}
