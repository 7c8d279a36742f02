// SPDX-License-Identifier: Apache-2.0

package system

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

// inVPC has a gateway look names up as a workload of its VPC would.
func inVPC(in *lattice.CreateResourceGatewayInput) {
	in.ResourceConfigDnsResolution = new(lattice.ResourceConfigDnsResolutionInVpc)
}

// A resource that is named as an endpoint of its gateway's VPC is reached through that
// endpoint, which is how one VPC offers others what it has endpoints to.
func TestAnEndpointsNameIsAHub(t *testing.T) {
	s := newPair(t)
	hub := s.VPC("10.0.0.0/16")
	subnets := []*postern.Subnet{hub.Subnet(0, "10.0.1.0/24")}
	open := hub.OpenGroup()
	door := hub.Endpoint(s.resource, subnets, open)
	name := door.ID + "." + s.resource.ID + ".4232ccc.vpc-lattice-rsc.us-east-1.postern.internal"
	onward := hub.Gateway("hub", subnets, []string{open}, inVPC).Named("hub", name, "5432")
	own := s.consumer.Group("hub", nil, nil)
	s.Authorize(own, postern.Open, nil)
	public := hub.Gateway("public", subnets, []string{open}).Named("public", name, "5432")
	too := s.consumer.Endpoint(public, []*postern.Subnet{s.client.Subnet}, own)
	far := s.consumer.Endpoint(onward, []*postern.Subnet{s.client.Subnet}, own)
	s.Await("status to say through which endpoint", func() (bool, error) {
		n := followed(s.Postern, name+".")
		return n.Through != nil && *n.Through == door.ID, nil
	})
	expectAnswer(t, s.client, hostPort(far.Address(), 5432))
	s.Await("the name in public", func() (bool, error) {
		_, err := ask(s.client, hostPort(too.Address(), 5432))
		return err == nil, nil
	})
	if text := s.Command("status").Stdout; !strings.Contains(text, door.Address().String()+" (endpoint "+door.ID+")") {
		t.Errorf("the status does not say where the name leads:\n%s", text)
	}
	s.Verify()
	s.Kill()
	expectAnswer(t, s.client, hostPort(far.Address(), 5432))
	s.Up()
	s.Await("the endpoint after a restart", func() (bool, error) {
		n := followed(s.Postern, name+".")
		return n.Through != nil && n.AnsweredAt != nil, nil
	})
	expectAnswer(t, s.client, hostPort(far.Address(), 5432))
	s.Verify()
}

// A gateway looks names up at the servers that its VPC's DHCP options name, from the VPC's
// router, and elsewhere when these are others.
func TestAGatewayAsksTheServersOfItsVPC(t *testing.T) {
	g, _ := newGrouped(t, nil, "--upstream", "none")
	one, server := g.serve("one"), g.servers.Workload("", g.open)
	socket, err := server.ListenPacket("udp", ":53")
	if err != nil {
		t.Fatal(err)
	}
	names := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if rr, err := dns.NewRR(q.Question[0].Name + " 5 A " + one.IP.String()); err == nil && q.Question[0].Name == "db.corp.test." {
			m.Answer = append(m.Answer, rr)
		}
		w.WriteMsg(m)
	})}
	ended := make(chan error, 1)
	go func() { ended <- names.ActivateAndServe() }()
	t.Cleanup(func() { names.Shutdown(); <-ended })

	inside := g.provider.Gateway("inside", []*postern.Subnet{g.servers}, []string{g.open}, inVPC)
	own := g.consumer.Group("named", nil, nil)
	g.Authorize(own, postern.Open, nil)
	door := g.consumer.Endpoint(inside.Named("inside", "db.corp.test", "80"), g.clients, own).Address()
	g.Await("a name that nobody knows", func() (bool, error) { return followed(g.Postern, "db.corp.test.").Problem != nil, nil })
	made := postern.Call[ec2.CreateDhcpOptionsOutput](g.Postern, ec2.Service, "CreateDhcpOptions", &ec2.CreateDhcpOptionsInput{
		DhcpConfigurations: []ec2.NewDhcpConfiguration{{Key: new("domain-name-servers"), Values: []string{server.IP.String()}}},
	})
	postern.Call[ec2.AssociateDhcpOptionsOutput](g.Postern, ec2.Service, "AssociateDhcpOptions", &ec2.AssociateDhcpOptionsInput{
		VpcId: &g.provider.ID, DhcpOptionsId: made.DhcpOptions.DhcpOptionsId,
	})
	g.Await("the name that the VPC's own server knows", func() (bool, error) {
		conn, name, err := g.dial(door)
		if err != nil {
			return false, nil
		}
		return name == "one", conn.Close()
	})
	g.Verify()
}
