// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// restoreAttribute lists the accounts that may restore and copy a snapshot besides its own.
// Terraform asks for it whenever it reads a snapshot.
const restoreAttribute = "restore"

// mostShared is with how many accounts a snapshot can be shared
// (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ShareSnapshot.html).
const mostShared = 20

// DescribeDBSnapshotAttributes shows with whom a snapshot of an instance is shared.
func (a *API) DescribeDBSnapshotAttributes(ctx context.Context, in *shape.DescribeDBSnapshotAttributesInput) (*shape.DescribeDBSnapshotAttributesOutput, error) {
	s, err := a.ownSnapshot(ctx, instanceSnapshots, in.DBSnapshotIdentifier)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBSnapshotAttributesOutput{DBSnapshotAttributesResult: attributesShape(s)}, nil
}

// DescribeDBClusterSnapshotAttributes shows with whom a snapshot of a cluster is shared.
func (a *API) DescribeDBClusterSnapshotAttributes(ctx context.Context, in *shape.DescribeDBClusterSnapshotAttributesInput) (*shape.DescribeDBClusterSnapshotAttributesOutput, error) {
	s, err := a.ownSnapshot(ctx, clusterSnapshots, in.DBClusterSnapshotIdentifier)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBClusterSnapshotAttributesOutput{DBClusterSnapshotAttributesResult: clusterAttributesShape(s)}, nil
}

// ownSnapshot finds a snapshot of the caller's.
func (a *API) ownSnapshot(ctx context.Context, k snapshotKind, name *string) (*model.DBSnapshot, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	return k.find(tx, access.From(ctx), service.Value(name))
}

func attributesShape(s *model.DBSnapshot) *shape.DBSnapshotAttributesResult {
	return &shape.DBSnapshotAttributesResult{
		DBSnapshotIdentifier: &s.Identifier, DBSnapshotAttributes: []shape.DBSnapshotAttribute{{AttributeName: new(restoreAttribute), AttributeValues: append([]string{}, s.Shared...)}},
	}
}

func clusterAttributesShape(s *model.DBSnapshot) *shape.DBClusterSnapshotAttributesResult {
	return &shape.DBClusterSnapshotAttributesResult{
		DBClusterSnapshotIdentifier: &s.Identifier, DBClusterSnapshotAttributes: []shape.DBClusterSnapshotAttribute{{AttributeName: new(restoreAttribute), AttributeValues: append([]string{}, s.Shared...)}},
	}
}

// ModifyDBSnapshotAttribute shares a snapshot of an instance with other accounts, or no more.
func (a *API) ModifyDBSnapshotAttribute(ctx context.Context, in *shape.ModifyDBSnapshotAttributeInput) (*shape.ModifyDBSnapshotAttributeOutput, error) {
	s, err := a.shareSnapshot(ctx, instanceSnapshots, in.DBSnapshotIdentifier, in.AttributeName, in.ValuesToAdd, in.ValuesToRemove)
	if err != nil {
		return nil, err
	}
	return &shape.ModifyDBSnapshotAttributeOutput{DBSnapshotAttributesResult: attributesShape(s)}, nil
}

// ModifyDBClusterSnapshotAttribute is ModifyDBSnapshotAttribute for snapshots of clusters.
func (a *API) ModifyDBClusterSnapshotAttribute(ctx context.Context, in *shape.ModifyDBClusterSnapshotAttributeInput) (*shape.ModifyDBClusterSnapshotAttributeOutput, error) {
	s, err := a.shareSnapshot(ctx, clusterSnapshots, in.DBClusterSnapshotIdentifier, in.AttributeName, in.ValuesToAdd, in.ValuesToRemove)
	if err != nil {
		return nil, err
	}
	return &shape.ModifyDBClusterSnapshotAttributeOutput{DBClusterSnapshotAttributesResult: clusterAttributesShape(s)}, nil
}

// shareSnapshot changes with whom a snapshot of the caller's is shared. What others have made
// of it stays theirs.
func (a *API) shareSnapshot(ctx context.Context, k snapshotKind, name, attribute *string, add, remove []string) (s *model.DBSnapshot, err error) {
	if n := service.Value(attribute); n != restoreAttribute {
		return nil, invalid("Invalid attribute name %q: the only attribute of a snapshot is %s", n, restoreAttribute)
	}
	for _, value := range slices.Concat(add, remove) {
		if value != model.Everybody && !policy.IsAccountNumber(value) {
			return nil, invalid("Invalid value %q of the attribute %s: must be an account number of 12 digits, or %s", value, restoreAttribute, model.Everybody)
		}
	}
	who, now := access.From(ctx), a.Now()
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		found, err := k.find(tx, who, service.Value(name))
		if err != nil {
			return err
		}
		if err := k.usable(tx, found); err != nil {
			return err
		}
		s = found.Clone()
		s.Shared = slices.DeleteFunc(s.Shared, func(v string) bool { return slices.Contains(remove, v) })
		s.Shared = append(s.Shared, add...)
		slices.Sort(s.Shared)
		s.Shared = slices.Compact(s.Shared)
		switch {
		case len(s.Shared) > mostShared:
			return fault.RDS("SharedSnapshotQuotaExceeded", "The snapshot %s cannot be shared with more than %d accounts.", s.Identifier, mostShared)
		case s.IsPublic() && s.Was.StorageEncrypted:
			return invalid("The snapshot %s is encrypted and cannot be public", s.Identifier)
		}
		s.UpdatedAt = now
		state.DBSnapshots.Put(tx, s)
		return nil
	})
	return s, err
}
