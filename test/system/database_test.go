// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

const (
	masterUser     = "boss"
	masterPassword = "correct-horse-battery"
)

// databases is a VPC with two subnets, a subnet group of both, and a Postern that has an
// engine.
type databases struct {
	*postern.Postern
	vpc    *postern.VPC
	a, b   *postern.Subnet
	open   string
	served string // a group whose members let those of open in, at ports of databases, and nobody else
	bundle string // the file with the certificate authority
}

// newDatabases wants PostgreSQL and its client to be installed.
func newDatabases(t *testing.T) *databases {
	t.Helper()
	return newDatabasesOf(t, "postgres", "psql")
}

// newDatabasesOf wants an engine and its client to be installed.
func newDatabasesOf(t *testing.T, engine, client string) *databases {
	t.Helper()
	if _, err := exec.LookPath(client); err != nil {
		testnet.Unable(t, "this test uses the program "+client)
	}
	d := &databases{Postern: postern.Start(t)}
	t.Cleanup(d.tell)
	known := postern.Call[rds.DescribeDBEngineVersionsOutput](d.Postern, rds.Service, "DescribeDBEngineVersions", &rds.DescribeDBEngineVersionsInput{Engine: &engine})
	if len(known.DBEngineVersions) == 0 {
		testnet.Unable(t, "engine "+engine+" is not installed")
	}
	d.vpc = d.VPC("10.0.0.0/16")
	d.a, d.b = d.vpc.Subnet(0, "10.0.1.0/24"), d.vpc.Subnet(1, "10.0.2.0/24")
	d.open = d.vpc.OpenGroup()
	d.served = d.vpc.Group("served", []ec2.IpPermission{{
		IpProtocol: new("tcp"), FromPort: new(int32(3306)), ToPort: new(int32(5432)), UserIdGroupPairs: []ec2.UserIdGroupPair{{GroupId: &d.open}},
	}}, nil)
	postern.Call[rds.CreateDBSubnetGroupOutput](d.Postern, rds.Service, "CreateDBSubnetGroup", &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName: new("both"), DBSubnetGroupDescription: new("for a test"), SubnetIds: []string{d.a.ID, d.b.ID},
	})
	ca := d.Command("rds", "ca")
	if ca.Status != 0 {
		t.Fatalf("postern rds ca: status %d: %s", ca.Status, ca.Stderr)
	}
	d.bundle = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(d.bundle, []byte(ca.Stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

// tell says what happened to databases in a test that failed.
func (d *databases) tell() {
	var out rds.DescribeEventsOutput
	if !d.T.Failed() || d.Do(rds.Service, "DescribeEvents", &rds.DescribeEventsInput{}, &out) != nil {
		return
	}
	for _, e := range out.Events {
		d.T.Logf("%s %s: %s", e.Date.Format("15:04:05.000"), *e.SourceIdentifier, *e.Message)
	}
}

// instance describes an instance; nil when there is none.
func (d *databases) instance(id string) (*rds.DBInstance, error) {
	var out rds.DescribeDBInstancesOutput
	err := d.Do(rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id}, &out)
	if postern.Code(err) == "DBInstanceNotFound" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.DBInstances[0], nil
}

// await waits until an instance is available.
func (d *databases) await(id string) (i *rds.DBInstance) {
	d.T.Helper()
	d.Await(id+" to be available", func() (bool, error) {
		var err error
		i, err = d.instance(id)
		return err == nil && i != nil && *i.DBInstanceStatus == "available", err
	})
	return i
}

// create makes an instance that is in no cluster, and waits until it is available.
func (d *databases) create(id string) *rds.DBInstance {
	d.T.Helper()
	postern.Call[rds.CreateDBInstanceOutput](d.Postern, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: &id, Engine: new("postgres"), DBInstanceClass: new("db.t3.micro"), AllocatedStorage: new(int32(20)),
		MasterUsername: new(masterUser), MasterUserPassword: new(masterPassword), DBName: new("app"),
		DBSubnetGroupName: new("both"), VpcSecurityGroupIds: []string{d.open}, PubliclyAccessible: new(false),
	})
	return d.await(id)
}

// delete deletes an instance, with a last snapshot unless its name is empty, and waits until
// it is gone.
func (d *databases) delete(id, snapshot string) {
	d.T.Helper()
	in := &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &id, SkipFinalSnapshot: new(snapshot == "")}
	if snapshot != "" {
		in.FinalDBSnapshotIdentifier = &snapshot
	}
	if err := d.Do(rds.Service, "DeleteDBInstance", in, nil); err != nil {
		d.T.Fatal(err)
	}
	d.awaitEnd(id)
}

// awaitEnd waits until an instance is gone.
func (d *databases) awaitEnd(id string) {
	d.T.Helper()
	d.Await("the end of "+id, func() (bool, error) {
		i, err := d.instance(id)
		return i == nil, err
	})
}

