// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// TestPeersAreJoinedWhileTheirConnectionIsActive, when somebody lives in both: by a link, by
// what each router lets pass, by routes, and by the members of a group that a rule of the other
// VPC names.
func TestPeersAreJoinedWhileTheirConnectionIsActive(t *testing.T) {
	w := newWorld(t)
	other := "444455556666"
	far := func(id string) model.Meta {
		m := meta(id)
		m.Account = other
		return m
	}
	blocks := func(cidr string) []model.CIDRAssociation { return []model.CIDRAssociation{{Prefix: prefix(cidr)}} }
	interfaceOf := func(m model.Meta, vpc, group, address string) *model.NetworkInterface {
		return &model.NetworkInterface{Meta: m, VPC: vpc, Groups: []string{group}, Addresses: []netip.Addr{addr(address)}}
	}
	near := interfaceOf(meta("eni-a"), "vpc-a", "sg-a", "10.0.1.10")
	w.put(t,
		&model.VPC{Meta: meta("vpc-a"), CIDRs: blocks("10.0.0.0/16"), CIDRs6: blocks("2001:db8::/56"), MainTable: "rtb-a"},
		&model.VPC{Meta: far("vpc-b"), CIDRs: blocks("10.1.0.0/16")},
		&model.Subnet{Meta: meta("subnet-a"), VPC: "vpc-a", CIDR: prefix("10.0.1.0/24")},
		&model.RouteTable{Meta: meta("rtb-a"), VPC: "vpc-a", Main: true, Number: 4, Routes: []model.Route{{Dest: prefix("10.1.0.0/16"), Target: "pcx-1"}}},
		&model.SecurityGroup{Meta: meta("sg-a"), VPC: "vpc-a"},
		&model.SecurityGroup{Meta: far("sg-b"), VPC: "vpc-b", Rules: []model.SecurityGroupRule{
			{Protocol: "-1", From: -1, To: -1, Group: "sg-a", GroupAccount: near.Account, Peering: "pcx-1"},
		}},
		interfaceOf(far("eni-b"), "vpc-b", "sg-b", "10.1.1.10"))
	state := func(code string) {
		for _, m := range []model.Meta{meta("pcx-1"), far("pcx-1")} {
			w.put(t, &model.PeeringConnection{
				Meta: m, Code: code,
				Requester: model.PeeringSide{Account: near.Account, VPC: "vpc-a"}, Accepter: model.PeeringSide{Account: other, VPC: "vpc-b"},
			})
		}
	}
	expect := func(when, want string) {
		t.Helper()
		var b strings.Builder
		for line := range strings.Lines(desired.Text(w.plan.Entries())) {
			switch kind, _, _ := strings.Cut(line, " "); kind {
			case "link", "member", "peering", "table":
				b.WriteString(line)
			case "class":
				if strings.Contains(line, "sg-a") {
					b.WriteString("class of vpc-b with sg-a\n")
				}
			}
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	state(model.PeeringActive)
	expect("nobody lives in one", "class of vpc-b with sg-a\n")
	w.put(t, near, &model.RouteTableAssociation{Account: near.Account, Region: near.Region, ID: "rtbassoc-1", Table: "rtb-a", Gateway: "igw-1"},
		&model.InternetGateway{Meta: meta("igw-1"), VPC: "vpc-a"})
	expect("active", `link vpc-a vpc-b
table vpc-a 4 routes=10.1.0.0/16@vpc-b
class of vpc-b with sg-a
member vpc-b sg-a/10.0.1.10
peering vpc-a vpc-b own=10.0.0.0/16 theirs=10.1.0.0/16
peering vpc-b vpc-a own=10.1.0.0/16 theirs=10.0.0.0/16
`)
	state(model.PeeringDeleted)
	expect("deleted", "table vpc-a 4 routes=10.1.0.0/16@unreachable\n")
}
