// SPDX-License-Identifier: Apache-2.0

package rds_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/seal"
	"github.com/posternhq/postern/internal/state"
)

func TestAnInstanceBecomesAvailable(t *testing.T) {
	w := newWorld(t)
	made := w.instance("Orders", func(in *shape.CreateDBInstanceInput) {
		in.DBName, in.Tags, in.AvailabilityZone = new("app"), []shape.Tag{{Key: new("team"), Value: new("shop")}}, new("us-east-1b")
	})
	if *made.DBInstanceStatus != "creating" || made.Endpoint != nil {
		t.Errorf("made with status %s and endpoint %+v", *made.DBInstanceStatus, made.Endpoint)
	}
	if !regexp.MustCompile(`^db-[A-Z0-9]{26}$`).MatchString(*made.DbiResourceId) {
		t.Errorf("resource id %s", *made.DbiResourceId)
	}
	row := w.instanceRow("orders")
	if text, err := w.Seal.OpenText(seal.DatabasePassword, row.Password, row.ID); err != nil || string(text) != "secret-of-boss" {
		t.Errorf("the password opens as %q, %v", text, err)
	}
	if row.Writer != row.ID || row.Epoch != 1 || row.Secret != 1 {
		t.Errorf("writer %s, epoch %d, secret %d", row.Writer, row.Epoch, row.Secret)
	}
	ni := w.interfaces()[0]
	if *ni.Description != "RDSNetworkInterface" || *ni.SubnetId != w.subnets[1] || *ni.PrivateIpAddress != row.Addr.String() {
		t.Errorf("interface %s in %s with %s, the row has %s", *ni.Description, *ni.SubnetId, *ni.PrivateIpAddress, row.Addr)
	}

	w.says(row.ID, model.DatabaseAvailable)
	got := w.describeInstance("ORDERS")
	if *got.DBInstanceStatus != "available" || *got.Endpoint.Port != 5432 || !strings.HasPrefix(*got.Endpoint.Address, "orders.") || !strings.HasSuffix(*got.Endpoint.Address, ".us-east-1.rds.amazonaws.com") {
		t.Errorf("status %s, endpoint %+v", *got.DBInstanceStatus, got.Endpoint)
	}
	want := map[string]string{
		"version": "15.18", "group": "default.postgres15 in-sync", "options": "default:postgres-15", "license": "postgresql-license", "storage": "gp2", "name": "app", "zone": "us-east-1b",
		"arn": "arn:aws:rds:us-east-1:111122223333:db:orders", "authority": "postern-ca-g1",
	}
	if diff := cmp.Diff(want, map[string]string{
		"version": *got.EngineVersion, "group": *got.DBParameterGroups[0].DBParameterGroupName + " " + *got.DBParameterGroups[0].ParameterApplyStatus,
		"options": *got.OptionGroupMemberships[0].OptionGroupName, "license": *got.LicenseModel, "storage": *got.StorageType, "name": *got.DBName, "zone": *got.AvailabilityZone,
		"arn": *got.DBInstanceArn, "authority": *got.CACertificateIdentifier,
	}); diff != "" {
		t.Errorf("instance (-want +got):\n%s", diff)
	}
	byID, err := w.rds.DescribeDBInstances(w.Ctx, &shape.DescribeDBInstancesInput{Filters: []shape.Filter{{Name: new("dbi-resource-id"), Values: []string{row.ID}}}})
	if all := get(t, byID, err).DBInstances; len(all) != 1 {
		t.Errorf("%d instances with the resource id", len(all))
	}
}

