// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// courses is what of the desired state says of routes.
func (w *world) courses() string {
	var b strings.Builder
	for line := range strings.Lines(desired.Text(w.plan.Entries())) {
		for _, kind := range []desired.Kind{desired.KindTable, desired.KindSteer, desired.KindThrough} {
			if strings.HasPrefix(line, kind.String()+" ") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// routed is the rows of connection, whose provider has a table for its only subnet that
// leads to a gateway, an appliance, a list, and things that are not there.
func routed() []table.Row {
	rows := connection()
	for _, row := range rows {
		if v, ok := row.(*model.VPC); ok {
			v.MainTable = "rtb-main-" + v.ID
		}
	}
	return append(rows,
		&model.RouteTable{Meta: meta("rtb-main-vpc-a"), VPC: "vpc-a", Main: true},
		&model.RouteTable{Meta: meta("rtb-main-vpc-b"), VPC: "vpc-b", Main: true},
		&model.RouteTable{Meta: meta("rtb-1"), VPC: "vpc-b", Number: 1, Routes: []model.Route{
			{Dest: prefix("0.0.0.0/0"), Target: "igw-1"}, {Dest: prefix("::/0"), Target: "eigw-1"}, {Dest: prefix("192.0.2.0/24"), Target: "eni-x"},
			{Dest: prefix("198.51.100.0/24"), Target: "nat-1"}, {PrefixList: "pl-1", Target: "eni-x"},
		}},
		&model.RouteTableAssociation{Account: account, Region: region, ID: "rtbassoc-1", Table: "rtb-1", Subnet: "subnet-b"},
		&model.InternetGateway{Meta: meta("igw-1"), VPC: "vpc-b"},
		&model.PrefixList{Meta: meta("pl-1"), MaxEntries: 9, Entries: []model.PrefixEntry{
			{CIDR: prefix("203.0.113.0/24")}, {CIDR: prefix("192.0.2.0/24")}, {CIDR: prefix("10.0.7.0/24")}, {CIDR: prefix("169.254.169.254/32")},
		}},
		&model.NetworkInterface{Meta: meta("eni-x"), VPC: "vpc-b", Subnet: "subnet-b", Type: model.InterfaceWorkload, MAC: "02:00:00:00:00:02", Groups: []string{"sg-b"}, Addresses: []netip.Addr{addr("10.0.1.20")}},
		&model.Attachment{Account: account, Region: region, Interface: "eni-x", Host: "h", PID: 43, Device: "eth0"},
	)
}

// TestTablesAreForWhoUsesThem wants a table with its routes resolved, and everybody in the
// subnet to take it: workloads, transit targets, and what is asked in a gateway's name.
func TestTablesAreForWhoUsesThem(t *testing.T) {
	w := newWorld(t)
	w.put(t, routed()...)
	want := replaceAll(`table vpc-b 1 routes=0.0.0.0/0@outside,192.0.2.0/24@eni-x,198.51.100.0/24@unreachable,203.0.113.0/24@eni-x,::/0@unreachable
steer vpc-b 10.0.1.50 table=1
steer vpc-b 240.8.0.5 table=1
steer vpc-b eni-x table=1
through vpc-b eni-x class=CB
`, map[string]string{"CB": desired.ClassName([]string{"sg-b"})})
	if diff := cmp.Diff(want, w.courses()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	rows := routed()
	checked := find[*model.NetworkInterface](t, rows[len(rows)-2:])
	checked.SourceDestCheck = true
	w.put(t, checked)
	if got := w.courses(); strings.Contains(got, "@eni-x") || strings.Contains(got, "through") {
		t.Errorf("routes lead to an interface that is checked:\n%s", got)
	}
	w.remove(t, find[*model.RouteTableAssociation](t, routed()))
	if got := w.courses(); got != "" {
		t.Errorf("nobody uses the table, and planned is\n%s", got)
	}
}

// TestMainTablesAreForTheOthers has a subnet without an association use the main table, and
// what comes in by a gateway the one of its association.
func TestMainTablesAreForTheOthers(t *testing.T) {
	w := newWorld(t)
	w.put(t, routed()...)
	w.put(t,
		&model.RouteTable{Meta: meta("rtb-main-vpc-a"), VPC: "vpc-a", Main: true, Number: 3, Routes: []model.Route{{Dest: prefix("0.0.0.0/0"), Target: "igw-2"}}},
		&model.InternetGateway{Meta: meta("igw-2"), VPC: "vpc-a"},
		&model.RouteTableAssociation{Account: account, Region: region, ID: "rtbassoc-2", Table: "rtb-main-vpc-a", Gateway: "igw-2"})
	for _, line := range []string{"table vpc-a 3 routes=0.0.0.0/0@outside\n", "steer vpc-a eni-w table=3\n", "steer vpc-a outside table=3\n"} {
		if got := w.courses(); !strings.Contains(got, line) {
			t.Errorf("%q is not in\n%s", line, got)
		}
	}
}

// TestARouteChangesItsTableOnly counts what a new route derives among many VPCs.
func TestARouteChangesItsTableOnly(t *testing.T) {
	w := newWorld(t)
	rows := routed()
	for i := range 100 {
		id := fmt.Sprint("vpc-", i)
		rows = append(rows,
			&model.VPC{Meta: meta(id), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}, TransitIndex: 10 + i, MainTable: "rtb-" + id},
			&model.Subnet{Meta: meta("subnet-" + id), VPC: id, CIDR: prefix("10.0.1.0/24")},
			&model.RouteTable{Meta: meta("rtb-" + id), VPC: id, Main: true, Number: 1, Routes: []model.Route{{Dest: prefix("0.0.0.0/0"), Target: "igw-" + id}}},
			&model.NetworkInterface{Meta: meta("eni-" + id), VPC: id, Subnet: "subnet-" + id, Type: model.InterfaceWorkload, SourceDestCheck: true, Addresses: []netip.Addr{addr("10.0.1.10")}},
			&model.Attachment{Account: account, Region: region, Interface: "eni-" + id, Host: "h", PID: 42, Device: "eth0"})
	}
	w.put(t, rows...)
	before := w.plan.derivations
	r := find[*model.RouteTable](t, rows[len(rows)-5:])
	r.Routes = append(r.Routes, model.Route{Dest: prefix("192.0.2.0/24"), Target: "igw-9"})
	result := w.put(t, r)
	if got := w.plan.derivations - before; got != 1 || len(result.Put) != 1 || len(result.Delete) != 0 {
		t.Errorf("%d units were derived, put were %v, deleted %v; want one table", got, result.Put, result.Delete)
	}
}
