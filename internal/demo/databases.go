// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/commits"
)

// databasesPicture is who reaches what in the fifth story.
const databasesPicture = `
    consumer's VPC  10.0.0.0/16            │      vendor's VPC  10.0.0.0/16, two zones
                                           │
    shop.cluster-….rds.amazonaws.com    ───┼─┐              ┌▶ shop-1  writes
       for the writer                      │ │              ├▶ shop-2  replica
    shop.cluster-ro-….rds.amazonaws.com ───┼─┼─▶ gateway ───┼▶ shop-3  replica
       for the replicas                    │ │              │
    stock.….rds.amazonaws.com           ───┼─┘              └▶ stock   MariaDB
                                           │
      the databases' own names, in both networks; who writes may change`

const (
	clusterName  = "shop"
	subnetGroup  = "nets"
	databaseUser = "boss"
	password     = "secret-of-boss"
	// secondCIDR is the vendor's subnet in the second zone: a database wants two.
	secondCIDR = "10.0.2.0/24"
	// instanceClass is the size of the servers, the smallest one there is.
	instanceClass = "db.t4g.medium"
	// born bounds how long servers may take to be there and to end, on a busy machine too.
	born = 10 * time.Minute
)

// clusterInstances are the servers of the cluster, which has one writer.
var clusterInstances = []string{"shop-1", "shop-2", "shop-3"}

// hosted is what the fifth story makes.
type hosted struct {
	vendor, consumer *tenant
	// plain is another network of the consumer, without private DNS.
	plain          *tenant
	zones          []string // the vendor's subnets
	cluster, stock *offered
	writer, reader string // names of the cluster
	share          string
	// opened are the endpoints of each network.
	opened    map[*tenant][]string
	authority string // the file of whom clients believe
	writing   *process
}

// databases is the story of databases by their ARNs, and of what is noticed when a writer ends.
func (d *demo) databases() story {
	return story{"databases by their own names, and the end of a writer", databasesPicture, "", []step{
		{"Start Postern in a temporary folder", d.startPostern},
		{"Two accounts, whose networks have the same addresses", d.makeHosts},
		{"The vendor makes a cluster of three PostgreSQL servers in two zones, and one of MariaDB", d.makeDatabases},
		{"It offers both by their ARNs, and shares them", d.offerDatabases},
		{"The consumer accepts, and makes endpoints with private DNS", d.openDatabases},
		{"psql asks by the database's own name, and verifies its certificate", d.askWriter},
		{"The reader's name leads to each replica in turn", d.askReaders},
		{"MariaDB's client does as psql does", d.askStock},
		{fmt.Sprintf("The writer is killed, while %d clients commit", clients), d.killWriter},
		{"Another writer on request", d.requestWriter},
		{"What was acknowledged is there", d.countCommits},
		{"Without private DNS: the endpoints' own names, which are in no certificate", d.askByEndpoint},
		{"What RDS says of that", d.showDatabaseEvents},
		{"Everything is deleted", d.deleteDatabases},
	}}
}

func (d *demo) makeHosts(ctx context.Context) error {
	h := &d.hosted
	h.opened = map[*tenant][]string{}
	h.vendor, h.consumer = &tenant{name: "vendor"}, &tenant{name: "consumer"}
	for _, t := range []*tenant{h.vendor, h.consumer} {
		if err := d.makeAccount(ctx, t); err != nil {
			return err
		}
	}
	h.plain = &tenant{name: "consumer's second network", account: h.consumer.account, root: h.consumer.root, environment: h.consumer.environment}
	if err := d.makeHostNetwork(ctx); err != nil {
		return err
	}
	for _, t := range []*tenant{h.consumer, h.plain} {
		if err := d.makeGuestNetwork(ctx, t); err != nil {
			return err
		}
	}
	d.actAsRoot(h.consumer)
	if err := d.nameHosts(ctx, h.consumer.world.consumer.vpc); err != nil { // private DNS needs it
		return err
	}
	d.screen.done("three VPCs of two accounts, all %s", networkCIDR)
	return nil
}