// TestWhatCannotBeIsRefused has requests for instances that must not be made.
func TestWhatCannotBeIsRefused(t *testing.T) {
	w := newWorld(t)
	w.instance("taken", nil)
	elsewhere := w.Group(t, *w.AddVPC(t).VpcId, "elsewhere")
	type in = *shape.CreateDBInstanceInput
	for _, test := range []struct {
		name, code, text string
		change           func(in)
	}{
		{"name taken", "DBInstanceAlreadyExists", "already exists", func(i in) { i.DBInstanceIdentifier = new("Taken") }},
		{"two hyphens", "InvalidParameterValue", "DBInstanceIdentifier", func(i in) { i.DBInstanceIdentifier = new("a--b") }},
		{"digit first", "InvalidParameterValue", "DBInstanceIdentifier", func(i in) { i.DBInstanceIdentifier = new("1a") }},
		{"long name", "InvalidParameterValue", "63", func(i in) { i.DBInstanceIdentifier = new(strings.Repeat("a", 64)) }},
		{"short password", "InvalidParameterValue", "shorter than 8", func(i in) { i.MasterUserPassword = new("short") }},
		{"slash in password", "InvalidParameterValue", "printable", func(i in) { i.MasterUserPassword = new("with/slash") }},
		{"no password", "MissingParameter", "MasterUserPassword", func(i in) { i.MasterUserPassword = nil }},
		{"reserved user", "InvalidParameterValue", "reserved", func(i in) { i.MasterUsername = new("rdsadmin") }},
		{"user of the engine", "InvalidParameterValue", "reserved", func(i in) { i.MasterUsername = new("pg_monitor") }},
		{"bad user", "InvalidParameterValue", "MasterUsername", func(i in) { i.MasterUsername = new("a-b") }},
		{"reserved name", "InvalidParameterValue", "reserved", func(i in) { i.DBName = new("template1") }},
		{"low port", "InvalidParameterValue", "port", func(i in) { i.Port = new(int32(80)) }},
		{"no storage", "MissingParameter", "AllocatedStorage", func(i in) { i.AllocatedStorage = nil }},
		{"much storage", "InvalidParameterValue", "65536", func(i in) { i.AllocatedStorage = new(int32(70000)) }},
		{"unknown class", "InvalidParameterValue", "db.x.y", func(i in) { i.DBInstanceClass = new("db.x.y") }},
		{"serverless", "InvalidParameterValue", "serverless", func(i in) { i.DBInstanceClass = new("db.serverless") }},
		{"unknown engine", "InvalidParameterValue", "oracle-ee", func(i in) { i.Engine = new("oracle-ee") }},
		{"mysql", "InvalidParameterValue", "MariaDB", func(i in) { i.Engine = new("mysql") }},
		{"unknown version", "InvalidParameterCombination", "installed are 17.6, 15.18", func(i in) { i.EngineVersion = new("15.4") }},
		{"other major", "InvalidParameterCombination", "Cannot find version 16", func(i in) { i.EngineVersion = new("16") }},
		{"aurora alone", "InvalidParameterCombination", "DBClusterIdentifier", func(i in) { i.Engine = new("aurora-postgresql") }},
		{"public", "InvalidParameterCombination", "VPCs only", func(i in) { i.PubliclyAccessible = new(true) }},
		{"two zones", "InvalidParameterCombination", "MultiAZ", func(i in) { i.MultiAZ = new(true) }},
		{"two passwords", "InvalidParameterCombination", "ManageMasterUserPassword enabled", func(i in) { i.ManageMasterUserPassword = new(true) }},
		{"key of the secret", "KMSKeyNotAccessibleFault", "sealed", func(i in) { i.MasterUserSecretKmsKeyId = new("alias/x") }},
		{"encrypted", "KMSKeyNotAccessibleFault", "--encrypted-databases", func(i in) { i.StorageEncrypted = new(true) }},
		{"key", "KMSKeyNotAccessibleFault", "KmsKeyId", func(i in) { i.KmsKeyId = new("alias/x") }},
		{"IAM", "InvalidParameterCombination", "EnableIAMDatabaseAuthentication", func(i in) { i.EnableIAMDatabaseAuthentication = new(true) }},
		{"insights", "InvalidParameterCombination", "EnablePerformanceInsights", func(i in) { i.EnablePerformanceInsights = new(true) }},
		{"authority", "CertificateNotFound", "rds-ca-2019", func(i in) { i.CACertificateIdentifier = new("rds-ca-2019") }},
		{"no such subnet group", "DBSubnetGroupNotFoundFault", "'nowhere'", func(i in) { i.DBSubnetGroupName = new("nowhere") }},
		{"no such group", "InvalidParameterValue", "sg-1", func(i in) { i.VpcSecurityGroupIds = []string{"sg-1"} }},
		{"group of another VPC", "InvalidParameterCombination", "different VPCs", func(i in) { i.VpcSecurityGroupIds = []string{elsewhere} }},
		{"no such parameters", "DBParameterGroupNotFound", "mine", func(i in) { i.DBParameterGroupName = new("mine") }},
		{"parameters of another version", "DBParameterGroupNotFound", "default.postgres14", func(i in) { i.DBParameterGroupName = new("default.postgres14") }},
		{"no such cluster", "DBClusterNotFoundFault", "none", func(i in) {
			*i = shape.CreateDBInstanceInput{DBInstanceIdentifier: new("x"), DBInstanceClass: i.DBInstanceClass, Engine: new("aurora-postgresql"), DBClusterIdentifier: new("none")}
		}},
		{"zone of another region", "InvalidParameterValue", "eu-west-1a", func(i in) { i.AvailabilityZone = new("eu-west-1a") }},
		{"windows overlap", "InvalidParameterValue", "overlap", func(i in) {
			i.PreferredBackupWindow, i.PreferredMaintenanceWindow = new("23:45-00:30"), new("mon:00:00-mon:01:00")
		}},
		{"short window", "InvalidParameterValue", "30 minutes", func(i in) { i.PreferredBackupWindow = new("03:00-03:10") }},
		{"long retention", "InvalidParameterValue", "35", func(i in) { i.BackupRetentionPeriod = new(int32(36)) }},
		{"another license", "InvalidParameterCombination", "license", func(i in) { i.LicenseModel = new("bring-your-own-license") }},
		{"option group", "OptionGroupNotFoundFault", "default:postgres-15", func(i in) { i.OptionGroupName = new("mine") }},
	} {
		request := instanceInput("new")
		test.change(request)
		refused(w, test.name, test.code, test.text, func() (*shape.CreateDBInstanceOutput, error) { return w.rds.CreateDBInstance(w.Ctx, request) })
	}

	w.Engines = func() []engine.Installation { return nil }
	for engine, text := range map[string]string{"postgres": "install the package postgresql", "mariadb": "install the package mariadb-server mariadb-backup"} {
		request := instanceInput("new")
		request.Engine, request.EngineVersion = &engine, nil
		refused(w, "nothing installed of "+engine, "InvalidParameterCombination", text, func() (*shape.CreateDBInstanceOutput, error) {
			return w.rds.CreateDBInstance(w.Ctx, request)
		})
	}
}

