// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// databaseInstance asks until an instance has a status, and gives it.
func (c *client) databaseInstance(name, status string) (found types.DBInstance) {
	c.t.Helper()
	c.await(name+" "+status, func() (bool, error) {
		out, err := c.databases().DescribeDBInstances(c.ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &name})
		if err != nil {
			return false, err
		}
		found = out.DBInstances[0]
		return *found.DBInstanceStatus == status, nil
	})
	return found
}

// databaseCluster is as databaseInstance.
func (c *client) databaseCluster(name, status string) (found types.DBCluster) {
	c.t.Helper()
	c.await(name+" "+status, func() (bool, error) {
		out, err := c.databases().DescribeDBClusters(c.ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &name})
		if err != nil {
			return false, err
		}
		found = out.DBClusters[0]
		return *found.Status == status, nil
	})
	return found
}

// databaseEvents writes down what happened, for a test that fails.
func (c *client) databaseEvents() {
	if !c.t.Failed() {
		return
	}
	out, err := c.databases().DescribeEvents(context.Background(), &rds.DescribeEventsInput{})
	if err != nil {
		c.t.Log(err)
		return
	}
	for _, e := range out.Events {
		c.t.Logf("%s %s: %s", e.Date.Format(time.TimeOnly), *e.SourceIdentifier, *e.Message)
	}
}

// deletedDatabase deletes an instance and waits until it is gone; final is the name of a last
// snapshot, or empty for none.
func (c *client) deletedDatabase(name, final string) {
	c.t.Helper()
	in := &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &name}
	if final == "" {
		in.SkipFinalSnapshot = new(true)
	} else {
		in.FinalDBSnapshotIdentifier = &final
	}
	must(c.databases().DeleteDBInstance(c.ctx, in))(c)
	wait := rds.NewDBInstanceDeletedWaiter(c.databases(), func(o *rds.DBInstanceDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = often, often })
	if err := wait.Wait(c.ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &name}, patience); err != nil {
		c.t.Fatal(err)
	}
}

// often is how often the SDK's own waiters ask here, which would wait half a minute.
const often = 500 * time.Millisecond

