// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

func own(id string) model.Meta { return model.Meta{Account: account, Region: region, ID: id} }

// outsideWorld is a VPC with two subnets, one of which has a route back by the internet
// gateway, and a workload's interface with an elastic address.
func outsideWorld() []table.Row {
	return []table.Row{
		&model.VPC{Meta: own("vpc-a"), MainTable: "rtb-main", CIDRs6: []model.CIDRAssociation{{Prefix: prefix("2001:db8::/56"), Pool: model.AmazonPool}}},
		&model.Subnet{Meta: own("subnet-in"), VPC: "vpc-a", CIDR6: model.CIDRAssociation{Prefix: prefix("2001:db8::/64")}},
		&model.Subnet{Meta: own("subnet-out"), VPC: "vpc-a", CIDR: prefix("10.0.1.0/24"), CIDR6: model.CIDRAssociation{Prefix: prefix("2001:db8:0:1::/64")}},
		&model.RouteTable{Meta: own("rtb-main"), VPC: "vpc-a", Main: true},
		&model.RouteTable{Meta: own("rtb-out"), VPC: "vpc-a", Number: 1, Routes: []model.Route{{Dest: prefix("::/0"), Target: "igw-1"}}},
		&model.RouteTableAssociation{Account: account, Region: region, ID: "rtbassoc-1", Table: "rtb-out", Subnet: "subnet-out"},
		&model.InternetGateway{Meta: own("igw-1"), VPC: "vpc-a"},
		&model.NetworkInterface{Meta: own("eni-1"), VPC: "vpc-a", Subnet: "subnet-out", Type: model.InterfaceWorkload, SourceDestCheck: true, Addresses: []netip.Addr{addr("10.0.1.10"), addr("10.0.1.11")}},
		&model.ElasticAddress{Meta: own("eipalloc-1"), Addr: addr("203.0.113.1"), Association: "eipassoc-1", Interface: "eni-1", Private: addr("10.0.1.11")},
		&model.PublicClaim{Addr: addr("203.0.113.1"), Owner: own("eipalloc-1").Ref()},
	}
}

// wayOutOf gives the entries that have to do with the outside, but for route tables.
func wayOutOf(w *world) (lines []string) {
	for _, e := range w.plan.Entries() {
		switch e.(type) {
		case desired.Edge, desired.Exit, desired.Issued, desired.Public, desired.Opened:
			lines = append(lines, strings.TrimSuffix(e.String(), "\n"))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestAWayOutIsThereForWhoHasAGateway(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, outsideWorld()...)
	edge := desired.Edge{Name: "wan", Device: "netns:internet", Pool: w.plan.outside.Pool}.String()
	want := func(name string, entries ...desired.Entry) {
		t.Helper()
		lines := []string{edge}
		for _, e := range entries {
			lines = append(lines, e.String())
		}
		slices.Sort(lines)
		if diff := cmp.Diff(lines, wayOutOf(w)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	exit := desired.Exit{Uplink: "wan", VPC: "vpc-a"}
	block := desired.Issued{Uplink: "wan", Prefix: prefix("2001:db8::/56"), VPC: "vpc-a"}
	opened := desired.Opened{VPC: "vpc-a", Prefix: prefix("2001:db8:0:1::/64")}
	issued := desired.Issued{Uplink: "wan", Prefix: prefix("203.0.113.1/32"), VPC: "vpc-a"}
	want("an elastic address", exit, block, opened, issued, desired.Public{VPC: "vpc-a", Addr: addr("203.0.113.1"), Private: addr("10.0.1.11")})

	moved := &model.ElasticAddress{Meta: own("eipalloc-1"), Addr: addr("203.0.113.1"), Association: "eipassoc-2", Interface: "eni-1", Private: addr("10.0.1.10")}
	w.put(t, moved)
	want("moved", exit, block, opened, issued, desired.Public{VPC: "vpc-a", Addr: addr("203.0.113.1"), Private: addr("10.0.1.10")})
	w.put(t, &model.ElasticAddress{Meta: own("eipalloc-1"), Addr: addr("203.0.113.1")})
	want("nobody's", exit, block, opened)

	w.put(t, &model.RouteTable{Meta: own("rtb-out"), VPC: "vpc-a", Number: 1, Routes: []model.Route{{Dest: prefix("0.0.0.0/0"), Target: "igw-1"}}})
	want("no way back", exit, block)
	w.put(t, &model.EgressOnlyGateway{Meta: own("eigw-1"), VPC: "vpc-a"}, &model.InternetGateway{Meta: own("igw-1")}, moved)
	want("an egress-only gateway", exit, block)
	w.remove(t, &model.EgressOnlyGateway{Meta: own("eigw-1"), VPC: "vpc-a"})
	if got := wayOutOf(w); len(got) > 0 {
		t.Errorf("without a gateway there is %v", got)
	}
}

func TestWithoutAnUplinkNothingLeadsOut(t *testing.T) {
	w := newWorld(t)
	w.put(t, outsideWorld()...)
	if got := wayOutOf(w); len(got) > 0 {
		t.Errorf("there is %v", got)
	}
}

// A claim waits for what its address has in routers, from when it had it on.
func TestAReleasedPublicAddressWaits(t *testing.T) {
	w := newNamedWorld(t)
	w.put(t, outsideWorld()...)
	claim := Subject{SubjectPublic, model.Ref{ID: "203.0.113.1"}}
	for _, key := range []desired.Key{
		desired.Public{VPC: "vpc-a", Addr: addr("203.0.113.1")}.Key(), desired.Issued{Uplink: "wan", Prefix: prefix("203.0.113.1/32")}.Key(),
	} {
		if !contains(w.plan.Subjects(key), claim) {
			t.Errorf("%v does not belong to the claim", key)
		}
	}
	r := w.put(t, &model.ElasticAddress{Meta: own("eipalloc-1"), Addr: addr("203.0.113.1")})
	for _, key := range r.Delete {
		if !contains(r.Released[key], claim) {
			t.Errorf("the claim does not wait for %v to be gone", key)
		}
	}
	if len(r.Delete) != 2 {
		t.Errorf("%v are deleted, want two", r.Delete)
	}
}
