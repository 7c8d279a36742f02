// SPDX-License-Identifier: Apache-2.0

package organizations

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/identity"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
)

// world is an installation with the accounts of tests, and an organization.
type world struct {
	*API
	t    *testing.T
	ctx  context.Context
	root string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{API: &API{servicetest.New(t).Env}, t: t, ctx: servicetest.As(t, servicetest.Account, "")}
	if _, _, err := account.Bootstrap(t.Context(), w.Env, servicetest.Account); err != nil {
		t.Fatal(err)
	}
	other, err := account.New(w.Env, servicetest.OtherAccount, "other")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Create(t.Context(), w.Env); err != nil {
		t.Fatal(err)
	}
	made := must(w.CreateOrganization(w.ctx, &shape.CreateOrganizationInput{}))(t)
	if *made.Organization.MasterAccountId != servicetest.Account || !strings.HasPrefix(*made.Organization.Id, "o-") {
		t.Errorf("made %+v", made.Organization)
	}
	w.root = *must(w.ListRoots(w.ctx, &shape.ListRootsInput{}))(t).Roots[0].Id
	return w
}

func must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func (w *world) refused(code, reason string, _ any, err error) {
	w.t.Helper()
	if !fault.Is(err, code) {
		w.t.Errorf("got %v, want %s", err, code)
	} else if got := err.(*fault.Error).Fields["Reason"]; got != reason {
		w.t.Errorf("%s: the reason is %q, want %q", code, got, reason)
	}
}

func (w *world) unit(parent, name string) string {
	w.t.Helper()
	return *must(w.CreateOrganizationalUnit(w.ctx, &shape.CreateOrganizationalUnitInput{ParentId: &parent, Name: &name}))(w.t).OrganizationalUnit.Id
}

func (w *world) policy(name, content string) string {
	w.t.Helper()
	return *must(w.CreatePolicy(w.ctx, &shape.CreatePolicyInput{Name: &name, Content: &content, Description: new(""), Type: new(controlType)}))(w.t).Policy.PolicySummary.Id
}

func (w *world) enable() {
	w.t.Helper()
	must(w.EnablePolicyType(w.ctx, &shape.EnablePolicyTypeInput{RootId: &w.root, PolicyType: new(controlType)}))(w.t)
}

func (w *world) move(id, from, into string) {
	w.t.Helper()
	must(w.MoveAccount(w.ctx, &shape.MoveAccountInput{AccountId: &id, SourceParentId: &from, DestinationParentId: &into}))(w.t)
}

func (w *world) attach(policy, target string) {
	w.t.Helper()
	must(w.AttachPolicy(w.ctx, &shape.AttachPolicyInput{PolicyId: &policy, TargetId: &target}))(w.t)
}

func (w *world) detach(policy, target string) {
	w.t.Helper()
	must(w.DetachPolicy(w.ctx, &shape.DetachPolicyInput{PolicyId: &policy, TargetId: &target}))(w.t)
}