// TestDatabaseInstance makes an instance, changes, stops, copies and deletes it.
func TestDatabaseInstance(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.databases()
	defer c.databaseEvents()
	version, major := c.postgres()
	vpc, subnets := c.subnetGroup("group")
	must(api.ModifyDBSubnetGroup(c.ctx, &rds.ModifyDBSubnetGroupInput{DBSubnetGroupName: new("group"), SubnetIds: append(subnets, c.subnet(vpc, "10.0.3.0/24", "c"))}))(c)
	groups := must(api.DescribeDBSubnetGroups(c.ctx, &rds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: new("Group")}))(c).DBSubnetGroups
	equal(t, "subnets", len(groups[0].Subnets), 3)

	in := &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: new("Orders"), DBInstanceClass: new("db.t3.micro"), Engine: new("postgres"), EngineVersion: &major, AllocatedStorage: new(int32(20)),
		MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"), DBName: new("app"), DBSubnetGroupName: new("group"),
		VpcSecurityGroupIds: []string{c.group(vpc, "databases")}, Tags: []types.Tag{{Key: new("team"), Value: new("shop")}},
	}
	made := must(api.CreateDBInstance(c.ctx, in))(c).DBInstance
	matches(t, "resource id", made.DbiResourceId, "db-[A-Z0-9]{26}")
	typed[*types.DBInstanceAlreadyExistsFault](t, failure(api.CreateDBInstance(c.ctx, in)))
	wait := rds.NewDBInstanceAvailableWaiter(api, func(o *rds.DBInstanceAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = often, often })
	if err := wait.Wait(c.ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: new("orders")}, patience); err != nil {
		t.Fatal(err)
	}
	got := c.databaseInstance("orders", "available")
	equal(t, "version", *got.EngineVersion, version)
	equal(t, "tags", got.TagList, in.Tags)
	equal(t, "groups", *got.VpcSecurityGroups[0].VpcSecurityGroupId, in.VpcSecurityGroupIds[0])
	matches(t, "endpoint", got.Endpoint.Address, `orders\.[a-z0-9]{12}\.us-east-1\.rds\.amazonaws\.com`)
	found := must(api.DescribeDBInstances(c.ctx, &rds.DescribeDBInstancesInput{Filters: []types.Filter{{Name: new("dbi-resource-id"), Values: []string{*made.DbiResourceId}}}}))(c)
	equal(t, "found by resource id", len(found.DBInstances), 1)

	must(api.ModifyDBInstance(c.ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: new("orders"), BackupRetentionPeriod: new(int32(0)), MasterUserPassword: new("another-secret"), ApplyImmediately: new(true)}))(c)
	equal(t, "retention", *c.databaseInstance("orders", "available").BackupRetentionPeriod, 0)
	must(api.RebootDBInstance(c.ctx, &rds.RebootDBInstanceInput{DBInstanceIdentifier: new("orders")}))(c)
	c.databaseInstance("orders", "available")
	must(api.StopDBInstance(c.ctx, &rds.StopDBInstanceInput{DBInstanceIdentifier: new("orders")}))(c)
	c.databaseInstance("orders", "stopped")
	typed[*types.InvalidDBInstanceStateFault](t, failure(api.StopDBInstance(c.ctx, &rds.StopDBInstanceInput{DBInstanceIdentifier: new("orders")})))
	must(api.StartDBInstance(c.ctx, &rds.StartDBInstanceInput{DBInstanceIdentifier: new("orders")}))(c)
	c.databaseInstance("orders", "available")
	equal(t, "maintenance", len(must(api.DescribePendingMaintenanceActions(c.ctx, &rds.DescribePendingMaintenanceActionsInput{}))(c).PendingMaintenanceActions), 0)

	must(api.CreateDBSnapshot(c.ctx, &rds.CreateDBSnapshotInput{DBInstanceIdentifier: new("orders"), DBSnapshotIdentifier: new("before")}))(c)
	c.await("snapshot", func() (bool, error) {
		out, err := api.DescribeDBSnapshots(c.ctx, &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: new("before")})
		return err == nil && *out.DBSnapshots[0].Status == "available", err
	})
	shared := must(api.DescribeDBSnapshotAttributes(c.ctx, &rds.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: new("before")}))(c).DBSnapshotAttributesResult
	equal(t, "accounts it is shared with", len(shared.DBSnapshotAttributes[0].AttributeValues), 0)
	c.sharedSnapshot()
	must(api.RestoreDBInstanceFromDBSnapshot(c.ctx, &rds.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: new("again"), DBSnapshotIdentifier: new("before"), DBSubnetGroupName: new("group"), ManageMasterUserPassword: new(true),
	}))(c)
	again := c.databaseInstance("again", "available")
	equal(t, "database", *again.DBName, "app")
	equal(t, "class", *again.DBInstanceClass, "db.t3.micro")
	matches(t, "secret", again.MasterUserSecret.SecretArn, "arn:aws:secretsmanager:us-east-1:[0-9]{12}:secret:rds!db-.*")
	must(api.DeleteDBSnapshot(c.ctx, &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: new("before")}))(c)
	c.deletedDatabase("again", "")
	must(api.ModifyDBInstance(c.ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: new("orders"), BackupRetentionPeriod: new(int32(1))}))(c) // a source needs it
	copied := must(api.CreateDBInstanceReadReplica(c.ctx, &rds.CreateDBInstanceReadReplicaInput{DBInstanceIdentifier: new("copy"), SourceDBInstanceIdentifier: new("orders")}))(c).DBInstance
	equal(t, "source", *copied.ReadReplicaSourceDBInstanceIdentifier, "orders")
	equal(t, "replication", *c.databaseInstance("copy", "available").StatusInfos[0].Status, "replicating")
	equal(t, "replica", c.databaseInstance("orders", "available").ReadReplicaDBInstanceIdentifiers[0], "copy")
	refused(t, failure(api.StopDBInstance(c.ctx, &rds.StopDBInstanceInput{DBInstanceIdentifier: new("copy")})), "InvalidDBInstanceState")
	must(api.PromoteReadReplica(c.ctx, &rds.PromoteReadReplicaInput{DBInstanceIdentifier: new("copy")}))(c)
	equal(t, "statuses", len(c.databaseInstance("copy", "available").StatusInfos), 0)
	c.deletedDatabase("copy", "")
	refused(t, failure(api.DeleteDBInstance(c.ctx, &rds.DeleteDBInstanceInput{DBInstanceIdentifier: new("orders")})), "InvalidParameterCombination")
	c.deletedDatabase("orders", "last")
	typed[*types.DBInstanceNotFoundFault](t, failure(api.DescribeDBInstances(c.ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: new("orders")})))
	last := must(api.DescribeDBSnapshots(c.ctx, &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: new("last")}))(c).DBSnapshots[0]
	equal(t, "last snapshot", *last.Status, "available")
	must(api.DeleteDBSnapshot(c.ctx, &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: new("last")}))(c)
	must(api.DeleteDBSubnetGroup(c.ctx, &rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: new("group")}))(c)
}

