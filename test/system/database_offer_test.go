// SPDX-License-Identifier: Apache-2.0

package system

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// offered is a cluster that another VPC with the same block uses by its own names.
type offered struct {
	*databases
	consumer      *postern.VPC
	here          *postern.Subnet
	own           string
	configuration *postern.Configuration
	endpoint      *postern.Endpoint
}

// newOffered makes a cluster of these instances, of which the first one writes.
func newOffered(t *testing.T, ids ...string) *offered {
	t.Helper()
	o := &offered{databases: newDatabases(t)}
	postern.Call[rds.CreateDBClusterOutput](o.Postern, rds.Service, "CreateDBCluster", &rds.CreateDBClusterInput{
		DBClusterIdentifier: new("shop"), Engine: new("aurora-postgresql"), MasterUsername: new(masterUser), MasterUserPassword: new(masterPassword),
		DatabaseName: new("app"), DBSubnetGroupName: new("both"), VpcSecurityGroupIds: []string{o.open},
	})
	cluster, err := o.cluster("shop")
	if err != nil {
		t.Fatal(err)
	}
	// The configuration is there before the instances: these become its children by themselves.
	o.configuration = o.vpc.Gateway("gateway", []*postern.Subnet{o.a, o.b}, []string{o.open}).Database("shop", *cluster.DBClusterArn)
	o.consumer = o.VPC("10.0.0.0/16")
	postern.Call[ec2.ModifyVpcAttributeOutput](o.Postern, ec2.Service, "ModifyVpcAttribute", &ec2.ModifyVpcAttributeInput{VpcId: &o.consumer.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	o.here, o.own = o.consumer.Subnet(0, "10.0.1.0/24"), o.consumer.OpenGroup()
	o.endpoint = o.consumer.Endpoint(o.configuration, []*postern.Subnet{o.here}, o.own)
	for _, id := range ids {
		postern.Call[rds.CreateDBInstanceOutput](o.Postern, rds.Service, "CreateDBInstance", &rds.CreateDBInstanceInput{
			DBInstanceIdentifier: &id, DBClusterIdentifier: new("shop"), Engine: new("aurora-postgresql"), DBInstanceClass: new("db.t3.medium"), PubliclyAccessible: new(false),
		})
	}
	for _, id := range ids {
		o.await(id)
	}
	return o
}

// names gives where the database's names lead in the consumer's VPC.
func (o *offered) names() (map[string]netip.Addr, error) {
	var out ec2.DescribeVpcEndpointAssociationsOutput
	if err := o.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{o.endpoint.ID}}, &out); err != nil {
		return nil, err
	}
	found := map[string]netip.Addr{}
	for _, a := range out.VpcEndpointAssociations {
		if a.PrivateDnsEntry == nil || a.PrivateDnsEntry.DnsName == nil {
			continue
		}
		name := *a.PrivateDnsEntry.DnsName
		got := o.Command("run", "--subnet", o.here.ID, "--security-group", o.own, "--", "getent", "ahostsv4", name)
		first, _, _ := strings.Cut(got.Stdout, " ")
		found[name], _ = netip.ParseAddr(first) // one that does not resolve yet leads nowhere
	}
	return found, nil
}

// leads waits until a name leads to one of these addresses, in the consumer's VPC and with
// the certificate checked, and the server there does or does not write.
func (o *offered) leads(name, doing string, want ...string) {
	o.T.Helper()
	o.Await(fmt.Sprintf("%s to lead to one of %v that %s", name, want, doing), func() (bool, error) {
		text := fmt.Sprintf("host=%s port=5432 user=%s password=%s dbname=app sslmode=verify-full sslrootcert=%s connect_timeout=20", name, masterUser, masterPassword, o.bundle)
		r := o.Command("run", "--subnet", o.here.ID, "--security-group", o.own, "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c",
			"SELECT host(inet_server_addr()) || CASE WHEN pg_is_in_recovery() THEN ' reads' ELSE ' writes' END", text)
		passing := func(why string) bool { return strings.Contains(r.Stderr, why) }
		if r.Status != 0 && !slices.ContainsFunc([]string{"refused", "reset", "closed the connection", "timeout expired", "starting up", "shutting down"}, passing) {
			return false, fmt.Errorf("status %d: %s", r.Status, r.Stderr)
		}
		addr, does, _ := strings.Cut(strings.TrimSpace(r.Stdout), " ")
		return slices.Contains(want, addr) && does == doing, nil
	})
}

// TestAClusterIsOfferedByItsARN: another VPC reaches a cluster by all of its names, whose
// certificate is checked. When the writer changes connections to it are reset, the name leads
// to the new one, and no address is another.
func TestAClusterIsOfferedByItsARN(t *testing.T) {
	o := newOffered(t, "shop-1", "shop-2")
	addr := map[string]string{}
	for _, id := range []string{"shop-1", "shop-2"} {
		i, err := o.instance(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, ni := range o.Interfaces("requester-id", "amazon-rds") {
			name := o.Command("run", "--subnet", o.b.ID, "--security-group", o.open, "--", "getent", "ahostsv4", *i.Endpoint.Address)
			if strings.HasPrefix(name.Stdout, *ni.PrivateIpAddress+" ") {
				addr[id] = *ni.PrivateIpAddress
			}
		}
	}
	var names map[string]netip.Addr
	o.Await("an address for each name", func() (bool, error) {
		var err error
		names, err = o.names()
		resolved := 0
		for _, a := range names {
			if a.IsValid() {
				resolved++
			}
		}
		return resolved == 4, err
	})
	c, err := o.cluster("shop")
	if err != nil {
		t.Fatal(err)
	}
	was := writer(c)
	other := map[string]string{"shop-1": "shop-2", "shop-2": "shop-1"}[was]
	o.leads(*c.Endpoint, "writes", addr[was])
	o.leads(*c.ReaderEndpoint, "reads", addr[other])

	o.expect(*c.Endpoint, "create table things (name text); insert into things values ('kept'); select pg_is_in_recovery()", "f")
	o.Await("the reader to have it", func() (bool, error) {
		got, err := o.ask(*c.ReaderEndpoint, "select pg_is_in_recovery(), name from things")
		return err == nil && got == "t|kept", nil
	})
	client := o.here.Workload("10.0.1.200", o.own)
	idle, err := client.Dial(t.Context(), "tcp4", net.JoinHostPort(names[*c.Endpoint].String(), "5432"))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	postern.Call[rds.FailoverDBClusterOutput](o.Postern, rds.Service, "FailoverDBCluster", &rds.FailoverDBClusterInput{DBClusterIdentifier: new("shop")})
	o.leads(*c.Endpoint, "writes", addr[other])
	idle.SetReadDeadline(time.Now().Add(testnet.Patience))
	// The server that is stopped may have ended it before it is cut.
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
		t.Errorf("a connection to the former writer reads %v, want its end", err)
	}
	o.leads(*c.ReaderEndpoint, "reads", addr[was])
	if now, err := o.names(); err != nil || fmt.Sprint(now) != fmt.Sprint(names) {
		t.Errorf("the names lead to %v, %v; before the failover to %v", now, err, names)
	}
	o.Verify()
}
