// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// TestANATGatewayIsANamespaceAtItsRouter: its interface is there, unchecked and open to
// all, by its subnet's routes; an address that is given up drains; and with its deletion
// all goes that waits for it.
func TestANATGatewayIsANamespaceAtItsRouter(t *testing.T) {
	w := newWorld(t)
	g := &model.NATGateway{
		Meta: meta("nat-1"), VPC: "vpc-a", Subnet: "subnet-a", Interface: "eni-1", Private: true,
		Addresses: []model.NATAddress{{Private: addr("10.0.1.9")}, {Private: addr("10.0.1.8"), GivenUpAt: time.Unix(1, 0)}},
	}
	ni := &model.NetworkInterface{
		Meta: meta("eni-1"), VPC: "vpc-a", Subnet: "subnet-a", Type: model.InterfaceNAT, Owner: "nat-1", MAC: "02:00:00:00:00:09",
		Addresses: []netip.Addr{addr("10.0.1.9"), addr("10.0.1.8")},
	}
	w.put(t,
		&model.VPC{Meta: meta("vpc-a"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}, MainTable: "rtb-a"},
		&model.Subnet{Meta: meta("subnet-a"), VPC: "vpc-a", CIDR: prefix("10.0.1.0/24")},
		&model.RouteTable{Meta: meta("rtb-a"), VPC: "vpc-a", Main: true, Number: 4, Routes: []model.Route{{Dest: prefix("0.0.0.0/0"), Target: "nat-1"}}},
		ni, g)
	// Its own route would lead to itself, and leads nowhere.
	want := `nat nat:nat-1 self vpc=vpc-a addresses=10.0.1.9 draining=10.0.1.8
table vpc-a 4 routes=0.0.0.0/0@unreachable
class vpc-a everything in=all@0.0.0.0/0,all@::/0 out=all@0.0.0.0/0,all@::/0
address vpc-a 10.0.1.8 class=everything
address vpc-a 10.0.1.9 class=everything
steer vpc-a eni-1 table=4
through vpc-a eni-1 class=everything
`
	text := func() string {
		var b strings.Builder
		for line := range strings.Lines(desired.Text(w.plan.Entries())) {
			if kind, _, _ := strings.Cut(line, " "); kind != "router" && kind != "workload" {
				b.WriteString(line)
			}
		}
		return b.String()
	}
	if diff := cmp.Diff(want, text()); diff != "" {
		t.Error(diff)
	}
	plugged := false
	for _, e := range w.plan.Entries() {
		if p, is := e.(desired.Workload); is {
			plugged = p.Unchecked && p.Namespace.Realm == desired.NATRealm("nat-1") && p.Gateway == addr("10.0.1.1") && len(p.Addresses) == 2
		}
		if subject := (Subject{SubjectNAT, ref("nat-1")}); !contains(w.plan.Subjects(e.Key()), subject) && e.Key().Kind != desired.KindRouter && e.Key().Kind != desired.KindClass && e.Key().Kind != desired.KindTable {
			t.Errorf("the gateway does not wait for %s", e)
		}
	}
	if !plugged {
		t.Error("its interface is not in its namespace")
	}
	g = g.Clone()
	g.Delete(time.Unix(2, 0))
	w.put(t, g)
	for _, e := range w.plan.Entries() {
		if e.Key().Kind != desired.KindTable {
			t.Errorf("%s is left of a gateway that is being deleted", e)
		}
	}
	gone := g.Clone()
	gone.GoneAt = time.Unix(3, 0)
	w.remove(t, ni)
	if result := w.put(t, gone); len(w.plan.Entries()) != 0 || !contains(result.Touched, Subject{SubjectNAT, ref("nat-1")}) {
		t.Errorf("of a gateway that is gone %v is left, touched are %v", w.plan.Entries(), result.Touched)
	}
}

