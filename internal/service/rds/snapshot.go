// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Snapshots of instances and of clusters are one kind of rows, with errors of their own.
var (
	instanceSnapshots = snapshotKind{
		arn: "snapshot", notFound: "DBSnapshotNotFound", exists: "DBSnapshotAlreadyExists", badState: "InvalidDBSnapshotState",
		see: share.SeeSnapshot, copy: share.CopySnapshot, restore: share.RestoreSnapshot,
	}
	clusterSnapshots = snapshotKind{
		arn: "cluster-snapshot", notFound: "DBClusterSnapshotNotFoundFault", exists: "DBClusterSnapshotAlreadyExistsFault", badState: "InvalidDBClusterSnapshotStateFault",
		see: share.SeeClusterSnapshot, copy: share.CopyClusterSnapshot, restore: share.RestoreClusterSnapshot, ofCluster: true,
	}
)

type snapshotKind struct {
	arn, notFound, exists, badState string
	see, copy, restore              string // what others may be let do
	ofCluster                       bool
}

func kindOf(s *model.DBSnapshot) snapshotKind {
	if s.OfCluster {
		return clusterSnapshots
	}
	return instanceSnapshots
}

// usableBy finds a snapshot that the caller may do an action of package share with: its own,
// or one that is shared with it, by its ARN.
func (k snapshotKind) usableBy(tx *table.Txn, who access.View, name, action string) (*model.DBSnapshot, error) {
	if arn, err := model.ParseARN(name); err == nil && arn.Service == "rds" && arn.Type == k.arn {
		if s, ok := view.OthersSnapshot(tx, who, model.Ref{Account: arn.Account, Region: arn.Region, ID: strings.ToLower(arn.ID)}, k.ofCluster, action); ok {
			return s, nil
		}
	}
	return k.find(tx, who, name)
}

// find finds a snapshot of the caller's by its identifier or its ARN.
func (k snapshotKind) find(tx *table.Txn, who access.View, name string) (*model.DBSnapshot, error) {
	for s := range state.DBSnapshotsByIdentifier.Rows(tx, who.Own(named(who, k.arn, name))) {
		if s.OfCluster == k.ofCluster {
			return s, nil
		}
	}
	return nil, fault.RDS(k.notFound, "%s not found.", name)
}

// snapshotOf makes the row of a snapshot of a database; its password is still sealed for the
// database.
func snapshotOf(of *model.Meta, d *model.Database, name, id string, now time.Time) *model.DBSnapshot {
	s := &model.DBSnapshot{
		Meta:       model.Meta{Account: of.Account, Region: of.Region, ID: id, CreatedAt: now, UpdatedAt: now},
		Identifier: name, Source: of.ID, Was: *d, Final: true,
	}
	s.Was.ManagedSecret = "" // it ends with the database
	if d.CopyTagsToSnapshot {
		s.Tags = maps.Clone(of.Tags)
	}
	return s
}

// addSnapshot adds a snapshot to the state; from is the id of the row that its password is
// sealed for.
func (a *API) addSnapshot(tx *table.Txn, who access.View, s *model.DBSnapshot, from string) error {
	k := kindOf(s)
	if other, err := k.find(tx, who, s.Identifier); err == nil {
		return fault.RDS(k.exists, "Cannot create the snapshot because a snapshot with the identifier %s already exists.", other.Identifier)
	}
	count := 0
	for o := range view.All(tx, who, state.DBSnapshots) {
		if o.OfCluster == s.OfCluster {
			count++
		}
	}
	if most := a.Quotas.DBSnapshotsPerRegion; count >= most {
		return fault.RDS("SnapshotQuotaExceeded", "The request cannot be processed because it would exceed the maximum number of snapshots: %d", most)
	}
	a.movePassword(&s.Was, from, s.ID)
	state.DBSnapshots.Put(tx, s)
	return nil
}

