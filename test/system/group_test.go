// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/cluster"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// grouped is a group behind a gateway, and an endpoint for it in two zones.
type grouped struct {
	*postern.Postern
	t                  *testing.T
	consumer, provider *postern.VPC
	clients            []*postern.Subnet
	servers            *postern.Subnet
	client             *postern.Workload
	open               string
	group              *postern.Configuration
	endpoint           *postern.Endpoint
}

// newGrouped makes one with these children, each a server that tells its name on port 80.
func newGrouped(t *testing.T, children []string, flags ...string) (*grouped, map[string]*postern.Configuration) {
	t.Helper()
	g := &grouped{Postern: postern.Start(t, flags...), t: t}
	g.consumer, g.provider = g.VPC("10.0.0.0/16"), g.VPC("10.0.0.0/16")
	g.clients = []*postern.Subnet{g.consumer.Subnet(0, "10.0.1.0/24"), g.consumer.Subnet(1, "10.0.2.0/24")}
	g.servers = g.provider.Subnet(0, "10.0.1.0/24")
	g.open = g.provider.OpenGroup()
	own := g.consumer.OpenGroup()
	g.client = g.clients[0].Workload("10.0.1.10", own)
	g.group = g.provider.Gateway("gateway", []*postern.Subnet{g.servers}, []string{g.open}).Group("group")
	made := map[string]*postern.Configuration{}
	for _, name := range children {
		made[name] = g.child(name)
	}
	g.endpoint = g.consumer.Endpoint(g.group, g.clients, own)
	return g, made
}

// child adds a server to the group.
func (g *grouped) child(name string) *postern.Configuration {
	g.t.Helper()
	return g.group.Child(name, g.serve(name).IP, "80")
}

// serve makes a server in the provider's VPC that tells its name on port 80.
func (g *grouped) serve(name string) *postern.Workload {
	g.t.Helper()
	server := g.servers.Workload("", g.open)
	l, err := server.Listen("tcp", ":80")
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.WriteString(conn, name+"\n")
				io.Copy(conn, conn)
			}()
		}
	}()
	return server
}

// dial connects and reads who answers.
func (g *grouped) dial(to netip.Addr) (net.Conn, string, error) {
	ctx, cancel := context.WithTimeout(g.t.Context(), testnet.Patience)
	defer cancel()
	conn, err := g.client.Dial(ctx, "tcp", hostPort(to, 80))
	if err != nil {
		return nil, "", err
	}
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	defer conn.SetReadDeadline(time.Time{})
	var name []byte
	for b := make([]byte, 1); ; name = append(name, b[0]) {
		if _, err := conn.Read(b); err != nil {
			return nil, "", errors.Join(err, conn.Close())
		} else if b[0] == '\n' {
			return conn, string(name), nil
		}
	}
}

// addresses gives those of the endpoint by the names of the children that they lead to, of
// each zone one, and sees that the interfaces' first addresses lead nowhere.
func (g *grouped) addresses() map[string][]netip.Addr {
	g.t.Helper()
	found := map[string][]netip.Addr{}
	interfaces := g.Interfaces("description", "VPC Endpoint Interface "+g.endpoint.ID)
	if len(interfaces) != len(g.clients) {
		g.t.Fatalf("the endpoint has %d interfaces", len(interfaces))
	}
	for _, ni := range interfaces {
		for _, a := range ni.PrivateIpAddresses {
			addr := netip.MustParseAddr(*a.PrivateIpAddress)
			if *a.Primary {
				expectRefusal(g.t, g.client, hostPort(addr, 80))
				continue
			}
			conn, name, err := g.dial(addr)
			if err != nil {
				g.t.Fatalf("connect to %s: %v", addr, err)
			}
			conn.Close()
			found[name] = append(found[name], addr)
		}
	}
	return found
}

