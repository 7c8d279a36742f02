// SPDX-License-Identifier: Apache-2.0

package rds_test

import (
	"regexp"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
)

// opened is the password in a row.
func (w *world) opened(d *model.Database, id string) string {
	w.t.Helper()
	text, err := w.Seal.OpenText(seal.DatabasePassword, d.Password, id)
	return string(get(w.t, text, err))
}

// TestPasswordsAreMade has an instance of which nobody knows the password, gives it another
// one, takes it over and gives it back.
func TestPasswordsAreMade(t *testing.T) {
	w := newWorld(t)
	made := w.instance("one", func(in *shape.CreateDBInstanceInput) {
		in.MasterUserPassword, in.ManageMasterUserPassword = nil, new(true)
	})
	arn := regexp.MustCompile(`^arn:aws:secretsmanager:us-east-1:111122223333:secret:rds!db-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[0-9a-f]{6}$`)
	if s := made.MasterUserSecret; s == nil || !arn.MatchString(*s.SecretArn) || *s.SecretStatus != "active" || s.KmsKeyId != nil {
		t.Fatalf("the secret is %+v", s)
	}
	row := w.instanceRow("one")
	first := w.opened(&row.Database, row.ID)
	if !regexp.MustCompile(`^[A-Z2-7]{32}$`).MatchString(first) {
		t.Errorf("the password is %q", first)
	}
	w.says(row.ID, model.DatabaseAvailable)
	modify := func(in shape.ModifyDBInstanceInput) *shape.DBInstance {
		t.Helper()
		in.DBInstanceIdentifier = new("one")
		out, err := w.rds.ModifyDBInstance(w.Ctx, &in)
		return get(t, out, err).DBInstance
	}
	refuse := func(what, code, text string, in shape.ModifyDBInstanceInput) {
		t.Helper()
		in.DBInstanceIdentifier = new("one")
		refused(w, what, code, text, func() (*shape.ModifyDBInstanceOutput, error) { return w.rds.ModifyDBInstance(w.Ctx, &in) })
	}
	type in = shape.ModifyDBInstanceInput
	refuse("one that is given beside", "InvalidParameterValue", "ManageMasterUserPassword enabled", in{MasterUserPassword: new("secret-of-boss")})
	refuse("both", "InvalidParameterCombination", "ManageMasterUserPassword enabled", in{MasterUserPassword: new("secret-of-boss"), ManageMasterUserPassword: new(true)})
	refuse("none", "InvalidParameterCombination", "MasterUserPassword must be provided", in{ManageMasterUserPassword: new(false)})
	refuse("another one later", "InvalidParameterCombination", "ApplyImmediately", in{RotateMasterUserPassword: new(true)})
	if got := modify(in{ManageMasterUserPassword: new(true)}); *got.DBInstanceStatus != "available" || w.opened(&w.instanceRow("one").Database, row.ID) != first {
		t.Errorf("to be told again changed the password: %s", *got.DBInstanceStatus)
	}
	got := modify(in{RotateMasterUserPassword: new(true), ApplyImmediately: new(true)})
	if *got.MasterUserSecret.SecretStatus != "rotating" || *got.DBInstanceStatus != "resetting-master-credentials" || *got.MasterUserSecret.SecretArn != *made.MasterUserSecret.SecretArn {
		t.Errorf("after asking for another one: %s, %+v", *got.DBInstanceStatus, got.MasterUserSecret)
	}
	if now := w.opened(&w.instanceRow("one").Database, row.ID); now == first || len(now) != len(first) {
		t.Errorf("the other password is %q, the first was %q", now, first)
	}
	w.says(row.ID, model.DatabaseAvailable)
	w.must(w.rds.CreateDBSnapshot(w.Ctx, &shape.CreateDBSnapshotInput{DBInstanceIdentifier: new("one"), DBSnapshotIdentifier: new("before")}))
	w.says(w.snapshotID("before"), model.DatabaseAvailable)
	if got := modify(in{ManageMasterUserPassword: new(false), MasterUserPassword: new("secret-of-boss")}); got.MasterUserSecret != nil || w.opened(&w.instanceRow("one").Database, row.ID) != "secret-of-boss" {
		t.Errorf("given by a user again: %+v", got.MasterUserSecret)
	}
	w.says(row.ID, model.DatabaseAvailable)
	refuse("another one of what was given", "InvalidParameterCombination", "RotateMasterUserPassword", in{RotateMasterUserPassword: new(true), ApplyImmediately: new(true)})
	if got := modify(in{ManageMasterUserPassword: new(true)}); *got.MasterUserSecret.SecretArn == *made.MasterUserSecret.SecretArn {
		t.Error("the secret has the name of one that was gone")
	}
	for name, manage := range map[string]bool{"kept": false, "anew": true} {
		out, err := w.rds.RestoreDBInstanceFromDBSnapshot(w.Ctx, &shape.RestoreDBInstanceFromDBSnapshotInput{
			DBInstanceIdentifier: &name, DBSnapshotIdentifier: new("before"), DBSubnetGroupName: new("group"), ManageMasterUserPassword: &manage,
		})
		if s := get(t, out, err).DBInstance.MasterUserSecret; (s != nil) != manage || w.instanceRow(name).Secret != 1 {
			t.Errorf("%s: restored with the secret %+v", name, s)
		}
	}
	if kept, anew := w.instanceRow("kept"), w.instanceRow("anew"); w.opened(&kept.Database, kept.ID) == w.opened(&anew.Database, anew.ID) {
		t.Error("a password that is made anew is the one of the snapshot")
	}
}

// TestPasswordsOfClustersAreMade is that a cluster has the secret, and its instances none.
func TestPasswordsOfClustersAreMade(t *testing.T) {
	w := newWorld(t)
	made := w.cluster("shop", func(in *shape.CreateDBClusterInput) {
		in.MasterUserPassword, in.ManageMasterUserPassword = nil, new(true)
	})
	if !regexp.MustCompile(`:secret:rds!cluster-`).MatchString(*made.MasterUserSecret.SecretArn) {
		t.Errorf("the secret is %s", *made.MasterUserSecret.SecretArn)
	}
	if m := w.member("shop", "one"); m.MasterUserSecret != nil {
		t.Errorf("a member has the secret %+v", m.MasterUserSecret)
	}
	first := w.opened(&w.clusterRow("shop").Database, w.clusterRow("shop").ID)
	w.must(w.rds.ModifyDBCluster(w.Ctx, &shape.ModifyDBClusterInput{DBClusterIdentifier: new("shop"), RotateMasterUserPassword: new(true), ApplyImmediately: new(true)}))
	if w.opened(&w.clusterRow("shop").Database, w.clusterRow("shop").ID) == first {
		t.Error("the password is the same as before")
	}
	refused(w, "of a member", "InvalidParameterCombination", "ModifyDBCluster", func() (*shape.ModifyDBInstanceOutput, error) {
		return w.rds.ModifyDBInstance(w.Ctx, &shape.ModifyDBInstanceInput{DBInstanceIdentifier: new("one"), ManageMasterUserPassword: new(true)})
	})
	refused(w, "a member with its own", "InvalidParameterCombination", "master user password", func() (*shape.CreateDBInstanceOutput, error) {
		return w.rds.CreateDBInstance(w.Ctx, &shape.CreateDBInstanceInput{
			DBInstanceIdentifier: new("two"), DBClusterIdentifier: new("shop"), DBInstanceClass: new("db.r6g.large"), Engine: new("aurora-postgresql"), ManageMasterUserPassword: new(true),
		})
	})
}