func TestEncryptionIsTheOperatorsWord(t *testing.T) {
	w := newWorld(t)
	w.EncryptedStorage = true
	if i := w.instance("one", func(in *shape.CreateDBInstanceInput) { in.StorageEncrypted = new(true) }); !*i.StorageEncrypted {
		t.Error("an encrypted instance is shown as one that is not")
	}
}

func TestInstancesAreChanged(t *testing.T) {
	w := newWorld(t)
	w.instance("one", nil)
	row := w.instanceRow("one")
	w.says(row.ID, model.DatabaseAvailable)
	group := w.group("other")
	modify := func(in shape.ModifyDBInstanceInput) *shape.DBInstance {
		t.Helper()
		in.DBInstanceIdentifier = new("one")
		out, err := w.rds.ModifyDBInstance(w.Ctx, &in)
		return get(t, out, err).DBInstance
	}
	got := modify(shape.ModifyDBInstanceInput{VpcSecurityGroupIds: []string{group}, BackupRetentionPeriod: new(int32(7)), AllocatedStorage: new(int32(30)), EngineVersion: new("15"), DeletionProtection: new(true)})
	if *got.VpcSecurityGroups[0].VpcSecurityGroupId != group || *got.BackupRetentionPeriod != 7 || *got.AllocatedStorage != 30 || !*got.DeletionProtection || *got.DBInstanceStatus != "available" {
		t.Errorf("changed to %+v", got)
	}
	if ni := w.interfaces()[0]; *ni.Groups[0].GroupId != group {
		t.Errorf("the interface has the group %s", *ni.Groups[0].GroupId)
	}
	if got := modify(shape.ModifyDBInstanceInput{PreferredMaintenanceWindow: new("Sun:20:00-Sun:21:00")}); *got.BackupRetentionPeriod != 7 || !*got.DeletionProtection || *got.PreferredMaintenanceWindow != "sun:20:00-sun:21:00" {
		t.Errorf("what was not named changed: %+v", got)
	}
	if got := modify(shape.ModifyDBInstanceInput{MasterUserPassword: new("another-secret")}); *got.DBInstanceStatus != "resetting-master-credentials" || got.PendingModifiedValues.MasterUserPassword != nil {
		t.Errorf("after the password: %s, pending %+v", *got.DBInstanceStatus, got.PendingModifiedValues)
	}
	w.says(row.ID, model.DatabaseAvailable)
	if got := modify(shape.ModifyDBInstanceInput{DBInstanceClass: new("db.t3.small")}); *got.DBInstanceClass != "db.t3.micro" || *got.PendingModifiedValues.DBInstanceClass != "db.t3.small" || *got.DBInstanceStatus != "available" {
		t.Errorf("a class for later: %s, pending %+v, %s", *got.DBInstanceClass, got.PendingModifiedValues, *got.DBInstanceStatus)
	}
	out, err := w.rds.RebootDBInstance(w.Ctx, &shape.RebootDBInstanceInput{DBInstanceIdentifier: new("one")})
	if got := get(t, out, err).DBInstance; *got.DBInstanceStatus != "rebooting" || *got.DBInstanceClass != "db.t3.small" || got.PendingModifiedValues.DBInstanceClass != nil {
		t.Errorf("after the reboot: %s %s, pending %+v", *got.DBInstanceStatus, *got.DBInstanceClass, got.PendingModifiedValues)
	}
	refused(w, "while it reboots", "InvalidDBInstanceState", "rebooting", func() (*shape.RebootDBInstanceOutput, error) {
		return w.rds.RebootDBInstance(w.Ctx, &shape.RebootDBInstanceInput{DBInstanceIdentifier: new("one")})
	})
	w.says(row.ID, model.DatabaseAvailable)
	if got := modify(shape.ModifyDBInstanceInput{DBInstanceClass: new("db.t3.medium"), ApplyImmediately: new(true)}); *got.DBInstanceClass != "db.t3.medium" || *got.DBInstanceStatus != "rebooting" {
		t.Errorf("a class at once: %s, %s", *got.DBInstanceClass, *got.DBInstanceStatus)
	}
	for _, test := range []struct {
		name, code, text string
		in               shape.ModifyDBInstanceInput
	}{
		{"less storage", "InvalidParameterCombination", "20", shape.ModifyDBInstanceInput{AllocatedStorage: new(int32(20))}},
		{"another major version", "InvalidParameterCombination", "Cannot upgrade", shape.ModifyDBInstanceInput{EngineVersion: new("17.6"), AllowMajorVersionUpgrade: new(true)}},
		{"another name", "InvalidParameterCombination", "renamed", shape.ModifyDBInstanceInput{NewDBInstanceIdentifier: new("two")}},
		{"another port", "InvalidParameterCombination", "port", shape.ModifyDBInstanceInput{DBPortNumber: new(int32(6543))}},
		{"a short password", "InvalidParameterValue", "shorter", shape.ModifyDBInstanceInput{MasterUserPassword: new("short")}},
		{"two zones", "InvalidParameterCombination", "MultiAZ", shape.ModifyDBInstanceInput{MultiAZ: new(true)}},
	} {
		test.in.DBInstanceIdentifier = new("one")
		refused(w, test.name, test.code, test.text, func() (*shape.ModifyDBInstanceOutput, error) { return w.rds.ModifyDBInstance(w.Ctx, &test.in) })
	}
}