// ask has a server answer a question that is asked in the VPC by one of its names, with the
// server's certificate checked for it.
func (d *databases) ask(name, question string) (string, error) {
	text := fmt.Sprintf("host=%s port=5432 user=%s password=%s dbname=app sslmode=verify-full sslrootcert=%s connect_timeout=20", name, masterUser, masterPassword, d.bundle)
	r := d.Command("run", "--subnet", d.b.ID, "--security-group", d.open, "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", question, text)
	if r.Status != 0 {
		return "", fmt.Errorf("status %d: %s", r.Status, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout), nil
}

// expect wants an answer.
func (d *databases) expect(name, question, want string) {
	d.T.Helper()
	got, err := d.ask(name, question)
	if err != nil || got != want {
		d.T.Errorf("%s of %s: %q, %v, want %q", question, name, got, err, want)
	}
}

// nothingLeft wants nothing to be there of any database.
func (d *databases) nothingLeft() {
	d.T.Helper()
	if left := d.Interfaces("requester-id", "amazon-rds"); len(left) > 0 {
		d.T.Errorf("network interfaces are left: %+v", left)
	}
	for _, name := range d.Routers() {
		if strings.Contains(name, "-sandbox-") {
			d.T.Errorf("namespace %s is left", name)
		}
	}
	if left := d.folders(); len(left) > 0 {
		d.T.Errorf("folders are left: %v", left)
	}
	if left := supervised(d.Data); len(left) > 0 {
		d.T.Errorf("processes are left: %v", left)
	}
	d.Verify()
}

// folders gives those of databases and snapshots.
func (d *databases) folders() []string {
	found, _ := filepath.Glob(filepath.Join(d.Data, "databases", "*")) // the pattern is right
	return found
}

// supervised gives the processes that look after servers of a data folder.
func supervised(data string) (found []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is right
	for _, p := range processes {
		text, err := os.ReadFile(p)
		if words := strings.ReplaceAll(string(text), "\x00", " "); err == nil && strings.Contains(words, " supervise ") && strings.Contains(words, data) {
			found = append(found, words)
		}
	}
	return found
}

// TestADatabaseIsReachedByItsName: a PostgreSQL server that the API was asked for is reached
// in its VPC by its name, with its certificate checked, as its master user. It goes on as the
// same server while Postern is killed and started, and with what it had when all was cleaned away.
// Nothing is left of it when it is deleted.
func TestADatabaseIsReachedByItsName(t *testing.T) {
	d := newDatabases(t)
	made := d.create("orders")
	name, id := *made.Endpoint.Address, *made.DbiResourceId
	d.expect(name, "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()", masterUser+"|t")
	d.expect(name, "create table things (name text); insert into things values ('kept'); select name from things", "kept")
	began, err := d.ask(name, "select pg_postmaster_start_time()")
	if err != nil {
		t.Error(err)
	}
	d.Verify()

	d.Kill()
	if left := supervised(d.Data); len(left) != 1 {
		t.Errorf("while Postern is away the server is looked after by %v, want one process", left)
	}
	d.Up()
	d.await("orders")
	d.expect(name, "select pg_postmaster_start_time()", began)
	d.expect(name, "select name from things", "kept")
	d.Verify()

	d.Stop()
	d.Verify()
	if r := d.Command("clean", "--databases"); r.Status != 0 || !strings.Contains(r.Stdout, id) {
		t.Errorf("postern clean: status %d: %s%s", r.Status, r.Stdout, r.Stderr)
	}
	if left := supervised(d.Data); len(left) > 0 {
		t.Errorf("postern clean leaves %v", left)
	}
	d.Up()
	d.Await("the database after its server was taken away", func() (bool, error) {
		got, err := d.ask(name, "select name from things")
		return err == nil && got == "kept", nil
	})
	d.Verify()

	d.delete("orders", "")
	d.nothingLeft()
}

// TestADatabaseIsKeptInItsLastSnapshot: an instance that is deleted is gone when its last
// snapshot is there, from which another one is made that has all of it.
func TestADatabaseIsKeptInItsLastSnapshot(t *testing.T) {
	d := newDatabases(t)
	d.expect(*d.create("orders").Endpoint.Address, "create table things (name text); insert into things values ('kept'); select name from things", "kept")
	d.delete("orders", "last")
	out := postern.Call[rds.DescribeDBSnapshotsOutput](d.Postern, rds.Service, "DescribeDBSnapshots", &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: new("last")})
	if *out.DBSnapshots[0].Status != "available" {
		t.Errorf("when its instance is gone the snapshot is %s", *out.DBSnapshots[0].Status)
	}
	d.Verify()
	postern.Call[rds.RestoreDBInstanceFromDBSnapshotOutput](d.Postern, rds.Service, "RestoreDBInstanceFromDBSnapshot", &rds.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: new("again"), DBSnapshotIdentifier: new("last"), DBInstanceClass: new("db.t3.micro"), DBSubnetGroupName: new("both"), VpcSecurityGroupIds: []string{d.open}, PubliclyAccessible: new(false),
	})
	d.expect(*d.await("again").Endpoint.Address, "select name from things", "kept")
	d.delete("again", "")
	if err := d.Do(rds.Service, "DeleteDBSnapshot", &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: new("last")}, nil); err != nil {
		t.Fatal(err)
	}
	d.Await("the end of the snapshot", func() (bool, error) {
		err := d.Do(rds.Service, "DescribeDBSnapshots", &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: new("last")}, nil)
		if postern.Code(err) == "DBSnapshotNotFound" {
			return true, nil
		}
		return false, err
	})
	d.nothingLeft()
}

