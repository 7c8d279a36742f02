// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"maps"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// bearer is what can have tags.
type bearer struct {
	kind *state.Tagged
	// code and noun are those of the error when there is none.
	code, noun string
}

// bearers are by the type in ARNs.
var bearers = map[string]bearer{
	"cluster":          {tagged("cluster"), "DBClusterNotFoundFault", "DBCluster"},
	"cluster-endpoint": {tagged("cluster-endpoint"), "DBClusterEndpointNotFoundFault", "DBClusterEndpoint"},
	"cluster-pg":       {tagged("cluster-pg"), "DBParameterGroupNotFound", "DBClusterParameterGroup"},
	"cluster-snapshot": {tagged("snapshot"), "DBClusterSnapshotNotFoundFault", "DBClusterSnapshot"},
	"db":               {tagged("db"), "DBInstanceNotFound", "DBInstance"},
	"pg":               {tagged("pg"), "DBParameterGroupNotFound", "DBParameterGroup"},
	"snapshot":         {tagged("snapshot"), "DBSnapshotNotFound", "DBSnapshot"},
	"subgrp":           {tagged("subgrp"), "DBSubnetGroupNotFoundFault", "DBSubnetGroup"},
}

// tagged finds a kind of RDS by its type in ARNs; nil says that nothing of it has tags.
func tagged(typeOfARN string) *state.Tagged {
	for _, kind := range state.TaggedIn(state.RDS) {
		if kind.Type == typeOfARN {
			return kind
		}
	}
	return nil
}

// bearerOf reads the name of what has tags. Default groups, of parameters and of options,
// are there and have none: they have no kind.
func (a *API) bearerOf(tx *table.Txn, who access.View, text string) (bearer, model.Ref, error) {
	arn, err := model.ParseARN(text)
	if err != nil || arn.Service != "rds" {
		return bearer{}, model.Ref{}, invalid("Invalid resource name: %s", text)
	}
	id := strings.ToLower(arn.ID)
	b, ok := bearers[arn.Type]
	isDefault := arn.Type == "og" || strings.HasPrefix(id, defaultPrefix) && (arn.Type == "pg" || arn.Type == "cluster-pg")
	switch {
	case isDefault && who.Owns(arn.Account) && arn.Region == who.Region:
		return bearer{}, model.Ref{}, a.checkDefault(tx, who, arn.Type, id)
	case !ok:
		return bearer{}, model.Ref{}, invalid("Invalid resource name: %s. Nothing of this type can have tags here.", text)
	}
	if ref := (model.Ref{Account: arn.Account, Region: arn.Region, ID: id}); view.Own(who, ref) {
		row := state.DatabaseNamed(tx, arn.Type, ref)
		if _, found := b.kind.Tags(tx, row); found {
			return b, row, nil
		}
	}
	return bearer{}, model.Ref{}, fault.RDS(b.code, "%s not found: %s", b.noun, text)
}

// checkDefault says whether there is a default group of a name.
func (a *API) checkDefault(tx *table.Txn, who access.View, typeOfARN, id string) error {
	switch typeOfARN {
	case "pg":
		_, err := a.findGroup(tx, who, instanceGroups, id)
		return err
	case "cluster-pg":
		_, err := a.findGroup(tx, who, clusterGroups, id)
		return err
	}
	for _, v := range a.versions() {
		if id == OptionGroupOf(v.Engine, v.Major) {
			return nil
		}
	}
	return fault.RDS("OptionGroupNotFoundFault", "Specified OptionGroupName: %s not found.", id)
}

// ListTagsForResource shows the tags of what an ARN names.
func (a *API) ListTagsForResource(ctx context.Context, in *shape.ListTagsForResourceInput) (*shape.ListTagsForResourceOutput, error) {
	if len(in.Filters) > 0 {
		return nil, invalid("Filters: lists of tags have none")
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	b, ref, err := a.bearerOf(tx, access.From(ctx), *in.ResourceName)
	if err != nil {
		return nil, err
	}
	var tags map[string]string
	if b.kind != nil {
		tags, _ = b.kind.Tags(tx, ref)
	}
	return &shape.ListTagsForResourceOutput{TagList: tagList(tags)}, nil
}

// retag changes the tags of what an ARN names.
func (a *API) retag(ctx context.Context, name string, change state.Retag) error {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		b, ref, err := a.bearerOf(tx, who, name)
		if err != nil {
			return err
		}
		if b.kind == nil {
			return invalid("Default groups have no tags: %s", name)
		}
		_, err = b.kind.Retag(tx, ref, change)
		return asFault(err)
	})
	return err
}

// AddTagsToResource adds tags to what an ARN names.
func (a *API) AddTagsToResource(ctx context.Context, in *shape.AddTagsToResourceInput) (*shape.AddTagsToResourceOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := a.retag(ctx, *in.ResourceName, func(have map[string]string) (map[string]string, error) { return service.AddTags(have, tags) }); err != nil {
		return nil, err
	}
	return &shape.AddTagsToResourceOutput{}, nil
}

// RemoveTagsFromResource takes tags off what an ARN names. A key that it does not have is no
// error.
func (a *API) RemoveTagsFromResource(ctx context.Context, in *shape.RemoveTagsFromResourceInput) (*shape.RemoveTagsFromResourceOutput, error) {
	err := a.retag(ctx, *in.ResourceName, func(have map[string]string) (map[string]string, error) {
		left := maps.Clone(have)
		for _, key := range in.TagKeys {
			delete(left, key)
		}
		return left, nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.RemoveTagsFromResourceOutput{}, nil
}
