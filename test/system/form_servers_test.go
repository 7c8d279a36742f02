// SPDX-License-Identifier: Apache-2.0

package system

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/postern"
)

// fillServers makes databases with servers of Postern's: an instance, a cluster with an
// instance and a name of its own for it, snapshots of both, copied and shared with an account,
// and what leads to each kind of database by its ARN.
func fillServers(s *pair, account string) {
	p := s.Postern
	tags := []rds.Tag{{Key: new("Name"), Value: new("thing")}}
	postern.Call[rds.CreateDBInstanceOutput](p, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: new("one"), Engine: new("postgres"), DBInstanceClass: new("db.t3.micro"), AllocatedStorage: new(int32(20)), DBName: new("app"),
		MasterUsername: new("boss"), ManageMasterUserPassword: new(true), DBSubnetGroupName: new("both"), DBParameterGroupName: new("own"), BackupRetentionPeriod: new(int32(1)), Tags: tags,
	})
	postern.Call[rds.CreateDBClusterOutput](p, rds.Service, "CreateDBCluster", &rds.CreateDBClusterInput{
		DBClusterIdentifier: new("sales"), Engine: new("aurora-postgresql"), MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"), DBSubnetGroupName: new("both"),
	})
	postern.Call[rds.CreateDBInstanceOutput](p, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: new("sales-1"), DBClusterIdentifier: new("sales"), Engine: new("aurora-postgresql"), DBInstanceClass: new("db.t4g.medium"), PromotionTier: new(int32(3)), Tags: tags,
	})
	awaitInstances(p, "available")
	postern.Call[rds.CreateDBClusterEndpointOutput](p, rds.Service, "CreateDBClusterEndpoint", &rds.CreateDBClusterEndpointInput{
		DBClusterIdentifier: new("sales"), DBClusterEndpointIdentifier: new("audit"), EndpointType: new("ANY"), StaticMembers: []string{"sales-1"},
	})
	postern.Call[rds.CreateDBSnapshotOutput](p, rds.Service, "CreateDBSnapshot", &rds.CreateDBSnapshotInput{DBInstanceIdentifier: new("one"), DBSnapshotIdentifier: new("before"), Tags: tags})
	postern.Call[rds.CreateDBClusterSnapshotOutput](p, rds.Service, "CreateDBClusterSnapshot", &rds.CreateDBClusterSnapshotInput{DBClusterIdentifier: new("sales"), DBClusterSnapshotIdentifier: new("before")})
	awaitSnapshots(p, 1)
	postern.Call[rds.CopyDBSnapshotOutput](p, rds.Service, "CopyDBSnapshot", &rds.CopyDBSnapshotInput{SourceDBSnapshotIdentifier: new("before"), TargetDBSnapshotIdentifier: new("copied")})
	postern.Call[rds.ModifyDBSnapshotAttributeOutput](p, rds.Service, "ModifyDBSnapshotAttribute", &rds.ModifyDBSnapshotAttributeInput{
		DBSnapshotIdentifier: new("before"), AttributeName: new("restore"), ValuesToAdd: []string{account},
	})
	awaitSnapshots(p, 2)
	one := postern.Call[rds.DescribeDBInstancesOutput](p, rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{DBInstanceIdentifier: new("one")}).DBInstances[0]
	sales := postern.Call[rds.DescribeDBClustersOutput](p, rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{DBClusterIdentifier: new("sales")}).DBClusters[0]
	for name, arn := range map[string]string{"one": *one.DBInstanceArn, "sales": *sales.DBClusterArn} {
		s.consumer.Endpoint(s.gateway.Database(name, arn), []*postern.Subnet{s.clients})
	}
}

// managed are the instances that Postern runs.
func managed(p *postern.Postern) []rds.DBInstance {
	all := postern.Call[rds.DescribeDBInstancesOutput](p, rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{}).DBInstances
	return slices.DeleteFunc(all, func(i rds.DBInstance) bool { return i.DBSubnetGroup == nil })
}