// CreateDBSnapshot makes a snapshot of an instance that is a database of its own.
func (a *API) CreateDBSnapshot(ctx context.Context, in *shape.CreateDBSnapshotInput) (*shape.CreateDBSnapshotOutput, error) {
	name, tags, err := readSnapshot("DBSnapshotIdentifier", in.DBSnapshotIdentifier, in.Tags)
	if err != nil {
		return nil, err
	}
	who, id, now := access.From(ctx), a.NewID("snap"), a.Now()
	var out shape.DBSnapshot
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		i, err := findInstance(tx, who, service.Value(in.DBInstanceIdentifier))
		if err != nil {
			return err
		}
		if err := changeable(i); err != nil {
			return err
		}
		switch {
		case i.Cluster != "":
			return fault.RDS("InvalidDBInstanceState", "Instance %s is a member of a cluster: CreateDBClusterSnapshot makes a snapshot of the cluster.", i.Identifier)
		case !available(instanceStatus(tx, i)):
			return instanceNotAvailable(tx, i)
		}
		s := snapshotOf(&i.Meta, &i.Database, name, id, now)
		s.Final, s.Class = false, i.Class
		s.Tags = joined(s.Tags, tags)
		users := usersOf(tx, i)
		s.Was.Password = users.Password
		if err := a.addSnapshot(tx, who, s, users.ID); err != nil {
			return err
		}
		out = snapshotShape(tx, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBSnapshotOutput{DBSnapshot: &out}, nil
}

// CreateDBClusterSnapshot makes a snapshot of a cluster.
func (a *API) CreateDBClusterSnapshot(ctx context.Context, in *shape.CreateDBClusterSnapshotInput) (*shape.CreateDBClusterSnapshotOutput, error) {
	name, tags, err := readSnapshot("DBClusterSnapshotIdentifier", in.DBClusterSnapshotIdentifier, in.Tags)
	if err != nil {
		return nil, err
	}
	who, id, now := access.From(ctx), a.NewID("snap"), a.Now()
	var out shape.DBClusterSnapshot
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		c, err := findCluster(tx, who, service.Value(in.DBClusterIdentifier))
		if err != nil {
			return err
		}
		if err := changeableCluster(c); err != nil {
			return err
		}
		switch {
		case !available(clusterStatus(tx, c)):
			return clusterNotAvailable(tx, c)
		case c.Epoch == 0:
			return fault.RDS("InvalidDBClusterStateFault", "Cluster %s never had an instance, so that there is nothing to make a snapshot of.", c.Identifier)
		}
		s := snapshotOf(&c.Meta, &c.Database, name, id, now)
		s.Final, s.OfCluster = false, true
		s.Tags = joined(s.Tags, tags)
		if err := a.addSnapshot(tx, who, s, c.ID); err != nil {
			return err
		}
		out = clusterSnapshotShape(tx, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBClusterSnapshotOutput{DBClusterSnapshot: &out}, nil
}

func readSnapshot(parameter string, name *string, list []shape.Tag) (string, map[string]string, error) {
	id, err := identifier(parameter, service.Value(name), maxSnapshot)
	if err != nil {
		return "", nil, err
	}
	tags, err := makeTags(list)
	return id, tags, err
}

// joined gives the tags of both; those of the second count where both have a key.
func joined(tags, more map[string]string) map[string]string {
	if tags == nil {
		return more
	}
	maps.Copy(tags, more)
	return tags
}

// DeleteDBSnapshot starts the deletion of a snapshot of an instance.
func (a *API) DeleteDBSnapshot(ctx context.Context, in *shape.DeleteDBSnapshotInput) (*shape.DeleteDBSnapshotOutput, error) {
	var out shape.DBSnapshot
	err := a.deleteSnapshot(ctx, instanceSnapshots, in.DBSnapshotIdentifier, func(tx *table.Txn, s *model.DBSnapshot) { out = snapshotShape(tx, s) })
	if err != nil {
		return nil, err
	}
	out.Status = new("deleted")
	return &shape.DeleteDBSnapshotOutput{DBSnapshot: &out}, nil
}

// DeleteDBClusterSnapshot starts the deletion of a snapshot of a cluster.
func (a *API) DeleteDBClusterSnapshot(ctx context.Context, in *shape.DeleteDBClusterSnapshotInput) (*shape.DeleteDBClusterSnapshotOutput, error) {
	var out shape.DBClusterSnapshot
	err := a.deleteSnapshot(ctx, clusterSnapshots, in.DBClusterSnapshotIdentifier, func(tx *table.Txn, s *model.DBSnapshot) { out = clusterSnapshotShape(tx, s) })
	if err != nil {
		return nil, err
	}
	out.Status = new("deleted")
	return &shape.DeleteDBClusterSnapshotOutput{DBClusterSnapshot: &out}, nil
}

func (a *API) deleteSnapshot(ctx context.Context, k snapshotKind, name *string, show func(*table.Txn, *model.DBSnapshot)) error {
	who, now := access.From(ctx), a.Now()
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		s, err := k.find(tx, who, service.Value(name))
		if err != nil {
			return err
		}
		if status := snapshotStatus(tx, s); status != string(model.DatabaseAvailable) && status != string(model.DatabaseFailed) {
			return fault.RDS(k.badState, "The snapshot %s is %s: only one that is available or has failed can be deleted.", s.Identifier, status)
		}
		if user := begun(tx, who, s); user != "" {
			return fault.RDS(k.badState, "The snapshot %s cannot be deleted: %s is being made of it.", s.Identifier, user)
		}
		show(tx, s)
		service.MarkDeleted(tx, state.DBSnapshots, s, now)
		return nil
	})
	return err
}

// begun names what is being made of a snapshot, a database or a copy, if something is and is
// to stay: until it has the data, or has failed. What others make of it is not named.
func begun(tx *table.Txn, who access.View, s *model.DBSnapshot) string {
	makes := func(m *model.Meta, identifier string, done func(*model.DatabaseState) bool) string {
		switch st := stateOf(tx, m); {
		case m.Deleting() || st != nil && (st.Phase == model.DatabaseFailed || done(st)):
			return ""
		case !view.Own(who, m.Ref()):
			return "something of another account"
		}
		return identifier
	}
	opened := func(st *model.DatabaseState) bool { return st.Secret > 0 } // its users are set in the data that it has
	copied := func(st *model.DatabaseState) bool { return st.Phase == model.DatabaseAvailable }
	for c := range state.DBClustersBySnapshot.Rows(tx, s.ID) {
		if !view.Own(who, c.Ref()) && state.DBInstancesByCluster.Count(tx, c.Ref()) == 0 {
			continue // its first instance would begin with the data, and may never come
		}
		if user := makes(&c.Meta, c.Identifier, opened); user != "" {
			return user
		}
	}
	for i := range state.DBInstancesBySnapshot.Rows(tx, s.ID) {
		if user := makes(&i.Meta, i.Identifier, opened); user != "" {
			return user
		}
	}
	for o := range state.DBSnapshotsByCopied.Rows(tx, s.Ref()) {
		if user := makes(&o.Meta, o.Identifier, copied); user != "" {
			return user
		}
	}
	return ""
}
