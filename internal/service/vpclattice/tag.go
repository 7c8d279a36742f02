// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"
	"maps"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// tagged is a resource of the caller that has tags.
type tagged struct {
	have map[string]string
	// set stores the resource with other tags.
	set func(map[string]string)
}

// tagTarget finds the resource that an ARN names. Its kind is told by the ARN.
func tagTarget(tx *table.Txn, who access.View, arn string) (tagged, error) {
	parsed, err := model.ParseARN(arn)
	if err != nil {
		return tagged{}, fault.Validation("resourceArn", "%v", err)
	}
	switch parsed.Type {
	case arnTypes[kindGateway]:
		return tagsOf(tx, who, state.ResourceGateways, kindGateway, arn,
			func(g *model.ResourceGateway) (*model.ResourceGateway, *model.Meta) { g = g.Clone(); return g, &g.Meta })
	case arnTypes[kindConfiguration]:
		return tagsOf(tx, who, state.ResourceConfigurations, kindConfiguration, arn,
			func(r *model.ResourceConfiguration) (*model.ResourceConfiguration, *model.Meta) {
				r = r.Clone()
				return r, &r.Meta
			})
	case arnTypes[kindAssociation]:
		return tagsOf(tx, who, state.EndpointAssociations, kindAssociation, arn,
			func(e *model.EndpointAssociation) (*model.EndpointAssociation, *model.Meta) {
				e = e.Clone()
				return e, &e.Meta
			})
	}
	return tagged{}, fault.Validation("resourceArn", "%s names no resource that has tags here", arn)
}

// tagsOf is tagTarget for one kind; clone gives a copy of a row and its Meta.
func tagsOf[T table.Row](tx *table.Txn, who access.View, rows *table.Table[T], kind, arn string, clone func(T) (T, *model.Meta)) (tagged, error) {
	row, err := find(tx, rows, who, kind, arn)
	if err != nil {
		return tagged{}, err
	}
	row, meta := clone(row)
	return tagged{have: meta.Tags, set: func(tags map[string]string) {
		meta.Tags = tags
		rows.Put(tx, row)
	}}, nil
}

// ListTagsForResource gives the tags of the resource with that ARN.
func (a *API) ListTagsForResource(ctx context.Context, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	t, err := tagTarget(tx, access.From(ctx), *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	out := &shape.ListTagsForResourceOutput{Tags: t.have}
	if out.Tags == nil {
		out.Tags = map[string]string{}
	}
	return out, nil
}

// TagResource adds tags to a resource, or changes their values.
func (a *API) TagResource(ctx context.Context, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	if err := service.CheckTagMap(in.Tags); err != nil {
		return nil, asFault(err)
	}
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		t, err := tagTarget(tx, who, *in.ResourceArn)
		if err != nil {
			return err
		}
		tags, err := service.AddTags(t.have, in.Tags)
		if err != nil {
			return asFault(err)
		}
		t.set(tags)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.TagResourceOutput{}, nil
}

// UntagResource takes tags off a resource; those that it does not have are
// passed over.
func (a *API) UntagResource(ctx context.Context, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		t, err := tagTarget(tx, who, *in.ResourceArn)
		if err != nil {
			return err
		}
		tags := maps.Clone(t.have)
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
		t.set(tags)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.UntagResourceOutput{}, nil
}
