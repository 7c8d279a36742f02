// SPDX-License-Identifier: Apache-2.0

package system

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/postern"
)

// TestAMariaDBIsReachedByItsName: a MariaDB server that the API was asked for is reached in
// its VPC by its name, with its certificate checked, as its master user. It goes on as the
// same server while Postern is killed and started; a snapshot of it becomes another one, and so
// does a read replica. Nothing is left of any when they are deleted.
func TestAMariaDBIsReachedByItsName(t *testing.T) {
	d := newDatabasesOf(t, "mariadb", "mariadb")
	client := func(name, question string) child.Result {
		return d.Command("run", "--subnet", d.b.ID, "--security-group", d.open, "--", "mariadb", "--no-defaults", "--ssl-ca="+d.bundle, "--ssl-verify-server-cert",
			"--connect-timeout=20", "-h", name, "-u", masterUser, "-p"+masterPassword, "-NB", "-e", question, "app")
	}
	expect := func(name, question, want string) {
		t.Helper()
		r := client(name, question)
		if got := strings.TrimSpace(r.Stdout); r.Status != 0 || got != want {
			t.Errorf("%s of %s: status %d, %q, %s, want %q", question, name, r.Status, got, r.Stderr, want)
		}
	}
	postern.Call[rds.CreateDBInstanceOutput](d.Postern, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: new("stock"), Engine: new("mariadb"), DBInstanceClass: new("db.t3.micro"), AllocatedStorage: new(int32(20)),
		MasterUsername: new(masterUser), MasterUserPassword: new(masterPassword), DBName: new("app"),
		DBSubnetGroupName: new("both"), VpcSecurityGroupIds: []string{d.served}, PubliclyAccessible: new(false),
	})
	made := d.await("stock")
	name := *made.Endpoint.Address
	if *made.Endpoint.Port != 3306 || *made.LicenseModel != "general-public-license" {
		t.Errorf("its port is %d and its license %s", *made.Endpoint.Port, *made.LicenseModel)
	}
	expect(name, "select current_user()", masterUser+"@%")
	// A table in memory is as it was for as long as the server is the same one.
	expect(name, "create table things (name text); insert into things values ('kept'); create table mark (n int) engine=memory; insert into mark values (1); select name from things", "kept")
	d.Verify()

	d.Kill()
	if left := supervised(d.Data); len(left) != 1 {
		t.Errorf("while Postern is away the server is looked after by %v, want one process", left)
	}
	d.Up()
	d.await("stock")
	expect(name, "select n, name from mark, things", "1\tkept")

	postern.Call[rds.CreateDBSnapshotOutput](d.Postern, rds.Service, "CreateDBSnapshot", &rds.CreateDBSnapshotInput{DBInstanceIdentifier: new("stock"), DBSnapshotIdentifier: new("before")})
	d.Await("the snapshot", func() (bool, error) {
		var out rds.DescribeDBSnapshotsOutput
		err := d.Do(rds.Service, "DescribeDBSnapshots", &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: new("before")}, &out)
		return err == nil && len(out.DBSnapshots) == 1 && *out.DBSnapshots[0].Status == "available", err
	})
	d.replica("copy", "stock")
	copied := *d.await("copy").Endpoint.Address
	expect(name, "delete from things; select count(*) from things", "0")
	d.Await("the read replica to have it", func() (bool, error) {
		r := client(copied, "select count(*) from things")
		return r.Status == 0 && strings.TrimSpace(r.Stdout) == "0", nil
	})
	if r := client(copied, "insert into things values ('no')"); r.Status == 0 || !strings.Contains(r.Stderr, "read-only") {
		t.Errorf("to write to a read replica ends with %d, %s", r.Status, r.Stderr)
	}
	postern.Call[rds.PromoteReadReplicaOutput](d.Postern, rds.Service, "PromoteReadReplica", &rds.PromoteReadReplicaInput{DBInstanceIdentifier: new("copy")})
	d.await("copy")
	expect(copied, "insert into things values ('own'); select count(*) from things", "1")
	expect(name, "select count(*) from things", "0")
	postern.Call[rds.RestoreDBInstanceFromDBSnapshotOutput](d.Postern, rds.Service, "RestoreDBInstanceFromDBSnapshot", &rds.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: new("again"), DBSnapshotIdentifier: new("before"), DBInstanceClass: new("db.t3.micro"), DBSubnetGroupName: new("both"), VpcSecurityGroupIds: []string{d.open},
	})
	expect(*d.await("again").Endpoint.Address, "select name from things", "kept")
	d.Verify()

	for _, id := range []string{"stock", "again", "copy"} {
		if err := d.Do(rds.Service, "DeleteDBInstance", &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &id, SkipFinalSnapshot: new(true)}, nil); err != nil {
			t.Fatal(err)
		}
		d.awaitEnd(id)
	}
	if err := d.Do(rds.Service, "DeleteDBSnapshot", &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: new("before")}, nil); err != nil {
		t.Fatal(err)
	}
	d.Await("the end of the snapshot's folder", func() (bool, error) { return len(d.folders()) == 0, nil })
	d.nothingLeft()
}
