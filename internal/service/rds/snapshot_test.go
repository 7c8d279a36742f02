// SPDX-License-Identifier: Apache-2.0

package rds_test

import (
	"testing"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/rds"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func (w *world) snapshot(name string) shape.DBSnapshot {
	w.t.Helper()
	out, err := w.rds.DescribeDBSnapshots(w.Ctx, &shape.DescribeDBSnapshotsInput{DBSnapshotIdentifier: &name})
	return get(w.t, out, err).DBSnapshots[0]
}

func (w *world) snapshotID(name string) string {
	for s := range state.DBSnapshotsByIdentifier.Rows(w.DB.Snapshot(), model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: name}) {
		return s.ID
	}
	w.t.Fatalf("there is no snapshot %s", name)
	return ""
}

func TestSnapshotsAreMadeAndRestored(t *testing.T) {
	w := newWorld(t)
	made := w.instance("one", func(in *shape.CreateDBInstanceInput) {
		in.CopyTagsToSnapshot, in.Tags = new(true), []shape.Tag{{Key: new("team"), Value: new("shop")}}
	})
	create := func() (*shape.CreateDBSnapshotOutput, error) {
		return w.rds.CreateDBSnapshot(w.Ctx, &shape.CreateDBSnapshotInput{DBInstanceIdentifier: new("one"), DBSnapshotIdentifier: new("Before"), Tags: []shape.Tag{{Key: new("why"), Value: new("test")}}})
	}
	refused(w, "of what is not there yet", "InvalidDBInstanceState", "creating", create)
	w.says(*made.DbiResourceId, model.DatabaseAvailable)
	w.must(create())
	refused(w, "name taken", "DBSnapshotAlreadyExists", "before", create)
	if s := w.snapshot("before"); *s.Status != "creating" || *s.PercentProgress != 0 || len(s.TagList) != 2 || *s.SnapshotType != "manual" || *s.DBSnapshotArn != "arn:aws:rds:us-east-1:111122223333:snapshot:before" {
		t.Errorf("snapshot %+v", s)
	}
	restore := func(class string) (*shape.RestoreDBInstanceFromDBSnapshotOutput, error) {
		return w.rds.RestoreDBInstanceFromDBSnapshot(w.Ctx, &shape.RestoreDBInstanceFromDBSnapshotInput{
			DBInstanceIdentifier: new("two"), DBSnapshotIdentifier: new("before"), DBInstanceClass: &class, DBSubnetGroupName: new("group"),
		})
	}
	remove := func() (*shape.DeleteDBSnapshotOutput, error) {
		return w.rds.DeleteDBSnapshot(w.Ctx, &shape.DeleteDBSnapshotInput{DBSnapshotIdentifier: new("before")})
	}
	refused(w, "restore what is not made", "InvalidDBSnapshotState", "creating", func() (*shape.RestoreDBInstanceFromDBSnapshotOutput, error) { return restore("db.t3.micro") })
	refused(w, "delete what is not made", "InvalidDBSnapshotState", "creating", remove)
	id := w.snapshotID("before")
	w.says(id, model.DatabaseAvailable)
	out, err := restore("db.t3.small")
	got := get(t, out, err).DBInstance
	row := w.instanceRow("two")
	if *got.MasterUsername != "boss" || *got.AllocatedStorage != 20 || *got.EngineVersion != "15.18" || row.Snapshot != id {
		t.Errorf("restored %+v", got)
	}
	if text, err := w.Seal.OpenText(seal.DatabasePassword, row.Password, row.ID); err != nil || string(text) != "secret-of-boss" {
		t.Errorf("the password opens as %q, %v", text, err)
	}
	shared, err := w.rds.DescribeDBSnapshotAttributes(w.Ctx, &shape.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: new("Before")})
	if s := get(t, shared, err).DBSnapshotAttributesResult; *s.DBSnapshotIdentifier != "before" || *s.DBSnapshotAttributes[0].AttributeName != "restore" || len(s.DBSnapshotAttributes[0].AttributeValues) != 0 {
		t.Errorf("shared with %+v", s)
	}
	refused(w, "with whom a cluster's is shared", "DBClusterSnapshotNotFoundFault", "before", func() (*shape.DescribeDBClusterSnapshotAttributesOutput, error) {
		return w.rds.DescribeDBClusterSnapshotAttributes(w.Ctx, &shape.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: new("before")})
	})
	if asBefore, err := w.rds.RestoreDBInstanceFromDBSnapshot(w.Ctx, &shape.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: new("three"), DBSnapshotIdentifier: new("before"), DBSubnetGroupName: new("group"),
	}); *get(t, asBefore, err).DBInstance.DBInstanceClass != "db.t3.micro" {
		t.Errorf("without a class it is restored as %s", *asBefore.DBInstance.DBInstanceClass)
	}
	w.Put(t, func(tx *table.Txn) {
		old, _ := state.DBSnapshots.Get(tx, servicetest.Account, servicetest.Region, id)
		old = old.Clone()
		old.Class = ""
		state.DBSnapshots.Put(tx, old)
	})
	refused(w, "without any class", "MissingParameter", "DBInstanceClass", func() (*shape.RestoreDBInstanceFromDBSnapshotOutput, error) { return restore("") })
	w.says(w.instanceRow("three").ID, model.DatabaseAvailable)
	refused(w, "delete while it is read", "InvalidDBSnapshotState", "two", remove)
	w.says(w.instanceRow("two").ID, model.DatabaseCreating, func(s *model.DatabaseState) { s.Secret = 0 })
	refused(w, "delete while it is read, as is known", "InvalidDBSnapshotState", "two", remove)
	w.says(row.ID, model.DatabaseAvailable)
	w.must(remove())
	if s := w.snapshot("before"); *s.Status != "deleting" {
		t.Errorf("after delete: %s", *s.Status)
	}
}