// awaitInstances waits until all that Postern runs have a status.
func awaitInstances(p *postern.Postern, status string) {
	p.T.Helper()
	p.Await("instances to be "+status, func() (bool, error) {
		return !slices.ContainsFunc(managed(p), func(i rds.DBInstance) bool { return *i.DBInstanceStatus != status }), nil
	})
}

// awaitSnapshots waits until so many snapshots of instances, and all of clusters, are there.
func awaitSnapshots(p *postern.Postern, n int) {
	p.T.Helper()
	p.Await("snapshots", func() (bool, error) {
		there := 0
		for _, s := range postern.Call[rds.DescribeDBSnapshotsOutput](p, rds.Service, "DescribeDBSnapshots", &rds.DescribeDBSnapshotsInput{}).DBSnapshots {
			if *s.Status == "available" {
				there++
			}
		}
		of := postern.Call[rds.DescribeDBClusterSnapshotsOutput](p, rds.Service, "DescribeDBClusterSnapshots", &rds.DescribeDBClusterSnapshotsInput{}).DBClusterSnapshots
		return there == n && !slices.ContainsFunc(of, func(s rds.DBClusterSnapshot) bool { return *s.Status != "available" }), nil
	})
}

// serverData reports whether a file of a data folder, by its path in that, is of the data of
// database servers: all that is theirs but what the keeper has written down of databases, and
// all of snapshots, which are data.
func serverData(path string) bool {
	parts := strings.Split(path, string(filepath.Separator))
	if parts[0] != "databases" {
		return false
	}
	return len(parts) != 3 || strings.HasPrefix(parts[1], "snap-") || filepath.Ext(path) != ".json"
}

// expectLost wants servers whose data is not there to be shown as failed, and nothing to be
// begun in their place.
func expectLost(t *testing.T, p *postern.Postern) {
	t.Helper()
	if len(managed(p)) == 0 {
		return
	}
	known := postern.Call[rds.DescribeDBEngineVersionsOutput](p, rds.Service, "DescribeDBEngineVersions", &rds.DescribeDBEngineVersionsInput{Engine: new("postgres")})
	if len(known.DBEngineVersions) == 0 {
		t.Log("no PostgreSQL is installed: nobody looks for the data of servers")
		return
	}
	awaitInstances(p, "failed")
	if made, _ := filepath.Glob(filepath.Join(p.Data, "databases", "*", "data", "*")); len(made) > 0 {
		t.Errorf("there is data where it was lost: %v", made)
	}
}

// deleteSnapshots deletes all, each when it is there or it is known that it is lost.
func deleteSnapshots(p *postern.Postern) {
	p.T.Helper()
	p.Await("snapshots to go", func() (bool, error) {
		of := postern.Call[rds.DescribeDBSnapshotsOutput](p, rds.Service, "DescribeDBSnapshots", &rds.DescribeDBSnapshotsInput{}).DBSnapshots
		for _, s := range of {
			err := p.Do(rds.Service, "DeleteDBSnapshot", &rds.DeleteDBSnapshotInput{DBSnapshotIdentifier: s.DBSnapshotIdentifier}, nil)
			if err != nil && postern.Code(err) != "InvalidDBSnapshotState" {
				return false, err
			}
		}
		ofClusters := postern.Call[rds.DescribeDBClusterSnapshotsOutput](p, rds.Service, "DescribeDBClusterSnapshots", &rds.DescribeDBClusterSnapshotsInput{}).DBClusterSnapshots
		for _, s := range ofClusters {
			err := p.Do(rds.Service, "DeleteDBClusterSnapshot", &rds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: s.DBClusterSnapshotIdentifier}, nil)
			if err != nil && postern.Code(err) != "InvalidDBClusterSnapshotStateFault" {
				return false, err
			}
		}
		return len(of)+len(ofClusters) == 0, nil
	})
}
