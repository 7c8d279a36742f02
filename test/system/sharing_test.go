// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

const stranger = "444455556666"

// company is a client in a VPC of another account, with the addresses that the server's has.
type company struct {
	*postern.Postern
	vpc     *postern.VPC
	clients *postern.Subnet
	client  *postern.Workload
	group   string
}

func newCompany(s *postern.Postern, account string) *company {
	p := s.Tenant(account).Caller()
	// Attachments of workloads name namespaces, which its owner trusts this account to.
	if r := s.Command("account", "trust", account); r.Status != 0 {
		s.T.Fatal(r.Stderr)
	}
	c := &company{Postern: p, vpc: p.VPC("10.0.0.0/16")}
	c.clients, c.group = c.vpc.Subnet(0, "10.0.1.0/24"), c.vpc.OpenGroup()
	c.client = c.clients.Workload("10.0.1.10", c.group)
	return c
}

func (c *company) endpoint(t *postern.Configuration) *postern.Endpoint {
	c.T.Helper()
	return c.vpc.Endpoint(t, []*postern.Subnet{c.clients}, c.group)
}

// noEndpoint wants the configuration not to be there for an endpoint, nor to look at.
func (c *company) noEndpoint(when string, r *postern.Configuration) {
	c.T.Helper()
	if _, err := c.vpc.MakeEndpoint(r, []*postern.Subnet{c.clients}, c.group); postern.Code(err) != "InvalidParameter" {
		c.T.Errorf("%s an endpoint: got %v, want InvalidParameter", when, err)
	}
	err := c.Do(lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: &r.ARN}, nil)
	if postern.Code(err) != "AccessDeniedException" {
		c.T.Errorf("%s its description: got %v, want AccessDeniedException", when, err)
	}
	items := postern.Call[lattice.ListResourceConfigurationsOutput](c.Postern, lattice.Service, "ListResourceConfigurations", &lattice.ListResourceConfigurationsInput{}).Items
	if len(items) != 0 {
		c.T.Errorf("%s it lists %d configurations", when, len(items))
	}
}

// associations lists those with a configuration, as an account sees them.
func associations(p *postern.Postern, arn string) []lattice.ResourceEndpointAssociationSummary {
	p.T.Helper()
	return postern.Call[lattice.ListResourceEndpointAssociationsOutput](p, lattice.Service, "ListResourceEndpointAssociations",
		&lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: &arn}).Items
}

