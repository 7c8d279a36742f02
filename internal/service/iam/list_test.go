// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/iam"
)

// setUp makes a user in a group with policies of all kinds, and gives the ARN of the
// managed one.
func (f *fixture) setUp(t *testing.T) string {
	t.Helper()
	read := f.policy(t, "read", readVPCs)
	f.user(t, "ann")
	f.group(t, "net")
	f.role(t, "worker", trusting(mine))
	for what, err := range map[string]error{
		"join":     failure(f.AddUserToGroup(f.ctx, &shape.AddUserToGroupInput{UserName: new("ann"), GroupName: new("net")})),
		"user":     failure(f.AttachUserPolicy(f.ctx, &shape.AttachUserPolicyInput{UserName: new("ann"), PolicyArn: new(readOnly)})),
		"group":    failure(f.AttachGroupPolicy(f.ctx, &shape.AttachGroupPolicyInput{GroupName: new("net"), PolicyArn: &read})),
		"inline":   failure(f.PutGroupPolicy(f.ctx, &shape.PutGroupPolicyInput{GroupName: new("net"), PolicyName: new("own"), PolicyDocument: new(strings.Replace(readVPCs, "DescribeVpcs", "CreateVpc", 1))})),
		"boundary": failure(f.PutRolePermissionsBoundary(f.ctx, &shape.PutRolePermissionsBoundaryInput{RoleName: new("worker"), PermissionsBoundary: &read})),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	return read
}

// TestListsOfPolicies filters them.
func TestListsOfPolicies(t *testing.T) {
	f := newFixture(t)
	read := f.setUp(t)
	f.policy(t, "idle", readVPCs)
	list := func(in shape.ListPoliciesInput) (names []string) {
		in.MaxItems = new(int32(1000))
		for _, p := range must[*shape.ListPoliciesOutput](t)(f.ListPolicies(f.ctx, &in)).Policies {
			names = append(names, *p.PolicyName)
		}
		return names
	}
	for _, test := range []struct {
		what string
		in   shape.ListPoliciesInput
		want []string
	}{
		{"of the account", shape.ListPoliciesInput{Scope: new("Local")}, []string{"idle", "read"}},
		{"that are attached", shape.ListPoliciesInput{OnlyAttached: new(true)}, []string{"read", "ReadOnlyAccess"}},
		{"of AWS that are attached", shape.ListPoliciesInput{OnlyAttached: new(true), Scope: new("AWS")}, []string{"ReadOnlyAccess"}},
		{"that bound", shape.ListPoliciesInput{PolicyUsageFilter: new("PermissionsBoundary")}, []string{"read"}},
		{"below a path", shape.ListPoliciesInput{PathPrefix: new("/none/")}, nil},
	} {
		if got := list(test.in); !slices.Equal(got, test.want) {
			t.Errorf("policies %s are %v, want %v", test.what, got, test.want)
		}
	}
	if all := list(shape.ListPoliciesInput{}); !slices.Contains(all, "AdministratorAccess") || !slices.Contains(all, "idle") {
		t.Errorf("all policies are %v", all)
	}
	entities := func(in shape.ListEntitiesForPolicyInput) string {
		in.PolicyArn = &read
		out := must[*shape.ListEntitiesForPolicyOutput](t)(f.ListEntitiesForPolicy(f.ctx, &in))
		var names []string
		for _, g := range out.PolicyGroups {
			names = append(names, "group "+*g.GroupName)
		}
		for _, r := range out.PolicyRoles {
			names = append(names, "role "+*r.RoleName)
		}
		return strings.Join(names, ", ")
	}
	for want, in := range map[string]shape.ListEntitiesForPolicyInput{
		"group net, role worker": {},
		"group net":              {PolicyUsageFilter: new("PermissionsPolicy")},
		"role worker":            {EntityFilter: new("Role")},
		"":                       {EntityFilter: new("User")},
	} {
		if got := entities(in); got != want {
			t.Errorf("the policy is of %q, want %q", got, want)
		}
	}
	details := must[*shape.GetAccountAuthorizationDetailsOutput](t)(f.GetAccountAuthorizationDetails(f.ctx, &shape.GetAccountAuthorizationDetailsInput{MaxItems: new(int32(2))}))
	if len(details.GroupDetailList) != 1 || len(details.Policies) != 1 || details.Marker == nil {
		t.Errorf("the first two details are %+v", details)
	}
}

// TestSimulations asks what the user may by all that it has, and with other policies.
func TestSimulations(t *testing.T) {
	f := newFixture(t)
	f.setUp(t)
	ann := "arn:aws:iam::" + mine + ":user/ann"
	ask := func(in shape.SimulatePrincipalPolicyInput) string {
		in.PolicySourceArn, in.ActionNames = &ann, []string{"ec2:DescribeVpcs", "ec2:CreateVpc", "ec2:DeleteVpc"}
		var all []string
		for _, r := range must[*shape.SimulatePrincipalPolicyOutput](t)(f.SimulatePrincipalPolicy(f.ctx, &in)).EvaluationResults {
			text := *r.EvalDecision
			for _, s := range r.MatchedStatements {
				text += " " + *s.SourcePolicyId
			}
			all = append(all, text)
		}
		return strings.Join(all, ", ")
	}
	inline := []shape.PolicyIdentifier{{InlinePolicyIdentifier: &shape.InlinePolicyIdentifierType{AttachmentType: new("group"), AttachmentName: new("n*"), PolicyName: new("own")}}}
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`
	for _, test := range []struct {
		what string
		in   shape.SimulatePrincipalPolicyInput
		want string
	}{
		{"by itself", shape.SimulatePrincipalPolicyInput{}, "allowed ReadOnlyAccess read, allowed group_net_own, implicitDeny"},
		{"without one", shape.SimulatePrincipalPolicyInput{PolicyExclusionList: inline}, "allowed ReadOnlyAccess read, implicitDeny, implicitDeny"},
		{
			"without managed ones", shape.SimulatePrincipalPolicyInput{PolicyExclusionList: []shape.PolicyIdentifier{{PolicyType: new("aws-managed")}, {PolicyArn: new("arn:aws:iam::" + mine + ":policy/r*")}}},
			"implicitDeny, allowed group_net_own, implicitDeny",
		},
		{
			"with a denial", shape.SimulatePrincipalPolicyInput{PolicyInputList: []string{deny}},
			"explicitDeny PolicyInputList.1, explicitDeny PolicyInputList.1, explicitDeny PolicyInputList.1",
		},
		{
			"within a boundary", shape.SimulatePrincipalPolicyInput{PermissionsBoundaryPolicyInputList: []string{readVPCs}},
			"allowed ReadOnlyAccess read PermissionsBoundaryPolicyInputList.1, implicitDeny group_net_own, implicitDeny",
		},
	} {
		if got := ask(test.in); got != test.want {
			t.Errorf("%s: %s, want %s", test.what, got, test.want)
		}
	}
}
