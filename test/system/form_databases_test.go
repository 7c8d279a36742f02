// SPDX-License-Identifier: Apache-2.0

package system

import (
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/postern"
)

// fillDatabases makes what databases have that takes no server of Postern's: groups of
// subnets and of parameters, a cluster without instances, and a database that exists already,
// which is offered by its ARN and used. The data of servers would be most of the folder.
func fillDatabases(s *pair) {
	p := s.Postern
	tags := []rds.Tag{{Key: new("Name"), Value: new("thing")}}
	postern.Call[rds.CreateDBSubnetGroupOutput](p, rds.Service, "CreateDBSubnetGroup", &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName: new("both"), DBSubnetGroupDescription: new("for databases"), SubnetIds: []string{s.servers.ID, s.provider.Subnet(1, "10.0.77.0/24").ID}, Tags: tags,
	})
	postern.Call[rds.CreateDBParameterGroupOutput](p, rds.Service, "CreateDBParameterGroup", &rds.CreateDBParameterGroupInput{
		DBParameterGroupName: new("own"), DBParameterGroupFamily: new("postgres15"), Description: new("own parameters"), Tags: tags,
	})
	postern.Call[rds.ModifyDBParameterGroupOutput](p, rds.Service, "ModifyDBParameterGroup", &rds.ModifyDBParameterGroupInput{
		DBParameterGroupName: new("own"), Parameters: []rds.Parameter{{ParameterName: new("work_mem"), ParameterValue: new("8192"), ApplyMethod: new("immediate")}},
	})
	postern.Call[rds.CreateDBClusterParameterGroupOutput](p, rds.Service, "CreateDBClusterParameterGroup", &rds.CreateDBClusterParameterGroupInput{
		DBClusterParameterGroupName: new("own"), DBParameterGroupFamily: new("aurora-postgresql15"), Description: new("own parameters"), Tags: tags,
	})
	postern.Call[rds.ModifyDBClusterParameterGroupOutput](p, rds.Service, "ModifyDBClusterParameterGroup", &rds.ModifyDBClusterParameterGroupInput{
		DBClusterParameterGroupName: new("own"), Parameters: []rds.Parameter{{ParameterName: new("max_connections"), ParameterValue: new("60"), ApplyMethod: new("pending-reboot")}},
	})
	postern.Call[rds.CreateDBClusterOutput](p, rds.Service, "CreateDBCluster", &rds.CreateDBClusterInput{
		DBClusterIdentifier: new("orders"), Engine: new("aurora-postgresql"), EngineVersion: new("15"), DatabaseName: new("orders"), MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"),
		DBSubnetGroupName: new("both"), DBClusterParameterGroupName: new("own"), CACertificateIdentifier: new("rds-ca-rsa2048-g1"), AvailabilityZones: []string{"us-east-1b", "us-east-1a"}, Tags: tags,
	})
	postern.Call[rds.CreateDBClusterOutput](p, rds.Service, "CreateDBCluster", &rds.CreateDBClusterInput{
		DBClusterIdentifier: new("bills"), Engine: new("aurora-postgresql"), EngineVersion: new("15"), MasterUsername: new("boss"), ManageMasterUserPassword: new(true), DBSubnetGroupName: new("both"),
	})
	postern.Call[rds.CreateDBClusterEndpointOutput](p, rds.Service, "CreateDBClusterEndpoint", &rds.CreateDBClusterEndpointInput{
		DBClusterIdentifier: new("orders"), DBClusterEndpointIdentifier: new("reports"), EndpointType: new("READER"), Tags: tags,
	})
	postern.Call[rds.DescribeCertificatesOutput](p, rds.Service, "DescribeCertificates", &rds.DescribeCertificatesInput{})
	made := p.Command("database", "register", "legacy", "--vpc", s.provider.ID, "--port", "5433", "--ask", "tcp", "--member", s.server.IP.String()+",one.legacy.example", "--writer", "legacy.example.com")
	if made.Status != 0 {
		s.t.Fatal(made.Stderr)
	}
	described := postern.Call[rds.DescribeDBClustersOutput](p, rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{DBClusterIdentifier: new("legacy")})
	s.consumer.Endpoint(s.gateway.Database("legacy", *described.DBClusters[0].DBClusterArn), []*postern.Subnet{s.clients})
}

// deleteDatabases deletes what fillDatabases makes, but for the configuration.
func deleteDatabases(p *postern.Postern) {
	clusters := func() []rds.DBCluster {
		return postern.Call[rds.DescribeDBClustersOutput](p, rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{}).DBClusters
	}
	for _, i := range managed(p) {
		in := &rds.DeleteDBInstanceInput{DBInstanceIdentifier: i.DBInstanceIdentifier}
		if i.DBClusterIdentifier == nil {
			in.SkipFinalSnapshot = new(true)
		}
		postern.Call[rds.DeleteDBInstanceOutput](p, rds.Service, "DeleteDBInstance", in)
	}
	p.Await("instances to go", func() (bool, error) { return len(managed(p)) == 0, nil })
	deleteSnapshots(p)
	for _, c := range clusters() {
		if c.DBSubnetGroup != nil {
			postern.Call[rds.DeleteDBClusterOutput](p, rds.Service, "DeleteDBCluster", &rds.DeleteDBClusterInput{DBClusterIdentifier: c.DBClusterIdentifier, SkipFinalSnapshot: new(true)})
		} else if r := p.Command("database", "deregister", *c.DBClusterIdentifier); r.Status != 0 {
			p.T.Error(r.Stderr)
		}
	}
	p.Await("databases to go", func() (bool, error) { return len(clusters()) == 0, nil })
	for _, g := range postern.Call[rds.DescribeDBSubnetGroupsOutput](p, rds.Service, "DescribeDBSubnetGroups", &rds.DescribeDBSubnetGroupsInput{}).DBSubnetGroups {
		if err := p.Do(rds.Service, "DeleteDBSubnetGroup", &rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: g.DBSubnetGroupName}, nil); err != nil {
			p.T.Error(err)
		}
	}
}
