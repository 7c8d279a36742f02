// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// TestAChangeGoesNoFurtherThanItMatters counts what is derived anew among a hundred
// endpoints, and who has something to wait for.
func TestAChangeGoesNoFurtherThanItMatters(t *testing.T) {
	tagged := map[string]string{"a": "b"}
	for _, c := range []struct {
		name        string
		row         func([]table.Row) table.Row
		derivations int
		touched     int
	}{
		{"tag of a configuration", func(rows []table.Row) table.Row {
			row := find[*model.ResourceConfiguration](t, rows)
			row.Tags = tagged
			return row
		}, 1, 0},
		{"tag of a VPC", func(rows []table.Row) table.Row { // itself, its main table and its ACLs
			row := find[*model.VPC](t, rows)
			row.Tags = tagged
			return row
		}, 3, 0},
		{"tag of a subnet", func(rows []table.Row) table.Row { // its interface's and its VPC's, with that's ACLs
			row := find[*model.Subnet](t, rows)
			row.Tags = tagged
			return row
		}, 3, 0},
		{"name of a gateway", func(rows []table.Row) table.Row { // itself and its interface
			row := find[*model.ResourceGateway](t, rows)
			row.Name = "n"
			return row
		}, 2, 0},
		{"tag of a group", func(rows []table.Row) table.Row { // its class, and whether rules name it
			row := find[*model.SecurityGroup](t, rows)
			row.Tags = tagged
			return row
		}, 2, 0},
		{"rule of a group", func(rows []table.Row) table.Row {
			row := find[*model.SecurityGroup](t, rows)
			row.Rules = append(row.Rules, model.SecurityGroupRule{Protocol: "tcp", From: 22, To: 22, CIDR: prefix("10.0.0.0/16")})
			return row
		}, 2, 0},
		{"block of a VPC", func(rows []table.Row) table.Row {
			row := find[*model.VPC](t, rows)
			row.CIDRs = append(row.CIDRs, model.CIDRAssociation{Prefix: prefix("10.1.0.0/16")})
			return row
		}, 3, 0},
		{"update of a configuration that means nothing here", func(rows []table.Row) table.Row {
			row := find[*model.ResourceConfiguration](t, rows)
			row.AllowShareable, row.UpdatedAt = true, time.Unix(5, 0)
			return row
		}, 1, 1},
		{"tag of an endpoint's interface", func(rows []table.Row) table.Row { // itself and its endpoint
			row := moreEndpoint(7)[0].(*model.NetworkInterface)
			row.Tags = tagged
			return row
		}, 2, 0},
		{"tag of an endpoint", func(rows []table.Row) table.Row { // itself and its interface
			row := moreEndpoint(7)[2].(*model.VPCEndpoint)
			row.Tags = tagged
			return row
		}, 2, 0},
		{"ports of a configuration", func(rows []table.Row) table.Row { // itself, all endpoints, no associations of others
			row := find[*model.ResourceConfiguration](t, rows)
			row.Ports = []model.PortRange{{From: 1, To: 65535}}
			return row
		}, 1 + 101, 2 * 101},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			rows := connection()
			for i := range 100 {
				rows = append(rows, moreEndpoint(i)...)
			}
			w.put(t, rows...)
			before := w.plan.derivations
			r := w.put(t, c.row(connection()))
			if n := w.plan.derivations - before; n != c.derivations || len(r.Touched) != c.touched {
				t.Errorf("%d derivations, %d touched: %v; want %d and %d", n, len(r.Touched), r.Touched, c.derivations, c.touched)
			}
		})
	}
}

// An address that an endpoint gives another router than before makes the endpoint
// wait there, and nobody else.
func TestATouchedSubjectWaitsWhereItsEntriesAre(t *testing.T) {
	w := newWorld(t)
	w.put(t, slices.Concat(connection(), moreEndpoint(1))...)
	ni := moreEndpoint(1)[0].(*model.NetworkInterface)
	ni.Addresses = []netip.Addr{addr("10.0.9.9")}
	r := w.put(t, ni)
	want := []Subject{{SubjectAssociation, ref("rea-m1")}, {SubjectEndpoint, ref("vpce-m1")}}
	slices.SortFunc(want, Subject.Compare)
	if !slices.Equal(r.Touched, want) {
		t.Errorf("touched: %v, want %v", r.Touched, want)
	}
	for _, s := range want {
		if realms := slices.Sorted(slices.Values(r.Realms[s])); !slices.Equal(realms, []desired.Realm{"vpc-a", "vpc-b"}) {
			t.Errorf("%v is touched in %v, want vpc-a and vpc-b", s, realms)
		}
	}
	if text := fmt.Sprint(r.Delete); len(r.Delete) != 3 {
		t.Errorf("deleted %s, want the endpoint, the address and the member", text)
	}
	if got := r.Released[desired.Key{Kind: desired.KindEndpoint, Realm: "vpc-a", ID: "10.0.2.1"}]; !slices.Equal(got, want) {
		t.Errorf("released for %v, want %v", got, want)
	}
}
