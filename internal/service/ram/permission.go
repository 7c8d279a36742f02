// SPDX-License-Identifier: Apache-2.0

package ram

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy/permission"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// version is one version of a permission: of everybody's, or of the caller's own.
type version struct {
	arn, name, resourceType string
	number                  int
	isDefault               bool // of the permission
	typeDefault             bool // the permission is that of shares which name none
	template                string
	made                    time.Time
	managed                 bool
	tags                    map[string]string
}

func (v version) key() string { return v.arn + " " + zeroed(v.number) }

// zeroed sorts numbers of versions as texts.
func zeroed(n int) string {
	text := strconv.Itoa(n)
	return "0000000000"[min(len(text), 10):] + text
}

func managedVersion(m *permission.Managed, number int) version {
	return version{
		arn: m.ARN(), name: m.Name, resourceType: m.ResourceType, number: number, isDefault: number == m.Latest(),
		typeDefault: m.Default, template: m.Template(number), made: m.Since[number-1], managed: true,
	}
}

func ownVersion(p *model.Permission, v model.PermissionVersion) version {
	return version{
		arn: p.ARN(), name: p.ID, resourceType: p.ResourceType, number: v.Number, isDefault: v.Number == p.Default,
		template: v.Template, made: v.CreatedAt, tags: p.Tags,
	}
}

// versions gives all versions of a permission that an ARN names, the first first.
func versions(tx *table.Txn, who access.View, arn string) ([]version, error) {
	ref, err := parse(typePermission, arn)
	if err != nil {
		return nil, err
	}
	var all []version
	if m, ok := permission.ManagedNamed(ref.ID); ok && m.ARN() == arn {
		for n := range m.Versions {
			all = append(all, managedVersion(m, n+1))
		}
	} else if p, ok := view.Get(tx, who, state.Permissions, ref.ID); ok && p.ARN() == arn {
		for _, v := range p.Versions {
			all = append(all, ownVersion(p, v))
		}
	} else {
		return nil, unknown("Permission %s could not be found.", arn)
	}
	return all, nil
}

// pick gives the version with a number, or the default.
func pick(all []version, number *int32) (version, error) {
	for _, v := range all {
		if number == nil && v.isDefault || number != nil && v.number == int(*number) {
			return v, nil
		}
	}
	return version{}, unknown("Version %d of permission %s could not be found.", service.Value(number), all[0].arn)
}

// permissionARN names a permission of a share.
func permissionARN(s *model.ResourceShare, p model.SharePermission) string {
	if p.Managed {
		return permission.ARN(p.Permission)
	}
	return model.ARN("ram", s.Region, s.Account, "permission/"+p.Permission)
}

// permit gives a share a permission in a version, in place of the one that it has for the
// type of resources when that is to be replaced.
func (a *API) permit(tx *table.Txn, who access.View, s *model.ResourceShare, arn string, number *int32, replace bool) error {
	all, err := versions(tx, who, arn)
	if err != nil {
		return err
	}
	v, err := pick(all, number)
	if err != nil {
		return err
	}
	next := model.SharePermission{ResourceType: v.resourceType, Permission: v.name, Managed: v.managed, Version: v.number}
	for i, have := range s.Permissions {
		switch {
		case have.ResourceType != v.resourceType:
			continue
		case have != next && !replace:
			return invalid("permissionArn: the resource share has permission %s version %d for %s; set replace to put another in its place",
				permissionARN(s, have), have.Version, have.ResourceType)
		}
		s.Permissions[i] = next
		return nil
	}
	s.Permissions = append(s.Permissions, next)
	return nil
}

// AssociateResourceSharePermission changes what principals of a share may do with resources
// of one type.
func (a *API) AssociateResourceSharePermission(ctx context.Context, in *shape.AssociateResourceSharePermissionInput) (*shape.AssociateResourceSharePermissionOutput, error) {
	who := access.From(ctx)
	_, err := service.Change(ctx, a.Env, state.ResourceShares, liveShare, *in.ResourceShareArn, func(tx *table.Txn, s *model.ResourceShare) error {
		return a.permit(tx, who, s, *in.PermissionArn, in.PermissionVersion, service.Value(in.Replace))
	})
	if err != nil {
		return nil, err
	}
	return &shape.AssociateResourceSharePermissionOutput{ReturnValue: new(true), ClientToken: in.ClientToken}, nil
}

