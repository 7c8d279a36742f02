// SPDX-License-Identifier: Apache-2.0

package rds_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const beforeARN = "arn:aws:rds:us-east-1:111122223333:snapshot:before"

// before makes an instance with a snapshot "before" that is available.
func (w *world) before() {
	w.t.Helper()
	w.instance("one", nil)
	w.says(w.instanceRow("one").ID, model.DatabaseAvailable)
	w.must(w.rds.CreateDBSnapshot(w.Ctx, &shape.CreateDBSnapshotInput{
		DBInstanceIdentifier: new("one"), DBSnapshotIdentifier: new("before"), Tags: []shape.Tag{{Key: new("team"), Value: new("shop")}},
	}))
	w.says(w.snapshotID("before"), model.DatabaseAvailable)
}

// share changes with whom "before" is shared, and gives the accounts.
func (w *world) share(add, remove []string) []string {
	w.t.Helper()
	out, err := w.rds.ModifyDBSnapshotAttribute(w.Ctx, &shape.ModifyDBSnapshotAttributeInput{
		DBSnapshotIdentifier: new("before"), AttributeName: new("restore"), ValuesToAdd: add, ValuesToRemove: remove,
	})
	return get(w.t, out, err).DBSnapshotAttributesResult.DBSnapshotAttributes[0].AttributeValues
}

// listed gives the identifiers and types of the snapshots that an account lists.
func (w *world) listed(ctx context.Context, in *shape.DescribeDBSnapshotsInput) (list []string) {
	w.t.Helper()
	out, err := w.rds.DescribeDBSnapshots(ctx, in)
	for _, s := range get(w.t, out, err).DBSnapshots {
		list = append(list, *s.SnapshotType+" "+*s.DBSnapshotIdentifier)
	}
	return list
}

func TestSnapshotsAreCopied(t *testing.T) {
	w := newWorld(t)
	w.before()
	copied := func(with func(*shape.CopyDBSnapshotInput)) func() (*shape.CopyDBSnapshotOutput, error) {
		in := &shape.CopyDBSnapshotInput{SourceDBSnapshotIdentifier: new(beforeARN), TargetDBSnapshotIdentifier: new("Again")}
		if with != nil {
			with(in)
		}
		return func() (*shape.CopyDBSnapshotOutput, error) { return w.rds.CopyDBSnapshot(w.Ctx, in) }
	}
	refused(w, "a name that is taken", "DBSnapshotAlreadyExists", "before", copied(func(in *shape.CopyDBSnapshotInput) { in.TargetDBSnapshotIdentifier = new("before") }))
	refused(w, "of none", "DBSnapshotNotFound", "other", copied(func(in *shape.CopyDBSnapshotInput) { in.SourceDBSnapshotIdentifier = new("other") }))
	refused(w, "of another region's", "InvalidParameterCombination", "eu-west-1", copied(func(in *shape.CopyDBSnapshotInput) {
		in.SourceDBSnapshotIdentifier = new("arn:aws:rds:eu-west-1:111122223333:snapshot:before")
	}))
	refused(w, "with a key", "KMSKeyNotAccessibleFault", "KmsKeyId", copied(func(in *shape.CopyDBSnapshotInput) { in.KmsKeyId = new("alias/mine") }))
	out, err := copied(func(in *shape.CopyDBSnapshotInput) {
		in.CopyTags, in.Tags = new(true), []shape.Tag{{Key: new("why"), Value: new("test")}}
	})()
	s := get(t, out, err).DBSnapshot
	if *s.DBSnapshotIdentifier != "again" || *s.Status != "creating" || *s.SourceDBSnapshotIdentifier != beforeARN || len(s.TagList) != 2 || *s.DBInstanceIdentifier != "one" {
		t.Errorf("copy %+v", s)
	}
	remove := func(name string) func() (*shape.DeleteDBSnapshotOutput, error) {
		return func() (*shape.DeleteDBSnapshotOutput, error) {
			return w.rds.DeleteDBSnapshot(w.Ctx, &shape.DeleteDBSnapshotInput{DBSnapshotIdentifier: &name})
		}
	}
	refused(w, "delete what is being copied", "InvalidDBSnapshotState", "again", remove("before"))
	w.says(w.snapshotID("again"), model.DatabaseCreating)
	refused(w, "delete what is being copied once more, after a failure", "InvalidDBSnapshotState", "again", remove("before"))
	refused(w, "copy what is not made", "InvalidDBSnapshotState", "creating", copied(func(in *shape.CopyDBSnapshotInput) {
		in.SourceDBSnapshotIdentifier, in.TargetDBSnapshotIdentifier = new("again"), new("third")
	}))
	w.says(w.snapshotID("again"), model.DatabaseAvailable)
	w.must(remove("before")())
	w.must(w.rds.RestoreDBInstanceFromDBSnapshot(w.Ctx, &shape.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: new("two"), DBSnapshotIdentifier: new("again"), DBSubnetGroupName: new("group"),
	}))
	row := w.instanceRow("two")
	if text, err := w.Seal.OpenText(seal.DatabasePassword, row.Password, row.ID); err != nil || string(text) != "secret-of-boss" {
		t.Errorf("the password of what was restored of a copy opens as %q, %v", text, err)
	}
}