func TestInstancesStopAndStart(t *testing.T) {
	w := newWorld(t)
	id := *w.instance("one", nil).DbiResourceId
	stop := func() (*shape.StopDBInstanceOutput, error) {
		return w.rds.StopDBInstance(w.Ctx, &shape.StopDBInstanceInput{DBInstanceIdentifier: new("one")})
	}
	start := func() (*shape.StartDBInstanceOutput, error) {
		return w.rds.StartDBInstance(w.Ctx, &shape.StartDBInstanceInput{DBInstanceIdentifier: new("one")})
	}
	refused(w, "before it is there", "InvalidDBInstanceState", "creating", stop)
	w.says(id, model.DatabaseAvailable)
	refused(w, "start what runs", "InvalidDBInstanceState", "not stopped", start)
	out, err := stop()
	if got := get(t, out, err).DBInstance; *got.DBInstanceStatus != "stopping" {
		t.Errorf("after stop: %s", *got.DBInstanceStatus)
	}
	w.says(id, model.DatabaseStopped)
	if got := w.describeInstance("one"); *got.DBInstanceStatus != "stopped" {
		t.Errorf("stopped: %s", *got.DBInstanceStatus)
	}
	started, err := start()
	if got := get(t, started, err).DBInstance; *got.DBInstanceStatus != "starting" {
		t.Errorf("after start: %s", *got.DBInstanceStatus)
	}
}

