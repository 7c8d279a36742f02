// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/policy/managed"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// maxPolicy is how many characters a managed policy can have, without white space
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
const maxPolicy = 6144

// managedView is a managed policy, of an account or of AWS.
type managedView struct {
	// id is how rows name it.
	id, arn, name, path string
	// row is nil for one of AWS.
	row *model.Policy
	aws *managed.Policy
}

func (p *managedView) Called() (path, name string) { return p.path, p.name }

func ofAccount(p *model.Policy) *managedView {
	return &managedView{id: p.ID, arn: p.ARN(), name: p.Name, path: p.Path, row: p}
}

func ofAWS(p *managed.Policy) *managedView {
	return &managedView{id: p.ARN, arn: p.ARN, name: p.Name, path: p.Path, aws: p}
}

// parsePolicyARN takes an ARN of a managed policy apart.
func parsePolicyARN(arn string) (model.ParsedARN, error) {
	parsed, err := model.ParseARN(arn)
	switch {
	case err != nil:
		return parsed, validation("Invalid ARN:  Could not be parsed!")
	case parsed.Service != state.IAM || parsed.Type != "policy":
		return parsed, invalid("ARN %s is not valid.", arn)
	}
	return parsed, nil
}

// managedPolicy finds a policy by its ARN; nil when the caller has none with it.
func managedPolicy(tx *table.Txn, who access.View, arn string) (*managedView, error) {
	parsed, err := parsePolicyARN(arn)
	if err != nil {
		return nil, err
	}
	if model.IsManagedByAWS(arn) {
		if p, ok := managed.Find(arn); ok {
			return ofAWS(p), nil
		}
		return nil, nil
	}
	name := parsed.ID[strings.LastIndexByte(parsed.ID, '/')+1:]
	for p := range state.PoliciesByName.Rows(tx, who.Own(model.FoldName(name))) {
		if p.ARN() == arn {
			return ofAccount(p), nil
		}
	}
	return nil, nil
}

// ownPolicy finds a policy of the caller's account, to change it.
func ownPolicy(tx *table.Txn, who access.View, arn string) (*model.Policy, error) {
	if model.IsManagedByAWS(arn) {
		return nil, fault.IAM("AccessDenied", "User: %s is not authorized to perform this request on resource: policy %s, which nobody can change", who.ARN, arn)
	}
	p, err := managedPolicy(tx, who, arn)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, noSuchPolicy(arn)
	}
	return p.row, nil
}

// byPolicyID finds what a row names; nil when it is not there.
func byPolicyID(tx *table.Txn, m model.Meta, id string) *managedView {
	if model.IsManagedByAWS(id) {
		if p, ok := managed.Find(id); ok {
			return ofAWS(p)
		}
		// One that was withdrawn keeps its name, and allows nothing.
		path, name := id[strings.IndexByte(id, '/'):], id[strings.LastIndexByte(id, '/')+1:]
		return &managedView{id: id, arn: id, name: name, path: strings.TrimSuffix(path, name)}
	}
	if p, ok := state.Policies.Get(tx, m.Account, "", id); ok {
		return ofAccount(p)
	}
	return nil
}

// policyARN is the ARN of what a row names.
func policyARN(tx *table.Txn, m model.Meta, id string) string {
	if p := byPolicyID(tx, m, id); p != nil {
		return p.arn
	}
	return ""
}

func notAttachable(arn string) error {
	return fault.IAM("NoSuchEntity", "Policy %s does not exist or is not attachable.", arn)
}

func invalidScope(arn string) error {
	return fault.IAM("NoSuchEntity", "Scope ARN: %s does not exist or is not attachable.", arn)
}

// usage counts who has policies: attached, and as boundaries.
type usage struct{ attached, bounds map[string]int32 }

