// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/bench/scope"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/commits"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

const (
	block     = "10.0.0.0/16" // of both VPCs
	zoneA     = "10.0.0.0/24"
	zoneB     = "10.0.1.0/24"
	others    = "10.0.2.0/24" // of the provider's servers that Postern does not run
	workload  = "10.0.0.10"
	resolving = "169.254.169.253:53"
	group     = "bench"
	user      = "boss"
	password  = "secret-of-boss"
	// born bounds how long a database may take to be there, on a busy machine too.
	born = 3 * time.Minute
)

// world is a Postern with a VPC for databases, and one for their clients.
type world struct {
	scope.Scope
	*postern.Postern
	provider, consumer *postern.VPC
	client             *testnet.NS
	gateway, others    string
	made               int
}

// newWorld starts a Postern without databases. The caller calls Close, also when this fails.
func newWorld(ctx context.Context, binary string) (w *world, err error) {
	w = &world{}
	if w.Postern, err = postern.New(binary, "--log-level", "warn", "--upstream", "none"); err != nil {
		return w, err
	}
	w.Add(w.Postern.Close)
	if err := w.Up(ctx); err != nil {
		return w, err
	}
	if w.provider, err = w.VPC(ctx, block, zoneA); err != nil {
		return w, err
	}
	other, err := postern.Call[ec2.CreateSubnetOutput](ctx, w.Postern, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{
		VpcId: &w.provider.ID, CidrBlock: new(zoneB), AvailabilityZone: new("us-east-1b"),
	})
	if err != nil {
		return w, err
	}
	if w.others, err = w.provider.MakeSubnet(ctx, others); err != nil {
		return w, err
	}
	if err := w.Client.Do(ctx, rds.Service, "CreateDBSubnetGroup", &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName: new(group), DBSubnetGroupDescription: new("two zones"), SubnetIds: []string{w.provider.Subnet, *other.Subnet.SubnetId},
	}, nil); err != nil {
		return w, err
	}
	if w.gateway, err = w.provider.Gateway(ctx, "gateway"); err != nil {
		return w, err
	}
	if w.consumer, err = w.VPC(ctx, block, zoneA); err != nil {
		return w, err
	}
	if err := w.consumer.NameHosts(ctx); err != nil {
		return w, err
	}
	if w.client, err = w.Namespace(); err != nil {
		return w, err
	}
	return w, w.consumer.Attach(ctx, w.client, workload)
}

// Close takes everything away that belongs to the world.
func (w *world) Close() error { return w.Scope.Close() }

// dial connects to a database as clients of the consumer do, with a connection string whose
// host is a name.
func (w *world) dial(connection string) commits.Dial {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return w.client.Dial(ctx, network, resolving)
	}}
	return func(ctx context.Context) (*pgconn.PgConn, error) {
		config, err := pgconn.ParseConfig(connection + " connect_timeout=10")
		if err != nil {
			return nil, err
		}
		config.LookupFunc = func(ctx context.Context, host string) ([]string, error) { return resolver.LookupHost(ctx, host+".") }
		config.DialFunc = w.client.Dial
		return pgconn.ConnectConfig(ctx, config)
	}
}

// offered is a database of the provider that the consumer reaches by its own names. What
// was made is in it also when the rest was not.
type offered struct {
	*world
	name, configuration, endpoint string
	dial                          commits.Dial // to its writer
}

// cluster is a database that Postern runs, with one writer and two readers.
type cluster struct {
	offered
	instances []string
}

// makeCluster makes one that is available, and reached. What was made is in the cluster also
// when this fails.
func (w *world) makeCluster(ctx context.Context) (c *cluster, err error) {
	w.made++
	c = &cluster{offered: offered{world: w, name: fmt.Sprintf("cluster-%d", w.made)}}
	made, err := postern.Call[rds.CreateDBClusterOutput](ctx, w.Postern, rds.Service, "CreateDBCluster", &rds.CreateDBClusterInput{
		DBClusterIdentifier: &c.name, Engine: new("aurora-postgresql"), DatabaseName: new("bench"), DBSubnetGroupName: new(group),
		VpcSecurityGroupIds: []string{w.provider.Group}, MasterUsername: new(user), MasterUserPassword: new(password),
	})
	if err != nil {
		return c, err
	}
	c.dial = w.dial(fmt.Sprintf("host=%s user=%s password=%s dbname=bench sslmode=require", *made.DBCluster.Endpoint, user, password))
	for i := range 3 {
		name := fmt.Sprintf("%s-%d", c.name, i)
		c.instances = append(c.instances, name)
		if err := w.Client.Do(ctx, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &name, DBClusterIdentifier: &c.name, Engine: new("aurora-postgresql"), DBInstanceClass: new("db.t3.micro"),
		}, nil); err != nil {
			return c, err
		}
	}
	for _, name := range c.instances {
		if err := w.available(ctx, name); err != nil {
			return c, err
		}
	}
	return c, c.offer(ctx, *made.DBCluster.DBClusterArn)
}

