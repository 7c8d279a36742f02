// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// An interface of another account than its VPC's is in that VPC's realm as others are: with
// its subnet's gateway, its own account's groups, and in the groups that rules of the owner
// refer to. All this goes with it.
func TestAnInterfaceInAVPCOfAnotherAccount(t *testing.T) {
	const guest = "444455556666"
	of := func(id string) model.Meta { return model.Meta{Account: guest, Region: region, ID: id} }
	w := newWorld(t)
	w.put(t, connection()...)
	before := desired.Text(w.plan.Entries())
	group := &model.SecurityGroup{Meta: of("sg-g"), VPC: "vpc-a", Network: account, Rules: []model.SecurityGroupRule{{Egress: true, Protocol: "tcp", From: 80, To: 80, Group: "sg-a", GroupAccount: account}}}
	ni := &model.NetworkInterface{
		Meta: of("eni-g1"), VPC: "vpc-a", Subnet: "subnet-a", Network: account, Zone: "us-east-1a", Type: model.InterfaceWorkload,
		SourceDestCheck: true, MAC: "02:00:00:00:00:02", Groups: []string{"sg-g"}, Addresses: []netip.Addr{addr("10.0.1.77")},
	}
	attached := &model.Attachment{Account: guest, Region: region, Interface: "eni-g1", Host: "h", PID: 43, Device: "eth0"}
	referring := &model.SecurityGroup{Meta: meta("sg-a"), VPC: "vpc-a", Rules: []model.SecurityGroupRule{{Protocol: "tcp", From: 80, To: 80, Group: "sg-g", GroupAccount: guest}}}
	own := referring.Clone()
	own.Rules = connection()[4].(*model.SecurityGroup).Rules
	w.put(t, group, ni, attached, referring)
	got := desired.Text(w.plan.Entries())
	for _, want := range []string{
		"workload vpc-a eni-g1 ", "member vpc-a sg-g/10.0.1.77\n", "address vpc-a 10.0.1.77 class=", "in=6/80-80@sg-g", "out=6/80-80@sg-a",
		"addresses=10.0.1.77/24 gateway=10.0.1.1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	w.remove(t, attached, ni, group)
	w.put(t, own)
	if after := desired.Text(w.plan.Entries()); after != before {
		t.Errorf("left behind:\n%s\nbefore\n%s", after, before)
	}
}
