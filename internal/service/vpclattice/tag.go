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
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// tagTarget finds the kind of the resource that an ARN names, and its name. Whether it
// exists is not looked at.
func tagTarget(tx *table.Txn, who access.View, arn string) (*state.Tagged, model.Ref, error) {
	parsed, err := model.ParseARN(arn)
	if err != nil {
		return nil, model.Ref{}, fault.Validation("resourceArn", "%v", err)
	}
	for _, kind := range state.TaggedIn(state.Lattice) {
		if kind.Type == parsed.Type {
			ref, err := identify(tx, who, kindOf(kind.Type), arn)
			return kind, ref, err
		}
	}
	return nil, model.Ref{}, fault.Validation("resourceArn", "%s names no resource that has tags here", arn)
}

// ListTagsForResource gives the tags of the resource with that ARN.
func (a *API) ListTagsForResource(ctx context.Context, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	kind, ref, err := tagTarget(tx, who, *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags, ok := view.Tags(tx, who, kind, ref)
	if !ok {
		return nil, fault.NotFound(kindOf(kind.Type), *in.ResourceArn)
	}
	if tags == nil {
		tags = map[string]string{}
	}
	return &shape.ListTagsForResourceOutput{Tags: tags}, nil
}

// TagResource adds tags to a resource, or changes their values.
func (a *API) TagResource(ctx context.Context, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	if err := service.CheckTagMap(in.Tags); err != nil {
		return nil, asFault(err)
	}
	err := a.retag(ctx, *in.ResourceArn, func(have map[string]string) (map[string]string, error) {
		return service.AddTags(have, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return &shape.TagResourceOutput{}, nil
}

// UntagResource takes tags off a resource; those that it does not have are
// passed over.
func (a *API) UntagResource(ctx context.Context, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	err := a.retag(ctx, *in.ResourceArn, func(have map[string]string) (map[string]string, error) {
		left := maps.Clone(have)
		for _, key := range in.TagKeys {
			delete(left, key)
		}
		return left, nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.UntagResourceOutput{}, nil
}

// retag changes the tags of the resource with that ARN.
func (a *API) retag(ctx context.Context, arn string, change state.Retag) error {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		kind, ref, err := tagTarget(tx, who, arn)
		if err != nil {
			return err
		}
		found, err := view.Retag(tx, who, kind, ref, change)
		switch {
		case err != nil:
			return asFault(err)
		case !found:
			return fault.NotFound(kindOf(kind.Type), arn)
		}
		return nil
	})
	return err
}