func TestClusterSnapshotsAreRestored(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	create := func() (*shape.CreateDBClusterSnapshotOutput, error) {
		return w.rds.CreateDBClusterSnapshot(w.Ctx, &shape.CreateDBClusterSnapshotInput{DBClusterIdentifier: new("shop"), DBClusterSnapshotIdentifier: new("before")})
	}
	refused(w, "of nothing", "InvalidDBClusterStateFault", "never had an instance", create)
	w.member("shop", "one")
	w.says(w.clusterRow("shop").ID, model.DatabaseAvailable)
	w.must(create())
	w.says(w.snapshotID("before"), model.DatabaseAvailable)
	restore := func(engine string) func() (*shape.RestoreDBClusterFromSnapshotOutput, error) {
		return func() (*shape.RestoreDBClusterFromSnapshotOutput, error) {
			return w.rds.RestoreDBClusterFromSnapshot(w.Ctx, &shape.RestoreDBClusterFromSnapshotInput{
				DBClusterIdentifier: new("again"), SnapshotIdentifier: new("arn:aws:rds:us-east-1:111122223333:cluster-snapshot:before"), Engine: &engine, DBSubnetGroupName: new("group"),
			})
		}
	}
	refused(w, "another engine", "InvalidParameterCombination", "aurora-postgresql", restore("postgres"))
	out, err := restore("aurora-postgresql")()
	if got := get(t, out, err).DBCluster; *got.DatabaseName != "app" || *got.MasterUsername != "boss" || *got.Status != "available" {
		t.Errorf("restored %+v", got)
	}
	refused(w, "of an instance by that name", "DBSnapshotNotFound", "before", func() (*shape.DeleteDBSnapshotOutput, error) {
		return w.rds.DeleteDBSnapshot(w.Ctx, &shape.DeleteDBSnapshotInput{DBSnapshotIdentifier: new("before")})
	})
}

// TestPasswordsAreSealedAnew changes the key: passwords are opened by the new one, and what was
// sealed by a key that is not there is named.
func TestPasswordsAreSealedAnew(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	w.instance("one", nil)
	w.says(w.instanceRow("one").ID, model.DatabaseAvailable)
	w.must(w.rds.CreateDBSnapshot(w.Ctx, &shape.CreateDBSnapshotInput{DBInstanceIdentifier: new("one"), DBSnapshotIdentifier: new("snap")}))
	renewed, err := w.Seal.Ring().Renewed(w.Now().Add(time.Hour))
	w.Seal.Use(get(t, renewed, err))
	if lost, err := rds.Reseal(t.Context(), w.Env); err != nil || len(lost) > 0 {
		t.Fatalf("lost %v, %v", lost, err)
	}
	w.Seal.Use(w.Seal.Ring().Without(func(id uint32, _ time.Time) bool { return id == renewed.Newest() }))
	if lost := rds.LostPasswords(w.DB.Snapshot(), w.Seal); len(lost) > 0 {
		t.Errorf("with the new key alone, %v are lost", lost)
	}
	w.Put(t, func(tx *table.Txn) {
		i := w.instanceRow("one").Clone()
		i.Password = i.Password[:8] + "AAAA" + i.Password[12:]
		state.DBInstances.Put(tx, i)
	})
	if lost := rds.LostPasswords(w.DB.Snapshot(), w.Seal); len(lost) != 1 || lost[0] != "arn:aws:rds:us-east-1:111122223333:db:one" {
		t.Errorf("lost are %v", lost)
	}
}

func TestListsHavePages(t *testing.T) {
	w := newWorld(t)
	for i := range 25 {
		w.cluster(string(rune('a'+i)), nil)
	}
	in := &shape.DescribeDBClustersInput{MaxRecords: new(int32(20))}
	out, err := w.rds.DescribeDBClusters(w.Ctx, in)
	if first := get(t, out, err); len(first.DBClusters) != 20 || first.Marker == nil {
		t.Fatalf("%d clusters on the first page", len(first.DBClusters))
	}
	in.Marker = out.Marker
	out, err = w.rds.DescribeDBClusters(w.Ctx, in)
	if second := get(t, out, err); len(second.DBClusters) != 5 || second.Marker != nil || *second.DBClusters[0].DBClusterIdentifier != "u" {
		t.Errorf("%d clusters on the second page", len(second.DBClusters))
	}
	for name, in := range map[string]*shape.DescribeDBClustersInput{
		"19":     {MaxRecords: new(int32(19))},
		"Marker": {Marker: new("x")},
		"colour": {Filters: []shape.Filter{{Name: new("colour"), Values: []string{"x"}}}},
	} {
		refused(w, name, "InvalidParameterValue", name, func() (*shape.DescribeDBClustersOutput, error) { return w.rds.DescribeDBClusters(w.Ctx, in) })
	}
	out, err = w.rds.DescribeDBClusters(w.Ctx, &shape.DescribeDBClustersInput{Filters: []shape.Filter{{Name: new("db-cluster-id"), Values: []string{"b", "arn:aws:rds:us-east-1:111122223333:cluster:c"}}}})
	if found := get(t, out, err).DBClusters; len(found) != 2 {
		t.Errorf("%d clusters by filter", len(found))
	}
}
