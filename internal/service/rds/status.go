// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"slices"

	"github.com/posternhq/postern/internal/aws/fault"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// deleting is the status of what is being deleted.
const deleting = "deleting"

// instanceStatus is how an instance is, in the words of RDS: what was asked for and what the
// host says of it, whichever is later.
func instanceStatus(tx *table.Txn, i *model.DBInstance) string {
	s := stateOf(tx, &i.Meta)
	if i.Deleting() {
		return deleting
	}
	if s == nil {
		return string(model.DatabaseCreating)
	}
	whole, lone := &i.Database, true
	if c, ok := state.DBClusters.Get(tx, i.Account, i.Region, i.Cluster); ok {
		whole, lone = &c.Database, false
	}
	if phase, ok := moving(whole.Stopped, s.Phase); ok {
		return string(phase)
	}
	if s.Phase == model.DatabaseAvailable && !whole.IsRegistered() {
		switch {
		case s.Reboot < i.Reboot:
			return string(model.DatabaseRebooting)
		case i.Source == "" && s.Replication != "": // it is being promoted
			return string(model.DatabaseModifying)
		case lone && s.Secret < i.Secret:
			return string(model.DatabaseResetting)
		}
	}
	return string(s.Phase)
}

// moving says what a server is about that runs and should not, or the other way round.
func moving(stopped bool, phase model.DatabasePhase) (model.DatabasePhase, bool) {
	switch {
	case stopped && phase == model.DatabaseAvailable:
		return model.DatabaseStopping, true
	case !stopped && phase == model.DatabaseStopped:
		return model.DatabaseStarting, true
	}
	return "", false
}

// clusterStatus is how a cluster is. One of which the host says nothing has no server yet,
// and is as available as RDS says of those.
func clusterStatus(tx *table.Txn, c *model.DBCluster) string {
	if c.Deleting() {
		return deleting
	}
	s := stateOf(tx, &c.Meta)
	if s == nil || state.DBInstancesByCluster.Count(tx, c.Ref()) == 0 {
		if c.Stopped {
			return string(model.DatabaseStopped)
		}
		return string(model.DatabaseAvailable)
	}
	if phase, ok := moving(c.Stopped, s.Phase); ok {
		return string(phase)
	}
	if s.Phase == model.DatabaseAvailable && !c.IsRegistered() {
		switch {
		case c.Turned < c.Turn:
			return string(model.DatabaseFailing)
		case s.Secret < c.Secret && s.Secret > 0:
			return string(model.DatabaseResetting)
		}
	}
	return string(s.Phase)
}

// snapshotStatus is how a snapshot is.
func snapshotStatus(tx *table.Txn, s *model.DBSnapshot) string {
	switch st := stateOf(tx, &s.Meta); {
	case s.Deleting():
		return deleting
	case st == nil:
		return string(model.DatabaseCreating)
	default:
		return string(st.Phase)
	}
}

// available reports whether something is as it should be, so that it can be changed.
func available(status string) bool {
	return slices.Contains([]string{string(model.DatabaseAvailable), string(model.DatabaseFull)}, status)
}

func clusterNotAvailable(tx *table.Txn, c *model.DBCluster) error {
	return fault.RDS("InvalidDBClusterStateFault", "DbCluster %s is in %s state, but expected it to be one of available: it is not currently in the available state.", c.Identifier, clusterStatus(tx, c))
}

func instanceNotAvailable(tx *table.Txn, i *model.DBInstance) error {
	return fault.RDS("InvalidDBInstanceState", "Instance %s is not in available state: it is %s.", i.Identifier, instanceStatus(tx, i))
}

// changeable finds nothing against a change of an instance.
func changeable(i *model.DBInstance) error {
	switch {
	case i.IsRegistered() || i.Interface == "":
		return registered("DBInstance", i.Identifier, "InvalidDBInstanceState")
	case i.Deleting():
		return fault.RDS("InvalidDBInstanceState", "Instance %s is already being deleted.", i.Identifier)
	}
	return nil
}

// changeableCluster finds nothing against a change of a cluster.
func changeableCluster(c *model.DBCluster) error {
	switch {
	case c.IsRegistered():
		return registered("DBCluster", c.Identifier, "InvalidDBClusterStateFault")
	case c.Deleting():
		return fault.RDS("InvalidDBClusterStateFault", "DB cluster %s is already being deleted.", c.Identifier)
	}
	return nil
}