// cluster describes a cluster; nil when there is none.
func (d *databases) cluster(id string) (*rds.DBCluster, error) {
	var out rds.DescribeDBClustersOutput
	err := d.Do(rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{DBClusterIdentifier: &id}, &out)
	if postern.Code(err) == "DBClusterNotFoundFault" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &out.DBClusters[0], nil
}

// writer is the identifier of the instance that takes a cluster's writes.
func writer(c *rds.DBCluster) string {
	for _, m := range c.DBClusterMembers {
		if m.IsClusterWriter != nil && *m.IsClusterWriter {
			return *m.DBInstanceIdentifier
		}
	}
	return ""
}

// TestAClusterHasAnotherWriterWhenAsked: in a cluster of three the writer's name leads to
// the one that writes and the readers' name to the others, before and after a failover, which
// loses nothing. That their groups do not let members in is nothing to replication.
func TestAClusterHasAnotherWriterWhenAsked(t *testing.T) {
	d := newDatabases(t)
	postern.Call[rds.CreateDBClusterOutput](d.Postern, rds.Service, "CreateDBCluster", &rds.CreateDBClusterInput{
		DBClusterIdentifier: new("shop"), Engine: new("aurora-postgresql"), MasterUsername: new(masterUser), MasterUserPassword: new(masterPassword),
		DatabaseName: new("app"), DBSubnetGroupName: new("both"), VpcSecurityGroupIds: []string{d.served},
	})
	ids := []string{"shop-1", "shop-2", "shop-3"}
	for _, id := range ids {
		postern.Call[rds.CreateDBInstanceOutput](d.Postern, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &id, DBClusterIdentifier: new("shop"), Engine: new("aurora-postgresql"), DBInstanceClass: new("db.t3.medium"), PubliclyAccessible: new(false),
		})
	}
	for _, id := range ids {
		d.await(id)
	}
	c, err := d.cluster("shop")
	if err != nil || c == nil {
		t.Fatalf("the cluster is %+v, %v", c, err)
	}
	was := writer(c)
	d.expect(*c.Endpoint, "create table things (name text); insert into things values ('kept'); select pg_is_in_recovery()", "f")
	d.Await("a reader to have it", func() (bool, error) {
		got, err := d.ask(*c.ReaderEndpoint, "select pg_is_in_recovery(), name from things")
		return err == nil && got == "t|kept", nil
	})
	d.Verify()

	next := ids[0]
	if next == was {
		next = ids[1]
	}
	postern.Call[rds.FailoverDBClusterOutput](d.Postern, rds.Service, "FailoverDBCluster", &rds.FailoverDBClusterInput{DBClusterIdentifier: new("shop"), TargetDBInstanceIdentifier: &next})
	d.Await(next+" to write", func() (bool, error) {
		c, err := d.cluster("shop")
		return err == nil && c != nil && writer(c) == next && *c.Status == "available", err
	})
	for _, id := range ids {
		d.await(id)
	}
	d.expect(*c.Endpoint, "insert into things values ('more'); select pg_is_in_recovery(), count(*) from things", "f|2")
	d.Await("a reader to have all", func() (bool, error) {
		got, err := d.ask(*c.ReaderEndpoint, "select pg_is_in_recovery(), count(*) from things")
		return err == nil && got == "t|2", nil
	})
	own, err := d.instance(next)
	if err != nil {
		t.Fatal(err)
	}
	d.expect(*own.Endpoint.Address, "select pg_is_in_recovery()", "f")
	d.Verify()

	for _, id := range ids {
		if err := d.Do(rds.Service, "DeleteDBInstance", &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &id}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		d.awaitEnd(id)
	}
	if err := d.Do(rds.Service, "DeleteDBCluster", &rds.DeleteDBClusterInput{DBClusterIdentifier: new("shop"), SkipFinalSnapshot: new(true)}, nil); err != nil {
		t.Fatal(err)
	}
	d.Await("the end of the cluster", func() (bool, error) {
		c, err := d.cluster("shop")
		return c == nil, err
	})
	d.nothingLeft()
}