const (
	noVPCs  = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ec2:CreateVpc","Resource":"*"}]}`
	onlyVPC = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`
)

// may says whether the root of an account may do an action, and which policy is named
// when it may not.
func (w *world) may(of, service, operation string) (bool, string) {
	w.t.Helper()
	who := &access.Caller{Account: of, Region: servicetest.Region, Kind: policy.Root, ARN: "arn:aws:iam::" + of + ":root", UserID: of}
	for k := range state.AccessKeysByAccount.Rows(w.DB.Snapshot(), model.Ref{ID: of}) {
		who.AccessKeyID = k.ID
	}
	op := access.Services[service].Operations[operation]
	d, err := identity.New(w.Env).Decide(w.t.Context(), &access.Request{Asked: access.Asked{Caller: who, Asks: []access.Ask{{Action: op.Needs[0].Action}}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return d.Allowed, d.Verdict.Policy
}

func (w *world) mayAll(of string, want string) {
	w.t.Helper()
	var got []string
	for _, op := range []string{"ec2 CreateVpc", "ec2 DescribeVpcs", "vpc-lattice ListServices"} {
		service, operation, _ := strings.Cut(op, " ")
		if ok, _ := w.may(of, service, operation); ok {
			got = append(got, operation)
		}
	}
	if text := strings.Join(got, " "); text != want {
		w.t.Errorf("account %s may %q, want %q", of, text, want)
	}
}

// TestControlPoliciesBoundAccounts on each level, at once, and never the management account.
func TestControlPoliciesBoundAccounts(t *testing.T) {
	const all = "CreateVpc DescribeVpcs ListServices"
	w := newWorld(t)
	outer := w.unit(w.root, "outer")
	inner := w.unit(outer, "inner")
	deny, allow := w.policy("no VPCs", noVPCs), w.policy("only EC2", onlyVPC)
	w.refused("PolicyTypeNotEnabledException", "", w, func() error {
		_, err := w.AttachPolicy(w.ctx, &shape.AttachPolicyInput{PolicyId: &deny, TargetId: &outer})
		return err
	}())
	w.enable()
	w.attach(deny, outer)
	w.mayAll(servicetest.OtherAccount, all)
	w.move(servicetest.OtherAccount, w.root, inner)
	w.mayAll(servicetest.OtherAccount, "DescribeVpcs ListServices")
	if _, arn := w.may(servicetest.OtherAccount, "ec2", "CreateVpc"); !strings.HasSuffix(arn, "/service_control_policy/"+deny) {
		t.Errorf("the denial names %q", arn)
	}
	w.attach(allow, servicetest.OtherAccount)
	w.mayAll(servicetest.OtherAccount, "DescribeVpcs ListServices")
	w.detach(model.FullAccessPolicy, servicetest.OtherAccount)
	w.mayAll(servicetest.OtherAccount, "DescribeVpcs")
	must(w.UpdatePolicy(w.ctx, &shape.UpdatePolicyInput{PolicyId: &deny, Content: new(onlyVPC)}))(t)
	w.mayAll(servicetest.OtherAccount, "CreateVpc DescribeVpcs")
	w.attach(deny, w.root)
	w.detach(model.FullAccessPolicy, w.root)
	w.mayAll(servicetest.Account, all)
	w.refused("ConstraintViolationException", "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", w, func() error {
		_, err := w.DetachPolicy(w.ctx, &shape.DetachPolicyInput{PolicyId: &deny, TargetId: &w.root})
		return err
	}())
	must(w.DisablePolicyType(w.ctx, &shape.DisablePolicyTypeInput{RootId: &w.root, PolicyType: new(controlType)}))(t)
	w.mayAll(servicetest.OtherAccount, all)
	w.enable()
	w.mayAll(servicetest.OtherAccount, all) // nothing was left attached
	if got := must(w.ListTargetsForPolicy(w.ctx, &shape.ListTargetsForPolicyInput{PolicyId: &deny}))(t).Targets; len(got) > 0 {
		t.Errorf("still attached to %v", got)
	}
}

// TestSharingWithTheOrganization says whom a share with units reaches.
func TestSharingWithTheOrganization(t *testing.T) {
	w := newWorld(t)
	unit := w.unit(w.root, "apps")
	o := must(w.DescribeOrganization(w.ctx, &shape.DescribeOrganizationInput{}))(t).Organization
	unitARN := *must(w.DescribeOrganizationalUnit(w.ctx, &shape.DescribeOrganizationalUnitInput{OrganizationalUnitId: &unit}))(t).OrganizationalUnit.Arn
	check := func(when string, external bool, want ...string) {
		t.Helper()
		tx := must(w.DB.View(t.Context()))(t)
		if got := share.IsExternal(tx, servicetest.Account, servicetest.OtherAccount); got != external {
			t.Errorf("%s: external is %v", when, got)
		}
		if diff := cmp.Diff(want, share.PrincipalsOf(tx, servicetest.OtherAccount)); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
		for _, arn := range []string{*o.Arn, unitARN} {
			if got := share.KnowsOrganization(tx, servicetest.Account, arn); got == external {
				t.Errorf("%s: knows %s: %v", when, arn, got)
			}
		}
		if share.KnowsOrganization(tx, servicetest.Account, unitARN+"x") || !share.IsExternal(tx, servicetest.Account, "999999999999") {
			t.Errorf("%s: what is not there is known", when)
		}
	}
	check("at first", true, servicetest.OtherAccount)
	must(w.EnableAWSServiceAccess(w.ctx, &shape.EnableAWSServiceAccessInput{ServicePrincipal: new("ram.amazonaws.com")}))(t)
	check("in the root", false, servicetest.OtherAccount, *o.Arn)
	w.move(servicetest.OtherAccount, w.root, unit)
	check("in a unit", false, servicetest.OtherAccount, *o.Arn, unitARN)
	must(w.DisableAWSServiceAccess(w.ctx, &shape.DisableAWSServiceAccessInput{ServicePrincipal: new("ram.amazonaws.com")}))(t)
	check("disabled", true, servicetest.OtherAccount)
}

func TestAccountsAreMade(t *testing.T) {
	w := newWorld(t)
	create := func(email string) (*shape.CreateAccountOutput, error) {
		return w.CreateAccount(w.ctx, &shape.CreateAccountInput{AccountName: new("team"), Email: &email, Tags: []shape.Tag{{Key: new("a"), Value: new("b")}}})
	}
	status := must(create("team@example.com"))(t).CreateAccountStatus
	if *status.State != shape.CreateAccountStateSucceeded {
		t.Errorf("state is %s", *status.State)
	}
	if got := must(w.DescribeCreateAccountStatus(w.ctx, &shape.DescribeCreateAccountStatusInput{CreateAccountRequestId: status.Id}))(t); *got.CreateAccountStatus.AccountId != *status.AccountId {
		t.Errorf("the request made %v", got.CreateAccountStatus)
	}
	id := *status.AccountId
	tx := must(w.DB.View(t.Context()))(t)
	var roles []string
	for r := range state.Roles.Scope(tx, id, "") {
		roles = append(roles, r.Name+" "+strings.Join(r.Policies, " "))
	}
	if want := []string{"OrganizationAccountAccessRole arn:aws:iam::aws:policy/AdministratorAccess"}; !slices.Equal(roles, want) {
		t.Errorf("roles are %v", roles)
	}
	if n := state.AccessKeysByAccount.Count(tx, model.Ref{ID: id}); n != 0 {
		t.Errorf("it has %d keys", n)
	}
	_, err := create("team@example.com")
	w.refused("InvalidInputException", "INVALID_EMAIL_ADDRESS_TARGET", w, err)
	_, err = w.DeleteOrganization(w.ctx, &shape.DeleteOrganizationInput{})
	w.refused("OrganizationNotEmptyException", "", w, err)

	unit := w.unit(w.root, "closed")
	w.move(id, w.root, unit)
	_, err = w.DeleteOrganizationalUnit(w.ctx, &shape.DeleteOrganizationalUnitInput{OrganizationalUnitId: &unit})
	w.refused("OrganizationalUnitNotEmptyException", "", w, err)
	must(w.CloseAccount(w.ctx, &shape.CloseAccountInput{AccountId: &id}))(t)
	_, err = w.CloseAccount(w.ctx, &shape.CloseAccountInput{AccountId: &id})
	w.refused("AccountAlreadyClosedException", "", w, err)
	_, err = w.CloseAccount(w.ctx, &shape.CloseAccountInput{AccountId: new(servicetest.Account)})
	w.refused("ConstraintViolationException", "CANNOT_CLOSE_MANAGEMENT_ACCOUNT", w, err)
	if got := must(w.DescribeAccount(w.ctx, &shape.DescribeAccountInput{AccountId: &id}))(t).Account; *got.Status != shape.AccountStatusSuspended || *got.Email != "team@example.com" {
		t.Errorf("closed it is %+v", got)
	}
	must(w.DeleteOrganizationalUnit(w.ctx, &shape.DeleteOrganizationalUnitInput{OrganizationalUnitId: &unit}))(t)
	must(w.DeleteOrganization(w.ctx, &shape.DeleteOrganizationInput{}))(t)
	_, err = w.DescribeOrganization(w.ctx, &shape.DescribeOrganizationInput{})
	w.refused("AWSOrganizationsNotInUseException", "", w, err)
}

func TestUnits(t *testing.T) {
	w := newWorld(t)
	at, ids := w.root, []string{}
	for depth := range 5 {
		at = w.unit(at, fmt.Sprint("level ", depth))
		ids = append(ids, at)
	}
	_, err := w.CreateOrganizationalUnit(w.ctx, &shape.CreateOrganizationalUnitInput{ParentId: &at, Name: new("x")})
	w.refused("ConstraintViolationException", "OU_DEPTH_LIMIT_EXCEEDED", w, err)
	_, err = w.CreateOrganizationalUnit(w.ctx, &shape.CreateOrganizationalUnitInput{ParentId: &w.root, Name: new("LEVEL 0")})
	w.refused("DuplicateOrganizationalUnitException", "", w, err)
	_, err = w.DeleteOrganizationalUnit(w.ctx, &shape.DeleteOrganizationalUnitInput{OrganizationalUnitId: &ids[3]})
	w.refused("OrganizationalUnitNotEmptyException", "", w, err)
	_, err = w.CreateOrganizationalUnit(w.ctx, &shape.CreateOrganizationalUnitInput{ParentId: new("r-none"), Name: new("x")})
	w.refused("ParentNotFoundException", "", w, err)
	_, err = w.MoveAccount(w.ctx, &shape.MoveAccountInput{AccountId: new(servicetest.OtherAccount), SourceParentId: &at, DestinationParentId: &w.root})
	w.refused("DuplicateAccountException", "", w, err)
	if got := must(w.ListParents(w.ctx, &shape.ListParentsInput{ChildId: &at}))(t).Parents; *got[0].Id != ids[3] || *got[0].Type != shape.ParentTypeOrganizationalUnit {
		t.Errorf("parents are %v", got)
	}
	u := must(w.DescribeOrganizationalUnit(w.ctx, &shape.DescribeOrganizationalUnitInput{OrganizationalUnitId: &at}))(t).OrganizationalUnit
	if !strings.HasSuffix(*u.Path, "/"+w.root+"/"+strings.Join(ids, "/")+"/") {
		t.Errorf("the path is %s", *u.Path)
	}
}

func TestPolicies(t *testing.T) {
	w := newWorld(t)
	create := func(name, content, kind string) (*shape.CreatePolicyOutput, error) {
		return w.CreatePolicy(w.ctx, &shape.CreatePolicyInput{Name: &name, Content: &content, Description: new("d"), Type: &kind})
	}
	for content, code := range map[string]string{"{": "MalformedPolicyDocumentException", `{"Statement":[{"Effect":"Maybe"}]}`: "MalformedPolicyDocumentException"} {
		_, err := create("bad", content, controlType)
		w.refused(code, "", w, err)
	}
	_, err := create("long", strings.Repeat(" ", maxContent)+noVPCs, controlType)
	w.refused("ConstraintViolationException", "POLICY_CONTENT_LIMIT_EXCEEDED", w, err)
	_, err = create("tags", "{}", shape.PolicyTypeTagPolicy)
	w.refused("PolicyTypeNotAvailableForOrganizationException", "", w, err)
	p := *must(create("p", noVPCs, controlType))(t).Policy.PolicySummary.Id
	_, err = create("p", noVPCs, controlType)
	w.refused("DuplicatePolicyException", "", w, err)
	_, err = w.UpdatePolicy(w.ctx, &shape.UpdatePolicyInput{PolicyId: new(model.FullAccessPolicy), Name: new("mine")})
	w.refused("InvalidInputException", "IMMUTABLE_POLICY", w, err)
	w.enable()
	w.attach(p, servicetest.OtherAccount)
	_, err = w.DeletePolicy(w.ctx, &shape.DeletePolicyInput{PolicyId: &p})
	w.refused("PolicyInUseException", "", w, err)
	_, err = w.AttachPolicy(w.ctx, &shape.AttachPolicyInput{PolicyId: &p, TargetId: new(servicetest.OtherAccount)})
	w.refused("DuplicatePolicyAttachmentException", "", w, err)
	_, err = w.AttachPolicy(w.ctx, &shape.AttachPolicyInput{PolicyId: &p, TargetId: new("999999999999")})
	w.refused("TargetNotFoundException", "", w, err)
	got := must(w.ListPoliciesForTarget(w.ctx, &shape.ListPoliciesForTargetInput{TargetId: new(servicetest.OtherAccount), Filter: new(controlType)}))(t).Policies
	if len(got) != 2 || *got[0].Id != p && *got[1].Id != p {
		t.Errorf("attached are %v", got)
	}
	first := must(w.ListTargetsForPolicy(w.ctx, &shape.ListTargetsForPolicyInput{PolicyId: new(model.FullAccessPolicy), MaxResults: new(int32(2))}))(t)
	rest := must(w.ListTargetsForPolicy(w.ctx, &shape.ListTargetsForPolicyInput{PolicyId: new(model.FullAccessPolicy), NextToken: first.NextToken}))(t)
	if len(first.Targets) != 2 || len(rest.Targets) != 1 || rest.NextToken != nil {
		t.Errorf("targets are %v and %v", first.Targets, rest.Targets)
	}
	_, err = w.ListAccounts(w.ctx, &shape.ListAccountsInput{NextToken: first.NextToken})
	w.refused("InvalidInputException", "INVALID_NEXT_TOKEN", w, err)
	w.detach(p, servicetest.OtherAccount)
	must(w.DeletePolicy(w.ctx, &shape.DeletePolicyInput{PolicyId: &p}))(t)
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{w.root, w.unit(w.root, "u"), w.policy("p", noVPCs), servicetest.OtherAccount} {
		must(w.TagResource(w.ctx, &shape.TagResourceInput{ResourceId: &id, Tags: []shape.Tag{{Key: new("a"), Value: new("1")}, {Key: new("b"), Value: new("2")}}}))(t)
		must(w.UntagResource(w.ctx, &shape.UntagResourceInput{ResourceId: &id, TagKeys: []string{"a", "c"}}))(t)
		got := must(w.ListTagsForResource(w.ctx, &shape.ListTagsForResourceInput{ResourceId: &id}))(t).Tags
		if len(got) != 1 || *got[0].Key != "b" || *got[0].Value != "2" {
			t.Errorf("%s: tags are %v", id, got)
		}
	}
	_, err := w.TagResource(w.ctx, &shape.TagResourceInput{ResourceId: new(model.FullAccessPolicy), Tags: []shape.Tag{}})
	w.refused("TargetNotFoundException", "", w, err)
}