// A resource of one account is reached from a VPC of another when that has accepted what is
// shared with it, and not before, by address and by name. What was made stays when it is not
// shared any more, and nothing new is possible; either side may end it.
func TestASharedResourceIsReachedFromAnotherAccount(t *testing.T) {
	s := newPair(t)
	b := newCompany(s.Postern, stranger)
	b.noEndpoint("before it is shared", s.resource)
	share := s.resource.Share(stranger)
	b.noEndpoint("before it is accepted", s.resource)
	b.Accept(share)

	e := b.endpoint(s.resource)
	sources := s.gateway.Sources()[s.servers.Zone]
	expectSource(t, b.client, e.Address(), sources)
	expectRefusal(t, b.client, hostPort(e.Address(), 5433)) // not a port of the resource
	in := &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{e.ID}}
	found := postern.Call[ec2.DescribeVpcEndpointAssociationsOutput](b.Postern, ec2.Service, "DescribeVpcEndpointAssociations", in).VpcEndpointAssociations
	if len(found) != 1 || *found[0].AssociatedResourceArn != s.resource.ARN || found[0].DnsEntry == nil {
		t.Fatalf("the consumer is told %+v", found)
	}
	named, err := resolve(b.client, *found[0].DnsEntry.DnsName)
	if err != nil || !slices.Contains(named, e.Address()) {
		t.Errorf("%s is %v, %v", *found[0].DnsEntry.DnsName, named, err)
	}
	if got, err := resolve(s.client, *found[0].DnsEntry.DnsName); err == nil {
		t.Errorf("another account's VPC finds the name as %v", got)
	}
	owners, consumers := associations(s.Postern, s.resource.ARN), associations(b.Postern, s.resource.ARN)
	if len(owners) != 2 || len(consumers) != 1 || *consumers[0].VpcEndpointId != e.ID || *consumers[0].VpcEndpointOwner != stranger ||
		!strings.Contains(*consumers[0].Arn, ":"+stranger+":") {
		t.Fatalf("the owner sees %+v, the consumer %+v", owners, consumers)
	}

	// Not shared any more: what is there stays.
	kept := dial(t, b.client, at(e.Address()))
	s.Unshare(share)
	b.noEndpoint("after it is shared no more", s.resource)
	if err := testnet.Echo(kept, "still here"); err != nil {
		t.Errorf("a connection that was there: %v", err)
	}
	expectSource(t, b.client, e.Address(), sources)
	if left := associations(b.Postern, s.resource.ARN); len(left) != 1 || *left[0].VpcEndpointId != e.ID {
		t.Errorf("of its own endpoints the consumer sees %+v", left)
	}
	err = s.Do(lattice.Service, "DeleteResourceConfiguration", &lattice.DeleteResourceConfigurationInput{ResourceConfigurationIdentifier: &s.resource.ID}, nil)
	if postern.Code(err) != "ConflictException" {
		t.Errorf("delete what a consumer uses: got %v, want ConflictException", err)
	}

	// The owner cuts what the consumer has, and the consumer another one itself.
	b.cut(s, e, s.Postern, kept)
	again := s.resource.Share(stranger)
	b.Accept(again)
	e = b.endpoint(s.resource)
	expectSource(t, b.client, e.Address(), sources)
	b.cut(s, e, b.Postern, dial(t, b.client, at(e.Address())))
	b.asksToBeAccepted(s)
}

// cut ends an association by one side, by the name that it has there: its connections end and
// nothing new gets through, and the owner's own endpoint stays as it is.
func (b *company) cut(s *pair, e *postern.Endpoint, by *postern.Postern, open net.Conn) {
	s.t.Helper()
	name := ""
	for _, a := range associations(by, s.resource.ARN) {
		if *a.VpcEndpointId == e.ID {
			name = *a.Arn
		}
	}
	postern.Call[lattice.DeleteResourceEndpointAssociationOutput](by, lattice.Service, "DeleteResourceEndpointAssociation",
		&lattice.DeleteResourceEndpointAssociationInput{ResourceEndpointAssociationIdentifier: &name})
	expectReset(s.t, "a client of what was cut", open)
	b.Await("the association to be gone for its owner", func() (bool, error) {
		return len(associations(s.Postern, s.resource.ARN)) == 1, nil
	})
	expectRefusal(s.t, b.client, at(e.Address()))
	expectAnswer(s.t, s.client, at(s.endpoint.Address()))
}