// expectMembers wants each of the children to have an association that leads there by an
// address in each zone.
func (g *grouped) expectMembers(children map[string]*postern.Configuration) map[string][]netip.Addr {
	g.t.Helper()
	want := map[string]bool{}
	for _, c := range children {
		want[c.ARN] = true
	}
	g.Await("the associations", func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := g.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{g.endpoint.ID}}, &out)
		got := map[string]bool{}
		for _, a := range out.VpcEndpointAssociations {
			got[*a.AssociatedResourceArn] = *a.AssociatedResourceAccessibility == "Accessible" && *a.ResourceConfigurationGroupArn == g.group.ARN
			if id := strings.TrimPrefix(*a.AssociatedResourceArn, g.group.ARN[:strings.Index(g.group.ARN, "rcfg-")]); a.DnsEntry != nil && !strings.Contains(*a.DnsEntry.DnsName, id) {
				g.t.Errorf("the name of %s is %s", id, *a.DnsEntry.DnsName)
			}
		}
		return maps.Equal(got, want), err
	})
	found := g.addresses()
	for name := range children {
		if len(found[name]) != len(g.clients) {
			g.t.Errorf("%s is reached by %v", name, found[name])
		}
	}
	if len(found) != len(children) {
		g.t.Errorf("reached are %v", found)
	}
	return found
}

