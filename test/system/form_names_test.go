// SPDX-License-Identifier: Apache-2.0

package system

import (
	"github.com/posternhq/postern/internal/aws/shape/route53"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/test/postern"
)

// fillNames makes a hosted zone with tags, two VPCs and an authorization, and record sets
// of each sort, and a verification that a resource configuration names.
func (f *form) fillNames(s *pair) {
	p := s.Postern
	vpc := func(id string) *route53.VPC { return &route53.VPC{VPCId: &id, VPCRegion: new("us-east-1")} }
	zone := postern.Call[route53.CreateHostedZoneOutput](p, route53.Service, "CreateHostedZone", &route53.CreateHostedZoneInput{
		Name: new("db.example.com"), CallerReference: new("form"), VPC: vpc(s.consumer.ID), HostedZoneConfig: &route53.HostedZoneConfig{Comment: new("of a form")},
	}).HostedZone.Id
	postern.Call[route53.AssociateVPCWithHostedZoneOutput](p, route53.Service, "AssociateVPCWithHostedZone", &route53.AssociateVPCWithHostedZoneInput{
		HostedZoneId: zone, VPC: vpc(s.provider.ID), Comment: new("a change"),
	})
	postern.Call[route53.CreateVPCAssociationAuthorizationOutput](p, route53.Service, "CreateVPCAssociationAuthorization", &route53.CreateVPCAssociationAuthorizationInput{
		HostedZoneId: zone, VPC: vpc("vpc-0123456789abcdef0"),
	})
	postern.Call[route53.ChangeTagsForResourceOutput](p, route53.Service, "ChangeTagsForResource", &route53.ChangeTagsForResourceInput{
		ResourceType: new(route53.TagResourceTypeHostedzone), ResourceId: zone, AddTags: []route53.Tag{{Key: new("Name"), Value: new("thing")}},
	})
	domain := postern.Call[lattice.StartDomainVerificationOutput](p, lattice.Service, "StartDomainVerification", &lattice.StartDomainVerificationInput{
		DomainName: new("Example.org."), Tags: map[string]string{"Name": "thing"},
	})
	postern.Call[lattice.CreateResourceConfigurationOutput](p, lattice.Service, "CreateResourceConfiguration", &lattice.CreateResourceConfigurationInput{
		Name: new("verified"), Type: new(lattice.ResourceConfigurationTypeSingle), ResourceGatewayIdentifier: &s.gateway.ID,
		CustomDomainName: new("db.example.org"), DomainVerificationIdentifier: domain.Id, PortRanges: []string{"80"},
		ResourceConfigurationDefinition: &lattice.ResourceConfigurationDefinition{IpResource: &lattice.IpResource{IpAddress: new(s.server.IP.String())}},
	})
	var batch route53.ChangeBatch
	for _, r := range []route53.ResourceRecordSet{
		{Name: new("*.db.example.com"), TTL: new(int64(60)), ResourceRecords: []route53.ResourceRecord{{Value: new("10.0.0.1")}}},
		{Name: new("db.example.com"), AliasTarget: &route53.AliasTarget{HostedZoneId: zone, DNSName: new("*.db.example.com"), EvaluateTargetHealth: new(true)}},
		{Name: new("w.db.example.com"), SetIdentifier: new("blue"), Weight: new(int64(3)), TTL: new(int64(60)), ResourceRecords: []route53.ResourceRecord{{Value: new("10.0.0.2")}}},
		{Name: new("f.db.example.com"), SetIdentifier: new("second"), Failover: new("SECONDARY"), TTL: new(int64(60)), ResourceRecords: []route53.ResourceRecord{{Value: new("10.0.0.3")}}},
	} {
		r.Type = new(route53.RRTypeA)
		batch.Changes = append(batch.Changes, route53.Change{Action: new(route53.ChangeActionCreate), ResourceRecordSet: &r})
	}
	postern.Call[route53.ChangeResourceRecordSetsOutput](p, route53.Service, "ChangeResourceRecordSets", &route53.ChangeResourceRecordSetsInput{HostedZoneId: zone, ChangeBatch: &batch})
}
