// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const (
	// defaultSession is how many seconds sessions last at most, if nobody says.
	defaultSession = 3600
	// maxTrust is how many characters a trust policy can have
	// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
	maxTrust = 2048
)

// listedRole is a role as lists have it.
func listedRole(tx *table.Txn, r *model.Role) shape.Role {
	return shape.Role{
		Path: &r.Path, RoleName: &r.Name, RoleId: &r.ID, Arn: new(r.ARN()), CreateDate: &r.CreatedAt,
		AssumeRolePolicyDocument: encoded(trustText(tx, r)), Description: service.Optional(r.Description), MaxSessionDuration: &r.MaxSession,
	}
}

func roleShape(tx *table.Txn, r *model.Role) *shape.Role {
	s := listedRole(tx, r)
	s.PermissionsBoundary, s.Tags = boundaryShape(tx, r.Meta, r.Boundary), tagShapes(r.Tags)
	s.RoleLastUsed = lastUsed(tx, r)
	return &s
}

func lastUsed(tx *table.Txn, r *model.Role) *shape.RoleLastUsed {
	if use, ok := state.LastUses.Get(tx, r.Account, "", r.ID); ok {
		return &shape.RoleLastUsed{LastUsedDate: &use.At, Region: &use.Region}
	}
	return &shape.RoleLastUsed{}
}

// trustText is the trust policy with the ARNs that who it names have now, and with the id
// of who is not there any more: so it is visible that somebody else may have the ARN.
func trustText(tx *table.Txn, r *model.Role) string {
	text := r.Trust
	for _, t := range r.Trusted {
		if now := presentName(tx, t.Entity); now != t.ARN {
			text = strings.ReplaceAll(text, quoted(t.ARN), quoted(now))
		}
	}
	return text
}

func presentName(tx *table.Txn, entity model.Ref) string {
	if u, ok := state.Users.Get(tx, entity.Account, "", entity.ID); ok {
		return u.ARN()
	}
	if r, ok := state.Roles.Get(tx, entity.Account, "", entity.ID); ok {
		return r.ARN()
	}
	return entity.ID
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // a string always can be
	return string(b)
}

// CreateRole makes a role.
func (a *API) CreateRole(ctx context.Context, in *shape.CreateRoleInput) (*shape.CreateRoleOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	trust, err := readTrust(*in.AssumeRolePolicyDocument)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	meta, err := a.meta(who, model.RolePrefix, tags)
	if err != nil {
		return nil, err
	}
	out := &shape.CreateRoleOutput{}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		r := &model.Role{
			Meta: meta, Name: *in.RoleName, Path: path(in.Path), Description: service.Value(in.Description),
			MaxSession: defaultSession, Trust: *in.AssumeRolePolicyDocument,
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		if r.Trusted, err = trusted(tx, trust); err != nil {
			return err
		}
		if r.Boundary, err = boundary(tx, who, in.PermissionsBoundary); err != nil {
			return err
		}
		if err := roles.add(tx, a, who, r); err != nil {
			return err
		}
		out.Role = roleShape(tx, r)
		out.Role.RoleLastUsed = nil
		return nil
	})
	return out, err
}

// readTrust reads the text of a trust policy.
func readTrust(text string) (*policy.Document, error) {
	if policy.Size(text) > maxTrust {
		return nil, exceeds("ACLSizePerRole", maxTrust)
	}
	return read(policy.Trust, text)
}

// read reads the text of a policy.
func read(kind policy.Kind, text string) (*policy.Document, error) {
	d, err := policy.Parse(kind, text)
	if err != nil {
		return nil, malformed(err)
	}
	return d, nil
}

func malformed(err error) error {
	var e *policy.Error
	if errors.As(err, &e) {
		return fault.IAM("MalformedPolicyDocument", "%s", e.Error())
	}
	return fmt.Errorf("read a policy: %w", err)
}

// trusted finds the users and roles that a trust policy names, of any account. Accounts
// that it names must be there too.
func trusted(tx *table.Txn, trust *policy.Document) (all []model.Trusted, err error) {
	for _, id := range trust.Accounts() {
		if _, ok := state.Accounts.Get(tx, "", "", id); !ok {
			return nil, malformed(policy.InvalidPrincipal(id))
		}
	}
	for _, arn := range trust.Principals() {
		entity, ok := principal(tx, arn)
		if !ok {
			return nil, malformed(policy.InvalidPrincipal(arn))
		}
		all = append(all, model.Trusted{ARN: arn, Entity: entity})
	}
	return all, nil
}

