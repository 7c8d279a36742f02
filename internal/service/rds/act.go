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

// changeCluster changes the caller's cluster with that name and shows it.
func (a *API) changeCluster(ctx context.Context, name *string, change func(*table.Txn, *model.DBCluster) error) (*shape.DBCluster, error) {
	var out shape.DBCluster
	_, err := service.Change(ctx, a.Env, state.DBClusters, findCluster, service.Value(name), func(tx *table.Txn, c *model.DBCluster) error {
		if err := changeableCluster(c); err != nil {
			return err
		}
		if err := change(tx, c); err != nil {
			return err
		}
		state.DBClusters.Put(tx, c)
		out = a.clusterShape(tx, c)
		return nil
	})
	return &out, err
}

// actOn changes the caller's instance with that name and shows it.
func (a *API) actOn(ctx context.Context, name *string, change func(*table.Txn, *model.DBInstance) error) (*shape.DBInstance, error) {
	var out shape.DBInstance
	_, err := service.Change(ctx, a.Env, state.DBInstances, findInstance, service.Value(name), func(tx *table.Txn, i *model.DBInstance) error {
		if err := changeable(i); err != nil {
			return err
		}
		if err := change(tx, i); err != nil {
			return err
		}
		state.DBInstances.Put(tx, i)
		out = a.instanceShape(tx, i)
		return nil
	})
	return &out, err
}

