// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"regexp"
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/route53"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

// A resource is reached by the name that its provider calls it in the VPC of an endpoint with
// private DNS, and that name is nowhere else; switched off it is not there either.
func TestAResourceIsReachedByItsPrivateName(t *testing.T) {
	s := newPair(t)
	postern.Call[ec2.ModifyVpcAttributeOutput](s.Postern, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &s.consumer.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	made := postern.Call[lattice.CreateResourceConfigurationOutput](s.Postern, lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
		Name: new("custom"), Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &s.gateway.ID, CustomDomainName: new("DB.example.com"),
		PortRanges:                      []string{"5432"},
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(s.server.IP.String())}},
	})
	endpoint := *postern.Call[ec2.CreateVpcEndpointOutput](s.Postern, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcId: &s.consumer.ID, VpcEndpointType: new(ec2.VpcEndpointTypeResource), ResourceConfigurationArn: made.Arn,
		SubnetIds: []string{s.clients.ID}, SecurityGroupIds: []string{s.openClient}, PrivateDnsEnabled: new(true),
		DnsOptions: &ec2.DnsOptionsSpecification{PrivateDnsPreference: new("SPECIFIED_DOMAINS_ONLY"), PrivateDnsSpecifiedDomains: []string{"db.example.com"}},
	}).VpcEndpoint.VpcEndpointId
	s.Await("the private name of "+endpoint, func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := s.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{endpoint}}, &out)
		return err == nil && len(out.VpcEndpointAssociations) == 1 && out.VpcEndpointAssociations[0].PrivateDnsEntry != nil, err
	})
	found, err := resolve(s.client, "db.example.com")
	if err != nil || len(found) != 1 || slices.Contains(found, s.endpoint.Address()) {
		t.Fatalf("db.example.com is %v, %v", found, err)
	}
	expectAnswer(t, s.client, at(found[0]))
	if found, err := resolve(s.client, "other.db.example.com"); !noSuchName(err) {
		t.Errorf("below the name there is %v, %v", found, err)
	}
	if found, err := resolve(s.server, "db.example.com"); err == nil {
		t.Errorf("in another VPC the name is %v", found)
	}
	zones := postern.Call[route53.ListHostedZonesByVPCOutput](s.Postern, route53.Service, "ListHostedZonesByVPC",
		&route53.ListHostedZonesByVPCInput{VPCId: &s.consumer.ID, VPCRegion: new("us-east-1")}).HostedZoneSummaries
	if len(zones) != 1 || *zones[0].Name != "db.example.com." || zones[0].Owner.OwningService == nil || *zones[0].Owner.OwningService != "vpc-lattice.amazonaws.com" {
		t.Errorf("the VPC sees the zones %+v", zones)
	}
	if said := s.Command("status").Stdout; !regexp.MustCompile(`(?m)^db\.example\.com +` + endpoint + ` +` + s.consumer.ID + ` +used`).MatchString(said) {
		t.Errorf("the status does not have the private domain:\n%s", said)
	}
	postern.Call[ec2.ModifyVpcEndpointOutput](s.Postern, ec2.Service, "ModifyVpcEndpoint",
		&ec2.ModifyVpcEndpointInput{VpcEndpointId: &endpoint, PrivateDnsEnabled: new(false)})
	s.Await("no private name", func() (bool, error) {
		var now []netip.Addr
		now, err := resolve(s.client, "db.example.com") // there is no upstream
		return err != nil && now == nil, nil
	})
	expectAnswer(t, s.client, at(found[0]))
}
