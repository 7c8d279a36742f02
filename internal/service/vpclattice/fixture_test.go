// SPDX-License-Identifier: Apache-2.0

package vpclattice

import (
	"context"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The networks of tests: a VPC with two zones and a second subnet in the first
// one, one with IPv6 only, and a VPC beside it.
const (
	vpcID       = "vpc-0000000000000000a"
	otherVPC    = "vpc-0000000000000000b"
	subnetA     = "subnet-a"
	subnetA2    = "subnet-a2"
	subnetB     = "subnet-b"
	subnet6     = "subnet-6"
	subnetOther = "subnet-other"
	subnetSmall = "subnet-small"
	groupID     = "sg-0000000000000000a"
	groupOther  = "sg-0000000000000000b"
	defaultID   = "sg-default"
)

type fixture struct {
	*servicetest.World
	api *API
	ctx context.Context
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := servicetest.New(t)
	f := &fixture{World: w, api: &API{w.Env}, ctx: servicetest.As(t, servicetest.Account, servicetest.Region)}
	f.update(t, func(tx *table.Txn) {
		for _, id := range []string{vpcID, otherVPC} {
			state.VPCs.Put(tx, &model.VPC{Meta: meta(id), DefaultGroup: defaultID,
				CIDRs:  []model.CIDRAssociation{{Prefix: netip.MustParsePrefix("10.0.0.0/16")}},
				CIDRs6: []model.CIDRAssociation{{Prefix: netip.MustParsePrefix("2001:db8:1::/56")}}})
		}
		for _, s := range []struct{ id, vpc, zone, v4, v6 string }{
			{subnetA, vpcID, "a", "10.0.1.0/24", "2001:db8:1:1::/64"},
			{subnetA2, vpcID, "a", "10.0.2.0/24", ""},
			{subnetB, vpcID, "b", "10.0.3.0/24", "2001:db8:1:3::/64"},
			{subnet6, vpcID, "c", "", "2001:db8:1:4::/64"},
			{subnetSmall, vpcID, "c", "10.0.4.0/28", ""},
			{subnetOther, otherVPC, "a", "10.0.1.0/24", ""},
		} {
			row := &model.Subnet{Meta: meta(s.id), VPC: s.vpc, Zone: "us-east-1" + s.zone, ZoneID: "use1-" + s.zone}
			if s.v4 != "" {
				row.CIDR = netip.MustParsePrefix(s.v4)
			}
			if s.v6 != "" {
				row.CIDR6.Prefix = netip.MustParsePrefix(s.v6)
			}
			state.Subnets.Put(tx, row)
		}
		for id, vpc := range map[string]string{defaultID: vpcID, groupID: vpcID, groupOther: otherVPC} {
			state.SecurityGroups.Put(tx, &model.SecurityGroup{Meta: meta(id), VPC: vpc})
		}
	})
	return f
}

func meta(id string) model.Meta {
	return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
}

func (f *fixture) update(t *testing.T, fn func(*table.Txn)) {
	t.Helper()
	if _, err := f.DB.Update(t.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// refused checks that a call fails with a code and changes nothing.
func (f *fixture) refused(t *testing.T, name, code string, call func() error) {
	t.Helper()
	before := f.Dump(t)
	if err := call(); !fault.Is(err, code) {
		t.Errorf("%s: got %v, want %s", name, err, code)
	}
	if diff := cmp.Diff(before, f.Dump(t)); diff != "" {
		t.Errorf("%s: the refused call changed the state:\n%s", name, diff)
	}
}

func gatewayInput(name string, subnets ...string) *shape.CreateResourceGatewayInput {
	return &shape.CreateResourceGatewayInput{Name: &name, VpcIdentifier: new(vpcID), SubnetIds: subnets}
}

func (f *fixture) gateway(t *testing.T, in *shape.CreateResourceGatewayInput) *shape.CreateResourceGatewayOutput {
	t.Helper()
	out, err := f.api.CreateResourceGateway(f.ctx, in)
	if err != nil {
		t.Fatalf("creating gateway %s: %v", *in.Name, err)
	}
	return out
}

func configurationInput(name, gateway, ip string) *shape.CreateResourceConfigurationInput {
	return &shape.CreateResourceConfigurationInput{
		Name: &name, Type: new("SINGLE"), ResourceGatewayIdentifier: &gateway,
		ResourceConfigurationDefinition: &shape.ResourceConfigurationDefinition{IpResource: &shape.IpResource{IpAddress: &ip}},
	}
}

func (f *fixture) configuration(t *testing.T, in *shape.CreateResourceConfigurationInput) *shape.CreateResourceConfigurationOutput {
	t.Helper()
	out, err := f.api.CreateResourceConfiguration(f.ctx, in)
	if err != nil {
		t.Fatalf("creating configuration %s: %v", *in.Name, err)
	}
	return out
}

// acknowledge does the data plane's part for a resource.
func (f *fixture) acknowledge(t *testing.T, id string, s model.StatusState, reason string) {
	t.Helper()
	f.update(t, func(tx *table.Txn) {
		state.Statuses.Put(tx, &model.Status{Account: servicetest.Account, Region: servicetest.Region, ID: id, State: s, Reason: reason})
	})
}
