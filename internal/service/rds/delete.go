// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// finalSnapshot reads whether a deletion makes a snapshot first, and what it is to be called;
// noun is what is deleted.
func finalSnapshot(noun string, skip *bool, name *string) (string, error) {
	switch {
	case service.Value(skip) && name != nil:
		return "", conflicting("FinalDBSnapshotIdentifier cannot be specified when deleting a %s and SkipFinalSnapshot is enabled.", noun)
	case service.Value(skip):
		return "", nil
	case name == nil:
		return "", conflicting("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
	}
	return identifier("FinalDBSnapshotIdentifier", *name, maxSnapshot)
}

// DeleteDBInstance starts the deletion of an instance. It is gone when the host has let go of
// its server, and if it is a database of its own with a final snapshot, when that is made.
func (a *API) DeleteDBInstance(ctx context.Context, in *shape.DeleteDBInstanceInput) (*shape.DeleteDBInstanceOutput, error) {
	id, now := a.NewID("snap"), a.Now()
	out, err := a.actOn(ctx, in.DBInstanceIdentifier, func(tx *table.Txn, i *model.DBInstance) error {
		if i.Cluster != "" {
			if in.FinalDBSnapshotIdentifier != nil {
				return conflicting("FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance.")
			}
			i.Delete(now)
			return nil
		}
		if i.DeletionProtection {
			return conflicting("Cannot delete protected DB Instance, please disable deletion protection and try again.")
		}
		if i.Source != "" && in.FinalDBSnapshotIdentifier != nil {
			return conflicting("FinalDBSnapshotIdentifier can not be specified when deleting a replica instance.")
		}
		if err := a.promoteReplicas(tx, i); err != nil {
			return err
		}
		name, err := finalSnapshot("DB instance", in.SkipFinalSnapshot, in.FinalDBSnapshotIdentifier)
		if err != nil {
			return err
		}
		if name != "" {
			s := snapshotOf(&i.Meta, &i.Database, name, id, now)
			s.Class = i.Class
			if err := a.addSnapshot(tx, access.From(ctx), s, i.ID); err != nil {
				return err
			}
			i.FinalSnapshot = name
		}
		i.Delete(now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteDBInstanceOutput{DBInstance: out}, nil
}

// DeleteDBCluster starts the deletion of a cluster, whose instances must be deleted or on
// their way. Its data is there until then.
func (a *API) DeleteDBCluster(ctx context.Context, in *shape.DeleteDBClusterInput) (*shape.DeleteDBClusterOutput, error) {
	id, now := a.NewID("snap"), a.Now()
	out, err := a.changeCluster(ctx, in.DBClusterIdentifier, func(tx *table.Txn, c *model.DBCluster) error {
		if c.DeletionProtection {
			return conflicting("Cannot delete protected Cluster, please disable deletion protection and try again.")
		}
		for _, i := range membersOf(tx, c) {
			if !i.Deleting() {
				return fault.RDS("InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state.")
			}
		}
		name, err := finalSnapshot("DB cluster", in.SkipFinalSnapshot, in.FinalDBSnapshotIdentifier)
		if err != nil {
			return err
		}
		if name != "" {
			if c.Epoch == 0 {
				return fault.RDS("InvalidDBClusterStateFault", "Cluster %s never had an instance, so that there is nothing to make a snapshot of: delete it with SkipFinalSnapshot.", c.Identifier)
			}
			s := snapshotOf(&c.Meta, &c.Database, name, id, now)
			s.OfCluster = true
			if err := a.addSnapshot(tx, access.From(ctx), s, c.ID); err != nil {
				return err
			}
			c.FinalSnapshot = name
		}
		for e := range state.DBClusterEndpointsByCluster.Rows(tx, c.Ref()) {
			state.DBClusterEndpoints.Delete(tx, e.Account, e.Region, e.ID)
		}
		c.Delete(now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteDBClusterOutput{DBCluster: out}, nil
}