// sharedSnapshot shares the snapshot before with another account, which copies it.
func (c *client) sharedSnapshot() {
	c.t.Helper()
	other := newAccount(c.t)
	source := must(c.databases().DescribeDBSnapshots(c.ctx, &rds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: new("before")}))(c).DBSnapshots[0].DBSnapshotArn
	copied := &rds.CopyDBSnapshotInput{SourceDBSnapshotIdentifier: source, TargetDBSnapshotIdentifier: new("copy"), CopyTags: new(true)}
	typed[*types.DBSnapshotNotFoundFault](c.t, failure(other.databases().CopyDBSnapshot(c.ctx, copied)))
	must(c.databases().ModifyDBSnapshotAttribute(c.ctx, &rds.ModifyDBSnapshotAttributeInput{
		DBSnapshotIdentifier: new("before"), AttributeName: new("restore"), ValuesToAdd: []string{other.key.Account},
	}))(c)
	must(other.databases().CopyDBSnapshot(c.ctx, copied))(other)
	c.await("the copy", func() (bool, error) {
		out, err := other.databases().DescribeDBSnapshots(c.ctx, &rds.DescribeDBSnapshotsInput{IncludeShared: new(true)})
		return err == nil && len(out.DBSnapshots) == 2 && *out.DBSnapshots[1].DBSnapshotIdentifier == "copy" && *out.DBSnapshots[1].Status == "available", err
	})
	must(other.databases().DeleteDBSnapshot(c.ctx, &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: new("copy")}))(other)
}

// publicClusterSnapshot shares the snapshot before with everybody, and copies it.
func (c *client) publicClusterSnapshot() {
	c.t.Helper()
	api := c.databases()
	everybody := must(api.ModifyDBClusterSnapshotAttribute(c.ctx, &rds.ModifyDBClusterSnapshotAttributeInput{
		DBClusterSnapshotIdentifier: new("before"), AttributeName: new("restore"), ValuesToAdd: []string{"all"},
	}))(c).DBClusterSnapshotAttributesResult
	equal(c.t, "it is shared with", everybody.DBClusterSnapshotAttributes[0].AttributeValues[0], "all")
	must(api.CopyDBClusterSnapshot(c.ctx, &rds.CopyDBClusterSnapshotInput{SourceDBClusterSnapshotIdentifier: new("before"), TargetDBClusterSnapshotIdentifier: new("copy")}))(c)
	c.await("the copy", func() (bool, error) {
		out, err := api.DescribeDBClusterSnapshots(c.ctx, &rds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: new("copy")})
		return err == nil && *out.DBClusterSnapshots[0].Status == "available", err
	})
	must(api.DeleteDBClusterSnapshot(c.ctx, &rds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: new("copy")}))(c)
}

