// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/service/servicetest"
)

func (f *fixture) associate(ctx context.Context, zone, vpcID string) error {
	return failure(f.api.AssociateVPCWithHostedZone(ctx, &shape.AssociateVPCWithHostedZoneInput{HostedZoneId: &zone, VPC: vpc(vpcID)}))
}

func (f *fixture) part(ctx context.Context, zone, vpcID string) error {
	return failure(f.api.DisassociateVPCFromHostedZone(ctx, &shape.DisassociateVPCFromHostedZoneInput{HostedZoneId: &zone, VPC: vpc(vpcID)}))
}

func (f *fixture) authorize(zone, vpcID string) error {
	return failure(f.api.CreateVPCAssociationAuthorization(f.ctx, &shape.CreateVPCAssociationAuthorizationInput{HostedZoneId: &zone, VPC: vpc(vpcID)}))
}

// vpcs are those that a zone has.
func (f *fixture) vpcs(t *testing.T, zone string) (ids []string) {
	t.Helper()
	out, err := f.api.GetHostedZone(f.ctx, &shape.GetHostedZoneInput{Id: &zone})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range out.VPCs {
		ids = append(ids, *v.VPCId)
	}
	return ids
}

// seen are the zones that a VPC sees, with their accounts.
func (f *fixture) seen(t *testing.T, ctx context.Context, vpcID string) (zones []string) {
	t.Helper()
	in := &shape.ListHostedZonesByVPCInput{VPCId: vpc(vpcID).VPCId, VPCRegion: vpc(vpcID).VPCRegion, MaxItems: new("1")}
	for {
		out, err := f.api.ListHostedZonesByVPC(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, z := range out.HostedZoneSummaries {
			owner := z.Owner.OwningAccount
			if owner == nil {
				owner = z.Owner.OwningService
			}
			zones = append(zones, *z.Name+" "+*owner)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return zones
		}
	}
}

func TestVPCsSeeZones(t *testing.T) {
	f := newFixture(t)
	zone := f.zone(t, "example.com", vpcA)
	f.zone(t, "example.net", vpcB)
	f.zone(t, "www.example.com", vpcB) // zones may be nested
	same := f.zone(t, "example.com", vpcEU)
	if err := f.associate(f.ctx, zone, vpcB); err != nil {
		t.Fatal(err)
	}
	wantTexts(t, "the zone has", f.vpcs(t, zone), vpcA, vpcB)
	if got := f.seen(t, f.ctx, vpcB); len(got) != 3 {
		t.Errorf("the VPC sees %q", got)
	}
	for _, again := range []string{zone, same} {
		e := f.refused(t, "ConflictingDomainExists", func() error { return f.associate(f.ctx, again, vpcB) })
		if want := "The VPC " + vpcB + " in region us-east-1 has already been associated with the hosted zone " + zone + " with the same domain name."; e.Message != want {
			t.Errorf("it says %q, want %q", e.Message, want)
		}
	}
	f.refused(t, "NotAuthorizedException", func() error { return f.associate(f.ctx, "Z0", vpcA) })
	f.refused(t, "InvalidVPCId", func() error { return f.associate(f.ctx, zone, "vpc-00000000000000000") })
	f.refused(t, "VPCAssociationNotFound", func() error { return f.part(f.ctx, zone, vpcEU) })
	if err := f.part(f.ctx, "/hostedzone/"+zone, vpcA); err != nil {
		t.Fatal(err)
	}
	f.refused(t, "LastVPCAssociation", func() error { return f.part(f.ctx, zone, vpcB) })
	wantTexts(t, "the zone has", f.vpcs(t, zone), vpcB)
	f.Quotas.VPCsPerZone = 1
	f.refused(t, "LimitsExceeded", func() error { return f.associate(f.ctx, zone, vpcA) })
}

// TestVPCsOfOtherAccounts need the authorization of the zone's account, which may go
// afterwards; either account may part them.
func TestVPCsOfOtherAccounts(t *testing.T) {
	f := newFixture(t)
	zone := f.zone(t, "example.com", vpcA)
	f.refused(t, "NotAuthorizedException", func() error { return f.associate(f.other, zone, vpcOther) })
	f.refused(t, "InvalidVPCId", func() error { return f.associate(f.ctx, zone, vpcOther) })
	for range 2 { // the second time changes nothing
		if err := f.authorize(zone, vpcOther); err != nil {
			t.Fatal(err)
		}
	}
	f.refused(t, "InvalidVPCId", func() error { return f.authorize(zone, "vpc-1") })
	f.refused(t, "InvalidVPCId", func() error { return f.associate(f.ctx, zone, vpcOther) })
	authorized, err := f.api.ListVPCAssociationAuthorizations(f.ctx, &shape.ListVPCAssociationAuthorizationsInput{HostedZoneId: &zone})
	if err != nil || len(authorized.VPCs) != 1 || *authorized.VPCs[0].VPCId != vpcOther {
		t.Errorf("authorized are %+v, %v", authorized, err)
	}
	if err := f.associate(f.other, zone, vpcOther); err != nil {
		t.Fatal(err)
	}
	take := func() error {
		return failure(f.api.DeleteVPCAssociationAuthorization(f.ctx, &shape.DeleteVPCAssociationAuthorizationInput{HostedZoneId: &zone, VPC: vpc(vpcOther)}))
	}
	if err := take(); err != nil {
		t.Fatal(err)
	}
	f.refused(t, "VPCAssociationAuthorizationNotFound", take)
	wantTexts(t, "the zone has", f.vpcs(t, zone), vpcA, vpcOther)
	wantTexts(t, "the other account sees", f.seen(t, f.other, vpcOther), "example.com. "+servicetest.Account)
	f.refused(t, "NoSuchHostedZone", func() error { return f.part(f.other, zone, vpcA) })
	for what, call := range map[string]func() error{
		"NoSuchHostedZone": func() error { return failure(f.api.GetHostedZone(f.other, &shape.GetHostedZoneInput{Id: &zone})) },
		"AccessDenied": func() error {
			return failure(f.api.ListHostedZonesByVPC(f.other, &shape.ListHostedZonesByVPCInput{VPCId: new(vpcA), VPCRegion: new(servicetest.Region)}))
		},
	} {
		f.refused(t, what, call)
	}
	if err := f.part(f.other, zone, vpcOther); err != nil {
		t.Fatal(err)
	}
	f.refused(t, "NotAuthorizedException", func() error { return f.associate(f.other, zone, vpcOther) })
	if err := f.authorize(zone, vpcOther); err != nil {
		t.Fatal(err)
	}
	if err := f.associate(f.other, zone, vpcOther); err != nil {
		t.Fatal(err)
	}
	if err := f.part(f.ctx, zone, vpcOther); err != nil {
		t.Errorf("the zone's account cannot part them: %v", err)
	}
	f.Quotas.AuthorizationsPerZone = 1
	e := f.refused(t, "TooManyVPCAssociationAuthorizations", func() error { return f.authorize(zone, vpcB) })
	if !strings.Contains(e.Message, zone) {
		t.Errorf("it says %q", e.Message)
	}
}