// Another account sees, restores and copies what is shared with it, and nothing of what is
// not, or is not any more.
func TestSnapshotsAreShared(t *testing.T) {
	w := newWorld(t)
	w.before()
	other := servicetest.As(t, servicetest.OtherAccount, servicetest.Region)
	copied := func() (*shape.CopyDBSnapshotOutput, error) {
		return w.rds.CopyDBSnapshot(other, &shape.CopyDBSnapshotInput{SourceDBSnapshotIdentifier: new(beforeARN), TargetDBSnapshotIdentifier: new("mine"), CopyTags: new(true)})
	}
	named := &shape.DescribeDBSnapshotsInput{DBSnapshotIdentifier: new(beforeARN), IncludeShared: new(true)}
	seen := func() (*shape.DescribeDBSnapshotsOutput, error) { return w.rds.DescribeDBSnapshots(other, named) }
	refused(w, "copy what is not shared", "DBSnapshotNotFound", beforeARN+" not found.", copied)
	refused(w, "see what is not shared", "DBSnapshotNotFound", beforeARN+" not found.", seen)
	shared := &shape.DescribeDBSnapshotsInput{SnapshotType: new("shared")}
	if list := w.listed(other, shared); len(list) > 0 {
		t.Errorf("seen are %v", list)
	}

	if with := w.share([]string{servicetest.OtherAccount}, nil); !slices.Equal(with, []string{servicetest.OtherAccount}) {
		t.Errorf("shared with %v", with)
	}
	if list := w.listed(other, &shape.DescribeDBSnapshotsInput{}); len(list) > 0 {
		t.Errorf("without being asked for, there are %v", list)
	}
	for name, in := range map[string]*shape.DescribeDBSnapshotsInput{
		"type": shared, "included": {IncludeShared: new(true)}, "named": named,
		"filtered": {IncludeShared: new(true), Filters: []shape.Filter{{Name: new("snapshot-type"), Values: []string{"shared"}}}},
	} {
		if list := w.listed(other, in); !slices.Equal(list, []string{"shared " + beforeARN}) {
			t.Errorf("%s: seen are %v", name, list)
		}
	}
	if list := w.listed(w.Ctx, &shape.DescribeDBSnapshotsInput{IncludeShared: new(true), IncludePublic: new(true)}); !slices.Equal(list, []string{"manual before"}) {
		t.Errorf("its owner sees %v", list)
	}
	elsewhere := servicetest.As(t, servicetest.OtherAccount, "eu-west-1")
	refused(w, "see it from another region", "DBSnapshotNotFound", "not found", func() (*shape.DescribeDBSnapshotsOutput, error) { return w.rds.DescribeDBSnapshots(elsewhere, named) })
	refused(w, "restore it in another region", "DBSnapshotNotFound", "not found", func() (*shape.RestoreDBInstanceFromDBSnapshotOutput, error) {
		return w.rds.RestoreDBInstanceFromDBSnapshot(elsewhere, &shape.RestoreDBInstanceFromDBSnapshotInput{DBInstanceIdentifier: new("far"), DBSnapshotIdentifier: new(beforeARN)})
	})
	refused(w, "see with whom it is shared", "DBSnapshotNotFound", "not found", func() (*shape.DescribeDBSnapshotAttributesOutput, error) {
		return w.rds.DescribeDBSnapshotAttributes(other, &shape.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: new(beforeARN)})
	})
	refused(w, "delete another's", "DBSnapshotNotFound", "not found", func() (*shape.DeleteDBSnapshotOutput, error) {
		return w.rds.DeleteDBSnapshot(other, &shape.DeleteDBSnapshotInput{DBSnapshotIdentifier: new(beforeARN)})
	})
	out, err := copied()
	if s := get(t, out, err).DBSnapshot; len(s.TagList) > 0 || *s.DBSnapshotArn != "arn:aws:rds:us-east-1:444455556666:snapshot:mine" || *s.SourceDBSnapshotIdentifier != beforeARN {
		t.Errorf("the copy is %+v", s)
	}
	refused(w, "delete what another account copies", "InvalidDBSnapshotState", "something of another account", func() (*shape.DeleteDBSnapshotOutput, error) {
		return w.rds.DeleteDBSnapshot(w.Ctx, &shape.DeleteDBSnapshotInput{DBSnapshotIdentifier: new("before")})
	})
	w.restoredBy(other)

	w.share(nil, []string{servicetest.OtherAccount})
	refused(w, "see what is shared no more", "DBSnapshotNotFound", "not found", seen)
	w.share([]string{"all"}, nil)
	if list := w.listed(other, &shape.DescribeDBSnapshotsInput{SnapshotType: new("public")}); !slices.Equal(list, []string{"public " + beforeARN}) {
		t.Errorf("public are %v", list)
	}
	if list := w.listed(w.Ctx, &shape.DescribeDBSnapshotsInput{SnapshotType: new("public")}); !slices.Equal(list, []string{"public " + beforeARN}) {
		t.Errorf("its owner's public ones are %v", list)
	}
}