// count goes through all bearers of the caller.
func count(tx *table.Txn, who access.View) usage {
	u := usage{map[string]int32{}, map[string]int32{}}
	each := func(attached []string, boundary string) {
		for _, id := range attached {
			u.attached[id]++
		}
		u.bounds[boundary]++
	}
	for row := range view.All(tx, who, state.Users) {
		each(row.Policies, row.Boundary)
	}
	for row := range view.All(tx, who, state.Groups) {
		each(row.Policies, "")
	}
	for row := range view.All(tx, who, state.Roles) {
		each(row.Policies, row.Boundary)
	}
	return u
}

// countOf counts who has one policy.
func countOf(tx *table.Txn, who access.View, p *managedView) usage {
	if p.row == nil {
		return count(tx, who)
	}
	ref := p.row.Ref()
	return usage{
		map[string]int32{p.id: int32(state.UsersByPolicy.Count(tx, ref) + state.GroupsByPolicy.Count(tx, ref) + state.RolesByPolicy.Count(tx, ref))},
		map[string]int32{p.id: int32(state.UsersByBoundary.Count(tx, ref) + state.RolesByBoundary.Count(tx, ref))},
	}
}

// awsSince is when policies of AWS are said to have been made. The real dates differ.
var awsSince = time.Date(2015, 2, 6, 18, 39, 46, 0, time.UTC)

// listedPolicy is a policy as lists have it: without tags and description.
func listedPolicy(tx *table.Txn, p *managedView, by usage) shape.Policy {
	s := shape.Policy{
		PolicyName: &p.name, PolicyId: &p.id, Arn: &p.arn, Path: &p.path,
		AttachmentCount: new(by.attached[p.id]), PermissionsBoundaryUsageCount: new(by.bounds[p.id]), IsAttachable: new(true),
		CreateDate: &awsSince, UpdateDate: &awsSince, DefaultVersionId: new(versionName(1)),
	}
	if p.row != nil {
		s.CreateDate, s.UpdateDate = &p.row.CreatedAt, &p.row.CreatedAt
		s.DefaultVersionId = new(versionName(p.row.Default))
		for v := range state.PolicyVersionsByPolicy.Rows(tx, p.row.Ref()) {
			s.UpdateDate = &v.CreatedAt // that of the last one
		}
	}
	if p.aws != nil {
		s.PolicyId = &p.aws.ID
	}
	return s
}

func policyShape(tx *table.Txn, p *managedView, by usage) *shape.Policy {
	s := listedPolicy(tx, p, by)
	s.Description = new(p.description())
	if p.row != nil {
		s.Tags = tagShapes(p.row.Tags)
	}
	return &s
}

func (p *managedView) description() string {
	switch {
	case p.row != nil:
		return p.row.Description
	case p.aws != nil:
		return p.aws.Description
	}
	return ""
}

// CreatePolicy makes a managed policy with its first version.
func (a *API) CreatePolicy(ctx context.Context, in *shape.CreatePolicyInput) (*shape.CreatePolicyOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	meta, err := a.meta(who, model.PolicyPrefix, tags)
	if err != nil {
		return nil, err
	}
	p := &model.Policy{Meta: meta, Name: *in.PolicyName, Path: path(in.Path), Description: service.Value(in.Description), Default: 1, Last: 1}
	out := &shape.CreatePolicyOutput{}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		for range state.PoliciesByName.Rows(tx, who.Own(model.FoldName(p.Name))) {
			return fault.IAM("EntityAlreadyExists", "A policy called %s already exists. Duplicate names are not allowed.", p.Name)
		}
		if most := a.Quotas.PoliciesPerAccount; view.Count(tx, who, state.Policies) >= most {
			return exceeds("PoliciesPerAccount", most)
		}
		if err := state.Policies.Insert(tx, p); err != nil {
			return err
		}
		state.PolicyVersions.Put(tx, &model.PolicyVersion{
			Account: p.Account, Policy: p.ID, Number: p.Last, Document: *in.PolicyDocument, CreatedAt: p.CreatedAt,
		})
		out.Policy = policyShape(tx, ofAccount(p), usage{})
		out.Policy.Description = nil
		return nil
	})
	return out, err
}

