// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	shapes "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

// privateZone makes a hosted zone that a VPC alone sees, and gives what sets a name there.
func privateZone(p *postern.Postern, v *postern.VPC, name string) (set func(name string, addrs ...netip.Addr)) {
	p.T.Helper()
	made := postern.Call[route53.CreateHostedZoneOutput](p, route53.Service, "CreateHostedZone", &route53.CreateHostedZoneInput{
		Name: &name, CallerReference: new("one"), VPC: &route53.VPC{VPCId: &v.ID, VPCRegion: new("us-east-1")},
	})
	return func(name string, addrs ...netip.Addr) {
		p.T.Helper()
		records := route53.ResourceRecordSet{Name: &name, Type: new("A"), TTL: new(int64(5))}
		for _, a := range addrs {
			records.ResourceRecords = append(records.ResourceRecords, route53.ResourceRecord{Value: new(a.String())})
		}
		postern.Call[route53.ChangeResourceRecordSetsOutput](p, route53.Service, "ChangeResourceRecordSets", &route53.ChangeResourceRecordSetsInput{
			HostedZoneId: new(strings.TrimPrefix(*made.HostedZone.Id, "/hostedzone/")),
			ChangeBatch:  &route53.ChangeBatch{Changes: []route53.Change{{Action: new("UPSERT"), ResourceRecordSet: &records}}},
		})
	}
}

// followed gives what status says of a name.
func followed(p *postern.Postern, name string) (found shapes.FollowedName) {
	for _, n := range p.Status().Names {
		if *n.Name == name {
			found = n
		}
	}
	return found
}

// A name that only the provider's own hosted zone has is followed: to several addresses,
// past one that does not answer, and after Postern was killed. Status says where it leads.
func TestANameOfAPrivateZoneIsFollowed(t *testing.T) {
	g, _ := newGrouped(t, nil, "--upstream", "none")
	one, two := g.serve("one"), g.serve("two")
	postern.Call[ec2.ModifyVpcAttributeOutput](g.Postern, ec2.Service, "ModifyVpcAttribute", &ec2.ModifyVpcAttributeInput{
		VpcId: &g.provider.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}, // private zones need it
	})
	set := privateZone(g.Postern, g.provider, "corp.test")
	set("db.corp.test", one.IP, two.IP)
	inside := g.provider.Gateway("inside", []*postern.Subnet{g.servers}, []string{g.open}, func(in *lattice.CreateResourceGatewayInput) {
		in.ResourceConfigDnsResolution = new(lattice.ResourceConfigDnsResolutionInVpc)
	})
	own := g.consumer.Group("named", nil, nil)
	g.Authorize(own, postern.Open, nil)
	door := g.consumer.Endpoint(inside.Named("inside", "db.corp.test", "80"), g.clients, own).Address()
	who := func(want ...string) func() (bool, error) {
		return func() (bool, error) {
			seen := map[string]bool{}
			for range 20 {
				conn, name, err := g.dial(door)
				if err != nil {
					return false, nil
				}
				conn.Close()
				seen[name] = true
			}
			for _, name := range want {
				if !seen[name] {
					return false, nil
				}
			}
			return len(seen) == len(want), nil
		}
	}
	g.Await("both addresses", who("one", "two"))
	if n := followed(g.Postern, "db.corp.test."); len(n.Addresses) != 2 || n.AnsweredAt == nil || n.NextAt == nil || n.Problem != nil || !*n.InVpc {
		t.Errorf("status says %+v", n)
	}
	if text := g.Desired(); !strings.Contains(text, "name=db.corp.test. in-vpc=yes") {
		t.Errorf("desired is\n%s", text)
	}

	// One of them has nobody any more.
	three := g.serve("three")
	nobody := g.servers.Unused()
	set("db.corp.test", nobody, three.IP)
	g.Await("past an address that nobody has", who("three"))
	g.Await("status to say so", func() (bool, error) {
		for _, a := range followed(g.Postern, "db.corp.test.").Addresses {
			if *a.Address == nobody.String() {
				return a.Down != nil, nil
			}
		}
		return false, nil
	})
	g.Verify()

	g.Kill()
	if ok, err := who("three")(); !ok || err != nil {
		t.Errorf("connections while Postern is killed: %t, %v", ok, err)
	}
	g.Up()
	g.Await("the address after a restart", who("three"))
	set("db.corp.test", two.IP)
	g.Await("the name to move", who("two"))
	g.Verify()
}