func TestInstancesAreDeleted(t *testing.T) {
	w := newWorld(t)
	w.instance("one", func(in *shape.CreateDBInstanceInput) { in.DeletionProtection = new(true) })
	w.says(w.instanceRow("one").ID, model.DatabaseAvailable)
	remove := func(skip bool, final *string) func() (*shape.DeleteDBInstanceOutput, error) {
		return func() (*shape.DeleteDBInstanceOutput, error) {
			return w.rds.DeleteDBInstance(w.Ctx, &shape.DeleteDBInstanceInput{DBInstanceIdentifier: new("one"), SkipFinalSnapshot: &skip, FinalDBSnapshotIdentifier: final})
		}
	}
	refused(w, "protected", "InvalidParameterCombination", "disable deletion protection", remove(true, nil))
	w.must(w.rds.ModifyDBInstance(w.Ctx, &shape.ModifyDBInstanceInput{DBInstanceIdentifier: new("one"), DeletionProtection: new(false)}))
	refused(w, "neither", "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required", remove(false, nil))
	refused(w, "both", "InvalidParameterCombination", "SkipFinalSnapshot", remove(true, new("last")))
	out, err := remove(false, new("Last"))()
	if got := get(t, out, err).DBInstance; *got.DBInstanceStatus != "deleting" {
		t.Errorf("after delete: %s", *got.DBInstanceStatus)
	}
	refused(w, "twice", "InvalidDBInstanceState", "is already being deleted", remove(true, nil))
	in := instanceInput("one")
	refused(w, "name still taken", "DBInstanceAlreadyExists", "", func() (*shape.CreateDBInstanceOutput, error) { return w.rds.CreateDBInstance(w.Ctx, in) })
	snapshots, err := w.rds.DescribeDBSnapshots(w.Ctx, &shape.DescribeDBSnapshotsInput{DBInstanceIdentifier: new("one")})
	if s := get(t, snapshots, err).DBSnapshots; len(s) != 1 || *s[0].DBSnapshotIdentifier != "last" || *s[0].Status != "creating" || *s[0].MasterUsername != "boss" {
		t.Errorf("final snapshots %+v", s)
	}
	refused(w, "nobody", "DBInstanceNotFound", "DBInstance two not found.", func() (*shape.DeleteDBInstanceOutput, error) {
		return w.rds.DeleteDBInstance(w.Ctx, &shape.DeleteDBInstanceInput{DBInstanceIdentifier: new("two")})
	})
}

// TestParametersWaitForAReboot changes a parameter that could hold at once, with the next
// reboot: the value that is in force stays until then.
func TestParametersWaitForAReboot(t *testing.T) {
	w := newWorld(t)
	w.must(w.rds.CreateDBParameterGroup(w.Ctx, &shape.CreateDBParameterGroupInput{DBParameterGroupName: new("mine"), DBParameterGroupFamily: new("postgres15"), Description: new("tests")}))
	id := *w.instance("one", func(in *shape.CreateDBInstanceInput) { in.DBParameterGroupName = new("mine") }).DbiResourceId
	set := func(value string, method string) {
		t.Helper()
		w.must(w.rds.ModifyDBParameterGroup(w.Ctx, &shape.ModifyDBParameterGroupInput{DBParameterGroupName: new("mine"), Parameters: []shape.Parameter{
			{ParameterName: new("work_mem"), ParameterValue: &value, ApplyMethod: &method},
		}}))
	}
	reset := func(method string) {
		t.Helper()
		w.must(w.rds.ResetDBParameterGroup(w.Ctx, &shape.ResetDBParameterGroupInput{DBParameterGroupName: new("mine"), Parameters: []shape.Parameter{{ParameterName: new("work_mem"), ApplyMethod: &method}}}))
	}
	expect := func(when, value, status string) {
		t.Helper()
		i := w.instanceRow("one")
		g, _ := state.DBParameterGroups.Get(w.DB.Snapshot(), i.Account, i.Region, i.ParameterGroup)
		if got, shown := g.InForce(i.Held)["work_mem"], *w.describeInstance("one").DBParameterGroups[0].ParameterApplyStatus; got != value || shown != status {
			t.Errorf("%s: %q is in force and %s, want %q and %s", when, got, shown, value, status)
		}
	}
	set("1024", shape.ApplyMethodPendingReboot)
	expect("before there is a server", "1024", "in-sync")
	w.says(id, model.DatabaseAvailable)
	set("2048", shape.ApplyMethodPendingReboot)
	expect("for later", "1024", "pending-reboot")
	set("4096", shape.ApplyMethodPendingReboot)
	expect("for later again", "1024", "pending-reboot")
	set("1024", shape.ApplyMethodPendingReboot)
	expect("as it is", "1024", "in-sync")
	set("2048", shape.ApplyMethodPendingReboot)
	w.must(w.rds.RebootDBInstance(w.Ctx, &shape.RebootDBInstanceInput{DBInstanceIdentifier: new("one")}))
	w.says(id, model.DatabaseAvailable)
	expect("after a reboot", "2048", "in-sync")
	reset(shape.ApplyMethodPendingReboot)
	expect("its default later", "2048", "pending-reboot")
	set("8192", shape.ApplyMethodImmediate)
	expect("at once after all", "8192", "in-sync")
	reset(shape.ApplyMethodImmediate)
	expect("its default at once", "", "in-sync")
	set("2048", shape.ApplyMethodPendingReboot)
	expect("instead of the default", "", "pending-reboot")
	w.must(w.rds.ResetDBParameterGroup(w.Ctx, &shape.ResetDBParameterGroupInput{DBParameterGroupName: new("mine"), ResetAllParameters: new(true)}))
	expect("all reset", "", "in-sync")
}

