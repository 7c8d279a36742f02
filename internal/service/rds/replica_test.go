// SPDX-License-Identifier: Apache-2.0

package rds_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
)

// replica makes a read replica; with lets the request have more.
func (w *world) replica(name, source string, with func(*shape.CreateDBInstanceReadReplicaInput)) *shape.DBInstance {
	w.t.Helper()
	in := &shape.CreateDBInstanceReadReplicaInput{DBInstanceIdentifier: &name, SourceDBInstanceIdentifier: &source}
	if with != nil {
		with(in)
	}
	out, err := w.rds.CreateDBInstanceReadReplica(w.Ctx, in)
	return get(w.t, out, err).DBInstance
}

// replicates has the host say that a read replica is there.
func (w *world) replicates(name string) {
	w.t.Helper()
	w.says(w.instanceRow(name).ID, model.DatabaseAvailable, func(s *model.DatabaseState) { s.Replication = model.Replicating })
}

func TestAReplicaHasWhatItsSourceHas(t *testing.T) {
	w := newWorld(t)
	group := w.group("databases")
	w.must(w.rds.CreateDBParameterGroup(w.Ctx, &shape.CreateDBParameterGroupInput{DBParameterGroupName: new("mine"), DBParameterGroupFamily: new("postgres15"), Description: new("tests")}))
	w.instance("orders", func(in *shape.CreateDBInstanceInput) {
		in.DBName, in.Port, in.VpcSecurityGroupIds, in.DBParameterGroupName, in.DeletionProtection = new("app"), new(int32(6000)), []string{group}, new("mine"), new(true)
		in.Tags = []shape.Tag{{Key: new("team"), Value: new("shop")}}
	})
	w.says(w.instanceRow("orders").ID, model.DatabaseAvailable)
	made := w.replica("copy", "arn:aws:rds:us-east-1:111122223333:db:orders", nil)
	source := w.describeInstance("orders")
	show := func(i shape.DBInstance) string {
		return fmt.Sprintf("%s %s %s %s %s %d %s %s %s protected %t", *i.Engine, *i.EngineVersion, *i.DBInstanceClass, *i.MasterUsername, *i.DBName, *i.AllocatedStorage, *i.DBSubnetGroup.DBSubnetGroupName,
			*i.VpcSecurityGroups[0].VpcSecurityGroupId, *i.DBParameterGroups[0].DBParameterGroupName, *i.DeletionProtection)
	}
	if diff := cmp.Diff(strings.Replace(show(source), "protected true", "protected false", 1), show(*made)); diff != "" {
		t.Errorf("replica (-source +got):\n%s", diff)
	}
	if *made.BackupRetentionPeriod != 0 || *made.ReadReplicaSourceDBInstanceIdentifier != "orders" || len(made.TagList) > 0 || len(made.StatusInfos) > 0 || *made.AvailabilityZone == *source.AvailabilityZone {
		t.Errorf("backups %d, source %s, tags %v, statuses %v, in %s", *made.BackupRetentionPeriod, *made.ReadReplicaSourceDBInstanceIdentifier, made.TagList, made.StatusInfos, *made.AvailabilityZone)
	}
	row := w.instanceRow("copy")
	if row.Writer != "" || row.Password != "" || row.Secret != 0 || row.Port != 6000 || row.Source != w.instanceRow("orders").ID {
		t.Errorf("the row is %+v", row)
	}
	w.replica("other", "orders", func(in *shape.CreateDBInstanceReadReplicaInput) {
		in.DBInstanceClass, in.AvailabilityZone, in.Port, in.DBParameterGroupName, in.AllocatedStorage = new("db.r6g.large"), new("us-east-1c"), new(int32(7000)), new("default.postgres15"), new(int32(100))
	})
	got := w.describeInstance("other")
	if *got.DBInstanceClass != "db.r6g.large" || *got.AvailabilityZone != "us-east-1c" || w.instanceRow("other").Port != 7000 || *got.DBParameterGroups[0].DBParameterGroupName != "default.postgres15" || *got.AllocatedStorage != 100 {
		t.Errorf("the other one is %+v", got)
	}
	if all := w.describeInstance("orders").ReadReplicaDBInstanceIdentifiers; !cmp.Equal(all, []string{"copy", "other"}) {
		t.Errorf("the source has %v", all)
	}
	w.says(row.ID, model.DatabaseAvailable, func(s *model.DatabaseState) {
		s.Replication, s.ReplicationReason = model.ReplicationError, "the source does not answer"
	})
	info := w.describeInstance("copy").StatusInfos
	if len(info) != 1 || *info[0].Status != "error" || *info[0].Normal || *info[0].Message != "the source does not answer" || *info[0].StatusType != "read replication" {
		t.Errorf("statuses %+v", info)
	}
}