// RebootDBInstance starts the server of an instance anew, with what waits for that.
func (a *API) RebootDBInstance(ctx context.Context, in *shape.RebootDBInstanceInput) (*shape.RebootDBInstanceOutput, error) {
	if service.Value(in.ForceFailover) {
		return nil, conflicting("ForceFailover cannot be specified since the instance is not configured for Multi-AZ. FailoverDBCluster has another instance of a cluster write.")
	}
	out, err := a.actOn(ctx, in.DBInstanceIdentifier, func(tx *table.Txn, i *model.DBInstance) error {
		if status := instanceStatus(tx, i); !available(status) && status != string(model.DatabaseBadParams) && status != string(model.DatabaseFailed) {
			return instanceNotAvailable(tx, i)
		}
		if c, ok := state.DBClusters.Get(tx, i.Account, i.Region, i.Cluster); ok && c.Writer == i.ID && len(c.Held) > 0 {
			c = c.Clone()
			c.Held = nil
			state.DBClusters.Put(tx, c)
		}
		i.Restart()
		if i.PendingClass != "" {
			i.Class, i.PendingClass = i.PendingClass, ""
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.RebootDBInstanceOutput{DBInstance: out}, nil
}

// RebootDBCluster starts the servers of all instances of a cluster anew.
func (a *API) RebootDBCluster(ctx context.Context, in *shape.RebootDBClusterInput) (*shape.RebootDBClusterOutput, error) {
	out, err := a.changeCluster(ctx, in.DBClusterIdentifier, func(tx *table.Txn, c *model.DBCluster) error {
		if !available(clusterStatus(tx, c)) {
			return clusterNotAvailable(tx, c)
		}
		c.Held = nil
		for _, i := range membersOf(tx, c) {
			if i.Deleting() {
				continue
			}
			i = i.Clone()
			i.UpdatedAt = c.UpdatedAt
			i.Restart()
			if i.PendingClass != "" {
				i.Class, i.PendingClass = i.PendingClass, ""
			}
			state.DBInstances.Put(tx, i)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Status = new(string(model.DatabaseRebooting))
	return &shape.RebootDBClusterOutput{DBCluster: out}, nil
}

// StopDBInstance stops the server of an instance that is a database of its own.
func (a *API) StopDBInstance(ctx context.Context, in *shape.StopDBInstanceInput) (*shape.StopDBInstanceOutput, error) {
	if in.DBSnapshotIdentifier != nil {
		return nil, conflicting("DBSnapshotIdentifier: make the snapshot with CreateDBSnapshot before")
	}
	out, err := a.actOn(ctx, in.DBInstanceIdentifier, func(tx *table.Txn, i *model.DBInstance) error {
		switch {
		case i.Cluster != "":
			return fault.RDS("InvalidDBClusterStateFault", "Instance %s is a member of a cluster: StopDBCluster stops all of it", i.Identifier)
		case i.Source != "" || state.DBInstancesBySource.Count(tx, i.Ref()) > 0:
			return fault.RDS("InvalidDBInstanceState", "Instance %s cannot be stopped: it is a read replica, or has one.", i.Identifier)
		case !available(instanceStatus(tx, i)):
			return instanceNotAvailable(tx, i)
		}
		i.Stopped = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.StopDBInstanceOutput{DBInstance: out}, nil
}

// StartDBInstance starts what StopDBInstance has stopped.
func (a *API) StartDBInstance(ctx context.Context, in *shape.StartDBInstanceInput) (*shape.StartDBInstanceOutput, error) {
	out, err := a.actOn(ctx, in.DBInstanceIdentifier, func(tx *table.Txn, i *model.DBInstance) error {
		switch {
		case i.Cluster != "":
			return fault.RDS("InvalidDBClusterStateFault", "Instance %s is a member of a cluster: StartDBCluster starts all of it", i.Identifier)
		case !i.Stopped || instanceStatus(tx, i) != string(model.DatabaseStopped):
			return fault.RDS("InvalidDBInstanceState", "Instance %s is not stopped, it cannot be started.", i.Identifier)
		}
		i.Stopped = false
		i.Held = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.StartDBInstanceOutput{DBInstance: out}, nil
}

// StopDBCluster stops the servers of a cluster.
func (a *API) StopDBCluster(ctx context.Context, in *shape.StopDBClusterInput) (*shape.StopDBClusterOutput, error) {
	out, err := a.changeCluster(ctx, in.DBClusterIdentifier, func(tx *table.Txn, c *model.DBCluster) error {
		if !available(clusterStatus(tx, c)) {
			return clusterNotAvailable(tx, c)
		}
		if state.DBInstancesByCluster.Count(tx, c.Ref()) == 0 {
			return fault.RDS("InvalidDBClusterStateFault", "DbCluster %s has no instances that could be stopped.", c.Identifier)
		}
		c.Stopped = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.StopDBClusterOutput{DBCluster: out}, nil
}

// StartDBCluster starts what StopDBCluster has stopped.
func (a *API) StartDBCluster(ctx context.Context, in *shape.StartDBClusterInput) (*shape.StartDBClusterOutput, error) {
	out, err := a.changeCluster(ctx, in.DBClusterIdentifier, func(tx *table.Txn, c *model.DBCluster) error {
		if !c.Stopped || clusterStatus(tx, c) != string(model.DatabaseStopped) {
			return fault.RDS("InvalidDBClusterStateFault", "DbCluster %s is in %s state, but expected it to be one of stopped.", c.Identifier, clusterStatus(tx, c))
		}
		c.Stopped = false
		c.Held = nil
		for _, i := range membersOf(tx, c) {
			if len(i.Held) > 0 {
				i = i.Clone()
				i.Held = nil
				state.DBInstances.Put(tx, i)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.StartDBClusterOutput{DBCluster: out}, nil
}

// FailoverDBCluster has another instance of a cluster write: the one that is named, or the one
// that the host chooses.
func (a *API) FailoverDBCluster(ctx context.Context, in *shape.FailoverDBClusterInput) (*shape.FailoverDBClusterOutput, error) {
	who := access.From(ctx)
	out, err := a.changeCluster(ctx, in.DBClusterIdentifier, func(tx *table.Txn, c *model.DBCluster) error {
		prefer := ""
		if target := service.Value(in.TargetDBInstanceIdentifier); target != "" {
			i, err := findInstance(tx, who, target)
			switch {
			case err != nil:
				return err
			case i.Cluster != c.ID:
				return fault.RDS("InvalidDBInstanceState", "Target DB instance %s is not a member of cluster %s.", i.Identifier, c.Identifier)
			case i.ID == c.Writer:
				return fault.RDS("InvalidDBInstanceState", "Target DB instance %s is the writer of cluster %s already.", i.Identifier, c.Identifier)
			case !available(instanceStatus(tx, i)):
				return instanceNotAvailable(tx, i)
			}
			prefer = i.ID
		}
		if !available(clusterStatus(tx, c)) {
			return clusterNotAvailable(tx, c)
		}
		if !hasReader(tx, c) {
			return fault.RDS("InvalidDBClusterStateFault", "Cluster %s cannot be failed over: it has no other instance that is available.", c.Identifier)
		}
		c.Turn++
		c.Prefer = prefer
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.Status = new(string(model.DatabaseFailing))
	return &shape.FailoverDBClusterOutput{DBCluster: out}, nil
}

// hasReader reports whether an instance could take the place of the writer.
func hasReader(tx *table.Txn, c *model.DBCluster) bool {
	for _, i := range membersOf(tx, c) {
		if i.ID != c.Writer && available(instanceStatus(tx, i)) {
			return true
		}
	}
	return false
}
