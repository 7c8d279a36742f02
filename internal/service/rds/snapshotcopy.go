// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"maps"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// CopyDBSnapshot makes a snapshot of an instance the same as another one, which is the
// caller's or shared with it.
func (a *API) CopyDBSnapshot(ctx context.Context, in *shape.CopyDBSnapshotInput) (*shape.CopyDBSnapshotOutput, error) {
	if err := refuseUnserved(in, "SourceDBSnapshotIdentifier", "TargetDBSnapshotIdentifier", "Tags", "CopyTags"); err != nil {
		return nil, err
	}
	name, tags, err := readSnapshot("TargetDBSnapshotIdentifier", in.TargetDBSnapshotIdentifier, in.Tags)
	if err != nil {
		return nil, err
	}
	var out shape.DBSnapshot
	err = a.copySnapshot(ctx, instanceSnapshots, in.SourceDBSnapshotIdentifier, name, tags, in.CopyTags, func(tx *table.Txn, s *model.DBSnapshot) { out = snapshotShape(tx, s) })
	if err != nil {
		return nil, err
	}
	return &shape.CopyDBSnapshotOutput{DBSnapshot: &out}, nil
}

// CopyDBClusterSnapshot is CopyDBSnapshot for snapshots of clusters.
func (a *API) CopyDBClusterSnapshot(ctx context.Context, in *shape.CopyDBClusterSnapshotInput) (*shape.CopyDBClusterSnapshotOutput, error) {
	if err := refuseUnserved(in, "SourceDBClusterSnapshotIdentifier", "TargetDBClusterSnapshotIdentifier", "Tags", "CopyTags"); err != nil {
		return nil, err
	}
	name, tags, err := readSnapshot("TargetDBClusterSnapshotIdentifier", in.TargetDBClusterSnapshotIdentifier, in.Tags)
	if err != nil {
		return nil, err
	}
	var out shape.DBClusterSnapshot
	err = a.copySnapshot(ctx, clusterSnapshots, in.SourceDBClusterSnapshotIdentifier, name, tags, in.CopyTags, func(tx *table.Txn, s *model.DBSnapshot) { out = clusterSnapshotShape(tx, s) })
	if err != nil {
		return nil, err
	}
	return &shape.CopyDBClusterSnapshotOutput{DBClusterSnapshot: &out}, nil
}

func (a *API) copySnapshot(ctx context.Context, k snapshotKind, source *string, name string, tags map[string]string, copyTags *bool, show func(*table.Txn, *model.DBSnapshot)) error {
	who, id, now := access.From(ctx), a.NewID("snap"), a.Now()
	if arn, err := model.ParseARN(service.Value(source)); err == nil && arn.Region != who.Region {
		return conflicting("The snapshot %s is in region %s, and snapshots are copied within a region", *source, arn.Region)
	}
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		of, err := k.usableBy(tx, who, service.Value(source), k.copy)
		if err != nil {
			return err
		}
		if err := k.usable(tx, of); err != nil {
			return err
		}
		s := of.Clone()
		s.Meta = model.Meta{Account: who.Account, Region: who.Region, ID: id, CreatedAt: now, UpdatedAt: now}
		s.Identifier, s.Final, s.Shared = name, false, nil
		s.Copied = model.CopiedSnapshot{Ref: of.Ref(), Identifier: of.Identifier, Taken: of.Taken()}
		if service.Value(copyTags) {
			s.Tags = maps.Clone(of.Tags)
		}
		s.Tags = joined(s.Tags, tags)
		if err := a.addSnapshot(tx, who, s, of.ID); err != nil {
			return err
		}
		show(tx, s)
		return nil
	})
	return err
}
