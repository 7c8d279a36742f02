// SPDX-License-Identifier: Apache-2.0

// Package tag is EC2's tags, of all kinds of resources whose tables say that they have
// some.
package tag

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Tags are the operations on tags.
type Tags struct{ *service.Env }

// kindOf finds the kind of a resource by its id: what the ids of a kind begin with may go on
// as those of another one do.
func kindOf(id string) (found *state.Tagged, err error) {
	for _, k := range state.TaggedIn(state.EC2) {
		if strings.HasPrefix(id, k.Prefix) && (found == nil || len(k.Prefix) > len(found.Prefix)) {
			found = k
		}
	}
	if found != nil {
		return found, nil
	}
	return nil, fault.EC2("InvalidID", "The ID '%s' is not valid: it is not of a kind of resource that can be tagged here", id)
}

// retag changes the tags of all resources, or of none when one does not exist.
func (a Tags) retag(ctx context.Context, ids []string, change state.Retag) error {
	who := access.From(ctx)
	for _, id := range ids {
		if _, err := kindOf(id); err != nil {
			return err
		}
	}
	return table.UpdateInParts(ctx, a.DB.Update, ids, func(tx *table.Txn, ids []string) error {
		for _, id := range ids {
			k, err := kindOf(id)
			if err != nil {
				return err
			}
			found, err := view.Retag(tx, who, k, who.Own(id), change)
			if err != nil {
				return request.Fault(err)
			}
			if !found {
				return request.Unknown(k.Type, id)
			}
		}
		return nil
	})
}

// CreateTags adds tags to resources, or gives tags that they have new values.
func (a Tags) CreateTags(ctx context.Context, in *shape.CreateTagsInput) (*shape.CreateTagsOutput, error) {
	more, err := service.MakeTags(request.Tags(in.Tags))
	if err != nil {
		return nil, request.Fault(err)
	}
	err = a.retag(ctx, in.Resources, func(have map[string]string) (map[string]string, error) {
		return service.AddTags(have, more)
	})
	return &shape.CreateTagsOutput{}, err
}

// DeleteTags takes tags from resources: those that have the given key and, if
// one is given, value; all when no tag is given. Tags that are not there are no
// error.
func (a Tags) DeleteTags(ctx context.Context, in *shape.DeleteTagsInput) (*shape.DeleteTagsOutput, error) {
	err := a.retag(ctx, in.Resources, func(have map[string]string) (map[string]string, error) {
		if in.Tags == nil {
			return nil, nil
		}
		left := maps.Clone(have)
		for _, t := range in.Tags {
			if value, ok := left[service.Value(t.Key)]; ok && (t.Value == nil || *t.Value == value) {
				delete(left, service.Value(t.Key))
			}
		}
		return left, nil
	})
	return &shape.DeleteTagsOutput{}, err
}

// taggedResource is one tag of one resource.
type taggedResource struct{ resourceType, id, key, value string }

// sortKey orders tags by resource and key. No id holds a zero byte.
func (t taggedResource) sortKey() string { return t.id + "\x00" + t.key }

// DescribeTags lists the tags of the caller's resources.
func (a Tags) DescribeTags(ctx context.Context, in *shape.DescribeTagsInput) (*shape.DescribeTagsOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	var all []taggedResource
	for _, k := range state.TaggedIn(state.EC2) {
		for id, tags := range view.AllTags(tx, who, k) {
			for key, value := range tags {
				all = append(all, taggedResource{k.Type, id, key, value})
			}
		}
	}
	slices.SortFunc(all, func(x, y taggedResource) int { return cmp.Compare(x.sortKey(), y.sortKey()) })
	q := request.Query{Filters: in.Filters, Token: in.NextToken, Max: in.MaxResults}
	page, next, err := request.Paginate(who, "DescribeTags", q, slices.Values(all), tagFilters, taggedResource.sortKey)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTagsOutput{NextToken: next, Tags: []shape.TagDescription{}}
	for _, t := range page {
		out.Tags = append(out.Tags, shape.TagDescription{
			ResourceType: new(t.resourceType), ResourceId: new(t.id), Key: new(t.key), Value: new(t.value),
		})
	}
	return out, nil
}

var tagFilters = service.Filters[taggedResource]{
	// The filter tag:<key> takes the tags with that key and value.
	Tags: func(t taggedResource) map[string]string { return map[string]string{t.key: t.value} },
	Properties: map[string]func(taggedResource) []string{
		"key":           func(t taggedResource) []string { return []string{t.key} },
		"resource-id":   func(t taggedResource) []string { return []string{t.id} },
		"resource-type": func(t taggedResource) []string { return []string{t.resourceType} },
		"value":         func(t taggedResource) []string { return []string{t.value} },
	},
}