// othersGroup makes a subnet group "mine" of another account.
func (w *world) othersGroup(other context.Context) {
	w.t.Helper()
	net := w.OfOther(w.t)
	var subnets []string
	for i, zone := range []string{"a", "b"} {
		subnets = append(subnets, net.AddSubnet(w.t, net.Net, zone, fmt.Sprintf("10.0.%d.0/24", i+1), -1))
	}
	w.must(w.rds.CreateDBSubnetGroup(other, &shape.CreateDBSubnetGroupInput{DBSubnetGroupName: new("mine"), DBSubnetGroupDescription: new("of the other account"), SubnetIds: subnets}))
}

// restoredBy has another account make an instance of what is shared with it: with the password
// of the data, and an authority of its own.
func (w *world) restoredBy(other context.Context) {
	t := w.t
	t.Helper()
	w.othersGroup(other)
	w.must(w.rds.RestoreDBInstanceFromDBSnapshot(other, &shape.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: new("theirs"), DBSnapshotIdentifier: new(beforeARN), DBSubnetGroupName: new("mine"),
	}))
	row := w.othersInstance("theirs")
	if text, err := w.Seal.OpenText(seal.DatabasePassword, row.Password, row.ID); err != nil || string(text) != "secret-of-boss" || row.Snapshot != w.snapshotID("before") {
		t.Errorf("restored of %s, the password opens as %q, %v", row.Snapshot, text, err)
	}
}

// othersInstance finds an instance of the other account.
func (w *world) othersInstance(name string) *model.DBInstance {
	w.t.Helper()
	for row := range state.DBInstancesByIdentifier.Rows(w.DB.Snapshot(), model.Ref{Account: servicetest.OtherAccount, Region: servicetest.Region, ID: name}) {
		return row
	}
	w.t.Fatalf("the other account has no instance %s", name)
	return nil
}

func TestWhatASnapshotCannotBeSharedWith(t *testing.T) {
	w := newWorld(t)
	w.before()
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("%012d", i)
	}
	change := func(attribute string, add ...string) func() (*shape.ModifyDBSnapshotAttributeOutput, error) {
		return func() (*shape.ModifyDBSnapshotAttributeOutput, error) {
			return w.rds.ModifyDBSnapshotAttribute(w.Ctx, &shape.ModifyDBSnapshotAttributeInput{DBSnapshotIdentifier: new("before"), AttributeName: &attribute, ValuesToAdd: add})
		}
	}
	refused(w, "another attribute", "InvalidParameterValue", "restore", change("delete", servicetest.OtherAccount))
	refused(w, "no account", "InvalidParameterValue", "12 digits", change("restore", "4444"))
	refused(w, "too many", "SharedSnapshotQuotaExceeded", "20", change("restore", many...))
	w.Put(t, func(tx *table.Txn) {
		s, _ := state.DBSnapshots.Get(tx, servicetest.Account, servicetest.Region, w.snapshotID("before"))
		s = s.Clone()
		s.Was.StorageEncrypted = true
		state.DBSnapshots.Put(tx, s)
	})
	refused(w, "an encrypted one with everybody", "InvalidParameterValue", "encrypted", change("restore", "all"))
}