// makeHostNetwork makes the vendor's network. Servers of a cluster come to each other, and
// the gateway comes to them.
func (d *demo) makeHostNetwork(ctx context.Context) (err error) {
	h := &d.hosted
	d.actAsRoot(h.vendor)
	w := d.world
	if w.provider, err = d.makeNetwork(ctx); err != nil {
		return err
	}
	second, err := d.makeSubnet(ctx, w.provider.vpc, secondCIDR, "us-east-1b")
	if err != nil {
		return err
	}
	h.zones = []string{w.provider.subnet, second}
	if w.gatewayGroup, err = d.makeGroup(ctx, w.provider, "gateway", "the resource gateway"); err != nil {
		return err
	}
	if w.databaseGroup, err = d.makeGroup(ctx, w.provider, "database", "the databases"); err != nil {
		return err
	}
	return errors.Join(d.admit(ctx, w.databaseGroup, w.gatewayGroup, itsPort), d.admit(ctx, w.databaseGroup, w.databaseGroup, itsPort),
		d.admit(ctx, w.databaseGroup, w.gatewayGroup, stockPort))
}

// makeGuestNetwork makes a network of the consumer's.
func (d *demo) makeGuestNetwork(ctx context.Context, t *tenant) (err error) {
	d.actAsRoot(t)
	w := d.world
	if w.consumer, err = d.makeNetwork(ctx); err != nil {
		return err
	}
	if w.clientGroup, err = d.makeGroup(ctx, w.consumer, "client", "clients of the databases"); err != nil {
		return err
	}
	if w.endpointGroup, err = d.makeGroup(ctx, w.consumer, "endpoint", "endpoints to the databases"); err != nil {
		return err
	}
	return errors.Join(d.admit(ctx, w.endpointGroup, w.clientGroup, itsPort), d.admit(ctx, w.endpointGroup, w.clientGroup, stockPort))
}

// makeDatabases makes the servers of both engines at the same time.
func (d *demo) makeDatabases(ctx context.Context) error {
	h := &d.hosted
	d.actAsRoot(h.vendor)
	if _, err := call[rds.CreateDBSubnetGroupOutput](ctx, d, rds.Service, "CreateDBSubnetGroup", &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName: new(subnetGroup), DBSubnetGroupDescription: new("two zones"), SubnetIds: h.zones,
	}); err != nil {
		return err
	}
	start := time.Now()
	if err := errors.Join(d.makeCluster(ctx), d.makeStock(ctx)); err != nil {
		return err
	}
	zones, err := d.databasesAvailable(ctx)
	if err != nil {
		return err
	}
	if len(zones) < 2 {
		return fmt.Errorf("the servers of %s are all in %v, want them in two zones", clusterName, zones)
	}
	d.screen.done("four servers serve after %s, those of %s in %s", short(time.Since(start)), clusterName, strings.Join(zones, " and "))
	if h.authority, err = d.fetchAuthority(ctx); err != nil {
		return err
	}
	d.screen.done("whoever is to believe their certificates gets this file")
	return nil
}

// makeCluster asks for the cluster and its servers.
func (d *demo) makeCluster(ctx context.Context) error {
	h := &d.hosted
	out, err := call[rds.CreateDBClusterOutput](ctx, d, rds.Service, "CreateDBCluster", &rds.CreateDBClusterInput{
		DBClusterIdentifier: new(clusterName), Engine: new("aurora-postgresql"), DatabaseName: new(clusterName), DBSubnetGroupName: new(subnetGroup),
		VpcSecurityGroupIds: []string{d.world.databaseGroup}, MasterUsername: new(databaseUser), MasterUserPassword: new(password),
	})
	if err != nil {
		return err
	}
	h.writer, h.reader = *out.DBCluster.Endpoint, *out.DBCluster.ReaderEndpoint
	h.cluster = &offered{name: clusterName, arn: *out.DBCluster.DBClusterArn, names: []string{h.writer, h.reader}, children: len(clusterInstances) + 2}
	for _, name := range clusterInstances {
		if _, err := call[rds.CreateDBInstanceOutput](ctx, d, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &name, DBClusterIdentifier: new(clusterName), Engine: new("aurora-postgresql"), DBInstanceClass: new(instanceClass),
		}); err != nil {
			return err
		}
	}
	return nil
}

// databasesAvailable waits until all servers are, and tells the zones of the cluster's.
func (d *demo) databasesAvailable(ctx context.Context) (zones []string, err error) {
	in := &rds.DescribeDBInstancesInput{}
	d.screen.command(commandLine(rds.Service, "DescribeDBInstances", in))
	err = waitFor(ctx, d.postern.Process(), "the servers", born, func() (bool, error) {
		got, err := quietly[rds.DescribeDBInstancesOutput](ctx, d, rds.Service, "DescribeDBInstances", in)
		if err != nil {
			return false, err
		}
		zones = nil
		for _, i := range got.DBInstances {
			switch {
			case *i.DBInstanceStatus == "failed":
				return false, fmt.Errorf("%s has failed", *i.DBInstanceIdentifier)
			case *i.DBInstanceStatus != "available":
				return false, nil
			case i.DBClusterIdentifier != nil:
				zones = append(zones, *i.AvailabilityZone)
			default: // a single server has its name from now on
				d.hosted.stock.names = []string{*i.Endpoint.Address}
			}
		}
		return len(zones) == len(clusterInstances), nil
	})
	slices.Sort(zones)
	return slices.Compact(zones), err
}