// available waits until an instance is.
func (w *world) available(ctx context.Context, name string) error {
	return instance.Poll(ctx, born, name, func() (bool, error) {
		got, err := postern.Call[rds.DescribeDBInstancesOutput](ctx, w.Postern, rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &name})
		if err == nil && *got.DBInstances[0].DBInstanceStatus == "failed" {
			err = fmt.Errorf("%s has failed", name)
		}
		return err == nil && *got.DBInstances[0].DBInstanceStatus == "available", err
	})
}

// offer makes a configuration of the database, and an endpoint with its names.
func (o *offered) offer(ctx context.Context, arn string) error {
	made, err := postern.Call[lattice.CreateResourceConfigurationOutput](ctx, o.Postern, lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
		Name: &o.name, Type: new(lattice.ResourceConfigurationTypeArn), ResourceGatewayIdentifier: &o.gateway,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{ArnResource: &lattice.ArnResource{Arn: &arn}},
	})
	if err != nil {
		return err
	}
	o.configuration = *made.Id
	in := o.consumer.NewEndpoint(*made.Arn, o.consumer.Group, "")
	in.PrivateDnsEnabled = new(true)
	endpoint, err := postern.Call[ec2.CreateVpcEndpointOutput](ctx, o.Postern, ec2.Service, "CreateVpcEndpoint", in)
	if err != nil {
		return err
	}
	o.endpoint = *endpoint.VpcEndpoint.VpcEndpointId
	return instance.Poll(ctx, born, "a connection to "+o.name, func() (bool, error) {
		conn, err := o.dial(ctx)
		if err != nil {
			return false, ctx.Err()
		}
		return true, conn.Close(ctx)
	})
}

// writes gives the name and the resource id of the instance that writes.
func (c *cluster) writes(ctx context.Context) (name, resource string, err error) {
	got, err := postern.Call[rds.DescribeDBClustersOutput](ctx, c.Postern, rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{DBClusterIdentifier: &c.name})
	if err != nil {
		return "", "", err
	}
	for _, m := range got.DBClusters[0].DBClusterMembers {
		if !*m.IsClusterWriter {
			continue
		}
		one, err := postern.Call[rds.DescribeDBInstancesOutput](ctx, c.Postern, rds.Service, "DescribeDBInstances", &rds.DescribeDBInstancesInput{DBInstanceIdentifier: m.DBInstanceIdentifier})
		if err != nil {
			return "", "", err
		}
		return *m.DBInstanceIdentifier, *one.DBInstances[0].DbiResourceId, nil
	}
	return "", "", fmt.Errorf("nobody writes to %s", c.name)
}

// withdraw deletes what leads to the database.
func (o *offered) withdraw(ctx context.Context) error {
	if o.endpoint != "" {
		if err := o.Client.Do(ctx, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{o.endpoint}}, nil); err != nil {
			return err
		}
	}
	if o.configuration == "" {
		return nil
	}
	return instance.Poll(ctx, born, "the end of "+o.configuration, func() (bool, error) {
		err := o.Client.Do(ctx, lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &o.configuration}, nil)
		return err == nil, ctx.Err() // its endpoint may still be there
	})
}

// remove deletes the cluster with what leads to it.
func (c *cluster) remove(ctx context.Context) error {
	if err := c.withdraw(ctx); err != nil {
		return err
	}
	for _, name := range c.instances {
		if err := c.Client.Do(ctx, rds.Service, "DeleteDBInstance", &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &name}, nil); err != nil {
			return err
		}
	}
	return c.Client.Do(ctx, rds.Service, "DeleteDBCluster", &rds.DeleteDBClusterInput{DBClusterIdentifier: &c.name, SkipFinalSnapshot: new(true)}, nil)
}
