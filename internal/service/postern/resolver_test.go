// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// The status tells what each VPC resolves: hosted zones, also another account's, with
// what keeps the VPC from seeing them, and whether the names of endpoints are out.
func TestStatusTellsWhatVPCsResolve(t *testing.T) {
	f := newFixture(t)
	ref := func(id string) model.Ref {
		return model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	meta := func(id string) model.Meta {
		return model.Meta{Account: servicetest.Account, Region: servicetest.Region, ID: id}
	}
	const domain = "vpc-lattice-rsc.us-east-1.postern.internal."
	f.put(t, func(tx *table.Txn) {
		state.HostedZones.Put(tx, &model.HostedZone{
			Meta: model.Meta{Account: servicetest.OtherAccount, ID: "Z1"}, Name: "db.example.com.", VPCs: []model.Ref{ref("vpc-1")},
		})
		state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta("vpce-1"), VPC: "vpc-1"})
		for id, names := range map[string]model.NamesStatus{
			"rea-1": {State: model.StatusReady, Domain: domain}, "rea-2": {State: model.StatusReady, Domain: "former."},
			"rea-3": {State: model.StatusFailed, Reason: "no resolver", Domain: domain},
		} {
			row := &model.EndpointAssociation{Meta: meta(id), Endpoint: ref("vpce-1"), Configuration: ref("rcfg" + id[3:])}
			state.EndpointAssociations.Put(tx, row)
			state.Statuses.Put(tx, &model.Status{Account: row.Account, Region: row.Region, ID: row.ID, State: model.StatusReady, Names: names})
		}
	})
	name := func(rcfg, state string) shape.EndpointName {
		return shape.EndpointName{Name: new("vpce-1." + rcfg + ".4232ccc.vpc-lattice-rsc.us-east-1.postern.internal"), Endpoint: new("vpce-1"), State: &state}
	}
	failed := name("rcfg-3", "failed")
	failed.Reason = new("no resolver")
	want := shape.Resolver{
		Account: new(servicetest.Account), Region: new(servicetest.Region), Vpc: new("vpc-1"), State: new("on"),
		Hint:  new("it does not see its hosted zones (1): enableDnsHostnames of the VPC must be true"),
		Zones: []shape.ResolverZone{{Id: new("Z1"), Name: new("db.example.com"), Seen: new(false)}},
		Names: []shape.EndpointName{name("rcfg-1", "ready"), name("rcfg-2", "pending"), failed},
	}
	got := f.resolversOf(t)
	if diff := cmp.Diff([]shape.Resolver{want}, got); diff != "" {
		t.Errorf("resolvers (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		support, hostnames bool
		state, hint        string
	}{
		{true, true, "on", ""},
		{false, true, "off", "it does not see its hosted zones (1): enableDnsSupport of the VPC must be true"},
		{false, false, "off", "it does not see its hosted zones (1): enableDnsSupport and enableDnsHostnames of the VPC must be true"},
	} {
		f.put(t, func(tx *table.Txn) {
			state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-1"), DNSSupport: c.support, DNSHostnames: c.hostnames})
		})
		r := f.resolversOf(t)[0]
		hint := ""
		if r.Hint != nil {
			hint = *r.Hint
		}
		if *r.State != c.state || hint != c.hint || *r.Zones[0].Seen != (c.hint == "") {
			t.Errorf("support %v, host names %v: %s, %q, seen %v", c.support, c.hostnames, *r.State, hint, *r.Zones[0].Seen)
		}
	}
	if out, err := f.api.GetStatus(f.other, &shape.GetStatusInput{}); err != nil || len(out.Resolvers) != 0 {
		t.Errorf("the account of a zone is shown others' VPCs: %+v, %v", out, err)
	}
}

func (f *fixture) resolversOf(t *testing.T) []shape.Resolver {
	t.Helper()
	out, err := f.api.GetStatus(f.ctx, &shape.GetStatusInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.Resolvers
}