// TestWhatComesBackToANATGatewayLeadsNowhere: of routes that lead to a gateway whose own
// subnet leads there again, by whatever way, what is sent is refused; and is not, when a
// smaller prefix leads out there.
func TestWhatComesBackToANATGatewayLeadsNowhere(t *testing.T) {
	const all, some = "0.0.0.0/0", "203.0.113.0/24"
	for _, c := range []struct {
		name string
		// routes are those of the tables of two gateways' subnets, and of a third one.
		one, two, clients map[string]string
		want              string
	}{
		{"itself", map[string]string{all: "nat-1"}, nil, map[string]string{all: "nat-1"}, "1 0.0.0.0/0@unreachable; 3 0.0.0.0/0@unreachable"},
		{"itself but for some", map[string]string{all: "nat-1", some: "igw-1"}, nil, map[string]string{all: "nat-1"}, "1 0.0.0.0/0@unreachable,203.0.113.0/24@outside; 3 0.0.0.0/0@eni-1"},
		{"some only", map[string]string{all: "igw-1", some: "nat-1"}, nil, map[string]string{all: "nat-1", some: "nat-1"}, "1 0.0.0.0/0@outside,203.0.113.0/24@unreachable; 3 0.0.0.0/0@eni-1,203.0.113.0/24@unreachable"},
		{"one another", map[string]string{all: "nat-2"}, map[string]string{all: "nat-1"}, nil, "1 0.0.0.0/0@unreachable; 2 0.0.0.0/0@unreachable"},
		{"one another but for some", map[string]string{all: "nat-2"}, map[string]string{all: "nat-1", some: "igw-1"}, nil, "1 0.0.0.0/0@eni-2; 2 0.0.0.0/0@unreachable,203.0.113.0/24@outside"},
		{"a chain", map[string]string{all: "nat-2"}, map[string]string{all: "igw-1"}, map[string]string{all: "nat-1"}, "1 0.0.0.0/0@eni-2; 2 0.0.0.0/0@outside; 3 0.0.0.0/0@eni-1"},
		{"a list", map[string]string{"pl-1": "nat-2", all: "igw-1"}, map[string]string{all: "nat-1"}, nil, "1 0.0.0.0/0@outside,203.0.113.0/24@unreachable; 2 0.0.0.0/0@eni-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.put(t,
				&model.VPC{Meta: meta("vpc-a"), CIDRs: []model.CIDRAssociation{{Prefix: prefix("10.0.0.0/16")}}},
				&model.InternetGateway{Meta: meta("igw-1"), VPC: "vpc-a"},
				&model.PrefixList{Meta: meta("pl-1"), MaxEntries: 9, Entries: []model.PrefixEntry{{CIDR: prefix(some)}}})
			for i, routes := range []map[string]string{c.one, c.two, c.clients} {
				n := string(rune('1' + i))
				table := &model.RouteTable{Meta: meta("rtb-" + n), VPC: "vpc-a", Number: i + 1}
				for dest, target := range routes {
					if strings.HasPrefix(dest, "pl-") {
						table.Routes = append(table.Routes, model.Route{PrefixList: dest, Target: target})
					} else {
						table.Routes = append(table.Routes, model.Route{Dest: prefix(dest), Target: target})
					}
				}
				w.put(t, table,
					&model.Subnet{Meta: meta("subnet-" + n), VPC: "vpc-a", CIDR: prefix("10.0." + n + ".0/24")},
					&model.RouteTableAssociation{Account: account, Region: region, ID: "rtbassoc-" + n, Table: "rtb-" + n, Subnet: "subnet-" + n})
				w.put(t,
					&model.NetworkInterface{
						Meta: meta("eni-" + n), VPC: "vpc-a", Subnet: "subnet-" + n, Type: model.InterfaceNAT, Owner: "nat-" + n, MAC: "02:00:00:00:00:0" + n,
						Addresses: []netip.Addr{addr("10.0." + n + ".9")},
					},
					&model.NATGateway{
						Meta: meta("nat-" + n), VPC: "vpc-a", Subnet: "subnet-" + n, Interface: "eni-" + n, Private: true,
						Addresses: []model.NATAddress{{Private: addr("10.0." + n + ".9")}},
					})
			}
			var got []string
			for line := range strings.Lines(w.courses()) {
				if table, is := strings.CutPrefix(strings.TrimSpace(line), "table vpc-a "); is {
					got = append(got, strings.Replace(table, "routes=", "", 1))
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