func TestSnapshotsOfClustersAreCopiedAndShared(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	w.member("shop", "one")
	w.says(w.clusterRow("shop").ID, model.DatabaseAvailable)
	w.must(w.rds.CreateDBClusterSnapshot(w.Ctx, &shape.CreateDBClusterSnapshotInput{DBClusterIdentifier: new("shop"), DBClusterSnapshotIdentifier: new("before")}))
	w.says(w.snapshotID("before"), model.DatabaseAvailable)
	arn := "arn:aws:rds:us-east-1:111122223333:cluster-snapshot:before"
	other := servicetest.As(t, servicetest.OtherAccount, servicetest.Region)
	copied := func() (*shape.CopyDBClusterSnapshotOutput, error) {
		return w.rds.CopyDBClusterSnapshot(other, &shape.CopyDBClusterSnapshotInput{SourceDBClusterSnapshotIdentifier: &arn, TargetDBClusterSnapshotIdentifier: new("mine")})
	}
	refused(w, "copy what is not shared", "DBClusterSnapshotNotFoundFault", "not found", copied)
	share, err := w.rds.ModifyDBClusterSnapshotAttribute(w.Ctx, &shape.ModifyDBClusterSnapshotAttributeInput{
		DBClusterSnapshotIdentifier: new("before"), AttributeName: new("restore"), ValuesToAdd: []string{servicetest.OtherAccount},
	})
	if with := get(t, share, err).DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes[0].AttributeValues; !slices.Equal(with, []string{servicetest.OtherAccount}) {
		t.Errorf("shared with %v", with)
	}
	out, err := copied()
	if s := get(t, out, err).DBClusterSnapshot; *s.SourceDBClusterSnapshotArn != arn || *s.DBClusterIdentifier != "shop" {
		t.Errorf("the copy is %+v", s)
	}
	list, err := w.rds.DescribeDBClusterSnapshots(other, &shape.DescribeDBClusterSnapshotsInput{SnapshotType: new("shared")})
	if found := get(t, list, err).DBClusterSnapshots; len(found) != 1 || *found[0].DBClusterSnapshotIdentifier != arn || *found[0].SnapshotType != "shared" {
		t.Errorf("shared are %+v", found)
	}
}

// Another account's cluster that has no instance yet, and may never have one, does not keep
// the owner from deleting what it was made of.
func TestAClusterOfAnotherAccountHoldsNoSnapshotWithoutAnInstance(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	w.member("shop", "one")
	w.says(w.clusterRow("shop").ID, model.DatabaseAvailable)
	w.must(w.rds.CreateDBClusterSnapshot(w.Ctx, &shape.CreateDBClusterSnapshotInput{DBClusterIdentifier: new("shop"), DBClusterSnapshotIdentifier: new("before")}))
	w.says(w.snapshotID("before"), model.DatabaseAvailable)
	w.must(w.rds.ModifyDBClusterSnapshotAttribute(w.Ctx, &shape.ModifyDBClusterSnapshotAttributeInput{
		DBClusterSnapshotIdentifier: new("before"), AttributeName: new("restore"), ValuesToAdd: []string{"all"},
	}))
	other := servicetest.As(t, servicetest.OtherAccount, servicetest.Region)
	w.othersGroup(other)
	w.must(w.rds.RestoreDBClusterFromSnapshot(other, &shape.RestoreDBClusterFromSnapshotInput{
		DBClusterIdentifier: new("theirs"), SnapshotIdentifier: new("arn:aws:rds:us-east-1:111122223333:cluster-snapshot:before"), Engine: new("aurora-postgresql"), DBSubnetGroupName: new("mine"),
	}))
	remove := func() (*shape.DeleteDBClusterSnapshotOutput, error) {
		return w.rds.DeleteDBClusterSnapshot(w.Ctx, &shape.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: new("before")})
	}
	w.must(w.rds.CreateDBInstance(other, &shape.CreateDBInstanceInput{
		DBInstanceIdentifier: new("first"), DBClusterIdentifier: new("theirs"), DBInstanceClass: new("db.r6g.large"), Engine: new("aurora-postgresql"),
	}))
	refused(w, "delete what another account's cluster begins with", "InvalidDBClusterSnapshotStateFault", "something of another account", remove)
	w.Put(t, func(tx *table.Txn) {
		state.DBInstances.Delete(tx, servicetest.OtherAccount, servicetest.Region, w.othersInstance("first").ID)
	})
	w.must(remove())
}