// fetchAuthority writes the certificate of the vendor's authority to a file.
func (d *demo) fetchAuthority(ctx context.Context) (file string, err error) {
	file = filepath.Join(d.folder, "ca.pem")
	d.screen.command("postern rds ca > " + file)
	text, status, err := run(ctx, d.command(d.config.Postern, "rds", "ca"))
	if err == nil && status != 0 {
		err = fmt.Errorf("postern rds ca ended with status %d:\n%s", status, text)
	}
	if err != nil {
		return "", err
	}
	const begin = "-----BEGIN" // before it is what is said for people
	return file, os.WriteFile(file, []byte(begin+after(text, begin)), 0o644)
}

// connection is the connection string of the database by a name, with what else is to hold.
func connection(name string, settings ...string) string {
	return strings.Join(append([]string{
		"host=" + name, "dbname=" + clusterName, "user=" + databaseUser, "password=" + password, fmt.Sprintf("connect_timeout=%d", connectTimeout),
	}, settings...), " ")
}

// verified is what a connection needs to go on only with whom the certificate names.
func (d *demo) verified() []string {
	return []string{"sslmode=verify-full", "sslrootcert=" + d.hosted.authority}
}

// sql shows a query by a connection string and asks it, in the network of whose turn it is.
func (d *demo) sql(ctx context.Context, connection, sql string) (asked, error) {
	d.showProgram(d.world.consumer.subnet, d.world.clientGroup, d.world.client, "psql", quote(connection), "-c", quote(sql))
	return d.sqlQuietly(ctx, connection, sql)
}

func (d *demo) sqlQuietly(ctx context.Context, connection, sql string) (asked, error) {
	cmd := d.workload(d.world.consumer.subnet, d.world.clientGroup, d.world.client, d.config.Self, "time", d.tools.psql, "-X", connection, "-c", sql)
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	return askedOf(run(ctx, cmd))
}

// whoAnswers asks a server who it is.
const whoAnswers = "select inet_server_addr() as server, pg_is_in_recovery() as replica, version as tls from pg_stat_ssl where pid = pg_backend_pid()"

// answered wants psql to have been answered whoAnswers, and tells by whom.
func (a asked) answered() (server string, replica bool, err error) {
	fields := strings.Split(row(a.output), "|")
	if a.status != 0 || len(fields) != 3 || !strings.Contains(fields[2], "TLS") {
		return "", false, fmt.Errorf("psql ended with status %d and was not told who answers:\n%s", a.status, a.output)
	}
	return strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1]) == "t", nil
}

func (d *demo) askWriter(ctx context.Context) error {
	got, err := d.sql(ctx, connection(d.hosted.writer, d.verified()...), whoAnswers)
	if err != nil {
		return err
	}
	server, replica, err := got.answered()
	if err == nil && replica {
		err = fmt.Errorf("%s is a replica, want the writer", server)
	}
	if err != nil {
		return err
	}
	d.screen.say(got.output)
	made, err := d.sql(ctx, connection(d.hosted.writer, d.verified()...), commits.Make)
	if err == nil && made.status != 0 {
		err = fmt.Errorf("psql ended with status %d:\n%s", made.status, made.output)
	}
	if err != nil {
		return err
	}
	d.screen.done("the certificate is for the name that was asked by, and %s takes what is written", server)
	return nil
}

// askReaders asks until each replica has answered.
func (d *demo) askReaders(ctx context.Context) error {
	by, shown := connection(d.hosted.reader, d.verified()...), d.sql
	seen := map[string]bool{}
	err := waitFor(ctx, d.postern.Process(), "all replicas by "+d.hosted.reader, settled, func() (bool, error) {
		got, err := shown(ctx, by, whoAnswers)
		if err != nil {
			return false, err
		}
		shown = d.sqlQuietly
		server, replica, err := got.answered()
		if err != nil {
			return false, err
		}
		if replica && !seen[server] {
			seen[server] = true
			d.screen.say(strings.TrimSpace(row(got.output)))
		}
		return len(seen) == len(clusterInstances)-1, nil
	})
	if err != nil {
		return err
	}
	d.screen.done("one connection goes to the one, another to the other")
	return nil
}
