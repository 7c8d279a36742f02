// SPDX-License-Identifier: Apache-2.0

package ram

import (
	"context"
	"maps"
	"strings"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// TagResource adds tags to a share or to a permission of the caller's own.
func (a *API) TagResource(ctx context.Context, in *shape.TagResourceInput) (*shape.TagResourceOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	err = a.retag(ctx, in.ResourceShareArn, in.ResourceArn, func(have map[string]string) (map[string]string, error) { return service.AddTags(have, tags) })
	if err != nil {
		return nil, err
	}
	return &shape.TagResourceOutput{}, nil
}

// UntagResource takes tags off a share or a permission of the caller's own.
func (a *API) UntagResource(ctx context.Context, in *shape.UntagResourceInput) (*shape.UntagResourceOutput, error) {
	err := a.retag(ctx, in.ResourceShareArn, in.ResourceArn, func(have map[string]string) (map[string]string, error) {
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

// retag changes the tags of what one of two members names, and the other must not.
func (a *API) retag(ctx context.Context, shareARN, otherARN *string, change state.Retag) error {
	if (shareARN == nil) == (otherARN == nil) {
		return invalid("resourceShareArn, resourceArn: exactly one of them must be there")
	}
	arn, typeOfARN := service.Value(shareARN), typeShare
	if otherARN != nil {
		arn = *otherARN
		if strings.Contains(arn, ":"+typePermission+"/") {
			typeOfARN = typePermission
		}
	}
	ref, err := parse(typeOfARN, arn)
	if err != nil {
		return err
	}
	who := access.From(ctx)
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		found, err := retagRow(tx, who, typeOfARN, ref, change)
		switch {
		case err != nil:
			return asFault(err)
		case !found && typeOfARN == typeShare:
			return unknown("ResourceShare %s could not be found.", arn)
		case !found:
			return problem("ResourceArnNotFoundException", "Resource %s could not be found.", arn)
		}
		return nil
	})
	return err
}

func retagRow(tx *table.Txn, who access.View, typeOfARN string, ref model.Ref, change state.Retag) (bool, error) {
	for _, kind := range state.TaggedIn(state.RAM) {
		if kind.Type == typeOfARN {
			return view.Retag(tx, who, kind, ref, change)
		}
	}
	return false, nil
}
