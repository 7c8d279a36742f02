// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// makeTags reads the tags of a request. Keys that differ by case only are the same in IAM
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules_creating).
func makeTags(list []shape.Tag) (map[string]string, error) {
	tags, err := service.MakeTags(service.Each(list, func(t shape.Tag) service.Tag { return service.Tag{Key: *t.Key, Value: *t.Value} }))
	if err != nil {
		return nil, asFault(err)
	}
	seen := map[string]bool{}
	for key := range tags {
		if folded := strings.ToLower(key); seen[folded] {
			return nil, invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		} else {
			seen[folded] = true
		}
	}
	return tags, nil
}

func tagShapes(tags map[string]string) []shape.Tag {
	var all []shape.Tag
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		all = append(all, shape.Tag{Key: &key, Value: new(tags[key])})
	}
	return all
}

// addTags gives a row more tags; one whose key differs by case is replaced.
func addTags(m *model.Meta, more map[string]string) error {
	have := maps.Clone(m.Tags)
	maps.DeleteFunc(have, func(key, _ string) bool { return hasFolded(more, key) })
	tags, err := service.AddTags(have, more)
	if err != nil {
		return asFault(err)
	}
	m.Tags = tags
	return nil
}

func hasFolded(tags map[string]string, key string) bool {
	for other := range tags {
		if strings.EqualFold(other, key) {
			return true
		}
	}
	return false
}

// removeTags takes tags off a row, those that it has.
func removeTags(m *model.Meta, keys []string) {
	maps.DeleteFunc(m.Tags, func(key, _ string) bool {
		return slices.ContainsFunc(keys, func(other string) bool { return strings.EqualFold(other, key) })
	})
	if len(m.Tags) == 0 {
		m.Tags = nil
	}
}

// tagPage gives a page of tags.
func tagPage(who access.View, m *model.Meta, marker *string, max *int32) ([]shape.Tag, *bool, *string, error) {
	page, truncated, next, err := paginate(query{who, "ListTags", m.ID, marker, max}, tagShapes(m.Tags), func(t shape.Tag) string { return *t.Key })
	if page == nil {
		page = []shape.Tag{}
	}
	return page, truncated, next, err
}

// TagUser puts tags on a user.
func (a *API) TagUser(ctx context.Context, in *shape.TagUserInput) (*shape.TagUserOutput, error) {
	return &shape.TagUserOutput{}, tag(ctx, a, users, *in.UserName, in.Tags)
}

// TagRole puts tags on a role.
func (a *API) TagRole(ctx context.Context, in *shape.TagRoleInput) (*shape.TagRoleOutput, error) {
	return &shape.TagRoleOutput{}, tag(ctx, a, roles, *in.RoleName, in.Tags)
}

func tag[T bearer[T]](ctx context.Context, a *API, k kind[T], name string, list []shape.Tag) error {
	tags, err := makeTags(list)
	if err != nil {
		return err
	}
	_, err = k.change(ctx, a, name, func(_ *table.Txn, row T) error { return addTags(row.Common(), tags) })
	return err
}

// TagPolicy puts tags on a policy.
func (a *API) TagPolicy(ctx context.Context, in *shape.TagPolicyInput) (*shape.TagPolicyOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	err = a.changePolicy(ctx, *in.PolicyArn, func(_ *table.Txn, p *model.Policy) error { return addTags(&p.Meta, tags) })
	return &shape.TagPolicyOutput{}, err
}

// UntagUser takes tags off a user.
func (a *API) UntagUser(ctx context.Context, in *shape.UntagUserInput) (*shape.UntagUserOutput, error) {
	return &shape.UntagUserOutput{}, untag(ctx, a, users, *in.UserName, in.TagKeys)
}

// UntagRole takes tags off a role.
func (a *API) UntagRole(ctx context.Context, in *shape.UntagRoleInput) (*shape.UntagRoleOutput, error) {
	return &shape.UntagRoleOutput{}, untag(ctx, a, roles, *in.RoleName, in.TagKeys)
}

func untag[T bearer[T]](ctx context.Context, a *API, k kind[T], name string, keys []string) error {
	_, err := k.change(ctx, a, name, func(_ *table.Txn, row T) error {
		removeTags(row.Common(), keys)
		return nil
	})
	return err
}

// UntagPolicy takes tags off a policy.
func (a *API) UntagPolicy(ctx context.Context, in *shape.UntagPolicyInput) (*shape.UntagPolicyOutput, error) {
	err := a.changePolicy(ctx, *in.PolicyArn, func(_ *table.Txn, p *model.Policy) error {
		removeTags(&p.Meta, in.TagKeys)
		return nil
	})
	return &shape.UntagPolicyOutput{}, err
}

// ListUserTags lists the tags of a user.
func (a *API) ListUserTags(ctx context.Context, in *shape.ListUserTagsInput) (*shape.ListUserTagsOutput, error) {
	_, u, err := users.read(ctx, a, *in.UserName)
	if err != nil {
		return nil, err
	}
	page, truncated, marker, err := tagPage(access.From(ctx), &u.Meta, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &shape.ListUserTagsOutput{Tags: page, IsTruncated: truncated, Marker: marker}, nil
}

// ListRoleTags lists the tags of a role.
func (a *API) ListRoleTags(ctx context.Context, in *shape.ListRoleTagsInput) (*shape.ListRoleTagsOutput, error) {
	_, r, err := roles.read(ctx, a, *in.RoleName)
	if err != nil {
		return nil, err
	}
	page, truncated, marker, err := tagPage(access.From(ctx), &r.Meta, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &shape.ListRoleTagsOutput{Tags: page, IsTruncated: truncated, Marker: marker}, nil
}

// ListPolicyTags lists the tags of a policy; those of AWS have none.
func (a *API) ListPolicyTags(ctx context.Context, in *shape.ListPolicyTagsInput) (*shape.ListPolicyTagsOutput, error) {
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
	meta := &model.Meta{ID: p.id}
	if p.row != nil {
		meta = &p.row.Meta
	}
	page, truncated, marker, err := tagPage(who, meta, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	return &shape.ListPolicyTagsOutput{Tags: page, IsTruncated: truncated, Marker: marker}, nil
}