// DisassociateResourceSharePermission takes a permission from a share that has no resource of
// its type.
func (a *API) DisassociateResourceSharePermission(ctx context.Context, in *shape.DisassociateResourceSharePermissionInput) (*shape.DisassociateResourceSharePermissionOutput, error) {
	_, err := service.Change(ctx, a.Env, state.ResourceShares, liveShare, *in.ResourceShareArn, func(tx *table.Txn, s *model.ResourceShare) error {
		if _, err := parse(typePermission, *in.PermissionArn); err != nil {
			return err
		}
		at := slices.IndexFunc(s.Permissions, func(p model.SharePermission) bool { return permissionARN(s, p) == *in.PermissionArn })
		if at < 0 {
			return unknown("Permission %s is not associated with ResourceShare %s.", *in.PermissionArn, *in.ResourceShareArn)
		}
		for r := range share.In(tx).Resources(s.Ref()) {
			if r.ResourceType == s.Permissions[at].ResourceType {
				return notPermitted("the resource share has %s, whose type needs the permission", r.ResourceARN)
			}
		}
		s.Permissions = slices.Delete(s.Permissions, at, at+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DisassociateResourceSharePermissionOutput{ReturnValue: new(true), ClientToken: in.ClientToken}, nil
}

// ListResourceSharePermissions lists what principals of a share may do, by types of resources.
func (a *API) ListResourceSharePermissions(ctx context.Context, in *shape.ListResourceSharePermissionsInput) (*shape.ListResourceSharePermissionsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	s, err := anyShare(tx, who, *in.ResourceShareArn)
	if err != nil {
		return nil, err
	}
	rows := make([]version, 0, len(s.Permissions))
	for _, p := range s.Permissions {
		if v, ok := versionOf(tx, s, p); ok {
			rows = append(rows, v)
		}
	}
	page, next, err := paginate(who, "ListResourceSharePermissions", in.ResourceShareArn, in.NextToken, in.MaxResults, rows, version.key)
	if err != nil {
		return nil, err
	}
	out := collect(slices.Values(page), func(v version) shape.ResourceSharePermissionSummary {
		shown := summary(v)
		shown.Status = new(shape.ResourceShareAssociationStatusAssociated)
		return *shown
	})
	return &shape.ListResourceSharePermissionsOutput{Permissions: out, NextToken: next}, nil
}

// versionOf gives the version of a permission that a share has.
func versionOf(tx *table.Txn, s *model.ResourceShare, p model.SharePermission) (version, bool) {
	if p.Managed {
		m, ok := permission.ManagedNamed(p.Permission)
		if !ok || p.Version < 1 || p.Version > m.Latest() {
			return version{}, false
		}
		return managedVersion(m, p.Version), true
	}
	own, ok := state.Permissions.Get(tx, s.Account, s.Region, p.Permission)
	if !ok {
		return version{}, false
	}
	v, ok := own.Version(p.Version)
	return ownVersion(own, v), ok
}

func summary(v version) *shape.ResourceSharePermissionSummary {
	return &shape.ResourceSharePermissionSummary{
		Arn: &v.arn, Name: &v.name, ResourceType: &v.resourceType, Version: new(strconv.Itoa(v.number)), DefaultVersion: &v.isDefault,
		IsResourceTypeDefault: &v.typeDefault, PermissionType: new(permissionType(v)), FeatureSet: new(shape.PermissionFeatureSetStandard),
		Status: new(shape.PermissionStatusAttachable), CreationTime: &v.made, LastUpdatedTime: &v.made, Tags: showTags(v.tags),
	}
}

func detail(v version) *shape.ResourceSharePermissionDetail {
	return &shape.ResourceSharePermissionDetail{
		Arn: &v.arn, Name: &v.name, ResourceType: &v.resourceType, Version: new(strconv.Itoa(v.number)), DefaultVersion: &v.isDefault,
		IsResourceTypeDefault: &v.typeDefault, PermissionType: new(permissionType(v)), FeatureSet: new(shape.PermissionFeatureSetStandard),
		Status: new(shape.PermissionStatusAttachable), CreationTime: &v.made, LastUpdatedTime: &v.made, Tags: showTags(v.tags), Permission: &v.template,
	}
}

func permissionType(v version) string {
	if v.managed {
		return shape.PermissionTypeAwsManaged
	}
	return shape.PermissionTypeCustomerManaged
}

// ListPermissions lists the permissions that the caller can give, in their default versions.
func (a *API) ListPermissions(ctx context.Context, in *shape.ListPermissionsInput) (*shape.ListPermissionsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	var rows []version
	wanted := service.Value(in.PermissionType)
	if wanted != shape.PermissionTypeFilterCustomerManaged {
		for _, m := range permission.All {
			rows = append(rows, managedVersion(m, m.Latest()))
		}
	}
	if wanted != shape.PermissionTypeFilterAwsManaged {
		for p := range view.All(tx, who, state.Permissions) {
			if v, ok := p.Version(p.Default); ok {
				rows = append(rows, ownVersion(p, v))
			}
		}
	}
	rows = slices.DeleteFunc(rows, func(v version) bool { return !allows(in.ResourceType, v.resourceType) })
	page, next, err := paginate(who, "ListPermissions", []*string{in.ResourceType, in.PermissionType}, in.NextToken, in.MaxResults, rows, version.key)
	if err != nil {
		return nil, err
	}
	out := collect(slices.Values(page), func(v version) shape.ResourceSharePermissionSummary { return *summary(v) })
	return &shape.ListPermissionsOutput{Permissions: out, NextToken: next}, nil
}

// GetPermission tells of a version of a permission, with the policy that it is.
func (a *API) GetPermission(ctx context.Context, in *shape.GetPermissionInput) (*shape.GetPermissionOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	all, err := versions(tx, access.From(ctx), *in.PermissionArn)
	if err != nil {
		return nil, err
	}
	v, err := pick(all, in.PermissionVersion)
	if err != nil {
		return nil, err
	}
	return &shape.GetPermissionOutput{Permission: detail(v)}, nil
}

// ListPermissionVersions lists the versions of a permission.
func (a *API) ListPermissionVersions(ctx context.Context, in *shape.ListPermissionVersionsInput) (*shape.ListPermissionVersionsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := versions(tx, who, *in.PermissionArn)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(who, "ListPermissionVersions", in.PermissionArn, in.NextToken, in.MaxResults, rows, version.key)
	if err != nil {
		return nil, err
	}
	out := collect(slices.Values(page), func(v version) shape.ResourceSharePermissionSummary { return *summary(v) })
	return &shape.ListPermissionVersionsOutput{Permissions: out, NextToken: next}, nil
}

// ListPermissionAssociations lists which of the caller's shares have which permissions.
func (a *API) ListPermissionAssociations(ctx context.Context, in *shape.ListPermissionAssociationsInput) (*shape.ListPermissionAssociationsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	if in.PermissionArn != nil {
		if _, err := parse(typePermission, *in.PermissionArn); err != nil {
			return nil, err
		}
	}
	var rows []shape.AssociatedPermission
	for s := range view.All(tx, who, state.ResourceShares) {
		for _, p := range s.Permissions {
			v, ok := versionOf(tx, s, p)
			if !ok || !allows(in.PermissionArn, v.arn) || in.PermissionVersion != nil && int(*in.PermissionVersion) != v.number ||
				!allows(in.ResourceType, v.resourceType) || in.DefaultVersion != nil && *in.DefaultVersion != v.isDefault ||
				!allows(in.FeatureSet, shape.PermissionFeatureSetStandard) || !allows(in.AssociationStatus, shape.ResourceShareAssociationStatusAssociated) {
				continue
			}
			rows = append(rows, shape.AssociatedPermission{
				Arn: &v.arn, PermissionVersion: new(strconv.Itoa(v.number)), DefaultVersion: &v.isDefault, ResourceType: &v.resourceType,
				Status: new(shape.ResourceShareAssociationStatusAssociated), FeatureSet: new(shape.PermissionFeatureSetStandard),
				LastUpdatedTime: lastUpdated(s.CreatedAt, s.UpdatedAt), ResourceShareArn: new(s.ARN()),
			})
		}
	}
	chosen := []any{in.PermissionArn, in.PermissionVersion, in.AssociationStatus, in.ResourceType, in.FeatureSet, in.DefaultVersion}
	page, next, err := paginate(who, "ListPermissionAssociations", chosen, in.NextToken, in.MaxResults, rows, func(p shape.AssociatedPermission) string {
		return *p.ResourceShareArn + " " + *p.Arn
	})
	if err != nil {
		return nil, err
	}
	return &shape.ListPermissionAssociationsOutput{Permissions: slices.Concat([]shape.AssociatedPermission{}, page), NextToken: next}, nil
}

// checkTemplate holds a policy template against what permissions for a type can say.
func checkTemplate(resourceType, template string) error {
	kind, ok := permission.Named(resourceType)
	if !ok {
		return invalid("resourceType: %s is no type that can be shared; ListResourceTypes has those", resourceType)
	}
	_, err := permission.Parse(kind, template)
	switch {
	case errors.Is(err, permission.ErrMalformed):
		return problem("MalformedPolicyTemplateException", "policyTemplate: %v", err)
	case err != nil:
		return problem("InvalidPolicyException", "policyTemplate: %v", err)
	}
	return nil
}

// resourcePolicy is the policy that shares of a resource amount to, for all principals or
// one; empty when nobody has it.
func resourcePolicy(tx *table.Txn, ref model.Ref, arn, principal string) string {
	type statement struct {
		Effect    string
		Principal map[string][]string
		Action    []string
		Resource  string
	}
	var statements []statement
	for a := range state.ShareAssociationsByResource.Rows(tx, ref) {
		s, ok := state.ResourceShares.Get(tx, a.Account, a.Region, a.Share)
		if !ok || s.Deleting() {
			continue
		}
		var who []string
		for p := range share.In(tx).Principals(s.Ref()) {
			if !p.Invited && (principal == "" || principal == p.Principal) {
				who = append(who, p.Principal)
			}
		}
		p, ok := s.Permission(a.ResourceType)
		v, there := versionOf(tx, s, p)
		if !ok || !there || len(who) == 0 {
			continue
		}
		if kind, ok := permission.Named(a.ResourceType); ok {
			if t, err := permission.Parse(kind, v.template); err == nil {
				statements = append(statements, statement{"Allow", map[string][]string{"AWS": who}, t.Actions, arn})
			}
		}
	}
	if len(statements) == 0 {
		return ""
	}
	text, _ := json.Marshal(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", statements})
	return string(text)
}
