// SPDX-License-Identifier: Apache-2.0

package system

import (
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/postern"
)

// replica asks for a read replica, which has the groups of its source.
func (d *databases) replica(id, source string) {
	d.T.Helper()
	postern.Call[rds.CreateDBInstanceReadReplicaOutput](d.Postern, rds.Service, "CreateDBInstanceReadReplica", &rds.CreateDBInstanceReadReplicaInput{
		DBInstanceIdentifier: &id, SourceDBInstanceIdentifier: &source, PubliclyAccessible: new(false),
	})
}

// TestAReadReplicaFollowsItsSource: what is written to an instance is read at its read replica,
// which takes no changes, though their groups let clients in only; also after Postern was killed
// and started. When the source is deleted the replica is a database of its own.
func TestAReadReplicaFollowsItsSource(t *testing.T) {
	d := newDatabases(t)
	postern.Call[rds.CreateDBInstanceOutput](d.Postern, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: new("orders"), Engine: new("postgres"), DBInstanceClass: new("db.t3.micro"), AllocatedStorage: new(int32(20)),
		MasterUsername: new(masterUser), MasterUserPassword: new(masterPassword), DBName: new("app"), DBSubnetGroupName: new("both"), VpcSecurityGroupIds: []string{d.served},
	})
	source := *d.await("orders").Endpoint.Address
	d.expect(source, "create table things (name text); insert into things values ('before'); select count(*) from things", "1")
	d.replica("copy", "orders")
	made := d.await("copy")
	if len(made.StatusInfos) != 1 || *made.StatusInfos[0].Status != "replicating" || *made.ReadReplicaSourceDBInstanceIdentifier != "orders" {
		t.Errorf("the replica is %+v", made)
	}
	copied := *made.Endpoint.Address
	d.expect(copied, "select pg_is_in_recovery(), count(*) from things", "t|1")
	if _, err := d.ask(copied, "insert into things values ('no')"); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("to write to a read replica gives %v", err)
	}
	d.Verify()

	d.Kill()
	d.Up()
	d.await("orders")
	d.expect(source, "insert into things values ('after'); select count(*) from things", "2")
	d.Await("the read replica to have it", func() (bool, error) {
		got, err := d.ask(copied, "select pg_is_in_recovery(), count(*) from things")
		return err == nil && got == "t|2", nil
	})

	d.delete("orders", "")
	if made := d.await("copy"); made.ReadReplicaSourceDBInstanceIdentifier != nil {
		t.Errorf("without its source it is %+v", made)
	}
	d.expect(copied, "insert into things values ('own'); select pg_is_in_recovery(), count(*) from things", "f|3")
	d.Verify()
	d.delete("copy", "")
	d.nothingLeft()
}