// principal finds the user or role that an ARN names.
func principal(tx *table.Txn, arn string) (model.Ref, bool) {
	parsed, err := model.ParseARN(arn)
	if err != nil {
		return model.Ref{}, false
	}
	name := parsed.ID[strings.LastIndexByte(parsed.ID, '/')+1:]
	by := model.Ref{Account: parsed.Account, ID: model.FoldName(name)}
	switch parsed.Type {
	case users.noun:
		if u, err := users.named(tx, by, name); err == nil && u.ARN() == arn {
			return u.Ref(), true
		}
	case roles.noun:
		if r, err := roles.named(tx, by, name); err == nil && r.ARN() == arn {
			return r.Ref(), true
		}
	}
	return model.Ref{}, false
}

// GetRole shows a role.
func (a *API) GetRole(ctx context.Context, in *shape.GetRoleInput) (*shape.GetRoleOutput, error) {
	tx, r, err := roles.read(ctx, a, *in.RoleName)
	if err != nil {
		return nil, err
	}
	return &shape.GetRoleOutput{Role: roleShape(tx, r)}, nil
}

// ListRoles lists the roles below a path.
func (a *API) ListRoles(ctx context.Context, in *shape.ListRolesInput) (*shape.ListRolesOutput, error) {
	page, truncated, marker, err := roles.list(ctx, a, in.PathPrefix, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	show := func(r *model.Role) shape.Role { return listedRole(tx, r) }
	return &shape.ListRolesOutput{Roles: service.Each(page, show), IsTruncated: truncated, Marker: marker}, nil
}

// UpdateRole changes how long sessions last, or the description; what the request does
// not have stays.
func (a *API) UpdateRole(ctx context.Context, in *shape.UpdateRoleInput) (*shape.UpdateRoleOutput, error) {
	_, err := roles.change(ctx, a, *in.RoleName, func(_ *table.Txn, r *model.Role) error {
		if in.Description != nil {
			r.Description = *in.Description
		}
		if in.MaxSessionDuration != nil {
			r.MaxSession = *in.MaxSessionDuration
		}
		return nil
	})
	return &shape.UpdateRoleOutput{}, err
}

// UpdateRoleDescription changes the description alone.
func (a *API) UpdateRoleDescription(ctx context.Context, in *shape.UpdateRoleDescriptionInput) (*shape.UpdateRoleDescriptionOutput, error) {
	out := &shape.UpdateRoleDescriptionOutput{}
	_, err := roles.change(ctx, a, *in.RoleName, func(tx *table.Txn, r *model.Role) error {
		r.Description = *in.Description
		out.Role = new(listedRole(tx, r))
		return nil
	})
	return out, err
}

// UpdateAssumeRolePolicy puts another trust policy in place of the one that a role has.
func (a *API) UpdateAssumeRolePolicy(ctx context.Context, in *shape.UpdateAssumeRolePolicyInput) (*shape.UpdateAssumeRolePolicyOutput, error) {
	trust, err := readTrust(*in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	_, err = roles.change(ctx, a, *in.RoleName, func(tx *table.Txn, r *model.Role) (err error) {
		r.Trust = *in.PolicyDocument
		r.Trusted, err = trusted(tx, trust)
		return err
	})
	return &shape.UpdateAssumeRolePolicyOutput{}, err
}

// DeleteRole deletes a role that has no policies; its sessions end with it.
func (a *API) DeleteRole(ctx context.Context, in *shape.DeleteRoleInput) (*shape.DeleteRoleOutput, error) {
	return &shape.DeleteRoleOutput{}, roles.remove(ctx, a, *in.RoleName, func(*table.Txn, *model.Role) error { return nil })
}

// PutRolePermissionsBoundary sets the boundary of a role, or another one.
func (a *API) PutRolePermissionsBoundary(ctx context.Context, in *shape.PutRolePermissionsBoundaryInput) (*shape.PutRolePermissionsBoundaryOutput, error) {
	return &shape.PutRolePermissionsBoundaryOutput{}, bound(ctx, a, roles, *in.RoleName, in.PermissionsBoundary)
}

// DeleteRolePermissionsBoundary takes the boundary off a role, if it has one.
func (a *API) DeleteRolePermissionsBoundary(ctx context.Context, in *shape.DeleteRolePermissionsBoundaryInput) (*shape.DeleteRolePermissionsBoundaryOutput, error) {
	return &shape.DeleteRolePermissionsBoundaryOutput{}, bound(ctx, a, roles, *in.RoleName, nil)
}