// TestDatabaseCluster makes a cluster of two instances, and fails it over.
func TestDatabaseCluster(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	api := c.databases()
	defer c.databaseEvents()
	c.postgres()
	c.subnetGroup("group")
	shop := new("shop")
	made := must(api.CreateDBCluster(c.ctx, &rds.CreateDBClusterInput{
		DBClusterIdentifier: shop, Engine: new("aurora-postgresql"), MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"), DatabaseName: new("app"),
		DBSubnetGroupName: new("group"), CopyTagsToSnapshot: new(true), AvailabilityZones: []string{"us-east-1b", "us-east-1a"},
	}))(c).DBCluster
	equal(t, "zones", made.AvailabilityZones, []string{"us-east-1b", "us-east-1a"})
	matches(t, "writer", made.Endpoint, `shop\.cluster-[a-z0-9]{12}\.us-east-1\.rds\.amazonaws\.com`)
	matches(t, "reader", made.ReaderEndpoint, `shop\.cluster-ro-[a-z0-9]{12}\.us-east-1\.rds\.amazonaws\.com`)
	wait := rds.NewDBClusterAvailableWaiter(api, func(o *rds.DBClusterAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = often, often })
	if err := wait.Wait(c.ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: shop}, patience); err != nil {
		t.Fatal(err)
	}
	members := []string{"one", "two"}
	for _, name := range members {
		must(api.CreateDBInstance(c.ctx, &rds.CreateDBInstanceInput{DBInstanceIdentifier: &name, DBClusterIdentifier: shop, DBInstanceClass: new("db.r6g.large"), Engine: new("aurora-postgresql"), PromotionTier: new(int32(0))}))(c)
	}
	zones := map[string]bool{}
	for _, name := range members {
		zones[*c.databaseInstance(name, "available").AvailabilityZone] = true
	}
	equal(t, "zones that are used", len(zones), 2)
	c.databaseCluster("shop", "available")
	equal(t, "global clusters", len(must(api.DescribeGlobalClusters(c.ctx, &rds.DescribeGlobalClustersInput{Filters: []types.Filter{{Name: new("db-cluster-id"), Values: []string{*made.DBClusterArn}}}}))(c).GlobalClusters), 0)

	typed[*types.InvalidDBInstanceStateFault](t, failure(api.FailoverDBCluster(c.ctx, &rds.FailoverDBClusterInput{DBClusterIdentifier: shop, TargetDBInstanceIdentifier: new("one")})))
	c.await("another writer", func() (bool, error) {
		cluster := c.databaseCluster("shop", "available")
		writers := map[string]bool{}
		for _, m := range cluster.DBClusterMembers {
			writers[*m.DBInstanceIdentifier] = *m.IsClusterWriter
		}
		if writers["one"] { // also when a failover was given up, since the other one had not all yet
			out, err := api.FailoverDBCluster(c.ctx, &rds.FailoverDBClusterInput{DBClusterIdentifier: shop, TargetDBInstanceIdentifier: new("two")})
			if err == nil {
				equal(t, "status", *out.DBCluster.Status, "failing-over")
			}
			return false, err
		}
		return writers["two"], nil
	})
	c.databaseInstance("one", "available")
	c.databaseCluster("shop", "available")
	must(api.ModifyDBCluster(c.ctx, &rds.ModifyDBClusterInput{DBClusterIdentifier: shop, BackupRetentionPeriod: new(int32(2)), DeletionProtection: new(false)}))(c)
	must(api.RebootDBCluster(c.ctx, &rds.RebootDBClusterInput{DBClusterIdentifier: shop}))(c)
	for _, name := range members {
		c.databaseInstance(name, "available")
	}
	c.databaseCluster("shop", "available")

	must(api.CreateDBClusterSnapshot(c.ctx, &rds.CreateDBClusterSnapshotInput{DBClusterIdentifier: shop, DBClusterSnapshotIdentifier: new("before")}))(c)
	c.await("snapshot", func() (bool, error) {
		out, err := api.DescribeDBClusterSnapshots(c.ctx, &rds.DescribeDBClusterSnapshotsInput{DBClusterIdentifier: shop})
		return err == nil && *out.DBClusterSnapshots[0].Status == "available", err
	})
	shared := must(api.DescribeDBClusterSnapshotAttributes(c.ctx, &rds.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: new("before")}))(c).DBClusterSnapshotAttributesResult
	equal(t, "accounts it is shared with", len(shared.DBClusterSnapshotAttributes[0].AttributeValues), 0)
	c.publicClusterSnapshot()
	again := must(api.RestoreDBClusterFromSnapshot(c.ctx, &rds.RestoreDBClusterFromSnapshotInput{
		DBClusterIdentifier: new("again"), SnapshotIdentifier: new("before"), Engine: new("aurora-postgresql"), DBSubnetGroupName: new("group"),
	}))(c).DBCluster
	equal(t, "database", *again.DatabaseName, "app")
	must(api.DeleteDBCluster(c.ctx, &rds.DeleteDBClusterInput{DBClusterIdentifier: new("again"), SkipFinalSnapshot: new(true)}))(c)
	must(api.DeleteDBClusterSnapshot(c.ctx, &rds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: new("before")}))(c)

	must(api.StopDBCluster(c.ctx, &rds.StopDBClusterInput{DBClusterIdentifier: shop}))(c)
	c.databaseCluster("shop", "stopped")
	must(api.StartDBCluster(c.ctx, &rds.StartDBClusterInput{DBClusterIdentifier: shop}))(c)
	c.databaseCluster("shop", "available")
	typed[*types.InvalidDBClusterStateFault](t, failure(api.DeleteDBCluster(c.ctx, &rds.DeleteDBClusterInput{DBClusterIdentifier: shop, SkipFinalSnapshot: new(true)})))
	for _, name := range members {
		c.deletedDatabase(name, "")
	}
	must(api.DeleteDBCluster(c.ctx, &rds.DeleteDBClusterInput{DBClusterIdentifier: shop, SkipFinalSnapshot: new(true)}))(c)
	gone := rds.NewDBClusterDeletedWaiter(api, func(o *rds.DBClusterDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = often, often })
	if err := gone.Wait(c.ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: shop}, patience); err != nil {
		t.Fatal(err)
	}
}