// TestWhatReplicasCannotBe has requests about replicas that are refused.
func TestWhatReplicasCannotBe(t *testing.T) {
	w := newWorld(t)
	w.instance("orders", func(in *shape.CreateDBInstanceInput) { in.AllocatedStorage = new(int32(30)) })
	w.instance("unsaved", func(in *shape.CreateDBInstanceInput) { in.BackupRetentionPeriod = new(int32(0)) })
	w.cluster("shop", nil)
	w.member("shop", "shop-1")
	vpc := w.AddVPC(t)
	var subnets []string
	for i, zone := range []string{"a", "b"} {
		subnets = append(subnets, w.AddSubnet(t, vpc, zone, fmt.Sprintf("10.0.%d.0/24", i), -1))
	}
	w.must(w.rds.CreateDBSubnetGroup(w.Ctx, &shape.CreateDBSubnetGroupInput{DBSubnetGroupName: new("far"), DBSubnetGroupDescription: new("far"), SubnetIds: subnets}))
	type in = *shape.CreateDBInstanceReadReplicaInput
	try := func(name, code, text string, change func(in)) {
		t.Helper()
		refused(w, name, code, text, func() (*shape.CreateDBInstanceReadReplicaOutput, error) {
			i := in(&shape.CreateDBInstanceReadReplicaInput{DBInstanceIdentifier: new("x"), SourceDBInstanceIdentifier: new("orders")})
			change(i)
			return w.rds.CreateDBInstanceReadReplica(w.Ctx, i)
		})
	}
	try("not made yet", "InvalidDBInstanceState", "not in available state", func(in) {})
	for _, name := range []string{"orders", "unsaved", "shop-1"} {
		w.says(w.instanceRow(name).ID, model.DatabaseAvailable)
	}
	w.replica("copy", "orders", nil)
	w.replicates("copy")
	try("no source", "MissingParameter", "SourceDBInstanceIdentifier", func(i in) { i.SourceDBInstanceIdentifier = nil })
	try("unknown", "DBInstanceNotFound", "nobody", func(i in) { i.SourceDBInstanceIdentifier = new("nobody") })
	try("another region", "InvalidParameterValue", "another region", func(i in) { i.SourceDBInstanceIdentifier = new("arn:aws:rds:eu-west-1:111122223333:db:orders") })
	try("another account", "InvalidParameterValue", "another account", func(i in) { i.SourceDBInstanceIdentifier = new("arn:aws:rds:us-east-1:444455556666:db:orders") })
	try("of a replica", "InvalidDBInstanceState", "read replicas of read replicas", func(i in) { i.SourceDBInstanceIdentifier = new("copy") })
	try("of a member", "InvalidDBInstanceState", "cluster", func(i in) { i.SourceDBInstanceIdentifier = new("shop-1") })
	try("of a cluster", "InvalidParameterCombination", "SourceDBClusterIdentifier", func(i in) { i.SourceDBClusterIdentifier = new("shop") })
	try("without backups", "InvalidDBInstanceState", "Automated backups are not enabled", func(i in) { i.SourceDBInstanceIdentifier = new("unsaved") })
	try("another VPC", "DBSubnetGroupNotAllowedFault", "VPC of its source", func(i in) { i.DBSubnetGroupName = new("far") })
	try("less storage", "InvalidParameterCombination", "storage", func(i in) { i.AllocatedStorage = new(int32(25)) })
	try("taken", "DBInstanceAlreadyExists", "exists", func(i in) { i.DBInstanceIdentifier = new("Copy") })
	try("public", "InvalidParameterCombination", "VPCs only", func(i in) { i.PubliclyAccessible = new(true) })
	w.Env.Quotas.ReplicasPerDB = 1
	try("one more", "InstanceQuotaExceeded", "1 read replicas", func(in) {})

	for _, name := range []string{"orders", "copy"} {
		refused(w, "stop "+name, "InvalidDBInstanceState", "read replica", func() (*shape.StopDBInstanceOutput, error) {
			return w.rds.StopDBInstance(w.Ctx, &shape.StopDBInstanceInput{DBInstanceIdentifier: &name})
		})
	}
	refused(w, "password", "InvalidParameterCombination", "source's", func() (*shape.ModifyDBInstanceOutput, error) {
		return w.rds.ModifyDBInstance(w.Ctx, &shape.ModifyDBInstanceInput{DBInstanceIdentifier: new("copy"), MasterUserPassword: new("another-secret")})
	})
	refused(w, "backups off", "InvalidParameterCombination", "source of a read replica", func() (*shape.ModifyDBInstanceOutput, error) {
		return w.rds.ModifyDBInstance(w.Ctx, &shape.ModifyDBInstanceInput{DBInstanceIdentifier: new("orders"), BackupRetentionPeriod: new(int32(0))})
	})
	refused(w, "promote a source", "InvalidDBInstanceState", "not a read replica", func() (*shape.PromoteReadReplicaOutput, error) {
		return w.rds.PromoteReadReplica(w.Ctx, &shape.PromoteReadReplicaInput{DBInstanceIdentifier: new("orders")})
	})
	refused(w, "last snapshot", "InvalidParameterCombination", "replica instance", func() (*shape.DeleteDBInstanceOutput, error) {
		return w.rds.DeleteDBInstance(w.Ctx, &shape.DeleteDBInstanceInput{DBInstanceIdentifier: new("copy"), FinalDBSnapshotIdentifier: new("last")})
	})
	refused(w, "neither", "InvalidParameterCombination", "SkipFinalSnapshot", func() (*shape.DeleteDBInstanceOutput, error) {
		return w.rds.DeleteDBInstance(w.Ctx, &shape.DeleteDBInstanceInput{DBInstanceIdentifier: new("copy")})
	})
}

