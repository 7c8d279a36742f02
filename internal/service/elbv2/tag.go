// SPDX-License-Identifier: Apache-2.0

package elbv2

import (
	"context"
	"maps"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// bearer finds what has tags, by its ARN: its kind and its name.
func bearer(tx *table.Txn, who access.View, arn string) (*state.Tagged, model.Ref, error) {
	parsed, _ := model.ParseARN(arn)
	var ref model.Ref
	var err error
	switch parsed.Type {
	case "loadbalancer":
		ref, err = refOf(findBalancer(tx, who, arn))
	case "targetgroup":
		ref, err = refOf(findTargetGroup(tx, who, arn))
	case "listener":
		ref, err = refOf(findListener(tx, who, arn))
	default:
		err = invalid("ResourceArns: '%s' is not the ARN of a load balancer, a target group, or a listener", arn)
	}
	for _, kind := range state.TaggedIn(state.Balancing) {
		if kind.Type == parsed.Type {
			return kind, ref, err
		}
	}
	return nil, ref, err
}

func refOf[T state.Resource[T]](row T, err error) (model.Ref, error) {
	if err != nil {
		return model.Ref{}, err
	}
	return row.Common().Ref(), nil
}

// mostDescribed is of how many resources tags are shown at a time:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_DescribeTags.html
const mostDescribed = 20

// DescribeTags shows the tags of resources.
func (a *API) DescribeTags(ctx context.Context, in *shape.DescribeTagsInput) (*shape.DescribeTagsOutput, error) {
	if len(in.ResourceArns) > mostDescribed {
		return nil, invalid("ResourceArns: %d are more than the %d that can be described at a time", len(in.ResourceArns), mostDescribed)
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeTagsOutput{TagDescriptions: []shape.TagDescription{}}
	for _, arn := range in.ResourceArns {
		kind, ref, err := bearer(tx, access.From(ctx), arn)
		if err != nil {
			return nil, err
		}
		tags, _ := kind.Tags(tx, ref)
		out.TagDescriptions = append(out.TagDescriptions, shape.TagDescription{ResourceArn: &arn, Tags: tagList(tags)})
	}
	return out, nil
}

// retag changes the tags of resources, of all or of none.
func (a *API) retag(ctx context.Context, arns []string, change state.Retag) error {
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		for _, arn := range arns {
			kind, ref, err := bearer(tx, access.From(ctx), arn)
			if err != nil {
				return err
			}
			if _, err := kind.Retag(tx, ref, change); err != nil {
				return asFault(err)
			}
		}
		return nil
	})
	return err
}

// AddTags adds tags to resources.
func (a *API) AddTags(ctx context.Context, in *shape.AddTagsInput) (*shape.AddTagsOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := a.retag(ctx, in.ResourceArns, func(have map[string]string) (map[string]string, error) { return service.AddTags(have, tags) }); err != nil {
		return nil, err
	}
	return &shape.AddTagsOutput{}, nil
}

// RemoveTags takes tags off resources. A key that one does not have is no error.
func (a *API) RemoveTags(ctx context.Context, in *shape.RemoveTagsInput) (*shape.RemoveTagsOutput, error) {
	err := a.retag(ctx, in.ResourceArns, func(have map[string]string) (map[string]string, error) {
		left := maps.Clone(have)
		for _, key := range in.TagKeys {
			delete(left, key)
		}
		return left, nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.RemoveTagsOutput{}, nil
}