// TestParametersOfAClusterWaitForAReboot is that its members show it, and that the reboot of
// the writer or of all ends it.
func TestParametersOfAClusterWaitForAReboot(t *testing.T) {
	w := newWorld(t)
	w.must(w.rds.CreateDBClusterParameterGroup(w.Ctx, &shape.CreateDBClusterParameterGroupInput{DBClusterParameterGroupName: new("ours"), DBParameterGroupFamily: new("aurora-postgresql15"), Description: new("tests")}))
	w.cluster("shop", func(in *shape.CreateDBClusterInput) { in.DBClusterParameterGroupName = new("ours") })
	for _, name := range []string{"one", "two"} {
		w.member("shop", name)
		w.says(w.instanceRow(name).ID, model.DatabaseAvailable)
	}
	w.says(w.clusterRow("shop").ID, model.DatabaseAvailable)
	later := func() {
		t.Helper()
		w.must(w.rds.ModifyDBClusterParameterGroup(w.Ctx, &shape.ModifyDBClusterParameterGroupInput{DBClusterParameterGroupName: new("ours"), Parameters: []shape.Parameter{
			{ParameterName: new("work_mem"), ParameterValue: new("1024"), ApplyMethod: new(shape.ApplyMethodPendingReboot)},
		}}))
	}
	expect := func(when, status string) {
		t.Helper()
		for _, m := range w.describeCluster("shop").DBClusterMembers {
			if *m.DBClusterParameterGroupStatus != status {
				t.Errorf("%s: %s is %s, want %s", when, *m.DBInstanceIdentifier, *m.DBClusterParameterGroupStatus, status)
			}
		}
	}
	later()
	expect("for later", "pending-reboot")
	w.must(w.rds.RebootDBInstance(w.Ctx, &shape.RebootDBInstanceInput{DBInstanceIdentifier: new("two")}))
	expect("after the reboot of a reader", "pending-reboot")
	w.must(w.rds.RebootDBInstance(w.Ctx, &shape.RebootDBInstanceInput{DBInstanceIdentifier: new("one")}))
	expect("after the reboot of the writer", "in-sync")
	w.must(w.rds.ResetDBClusterParameterGroup(w.Ctx, &shape.ResetDBClusterParameterGroupInput{DBClusterParameterGroupName: new("ours"), ResetAllParameters: new(true)}))
	later()
	expect("for later again", "pending-reboot")
	w.says(w.instanceRow("one").ID, model.DatabaseAvailable)
	w.says(w.instanceRow("two").ID, model.DatabaseAvailable)
	w.must(w.rds.RebootDBCluster(w.Ctx, &shape.RebootDBClusterInput{DBClusterIdentifier: new("shop")}))
	expect("after the reboot of all", "in-sync")
}
