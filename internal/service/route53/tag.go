// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// checkTagged wants a request about tags to be about a hosted zone: there is nothing else
// that has any.
func checkTagged(kind, id string) error {
	if kind != shape.TagResourceTypeHostedzone {
		return fault.Route53("NoSuchHealthCheck", "There is no health check %s: health checks are not served here.", id)
	}
	return nil
}

func tagSet(zone *model.HostedZone) *shape.ResourceTagSet {
	set := &shape.ResourceTagSet{ResourceType: new(shape.TagResourceTypeHostedzone), ResourceId: new(zone.ID), Tags: []shape.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(zone.Tags)) {
		set.Tags = append(set.Tags, shape.Tag{Key: new(key), Value: new(zone.Tags[key])})
	}
	return set
}

// tagSets gives the tags of zones.
func (a *API) tagSets(ctx context.Context, kind string, ids []string) (sets []shape.ResourceTagSet, err error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := checkTagged(kind, id); err != nil {
			return nil, err
		}
		zone, err := findZone(tx, access.From(ctx), id)
		if err != nil {
			return nil, err
		}
		sets = append(sets, *tagSet(zone))
	}
	return sets, nil
}

// ListTagsForResource gives the tags of a zone.
func (a *API) ListTagsForResource(ctx context.Context, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	sets, err := a.tagSets(ctx, *in.ResourceType, []string{*in.ResourceId})
	if err != nil {
		return nil, err
	}
	return &shape.ListTagsForResourceOutput{ResourceTagSet: &sets[0]}, nil
}

// ListTagsForResources gives the tags of several zones.
func (a *API) ListTagsForResources(ctx context.Context, in *shape.ListTagsForResourcesInput) (*shape.ListTagsForResourcesOutput, error) {
	sets, err := a.tagSets(ctx, *in.ResourceType, in.ResourceIds)
	if err != nil {
		return nil, err
	}
	return &shape.ListTagsForResourcesOutput{ResourceTagSets: sets}, nil
}

// ChangeTagsForResource takes tags off a zone, then adds others or changes their values.
func (a *API) ChangeTagsForResource(ctx context.Context, in *shape.ChangeTagsForResourceInput) (*shape.ChangeTagsForResourceOutput, error) {
	if err := checkTagged(*in.ResourceType, *in.ResourceId); err != nil {
		return nil, err
	}
	if len(in.AddTags) == 0 && len(in.RemoveTagKeys) == 0 {
		return nil, invalidInput("AddTags or RemoveTagKeys is required.")
	}
	var list []service.Tag
	for _, t := range in.AddTags {
		list = append(list, service.Tag{Key: service.Value(t.Key), Value: service.Value(t.Value)})
	}
	more, err := service.MakeTags(list)
	if err != nil {
		return nil, asFault(err)
	}
	_, err = service.Change(ctx, a.Env, state.HostedZones, findZone, *in.ResourceId, func(_ *table.Txn, zone *model.HostedZone) error {
		for _, key := range in.RemoveTagKeys {
			delete(zone.Tags, key)
		}
		var err error
		zone.Tags, err = service.AddTags(zone.Tags, more)
		return asFault(err)
	})
	return &shape.ChangeTagsForResourceOutput{}, err
}