// load keeps talking over one connection and making new ones, until it is stopped; then it
// says what failed first.
func (g *grouped) load(name string, to netip.Addr) (stop func() error) {
	conn, _, err := g.dial(to)
	if err != nil {
		g.t.Fatal(err)
	}
	end, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		defer conn.Close()
		for {
			select {
			case <-end:
				ended <- nil
				return
			default:
			}
			err := testnet.Echo(conn, "still here")
			if another, who, dialed := g.dial(to); dialed != nil {
				err = errors.Join(err, dialed)
			} else if another.Close(); who != name {
				err = errors.Join(err, fmt.Errorf("%s answers", who))
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	return func() error { close(end); return <-ended }
}

// Children of a group on one port are reached by addresses of their own, through one
// endpoint. One is added, one deleted and one dissociated while clients talk to the
// others, who notice nothing; nor do they of a restart.
func TestChildrenComeAndGoUnderALiveEndpoint(t *testing.T) {
	g, children := newGrouped(t, []string{"one", "two", "three", "four"})
	at := g.expectMembers(children)
	stops := map[string]func() error{}
	for _, name := range []string{"one", "two"} {
		stops[name] = g.load(name, at[name][0])
	}
	children["five"] = g.child("five")
	if now := g.expectMembers(children); !slices.Equal(now["one"], at["one"]) {
		t.Errorf("with a further child the first one's addresses are %v, were %v", now["one"], at["one"])
	}

	conn, _, err := g.dial(at["three"][1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	children["three"].Delete()
	delete(children, "three")
	expectReset(t, "client of the child that is deleted", conn)
	expectRefusal(t, g.client, hostPort(at["three"][0], 80))
	g.expectMembers(children)

	conn, _, err = g.dial(at["four"][0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	list := postern.Call[lattice.ListResourceEndpointAssociationsOutput](g.Postern, lattice.Service, "ListResourceEndpointAssociations",
		&lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &children["four"].ID})
	if len(list.Items) != 1 {
		t.Fatalf("the fourth child has %d associations", len(list.Items))
	}
	postern.Call[lattice.DeleteResourceEndpointAssociationOutput](g.Postern, lattice.Service, "DeleteResourceEndpointAssociation",
		&lattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: list.Items[0].Id})
	expectReset(t, "client of the child that is dissociated", conn)
	left := map[string]*postern.Configuration{"one": children["one"], "two": children["two"], "five": children["five"]}
	g.expectMembers(left)

	g.Stop()
	g.Up()
	awaitSettled(t, g.Postern)
	g.expectMembers(left) // the dissociated one does not come back
	for name, stop := range stops {
		if err := stop(); err != nil {
			t.Errorf("client of %s: %v", name, err)
		}
	}
	g.expectRules(left)
	g.endpoint.Delete()
	for _, c := range children {
		c.Delete()
	}
	g.Await("the endpoint to be gone", func() (bool, error) {
		var out ec2.DescribeVpcEndpointsOutput
		err := g.Do(ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{}, &out)
		return len(out.VpcEndpoints) == 0, err
	})
	g.group.Delete()
	g.Verify()
}

// expectRules wants what would take the group's children from under their endpoint, or lead
// to one alone, to be refused.
func (g *grouped) expectRules(children map[string]*postern.Configuration) {
	g.t.Helper()
	err := g.Do(lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &g.group.ID}, nil)
	if postern.Code(err) != "ConflictException" {
		g.t.Errorf("delete a group with children: %v", err)
	}
	for _, c := range children {
		_, err := g.consumer.MakeEndpoint(c, g.clients)
		if postern.Code(err) != "InvalidParameter" || !strings.Contains(err.Error(), "CHILD") {
			g.t.Errorf("an endpoint for a child alone: %v", err)
		}
	}
}

// As many children as a group can have are there at once behind a new endpoint in three
// zones, and go with it, on a store with etcd's own limits.
func TestAFullGroupOnACluster(t *testing.T) {
	p := postern.Start(t, "--etcd", cluster.Start(t, 0), "--host-name", "alpha")
	consumer, provider := p.VPC("10.0.0.0/16"), p.VPC("10.0.0.0/16")
	var clients, servers []*postern.Subnet
	for zone := range 3 {
		clients = append(clients, consumer.Subnet(zone, fmt.Sprintf("10.0.%d.0/24", zone+1)))
		servers = append(servers, provider.Subnet(zone, fmt.Sprintf("10.0.%d.0/24", zone+1)))
	}
	group := provider.Gateway("gateway", servers, []string{provider.OpenGroup()}).Group("group")
	add := func(i int) {
		t.Helper()
		postern.Call[lattice.CreateResourceConfigurationOutput](p, lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
			Name: new(fmt.Sprint("child-", i)), Type: new(lattice.ResourceConfigurationTypeChild), ResourceConfigurationGroupIdentifier: &group.ID, PortRanges: []string{"80"},
			ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(fmt.Sprint("10.0.9.", i+10))}},
		})
	}
	for i := range 59 {
		add(i)
	}
	var endpoints []*postern.Endpoint
	open := consumer.OpenGroup()
	for range 2 {
		endpoints = append(endpoints, consumer.Endpoint(group, clients, open))
	}
	add(59)
	err := p.Do(lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
		Name: new("too-many"), Type: new(lattice.ResourceConfigurationTypeChild), ResourceConfigurationGroupIdentifier: &group.ID,
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new("10.0.9.9")}},
	}, nil)
	if postern.Code(err) != "ServiceQuotaExceededException" {
		t.Errorf("a 61st child: %v", err)
	}
	awaitSettled(t, p)
	for _, e := range endpoints {
		out := postern.Call[ec2.DescribeVpcEndpointAssociationsOutput](p, ec2.Service, "DescribeVpcEndpointAssociations",
			&ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{e.ID}})
		if n := len(out.VpcEndpointAssociations); n != 60 {
			t.Errorf("endpoint %s has %d associations", e.ID, n)
		}
		for _, ni := range p.Interfaces("description", "VPC Endpoint Interface "+e.ID) {
			if n := len(ni.PrivateIpAddresses); n != 61 {
				t.Errorf("interface %s has %d addresses", *ni.NetworkInterfaceId, n)
			}
		}
		e.Delete()
	}
	p.Await("the endpoints to be gone", func() (bool, error) {
		var out ec2.DescribeVpcEndpointsOutput
		err := p.Do(ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{}, &out)
		return len(out.VpcEndpoints) == 0, err
	})
	p.Verify()
}