// A group is shared with all of its children: those that there are, and those that come while
// it is shared. Private names of a resource are in the VPC of the account that it is shared
// with.
func TestASharedGroupIsReachedFromAnotherAccount(t *testing.T) {
	s := newPair(t)
	b := newCompany(s.Postern, stranger)
	postern.Call[ec2.ModifyVpcAttributeOutput](b.Postern, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &b.vpc.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	group := s.gateway.Group("databases", "db.example.com")
	first := group.CustomChild("first", "first.db.example.com", s.server.IP, "5432")
	share := group.Share(stranger)
	b.Accept(share)
	if got := configurations(b.Postern); !slices.Equal(got, []string{group.ARN}) {
		t.Errorf("the consumer lists %v, want the group", got)
	}
	if got := configurations(b.Postern, group.ARN); !slices.Equal(got, []string{first.ARN}) {
		t.Errorf("the consumer lists the children %v, want the first", got)
	}
	b.vpc.PrivateEndpoint(group, []*postern.Subnet{b.clients}, b.group)
	b.reaches("first.db.example.com")
	group.CustomChild("second", "second.db.example.com", s.server.IP, "5433")
	b.reaches("second.db.example.com")

	// A child that comes when the group is not shared any more is not for the consumer.
	s.Unshare(share)
	group.CustomChild("third", "third.db.example.com", s.server.IP, "5432")
	b.reaches("first.db.example.com")
	s.Verify()
	if found, err := resolve(b.client, "third.db.example.com"); err == nil {
		t.Errorf("what came after the group was shared is %v", found)
	}
	for side, p := range map[string]*postern.Postern{"owner": s.Postern, "consumer": b.Postern} {
		if all, one := len(associations(p, group.ARN)), len(associations(p, first.ARN)); all != 2 || one != 1 {
			t.Errorf("the %s sees %d associations with children, and %d with the first, want 2 and 1", side, all, one)
		}
	}
	b.Accept(group.Share(stranger))
	b.reaches("third.db.example.com")
}

// configurations lists the ARNs of resource configurations as an account sees them, or of the
// children of a group.
func configurations(p *postern.Postern, group ...string) (arns []string) {
	p.T.Helper()
	in := &lattice.ListResourceConfigurationsInput{}
	if len(group) > 0 {
		in.ResourceConfigurationGroupIdentifier = &group[0]
	}
	for _, c := range postern.Call[lattice.ListResourceConfigurationsOutput](p, lattice.Service, "ListResourceConfigurations", in).Items {
		arns = append(arns, *c.Arn)
	}
	return arns
}

// reaches waits until a private name is there, and wants an answer from where it leads.
func (b *company) reaches(name string) {
	b.T.Helper()
	port := 5432
	if strings.HasPrefix(name, "second") {
		port = 5433
	}
	b.Await("an answer from "+name, func() (bool, error) {
		found, err := resolve(b.client, name)
		if err != nil || len(found) == 0 {
			return false, nil
		}
		_, err = ask(b.client, hostPort(found[0], port))
		return err == nil, nil
	})
}

// A database that is offered by its ARN is shared like anything else: all of its names are
// there for the other account, and none of it is when the database is gone.
func TestASharedDatabaseIsReachedFromAnotherAccount(t *testing.T) {
	s := newPair(t)
	made := s.Command("database", "register", "shop", "--vpc", s.provider.ID, "--port", "5433", "--ask", "tcp", "--member", s.server.IP.String())
	if made.Status != 0 {
		t.Fatal(made.Stderr)
	}
	shop := s.gateway.Database("shop", strings.Fields(made.Stdout)[2])
	b := newCompany(s.Postern, stranger)
	b.noEndpoint("before it is shared", shop)
	b.Accept(shop.Share(stranger))
	e := b.endpoint(shop)
	var own []string
	b.Await("an address for each name", func() (bool, error) {
		own = nil
		for _, ni := range b.Interfaces("vpc-id", b.vpc.ID) {
			for _, a := range ni.PrivateIpAddresses {
				if *ni.RequesterManaged && !*a.Primary {
					own = append(own, *a.PrivateIpAddress)
				}
			}
		}
		return len(own) == 3, nil
	})
	for _, a := range own {
		b.Await("an answer at "+a, func() (bool, error) { return answers(b.client, net.JoinHostPort(a, "5433")), nil })
		if answers(b.client, net.JoinHostPort(a, "5432")) {
			t.Errorf("%s leads to a port that is none of the database", a)
		}
	}
	children := postern.Call[lattice.ListResourceConfigurationsOutput](b.Postern, lattice.Service, "ListResourceConfigurations", &lattice.ListResourceConfigurationsInput{ResourceConfigurationGroupIdentifier: &shop.ARN}).Items
	if len(children) != 3 || len(associations(b.Postern, shop.ARN)) != 3 {
		t.Errorf("the other account sees the children %+v", children)
	}
	if r := s.Command("database", "deregister", "shop"); r.Status != 0 {
		t.Fatal(r.Stderr)
	}
	b.Await("the associations to be gone", func() (bool, error) { return len(associations(b.Postern, shop.ARN)) == 0, nil })
	for _, a := range own {
		if answers(b.client, net.JoinHostPort(a, "5433")) {
			t.Errorf("%s leads to a database that is gone", a)
		}
	}
	e.Delete()
	s.Verify()
}
