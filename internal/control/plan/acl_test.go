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

// border draws a network ACL, or that a subnet uses one.
func (d drawer) border(kind int) table.Row {
	if kind == 1 {
		return &model.NetworkACLAssociation{Account: d.account(), Region: region, ID: fmt.Sprintf("aclassoc-%d", d.n), ACL: d.one("acl", d.odd("other")), Subnet: d.one("subnet", 0)}
	}
	n := &model.NetworkACL{Meta: d.meta("acl"), VPC: d.one("vpc", 0), Default: d.odd("default") == 0, Changed: d.odd("unchanged") == 0}
	for i := range d.number("entries", 5) {
		e := model.ACLEntry{Number: 1 + i, Egress: d.yes("egress"), Allow: d.odd("deny") == 0, Protocol: model.AllProtocols, From: -1, To: -1}
		e.CIDR = prefix(d.name("block", "0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/16"))
		if d.odd("protocol") == 1 {
			e.Protocol, e.From, e.To = 6, 80, 443
		}
		n.Entries = append(n.Entries, e)
	}
	return n
}

// An ACL is in the router when it is used and lets less than everything pass that the VPC
// has, however that is spelled.
func TestOnlyACLsThatRestrictAreInTheRouter(t *testing.T) {
	pass := func(block string) desired.ACLRule {
		return desired.ACLRule{Allow: true, Rule: desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: netip.MustParsePrefix(block)}}
	}
	stop := func(block string) desired.ACLRule { r := pass(block); r.Allow = false; return r }
	tcp := pass("0.0.0.0/0")
	tcp.Protocol, tcp.From, tcp.To = 6, 0, 65535
	for _, c := range []struct {
		name  string
		rules []desired.ACLRule
		all   bool
	}{
		{"nothing", nil, false},
		{"all", []desired.ACLRule{pass("0.0.0.0/0")}, true},
		{"all and more", []desired.ACLRule{tcp, pass("10.0.0.0/8"), pass("0.0.0.0/0"), stop("0.0.0.0/0")}, true},
		{"one protocol", []desired.ACLRule{tcp}, false},
		{"the other family", []desired.ACLRule{pass("::/0")}, false},
		{"denied before", []desired.ACLRule{stop("192.0.2.1/32"), pass("0.0.0.0/0")}, false},
		{"denied in the other family", []desired.ACLRule{stop("::/0"), pass("0.0.0.0/0")}, true},
		{"both halves", []desired.ACLRule{pass("128.0.0.0/1"), pass("0.0.0.0/1")}, true},
		{"one half", []desired.ACLRule{pass("128.0.0.0/1"), pass("128.0.0.0/2")}, false},
		{"four parts", []desired.ACLRule{pass("192.0.0.0/2"), pass("0.0.0.0/2"), pass("128.0.0.0/2"), pass("64.0.0.0/2")}, true},
	} {
		if got := passesAll(c.rules, model.Everywhere4); got != c.all {
			t.Errorf("%s: all passes: %v", c.name, got)
		}
	}
}

// borders is what of the desired state says of network ACLs.
func (w *world) borders() string {
	var b strings.Builder
	for line := range strings.Lines(desired.Text(w.plan.Entries())) {
		if strings.HasPrefix(line, "acl ") || strings.HasPrefix(line, "filtered ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// What is asked for when ACLs are made, used, changed and left. A change of rules derives
// the ACL and nothing else.
func TestSubnetsAreFilteredByTheirACLs(t *testing.T) {
	w := newWorld(t)
	rows := connection()
	vpc := find[*model.VPC](t, rows)
	vpc.DefaultACL = "acl-d"
	standard := &model.NetworkACL{Meta: meta("acl-d"), VPC: "vpc-a", Default: true}
	own := &model.NetworkACL{Meta: meta("acl-x"), VPC: "vpc-a"}
	used := &model.NetworkACLAssociation{Account: account, Region: region, ID: "aclassoc-1", ACL: "acl-x", Subnet: "subnet-a"}
	want := func(name, text string) {
		t.Helper()
		if diff := cmp.Diff(text, w.borders()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	w.put(t, append(rows, standard, own)...)
	want("nobody uses it", "")
	w.put(t, used)
	const filtered = "filtered vpc-a subnet-a prefixes=10.0.1.0/24 acl=acl-x\n"
	want("it has no rules", "acl vpc-a acl-x\n"+filtered)
	own = own.Clone()
	own.Entries = []model.ACLEntry{
		{Number: 200, Allow: true, Protocol: -1, CIDR: prefix("0.0.0.0/0"), From: -1, To: -1},
		{Number: 100, Protocol: 6, CIDR: prefix("10.0.0.0/8"), From: 80, To: 90}, {Number: 100, Egress: true, Allow: true, Protocol: 47, CIDR: prefix("::/0"), From: 3, To: 4},
	}
	before := w.plan.derivations
	w.put(t, own)
	want("rules in the order of their numbers", "acl vpc-a acl-x in=deny:6/80-90@10.0.0.0/8,allow:all@0.0.0.0/0 out=allow:47/-1--1@::/0\n"+filtered)
	if n := w.plan.derivations - before; n != 1 {
		t.Errorf("a change of rules derives %d units", n)
	}
	passing := find[*model.NetworkInterface](t, rows)
	passing = passing.Clone()
	passing.SourceDestCheck = false
	w.put(t, passing)
	if got := w.borders(); !strings.Contains(got, "prefixes=10.0.1.0/24 enis=eni-w acl=acl-x") {
		t.Errorf("an interface that is not checked is not the subnet's:\n%s", got)
	}
	own = own.Clone()
	own.Entries = []model.ACLEntry{
		{Number: 1, Allow: true, Protocol: -1, CIDR: prefix("0.0.0.0/1")}, {Number: 2, Allow: true, Protocol: -1, CIDR: prefix("128.0.0.0/1")},
		{Number: 9, Egress: true, Allow: true, Protocol: -1, CIDR: prefix("0.0.0.0/0")}, {Number: 10, Egress: true, Protocol: -1, CIDR: prefix("0.0.0.0/0")},
	}
	w.put(t, own)
	want("all passes", "")
	standard = standard.Clone()
	standard.Changed = true
	w.put(t, standard)
	want("the default one is not used", "")
	w.remove(t, used)
	if got := w.borders(); !strings.Contains(got, "acl vpc-a acl-d\n") || !strings.Contains(got, "acl=acl-d") {
		t.Errorf("without an association the default one is used:\n%s", got)
	}
}
