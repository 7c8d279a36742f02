// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
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
	postern.Call[ec2.ModifyVpcEndpointOutput](s.Postern, ec2.Service, "ModifyVpcEndpoint",
		&ec2.ModifyVpcEndpointInput{VpcEndpointId: &endpoint, PrivateDnsEnabled: new(false)})
	s.Await("no private name", func() (bool, error) {
		var now []netip.Addr
		now, err := resolve(s.client, "db.example.com") // there is no upstream
		return err != nil && now == nil, nil
	})
	expectAnswer(t, s.client, at(found[0]))
}

// A domain is verified by the record that the public names have, and not by one of a zone
// that the provider's VPC sees. Then an endpoint that says nothing of domains resolves it.
func TestADomainIsVerifiedByItsPublicRecord(t *testing.T) {
	names, upstream := newNameServer(t)
	s := newPair(t, "--upstream", upstream)
	postern.Call[ec2.ModifyVpcAttributeOutput](s.Postern, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &s.consumer.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	start := func(domain string) *lattice.StartDomainVerificationOutput {
		return postern.Call[lattice.StartDomainVerificationOutput](s.Postern, lattice.Service, "StartDomainVerification", &lattice.StartDomainVerificationInput{DomainName: &domain})
	}
	get := func(v *lattice.StartDomainVerificationOutput) *lattice.GetDomainVerificationOutput {
		return postern.Call[lattice.GetDomainVerificationOutput](s.Postern, lattice.Service, "GetDomainVerification", &lattice.GetDomainVerificationInput{DomainVerificationIdentifier: v.Id})
	}
	private, public := start("example.org"), start("Example.com")
	names.setText(*public.TxtMethodConfig.Name+".example.com.", *public.TxtMethodConfig.Value)
	zone := postern.Call[route53.CreateHostedZoneOutput](s.Postern, route53.Service, "CreateHostedZone", &route53.CreateHostedZoneInput{
		Name: new("example.org"), CallerReference: new("forged"), VPC: &route53.VPC{VPCId: &s.provider.ID, VPCRegion: new("us-east-1")},
	}).HostedZone
	postern.Call[route53.ChangeResourceRecordSetsOutput](s.Postern, route53.Service, "ChangeResourceRecordSets", &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: zone.Id, ChangeBatch: &route53.ChangeBatch{Changes: []route53.Change{{Action: new("CREATE"), ResourceRecordSet: &route53.ResourceRecordSet{
			Name: new(*private.TxtMethodConfig.Name + ".example.org"), Type: new("TXT"), TTL: new(int64(5)),
			ResourceRecords: []route53.ResourceRecord{{Value: new(`"` + *private.TxtMethodConfig.Value + `"`)}},
		}}}},
	})
	made := postern.Call[lattice.CreateResourceConfigurationOutput](s.Postern, lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
		Name: new("custom"), Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &s.gateway.ID,
		CustomDomainName: new("db.example.com"), DomainVerificationIdentifier: public.Id, PortRanges: []string{"5432"},
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(s.server.IP.String())}},
	})
	postern.Call[ec2.CreateVpcEndpointOutput](s.Postern, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		VpcId: &s.consumer.ID, VpcEndpointType: new(ec2.VpcEndpointTypeResource), ResourceConfigurationArn: made.Arn,
		SubnetIds: []string{s.clients.ID}, SecurityGroupIds: []string{s.openClient}, PrivateDnsEnabled: new(true),
	})
	if found, err := resolve(s.client, "db.example.com"); !noSuchName(err) {
		t.Errorf("before its domain is verified the name is %v, %v", found, err)
	}
	s.Await("the verification of example.com", func() (bool, error) { return *get(public).Status == lattice.VerificationStatusVerified, nil })
	shown := postern.Call[lattice.GetResourceConfigurationOutput](s.Postern, lattice.Service, "GetResourceConfiguration", &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: made.Id})
	if *shown.DomainVerificationStatus != lattice.VerificationStatusVerified {
		t.Errorf("the configuration's domain is %s", *shown.DomainVerificationStatus)
	}
	var found []netip.Addr
	s.Await("the private name", func() (bool, error) {
		var err error
		found, err = resolve(s.client, "db.example.com")
		return len(found) == 1, err
	})
	expectAnswer(t, s.client, at(found[0]))
	if v := get(private); *v.Status != lattice.VerificationStatusPending {
		t.Errorf("a private zone has example.org verified: it is %s", *v.Status)
	}
	s.Verify()
}
