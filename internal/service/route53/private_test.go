// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"slices"
	"testing"
	"time"

	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// A name that an endpoint's private DNS has in a VPC is no hosted zone's there, while the
// endpoint has it; in other VPCs it is.
func TestAZoneIsRefusedForAnEndpointsPrivateName(t *testing.T) {
	f := newFixture(t)
	meta := func(id string) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	rc := &model.ResourceConfiguration{Meta: meta("rcfg-1"), Type: model.TypeSingle, CustomDomain: "DB.example.com"}
	e := &model.VPCEndpoint{Meta: meta("vpce-1"), VPC: vpcA, Configuration: rc.Ref(), PrivateDNS: true, DNSPreference: model.PreferAll}
	f.put(t, func(tx *table.Txn) {
		state.ResourceConfigurations.Put(tx, rc)
		state.VPCEndpoints.Put(tx, e)
	})
	zone := f.zone(t, "db.example.com", vpcB)
	f.zone(t, "example.com", vpcA)
	f.zone(t, "a.db.example.com", vpcA)
	want := "The VPC " + vpcA + " in region us-east-1 has already been associated with the hosted zone of the private DNS of VPC endpoint vpce-1 with the same domain name."
	if err := f.refused(t, "ConflictingDomainExists", func() error { return f.associate(f.ctx, zone, vpcA) }); err.Message != want {
		t.Errorf("it says %q, want %q", err.Message, want)
	}
	f.refused(t, "ConflictingDomainExists", func() error {
		return failure(f.api.CreateHostedZone(f.ctx, &shape.CreateHostedZoneInput{Name: new("db.example.com"), CallerReference: new("again"), VPC: vpc(vpcA)}))
	})
	mine := " " + servicetest.Account
	seen := f.seen(t, f.ctx, vpcA)
	slices.Sort(seen)
	if want := []string{"a.db.example.com." + mine, "db.example.com. vpc-lattice.amazonaws.com", "example.com." + mine}; !slices.Equal(seen, want) {
		t.Errorf("the endpoint's VPC sees %v, want %v", seen, want)
	}
	if seen := f.seen(t, f.ctx, vpcB); !slices.Equal(seen, []string{"db.example.com." + mine}) {
		t.Errorf("another VPC sees %v", seen)
	}
	f.put(t, func(tx *table.Txn) {
		gone := e.Clone()
		gone.DeletedAt = time.Unix(9, 0)
		state.VPCEndpoints.Put(tx, gone)
	})
	if err := f.associate(f.ctx, zone, vpcA); err != nil {
		t.Errorf("after the endpoint: %v", err)
	}
	if seen := f.seen(t, f.ctx, vpcA); slices.Contains(seen, "db.example.com. vpc-lattice.amazonaws.com") {
		t.Errorf("after the endpoint its VPC sees %v", seen)
	}
}
