// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"testing"
	"time"

	"github.com/posternhq/postern/test/instance"
)

func (c *terminal) awaitInstance(name, status string) {
	c.t.Helper()
	c.await("DBInstances.0.DBInstanceStatus", status, "rds describe-db-instances --db-instance-identifier %s", name)
}

func (c *terminal) awaitCluster(name, status string) {
	c.t.Helper()
	c.await("DBClusters.0.Status", status, "rds describe-db-clusters --db-cluster-identifier %s", name)
}

// failOver asks for another writer of a cluster until there is: a failover is given up while
// the other instance has not all that the writer has.
func (c *terminal) failOver(cluster, to string) {
	c.t.Helper()
	err := instance.Poll(context.Background(), 2*time.Minute, to+" to write", func() (bool, error) {
		now := c.ok("rds describe-db-clusters --db-cluster-identifier %s --query DBClusters[0].[Status,DBClusterMembers[?IsClusterWriter].DBInstanceIdentifier]", cluster)
		switch {
		case now.at("0") != "available":
			return false, nil
		case now.at("1.0") == to:
			return true, nil
		}
		if c.run("rds failover-db-cluster --db-cluster-identifier %s --target-db-instance-identifier %s", cluster, to).Status == 0 {
			calls.Lock()
			calls.made["rds failover-db-cluster"] = true
			calls.Unlock()
		}
		return false, nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.refused("InvalidDBInstanceState", "rds failover-db-cluster --db-cluster-identifier %s --target-db-instance-identifier %s", cluster, to)
}

// An instance is made, changed, stopped, copied and deleted.
func TestDatabaseInstances(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	c.postgres()
	c.subnetGroup("group")
	group := c.ok("rds describe-db-subnet-groups --db-subnet-group-name Group")
	one, two := group.at("DBSubnetGroups.0.Subnets.0.SubnetIdentifier"), group.at("DBSubnetGroups.0.Subnets.1.SubnetIdentifier")
	c.ok("rds modify-db-subnet-group --db-subnet-group-name group --subnet-ids %s %s --db-subnet-group-description changed", one, two).is("DBSubnetGroup.DBSubnetGroupDescription", "changed")
	c.refused("DBSubnetGroupDoesNotCoverEnoughAZs", "rds create-db-subnet-group --db-subnet-group-name one --db-subnet-group-description tests --subnet-ids %s", one)
	c.refused("InvalidParameterValue", "rds create-db-instance --db-instance-identifier one --db-instance-class db.t3.micro --engine postgres --allocated-storage 20 --master-username boss --master-user-password short --db-subnet-group-name group")
	c.ok("rds create-db-instance --db-instance-identifier One --db-instance-class db.t3.micro --engine postgres --allocated-storage 20 --master-username boss --master-user-password secret-of-boss --db-name app --db-subnet-group-name group --no-publicly-accessible").is("DBInstance.DBInstanceStatus", "creating")
	c.refused("DBInstanceAlreadyExists", "rds create-db-instance --db-instance-identifier one --db-instance-class db.t3.micro --engine postgres --allocated-storage 20 --master-username boss --master-user-password secret-of-boss --db-subnet-group-name group")
	c.awaitInstance("one", "available")
	c.ok("rds describe-db-instances").is("DBInstances.0.Endpoint.Port", "5432")
	c.refused("InvalidDBSubnetGroupStateFault", "rds delete-db-subnet-group --db-subnet-group-name group")

	c.ok("rds modify-db-instance --db-instance-identifier one --backup-retention-period 7 --deletion-protection --apply-immediately").is("DBInstance.BackupRetentionPeriod", "7")
	c.refused("InvalidParameterCombination", "rds delete-db-instance --db-instance-identifier one --skip-final-snapshot")
	c.ok("rds modify-db-instance --db-instance-identifier one --no-deletion-protection --master-user-password another-secret --apply-immediately").is("DBInstance.DBInstanceStatus", "resetting-master-credentials")
	c.awaitInstance("one", "available")
	c.ok("rds reboot-db-instance --db-instance-identifier one").is("DBInstance.DBInstanceStatus", "rebooting")
	c.awaitInstance("one", "available")
	c.ok("rds stop-db-instance --db-instance-identifier one").is("DBInstance.DBInstanceStatus", "stopping")
	c.awaitInstance("one", "stopped")
	c.ok("rds start-db-instance --db-instance-identifier one").is("DBInstance.DBInstanceStatus", "starting")
	c.awaitInstance("one", "available")
	c.ok("rds describe-pending-maintenance-actions").has("PendingMaintenanceActions", 0)

	c.ok("rds create-db-snapshot --db-instance-identifier one --db-snapshot-identifier before").is("DBSnapshot.SnapshotType", "manual")
	c.await("DBSnapshots.0.Status", "available", "rds describe-db-snapshots --db-snapshot-identifier before")
	c.ok("rds describe-db-snapshot-attributes --db-snapshot-identifier before").is("DBSnapshotAttributesResult.DBSnapshotAttributes.0.AttributeName", "restore")
	c.ok("rds modify-db-snapshot-attribute --db-snapshot-identifier before --attribute-name restore --values-to-add 210987654321").is("DBSnapshotAttributesResult.DBSnapshotAttributes.0.AttributeValues.0", "210987654321")
	c.ok("rds copy-db-snapshot --source-db-snapshot-identifier before --target-db-snapshot-identifier copy").is("DBSnapshot.DBSnapshotIdentifier", "copy")
	c.await("DBSnapshots.0.Status", "available", "rds describe-db-snapshots --db-snapshot-identifier copy")
	c.ok("rds delete-db-snapshot --db-snapshot-identifier copy")
	c.ok("rds restore-db-instance-from-db-snapshot --db-instance-identifier two --db-snapshot-identifier before --db-subnet-group-name group --manage-master-user-password").is("DBInstance.DBInstanceClass", "db.t3.micro")
	c.awaitInstance("two", "available")
	c.ok("postern get-master-user-password --instance-identifier two").is("username", "boss")
	c.refused("ConflictException", "postern get-master-user-password --instance-identifier one")
	c.ok("rds delete-db-instance --db-instance-identifier two --skip-final-snapshot").is("DBInstance.DBInstanceStatus", "deleting")
	c.ok("rds delete-db-snapshot --db-snapshot-identifier before")
	c.awaitGone("DBSnapshotNotFound", "rds describe-db-snapshots --db-snapshot-identifier before")

	c.ok("rds create-db-instance-read-replica --db-instance-identifier copy --source-db-instance-identifier one").is("DBInstance.ReadReplicaSourceDBInstanceIdentifier", "one")
	c.awaitInstance("copy", "available")
	c.ok("rds describe-db-instances --db-instance-identifier copy").is("DBInstances.0.StatusInfos.0.Status", "replicating")
	c.ok("rds describe-db-instances --db-instance-identifier one").is("DBInstances.0.ReadReplicaDBInstanceIdentifiers.0", "copy")
	c.refused("InvalidDBInstanceState", "rds promote-read-replica --db-instance-identifier one")
	c.ok("rds promote-read-replica --db-instance-identifier copy").is("DBInstance.DBInstanceStatus", "modifying")
	c.awaitInstance("copy", "available")
	c.ok("rds delete-db-instance --db-instance-identifier copy --skip-final-snapshot")
	c.awaitGone("DBInstanceNotFound", "rds describe-db-instances --db-instance-identifier copy")

	c.refused("InvalidParameterCombination", "rds delete-db-instance --db-instance-identifier one")
	c.ok("rds delete-db-instance --db-instance-identifier one --final-db-snapshot-identifier last")
	c.awaitGone("DBInstanceNotFound", "rds describe-db-instances --db-instance-identifier one")
	c.awaitGone("DBInstanceNotFound", "rds describe-db-instances --db-instance-identifier two")
	c.ok("rds describe-db-snapshots").is("DBSnapshots.0.Status", "available")
	c.ok("rds delete-db-snapshot --db-snapshot-identifier last")
	c.awaitGone("DBSnapshotNotFound", "rds describe-db-snapshots --db-snapshot-identifier last")
	c.ok("rds delete-db-subnet-group --db-subnet-group-name group")
}

// A cluster gets instances, is failed over, stopped, copied and deleted.
func TestDatabaseClusters(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	c.postgres()
	c.subnetGroup("group")
	c.ok("rds create-db-cluster --db-cluster-identifier shop --engine aurora-postgresql --master-username boss --master-user-password secret-of-boss --database-name app --db-subnet-group-name group").is("DBCluster.EngineMode", "provisioned")
	c.awaitCluster("shop", "available")
	for _, name := range []string{"shop-1", "shop-2"} {
		c.ok("rds create-db-instance --db-instance-identifier %s --db-cluster-identifier shop --db-instance-class db.r6g.large --engine aurora-postgresql", name)
	}
	c.awaitInstance("shop-1", "available")
	c.awaitInstance("shop-2", "available")
	c.awaitCluster("shop", "available")
	c.ok("rds describe-global-clusters --filters Name=db-cluster-id,Values=shop").has("GlobalClusters", 0)
	c.refused("InvalidDBInstanceState", "rds failover-db-cluster --db-cluster-identifier shop --target-db-instance-identifier shop-1")
	c.failOver("shop", "shop-2")
	c.awaitInstance("shop-1", "available")
	c.awaitCluster("shop", "available")
	c.ok("rds modify-db-cluster --db-cluster-identifier shop --backup-retention-period 3 --apply-immediately").is("DBCluster.BackupRetentionPeriod", "3")
	c.ok("rds reboot-db-cluster --db-cluster-identifier shop").is("DBCluster.Status", "rebooting")
	c.awaitInstance("shop-1", "available")
	c.awaitInstance("shop-2", "available")
	c.awaitCluster("shop", "available")

	c.ok("rds create-db-cluster-snapshot --db-cluster-identifier shop --db-cluster-snapshot-identifier before").is("DBClusterSnapshot.SnapshotType", "manual")
	c.await("DBClusterSnapshots.0.Status", "available", "rds describe-db-cluster-snapshots --db-cluster-snapshot-identifier before")
	c.ok("rds describe-db-cluster-snapshot-attributes --db-cluster-snapshot-identifier before").is("DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes.0.AttributeName", "restore")
	c.ok("rds modify-db-cluster-snapshot-attribute --db-cluster-snapshot-identifier before --attribute-name restore --values-to-add all").is("DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes.0.AttributeValues.0", "all")
	c.ok("rds copy-db-cluster-snapshot --source-db-cluster-snapshot-identifier before --target-db-cluster-snapshot-identifier copy").is("DBClusterSnapshot.DBClusterSnapshotIdentifier", "copy")
	c.await("DBClusterSnapshots.0.Status", "available", "rds describe-db-cluster-snapshots --db-cluster-snapshot-identifier copy")
	c.ok("rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier copy")
	c.ok("rds restore-db-cluster-from-snapshot --db-cluster-identifier again --snapshot-identifier before --engine aurora-postgresql --db-subnet-group-name group").is("DBCluster.DatabaseName", "app")
	c.ok("rds delete-db-cluster --db-cluster-identifier again --skip-final-snapshot").is("DBCluster.Status", "deleting")
	c.awaitGone("DBClusterNotFoundFault", "rds describe-db-clusters --db-cluster-identifier again")
	c.ok("rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier before")

	c.ok("rds stop-db-cluster --db-cluster-identifier shop").is("DBCluster.Status", "stopping")
	c.awaitCluster("shop", "stopped")
	c.ok("rds start-db-cluster --db-cluster-identifier shop").is("DBCluster.Status", "starting")
	c.awaitCluster("shop", "available")
	c.refused("InvalidDBClusterStateFault", "rds delete-db-cluster --db-cluster-identifier shop --skip-final-snapshot")
	for _, name := range []string{"shop-1", "shop-2"} {
		c.ok("rds delete-db-instance --db-instance-identifier %s", name)
		c.awaitGone("DBInstanceNotFound", "rds describe-db-instances --db-instance-identifier %s", name)
	}
	c.ok("rds delete-db-cluster --db-cluster-identifier shop --final-db-snapshot-identifier last")
	c.awaitGone("DBClusterNotFoundFault", "rds describe-db-clusters --db-cluster-identifier shop")
	c.ok("rds describe-db-cluster-snapshots --db-cluster-snapshot-identifier last").is("DBClusterSnapshots.0.Status", "available")
	c.ok("rds delete-db-cluster-snapshot --db-cluster-snapshot-identifier last")
	c.awaitGone("DBClusterSnapshotNotFoundFault", "rds describe-db-cluster-snapshots --db-cluster-snapshot-identifier last")
}
