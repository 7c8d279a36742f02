// SPDX-License-Identifier: Apache-2.0

package system

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/rds"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/pgserver"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// registered is a PostgreSQL database of two servers in a VPC that exists without Postern,
// and a VPC with the same block where it is used.
type registered struct {
	*postern.Postern
	servers            *pgserver.Servers
	consumer, provider *postern.VPC
	here, there        *postern.Subnet
	open, own          string
	client             *postern.Workload
	configuration      *postern.Configuration
	endpoint           *postern.Endpoint
	ca                 string
}

func newRegistered(t *testing.T) *registered {
	t.Helper()
	r := &registered{servers: pgserver.New(t, 5432), Postern: postern.Start(t)}
	r.consumer, r.provider = r.VPC("10.0.0.0/16"), r.VPC("10.0.0.0/16")
	for _, v := range []*postern.VPC{r.consumer, r.provider} {
		postern.Call[ec2.ModifyVpcAttributeOutput](r.Postern, ec2.Service, "ModifyVpcAttribute", &ec2.ModifyVpcAttributeInput{VpcId: &v.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	}
	r.here, r.there = r.consumer.Subnet(0, "10.0.1.0/24"), r.provider.Subnet(0, "10.0.1.0/24")
	r.open, r.own = r.provider.OpenGroup(), r.consumer.OpenGroup()
	r.client = r.here.Workload("10.0.1.10", r.own)
	for id, ip := range map[string]string{"one": "10.0.1.20", "two": "10.0.1.21"} {
		w := r.there.Workload(ip, r.open)
		r.servers.Add(id, w.IP, w.Run)
	}
	r.servers.Found("one")
	r.servers.Replicate("two", "one")

	password := filepath.Join(t.TempDir(), "password")
	r.ca = filepath.Join(t.TempDir(), "ca.pem")
	for path, text := range map[string]string{password: pgserver.Password + "\n", r.ca: r.servers.Authority()} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	made := r.Command("database", "register", "shop", "--vpc", r.provider.ID, "--port", "5432", "--user", pgserver.User, "--password", password, "--ca", r.ca,
		"--member", "one=10.0.1.20", "--member", "two=10.0.1.21", "--writer", pgserver.Name, "--reader", "ro."+pgserver.Name)
	if made.Status != 0 || !strings.Contains(made.Stdout, "writer "+pgserver.Name) {
		t.Fatalf("register: status %d, %s%s", made.Status, made.Stdout, made.Stderr)
	}
	described := postern.Call[rds.DescribeDBClustersOutput](r.Postern, rds.Service, "DescribeDBClusters", &rds.DescribeDBClustersInput{DBClusterIdentifier: new("shop")})
	r.configuration = r.provider.Gateway("gateway", []*postern.Subnet{r.there}, []string{r.open}).Database("shop", *described.DBClusters[0].DBClusterArn)
	r.endpoint = r.consumer.Endpoint(r.configuration, []*postern.Subnet{r.here}, r.own)
	return r
}

// addresses gives where the names of the database lead in the consumer's VPC, of the
// associations that are accessible.
func (r *registered) addresses() (map[string]netip.Addr, error) {
	var out ec2.DescribeVpcEndpointAssociationsOutput
	if err := r.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{r.endpoint.ID}}, &out); err != nil {
		return nil, err
	}
	found := map[string]netip.Addr{}
	for _, a := range out.VpcEndpointAssociations {
		if a.PrivateDnsEntry == nil || a.PrivateDnsEntry.DnsName == nil || *a.ResourceConfigurationGroupArn != r.configuration.ARN {
			continue
		}
		name := *a.PrivateDnsEntry.DnsName
		got := r.Command("run", "--subnet", r.here.ID, "--security-group", r.own, "--", "getent", "ahostsv4", name)
		first, _, _ := strings.Cut(got.Stdout, " ")
		addr, err := netip.ParseAddr(first)
		if err != nil {
			return nil, fmt.Errorf("%s is %q: %s", name, got.Stdout, got.Stderr)
		}
		found[name] = addr
	}
	return found, nil
}