func TestAReplicaIsPromoted(t *testing.T) {
	w := newWorld(t)
	w.instance("orders", nil)
	w.says(w.instanceRow("orders").ID, model.DatabaseAvailable)
	w.replica("copy", "orders", nil)
	promote := &shape.PromoteReadReplicaInput{DBInstanceIdentifier: new("copy"), BackupRetentionPeriod: new(int32(3))}
	refused(w, "not made yet", "InvalidDBInstanceState", "creating", func() (*shape.PromoteReadReplicaOutput, error) { return w.rds.PromoteReadReplica(w.Ctx, promote) })
	w.replicates("copy")
	w.must(w.rds.CreateDBSnapshot(w.Ctx, &shape.CreateDBSnapshotInput{DBInstanceIdentifier: new("copy"), DBSnapshotIdentifier: new("before")}))
	out, err := w.rds.PromoteReadReplica(w.Ctx, promote)
	made := get(t, out, err).DBInstance
	if *made.DBInstanceStatus != "modifying" || made.ReadReplicaSourceDBInstanceIdentifier != nil || *made.BackupRetentionPeriod != 3 {
		t.Errorf("promoted with status %s, source %v, backups %d", *made.DBInstanceStatus, made.ReadReplicaSourceDBInstanceIdentifier, *made.BackupRetentionPeriod)
	}
	w.hasPassword("copy")
	if all := w.describeInstance("orders").ReadReplicaDBInstanceIdentifiers; len(all) > 0 {
		t.Errorf("the source has %v", all)
	}
	w.says(w.instanceRow("copy").ID, model.DatabaseAvailable)
	if got := w.describeInstance("copy"); *got.DBInstanceStatus != "available" || len(got.StatusInfos) > 0 {
		t.Errorf("then it is %s with %v", *got.DBInstanceStatus, got.StatusInfos)
	}
}

// hasPassword checks that a database writes, and opens with the password of its source.
func (w *world) hasPassword(name string) {
	w.t.Helper()
	row := w.instanceRow(name)
	text, err := w.Seal.OpenText(seal.DatabasePassword, row.Password, row.ID)
	if err != nil || string(text) != "secret-of-boss" || row.Secret != 1 || row.Writer != row.ID || row.Epoch != 1 {
		w.t.Errorf("the password of %s opens as %q, %v; writer %q, epoch %d, secret %d", name, text, err, row.Writer, row.Epoch, row.Secret)
	}
}

// TestReplicasOutliveTheirSource deletes the source of one that is there and one that is not.
func TestReplicasOutliveTheirSource(t *testing.T) {
	w := newWorld(t)
	w.instance("orders", nil)
	w.says(w.instanceRow("orders").ID, model.DatabaseAvailable)
	for _, name := range []string{"copy", "late"} {
		w.replica(name, "orders", nil)
	}
	w.replicates("copy")
	end := func() (*shape.DeleteDBInstanceOutput, error) {
		return w.rds.DeleteDBInstance(w.Ctx, &shape.DeleteDBInstanceInput{DBInstanceIdentifier: new("orders"), SkipFinalSnapshot: new(true)})
	}
	refused(w, "one is being made", "InvalidDBInstanceState", "late is being created", end)
	w.replicates("late")
	w.must(w.rds.DeleteDBInstance(w.Ctx, &shape.DeleteDBInstanceInput{DBInstanceIdentifier: new("late"), SkipFinalSnapshot: new(true)}))
	w.must(end())
	w.hasPassword("copy")
	if late := w.instanceRow("late"); late.Source == "" || !late.Deleting() {
		t.Errorf("what was being deleted is promoted: %+v", late)
	}
}
