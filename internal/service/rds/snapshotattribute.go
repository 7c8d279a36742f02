// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/service"
)

// restoreAttribute lists the accounts that may restore a manual snapshot besides its own:
// none, as snapshots are not shared here. Terraform asks for it whenever it reads a snapshot.
const restoreAttribute = "restore"

// DescribeDBSnapshotAttributes shows with whom a snapshot of an instance is shared.
func (a *API) DescribeDBSnapshotAttributes(ctx context.Context, in *shape.DescribeDBSnapshotAttributesInput) (*shape.DescribeDBSnapshotAttributesOutput, error) {
	name, err := a.snapshotNamed(ctx, instanceSnapshots, in.DBSnapshotIdentifier)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBSnapshotAttributesOutput{DBSnapshotAttributesResult: &shape.DBSnapshotAttributesResult{
		DBSnapshotIdentifier: &name, DBSnapshotAttributes: []shape.DBSnapshotAttribute{{AttributeName: new(restoreAttribute), AttributeValues: []string{}}},
	}}, nil
}

// DescribeDBClusterSnapshotAttributes shows with whom a snapshot of a cluster is shared.
func (a *API) DescribeDBClusterSnapshotAttributes(ctx context.Context, in *shape.DescribeDBClusterSnapshotAttributesInput) (*shape.DescribeDBClusterSnapshotAttributesOutput, error) {
	name, err := a.snapshotNamed(ctx, clusterSnapshots, in.DBClusterSnapshotIdentifier)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBClusterSnapshotAttributesOutput{DBClusterSnapshotAttributesResult: &shape.DBClusterSnapshotAttributesResult{
		DBClusterSnapshotIdentifier: &name, DBClusterSnapshotAttributes: []shape.DBClusterSnapshotAttribute{{AttributeName: new(restoreAttribute), AttributeValues: []string{}}},
	}}, nil
}

// snapshotNamed gives the identifier of a snapshot of the caller's.
func (a *API) snapshotNamed(ctx context.Context, k snapshotKind, name *string) (string, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return "", err
	}
	s, err := k.find(tx, access.From(ctx), service.Value(name))
	if err != nil {
		return "", err
	}
	return s.Identifier, nil
}