// ask has a server answer by a name of the database, in the consumer's VPC.
func (r *registered) ask(name, mode, question string) (string, error) {
	text := fmt.Sprintf("host=%s port=5432 user=%s password=%s dbname=postgres sslmode=%s sslrootcert=%s connect_timeout=20", name, pgserver.User, pgserver.Password, mode, r.ca)
	got := r.Command("run", "--subnet", r.here.ID, "--security-group", r.own, "--", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", question, text)
	if got.Status != 0 {
		return "", fmt.Errorf("status %d: %s", got.Status, got.Stderr)
	}
	return strings.TrimSpace(got.Stdout), nil
}

// answers waits until a name leads to a server.
func (r *registered) answers(name, mode, want string) {
	r.T.Helper()
	var got string
	r.Await(name+" to lead to "+want, func() (bool, error) {
		var err error
		got, err = r.ask(name, mode, "SELECT host(inet_server_addr()) || CASE WHEN pg_is_in_recovery() THEN ' reads' ELSE ' writes' END")
		passing := err != nil && slices.ContainsFunc([]string{"refused", "reset", "closed the connection", "timeout expired"}, func(why string) bool { return strings.Contains(err.Error(), why) })
		if err != nil && !passing {
			return false, err
		}
		return got == want, nil
	})
}

// TestADatabaseThatExistsIsOffered: what is registered is led to by its own names, whose
// certificate is checked, from a VPC with the same addresses. When another of its servers is
// promoted connections to the former writer are reset, and the name leads to the new one.
func TestADatabaseThatExistsIsOffered(t *testing.T) {
	r := newRegistered(t)
	var addrs map[string]netip.Addr
	r.Await("an address for each name", func() (bool, error) {
		var err error
		addrs, err = r.addresses()
		return len(addrs) == 4, err
	})
	distinct := map[netip.Addr]bool{}
	for _, a := range addrs {
		distinct[a] = true
	}
	if writer := addrs[pgserver.Name]; !writer.IsValid() || len(distinct) != 4 {
		t.Errorf("the names lead to %v", addrs)
	}
	children := postern.Call[lattice.ListResourceConfigurationsOutput](r.Postern, lattice.Service, "ListResourceConfigurations", &lattice.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: &r.configuration.ID})
	if len(children.Items) != 4 || slices.ContainsFunc(children.Items, func(c lattice.ResourceConfigurationSummary) bool { return !*c.AmazonManaged }) {
		t.Errorf("its children are %+v", children.Items)
	}
	r.answers(pgserver.Name, "verify-full", "10.0.1.20 writes")
	r.answers("ro."+pgserver.Name, "verify-ca", "10.0.1.21 reads")
	if _, err := r.ask("ro."+pgserver.Name, "verify-full", "SELECT 1"); err == nil || !strings.Contains(err.Error(), "does not match host name") {
		t.Errorf("a name that the certificate does not have is taken: %v", err)
	}

	idle, err := r.client.Dial(t.Context(), "tcp4", net.JoinHostPort(addrs[pgserver.Name].String(), "5432"))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	r.servers.Freeze("one", true)
	r.servers.SQL("two", "SELECT pg_promote(true)")
	r.answers(pgserver.Name, "verify-full", "10.0.1.21 writes")
	idle.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection to the former writer reads %v, want a reset", err)
	}
	r.Await("who writes to be told", func() (bool, error) {
		list := r.Command("database", "list")
		return strings.Contains(list.Stdout, "two 10.0.1.21:5432") && strings.Contains(list.Stdout, "available, writes"), nil
	})
	r.Verify()

	if gone := r.Command("database", "deregister", "shop"); gone.Status != 0 {
		t.Fatalf("deregister: status %d: %s", gone.Status, gone.Stderr)
	}
	r.Await("the configuration to say that its database is gone", func() (bool, error) {
		got := postern.Call[lattice.GetResourceConfigurationOutput](r.Postern, lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &r.configuration.ID})
		return got.FailureReason != nil && strings.Contains(*got.FailureReason, "gone"), nil
	})
	r.Await("its names to be gone", func() (bool, error) {
		addrs, err := r.addresses()
		return len(addrs) == 0, err
	})
	r.endpoint.Delete()
	r.Await("the endpoint to be gone", func() (bool, error) {
		var out ec2.DescribeVpcEndpointsOutput
		err := r.Do(ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{}, &out)
		return len(out.VpcEndpoints) == 0, err
	})
	r.configuration.Delete()
	r.Verify()
}