// checkManaged wants a text to be good for a managed policy, which, unlike inline and
// trust policies, AWS does not take in the older version of the language.
func checkManaged(text string) error {
	if policy.Size(text) > maxPolicy {
		return exceeds("PolicySize", maxPolicy)
	}
	d, err := read(policy.Identity, text)
	if err == nil && d.Version() != policy.Version {
		err = fault.IAM("MalformedPolicyDocument", "Policy document must be version %s or greater.", policy.Version)
	}
	return err
}

// GetPolicy shows a managed policy.
func (a *API) GetPolicy(ctx context.Context, in *shape.GetPolicyInput) (*shape.GetPolicyOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	p, err := managedPolicy(tx, who, *in.PolicyArn)
	switch {
	case err != nil:
		return nil, err
	case p == nil:
		return nil, noSuchPolicy(*in.PolicyArn)
	}
	return &shape.GetPolicyOutput{Policy: policyShape(tx, p, countOf(tx, who, p))}, nil
}

// ListPolicies lists managed policies, those of AWS too.
func (a *API) ListPolicies(ctx context.Context, in *shape.ListPoliciesInput) (*shape.ListPoliciesOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	by := count(tx, who)
	used := by.attached
	if service.Value(in.PolicyUsageFilter) == shape.PolicyUsageTypePermissionsBoundary {
		used = by.bounds
	}
	var all []*managedView
	for _, p := range allPolicies(tx, who, service.Value(in.Scope)) {
		filtered := service.Value(in.OnlyAttached) || in.PolicyUsageFilter != nil
		if strings.HasPrefix(p.path, service.Value(in.PathPrefix)) && (!filtered || used[p.id] > 0) {
			all = append(all, p)
		}
	}
	choice := []any{in.Scope, in.OnlyAttached, in.PathPrefix, in.PolicyUsageFilter}
	page, truncated, marker, err := paginate(query{who, "ListPolicies", choice, in.Marker, in.MaxItems}, all, policyKey)
	if err != nil {
		return nil, err
	}
	show := func(p *managedView) shape.Policy { return listedPolicy(tx, p, by) }
	return &shape.ListPoliciesOutput{Policies: service.Each(page, show), IsTruncated: truncated, Marker: marker}, nil
}

// policyKey tells a policy of AWS from one of the account with the same name.
func policyKey(p *managedView) string { return sortKey(p) + " " + p.id }

func allPolicies(tx *table.Txn, who access.View, scope string) (all []*managedView) {
	if scope != shape.PolicyScopeTypeAws {
		for p := range view.All(tx, who, state.Policies) {
			all = append(all, ofAccount(p))
		}
	}
	if scope != shape.PolicyScopeTypeLocal {
		for _, p := range managed.All() {
			all = append(all, ofAWS(p))
		}
	}
	return all
}

// DeletePolicy deletes a policy that nobody has, with its only version.
func (a *API) DeletePolicy(ctx context.Context, in *shape.DeletePolicyInput) (*shape.DeletePolicyOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		p, err := ownPolicy(tx, who, *in.PolicyArn)
		if err != nil {
			return err
		}
		by := countOf(tx, who, ofAccount(p))
		switch {
		case by.attached[p.ID]+by.bounds[p.ID] > 0:
			return fault.IAM("DeleteConflict", "Cannot delete a policy attached to entities.")
		case state.PolicyVersionsByPolicy.Count(tx, p.Ref()) > 1:
			return fault.IAM("DeleteConflict", "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		only := p.Version(p.Default)
		state.PolicyVersions.Delete(tx, only.Account, only.Region, only.ID)
		state.Policies.Delete(tx, p.Account, "", p.ID)
		return nil
	})
	return &shape.DeletePolicyOutput{}, err
}
