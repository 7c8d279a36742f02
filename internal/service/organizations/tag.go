// SPDX-License-Identifier: Apache-2.0

package organizations

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func asFault(err error) error {
	var broken *service.TagError
	if errors.As(err, &broken) {
		return invalid("INVALID_SYSTEM_TAGS_PARAMETER", "%s", broken.Problem)
	}
	return err
}

func makeTags(list []shape.Tag) (map[string]string, error) {
	tags, err := service.MakeTags(service.Each(list, func(t shape.Tag) service.Tag { return service.Tag{Key: *t.Key, Value: *t.Value} }))
	if err != nil {
		return nil, asFault(err)
	}
	return tags, nil
}

// labelled finds what has tags, in a copy that put stores.
func labelled(tx *table.Txn, o *model.Organization, id string) (m *model.Meta, put func(), err error) {
	if id == o.Root {
		row := o.Clone()
		return &row.Meta, func() { state.Organizations.Put(tx, row) }, nil
	}
	if row, ok := state.OrganizationalUnits.Get(tx, o.Account, "", id); ok {
		row = row.Clone()
		return &row.Meta, func() { state.OrganizationalUnits.Put(tx, row) }, nil
	}
	if row, ok := state.ControlPolicies.Get(tx, o.Account, "", id); ok {
		row = row.Clone()
		return &row.Meta, func() { state.ControlPolicies.Put(tx, row) }, nil
	}
	if !organization.Has(tx, id) {
		return nil, nil, fault.AWSJSON("TargetNotFoundException", "You specified a resource that doesn't exist, or that has no tags: %s.", id)
	}
	row := organization.Account(tx, o, id).Clone()
	return &row.Meta, func() { state.OrganizationAccounts.Put(tx, row) }, nil
}

// TagResource adds tags to the root, a unit, an account or a policy.
func (a *API) TagResource(ctx context.Context, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	more, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		m, put, err := labelled(tx, o, *in.ResourceId)
		if err != nil {
			return err
		}
		if m.Tags, err = service.AddTags(m.Tags, more); err != nil {
			return violates("MAX_TAG_LIMIT_EXCEEDED", "%v", err)
		}
		put()
		return nil
	})
}

// UntagResource takes tags off.
func (a *API) UntagResource(ctx context.Context, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	return nil, a.change(ctx, func(tx *table.Txn, o *model.Organization) error {
		m, put, err := labelled(tx, o, *in.ResourceId)
		if err != nil {
			return err
		}
		tags := maps.Clone(m.Tags)
		maps.DeleteFunc(tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		if m.Tags = tags; len(tags) == 0 {
			m.Tags = nil
		}
		put()
		return nil
	})
}

// ListTagsForResource lists tags.
func (a *API) ListTagsForResource(ctx context.Context, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	tx, o, err := a.read(ctx)
	if err != nil {
		return nil, err
	}
	m, _, err := labelled(tx, o, *in.ResourceId)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(ctx, "ListTagsForResource", in.ResourceId, in.NextToken, nil, slices.Collect(maps.Keys(m.Tags)), func(key string) string { return key })
	return &shape.ListTagsForResourceOutput{Tags: service.Each(page, func(key string) shape.Tag { return shape.Tag{Key: &key, Value: new(m.Tags[key])} }), NextToken: next}, err
}
