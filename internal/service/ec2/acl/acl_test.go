// SPDX-License-Identifier: Apache-2.0

package acl_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
)

// world is a VPC with two subnets.
type world struct {
	*ec2test.World
	vpc, one, two string
	main          string // the default ACL
}

func newWorld(t *testing.T, block6 ...string) *world {
	w := ec2test.NewWorld(t)
	v := w.VPC(t, "10.0.0.0/16", block6...)
	all := &world{World: w, vpc: *v.VpcId, one: *w.Subnet(t, *v.VpcId, "10.0.1.0/24").SubnetId, two: *w.Subnet(t, *v.VpcId, "10.0.2.0/24").SubnetId}
	for _, n := range all.find(t, ec2test.Filter("default", "true")) {
		if *n.VpcId == all.vpc {
			all.main = *n.NetworkAclId
		}
	}
	return all
}

func (w *world) find(t *testing.T, filters []shape.Filter, ids ...string) []shape.NetworkAcl {
	t.Helper()
	out, err := w.API.DescribeNetworkAcls(w.Ctx, &shape.DescribeNetworkAclsInput{Filters: filters, NetworkAclIds: ids})
	if err != nil {
		t.Fatal(err)
	}
	return out.NetworkAcls
}

func (w *world) create(t *testing.T) string {
	t.Helper()
	out, err := w.API.CreateNetworkAcl(w.Ctx, &shape.CreateNetworkAclInput{VpcId: &w.vpc})
	if err != nil {
		t.Fatal(err)
	}
	return *out.NetworkAcl.NetworkAclId
}

// rule is an entry that lets all of IPv4 pass, but for what is said.
func rule(acl string, number int32, egress bool, change ...func(*shape.CreateNetworkAclEntryInput)) *shape.CreateNetworkAclEntryInput {
	in := &shape.CreateNetworkAclEntryInput{NetworkAclId: &acl, RuleNumber: &number, Egress: &egress, Protocol: new("-1"), RuleAction: new("allow"), CidrBlock: new("0.0.0.0/0")}
	for _, c := range change {
		c(in)
	}
	return in
}

func (w *world) add(in *shape.CreateNetworkAclEntryInput) error {
	return ec2test.Failure(w.API.CreateNetworkAclEntry(w.Ctx, in))
}

func (w *world) remove(acl string, number int32, egress bool) error {
	return ec2test.Failure(w.API.DeleteNetworkAclEntry(w.Ctx, &shape.DeleteNetworkAclEntryInput{NetworkAclId: &acl, RuleNumber: &number, Egress: &egress}))
}

// text prints the entries of an ACL.
func text(n shape.NetworkAcl) string {
	var lines []string
	for _, e := range n.Entries {
		line := fmt.Sprintf("%d %s %s %s", *e.RuleNumber, map[bool]string{true: "out", false: "in"}[*e.Egress], *e.RuleAction, *e.Protocol)
		for _, block := range []*string{e.CidrBlock, e.Ipv6CidrBlock} {
			if block != nil {
				line += " " + *block
			}
		}
		if e.PortRange != nil {
			line += fmt.Sprintf(" %d-%d", *e.PortRange.From, *e.PortRange.To)
		}
		if e.IcmpTypeCode != nil {
			line += fmt.Sprintf(" type %d code %d", *e.IcmpTypeCode.Type, *e.IcmpTypeCode.Code)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (w *world) shows(t *testing.T, acl, want string) {
	t.Helper()
	if diff := gocmp.Diff(want, text(w.find(t, nil, acl)[0])); diff != "" {
		t.Error(diff)
	}
}

// uses prints which subnets use an ACL, and gives their associations.
func (w *world) uses(t *testing.T, acl string) (subnets string, associations map[string]string) {
	t.Helper()
	associations = map[string]string{}
	var all []string
	for _, a := range w.find(t, nil, acl)[0].Associations {
		associations[*a.SubnetId] = *a.NetworkAclAssociationId
		all = append(all, *a.SubnetId)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(a, b) })
	return strings.Join(all, " "), associations
}

func (w *world) replace(association, acl string) (string, error) {
	out, err := w.API.ReplaceNetworkAclAssociation(w.Ctx, &shape.ReplaceNetworkAclAssociationInput{AssociationId: &association, NetworkAclId: &acl})
	if err != nil {
		return "", err
	}
	return *out.NewAssociationId, nil
}

// An ACL lets nothing pass at first. Its rules are shown in the order in which they are
// asked, with what refuses the rest.
func TestRulesAreShownInOrder(t *testing.T) {
	w := newWorld(t)
	n := w.create(t)
	w.shows(t, n, "32767 out deny -1 0.0.0.0/0\n32767 in deny -1 0.0.0.0/0")
	port := func(protocol string, from, to int32) func(*shape.CreateNetworkAclEntryInput) {
		return func(in *shape.CreateNetworkAclEntryInput) {
			in.Protocol, in.PortRange = &protocol, &shape.PortRange{From: &from, To: &to}
		}
	}
	icmp := func(protocol string, typ, code int32) func(*shape.CreateNetworkAclEntryInput) {
		return func(in *shape.CreateNetworkAclEntryInput) {
			in.Protocol, in.IcmpTypeCode = &protocol, &shape.IcmpTypeCode{Type: &typ, Code: &code}
		}
	}
	deny := func(in *shape.CreateNetworkAclEntryInput) { in.RuleAction = new("deny") }
	four := func(block string) func(*shape.CreateNetworkAclEntryInput) {
		return func(in *shape.CreateNetworkAclEntryInput) { in.CidrBlock = &block }
	}
	six := func(block string) func(*shape.CreateNetworkAclEntryInput) {
		return func(in *shape.CreateNetworkAclEntryInput) { in.CidrBlock, in.Ipv6CidrBlock = nil, &block }
	}
	for _, in := range []*shape.CreateNetworkAclEntryInput{
		rule(n, 32766, false, port("6", 1024, 65535)), rule(n, 1, false, deny, port("tcp", 22, 22), four("10.0.1.77/24")),
		rule(n, 100, true, port("17", 53, 53)), rule(n, 100, false, icmp("1", 8, -1)), rule(n, 110, false, icmp("icmp", -1, -1)),
		rule(n, 120, false, icmp("58", 128, 0), six("2001:DB8:0::/64")), rule(n, 90, true, func(in *shape.CreateNetworkAclEntryInput) { in.Protocol = new("47") }),
		rule(n, 130, false, port("6", 0, 0), func(in *shape.CreateNetworkAclEntryInput) { in.Protocol = new("all") }), // clients send what a protocol does not have
	} {
		if err := w.add(in); err != nil {
			t.Fatal(err)
		}
	}
	const all = `90 out allow 47 0.0.0.0/0
100 out allow 17 0.0.0.0/0 53-53
32767 out deny -1 0.0.0.0/0
1 in deny 6 10.0.1.0/24 22-22
100 in allow 1 0.0.0.0/0 type 8 code -1
110 in allow 1 0.0.0.0/0 type -1 code -1
120 in allow 58 2001:db8::/64 type 128 code 0
130 in allow -1 0.0.0.0/0
32766 in allow 6 0.0.0.0/0 1024-65535
32767 in deny -1 0.0.0.0/0`
	w.shows(t, n, all)
	for name, value := range map[string]string{
		"entry.cidr": "10.0.1.0/24", "entry.ipv6-cidr": "2001:db8::/64", "entry.icmp.type": "128", "entry.icmp.code": "0", "entry.port-range.from": "1024",
		"entry.port-range.to": "53", "entry.protocol": "udp", "entry.rule-number": "32766", "entry.rule-action": "deny", "entry.egress": "true", "vpc-id": w.vpc,
	} {
		found := w.find(t, ec2test.Filter(name, value))
		if !slices.ContainsFunc(found, func(f shape.NetworkAcl) bool { return *f.NetworkAclId == n }) {
			t.Errorf("not found by %s=%s", name, value)
		}
	}
	for name, value := range map[string]string{"entry.icmp.type": "22", "entry.port-range.from": "8", "entry.protocol": "132", "entry.rule-number": "2"} {
		if found := w.find(t, ec2test.Filter(name, value)); len(found) > 0 {
			t.Errorf("found by %s=%s: %v", name, value, found)
		}
	}
	// Another rule under a number, and none.
	replaced := shape.ReplaceNetworkAclEntryInput(*rule(n, 100, false, deny))
	if _, err := w.API.ReplaceNetworkAclEntry(w.Ctx, &replaced); err != nil {
		t.Fatal(err)
	}
	if err := w.remove(n, 90, true); err != nil {
		t.Fatal(err)
	}
	w.shows(t, n, strings.NewReplacer("90 out allow 47 0.0.0.0/0\n", "", "100 in allow 1 0.0.0.0/0 type 8 code -1", "100 in deny -1 0.0.0.0/0").Replace(all))
}

// What is wrong with a rule is said, and changes nothing.
func TestWrongRulesAreRefused(t *testing.T) {
	w := newWorld(t)
	w.Env.Quotas.RulesPerACL = 2
	n := w.create(t)
	for _, in := range []*shape.CreateNetworkAclEntryInput{rule(n, 100, false), rule(n, 100, true), rule(n, 200, true)} {
		if err := w.add(in); err != nil {
			t.Fatal(err)
		}
	}
	before := text(w.find(t, nil, n)[0])
	bad := func(name, code string, change func(*shape.CreateNetworkAclEntryInput)) ec2test.Refusal {
		return ec2test.Refusal{Name: name, Code: code, Call: func() error { return w.add(rule(n, 7, false, change)) }}
	}
	const wrong, missing = "InvalidParameterValue", "MissingParameter"
	type in = *shape.CreateNetworkAclEntryInput
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "number twice", Code: "NetworkAclEntryAlreadyExists", Call: func() error { return w.add(rule(n, 100, false)) }},
		{Name: "too many", Code: "NetworkAclEntryLimitExceeded", Call: func() error { return w.add(rule(n, 300, true)) }},
		bad("number 0", wrong, func(e in) { e.RuleNumber = new(int32(0)) }),
		bad("number of the last rule", wrong, func(e in) { e.RuleNumber = new(int32(32767)) }),
		bad("protocol", wrong, func(e in) { e.Protocol = new("256") }),
		bad("name of a protocol", wrong, func(e in) { e.Protocol = new("gre") }),
		bad("action", wrong, func(e in) { e.RuleAction = new("reject") }),
		bad("no block", missing, func(e in) { e.CidrBlock = nil }),
		bad("two blocks", "InvalidParameterCombination", func(e in) { e.Ipv6CidrBlock = new("::/0") }),
		bad("no block at all", wrong, func(e in) { e.CidrBlock = new("10.0.0.0") }),
		bad("of the other family", wrong, func(e in) { e.CidrBlock = new("2001:db8::/64") }),
		bad("IPv4 in IPv6", wrong, func(e in) { e.CidrBlock, e.Ipv6CidrBlock = nil, new("::ffff:10.0.0.0/104") }),
		bad("no ports", missing, func(e in) { e.Protocol = new("6") }),
		bad("half of the ports", missing, func(e in) { e.Protocol, e.PortRange = new("6"), &shape.PortRange{From: new(int32(1))} }),
		bad("ports the wrong way", wrong, func(e in) {
			e.Protocol, e.PortRange = new("6"), &shape.PortRange{From: new(int32(2)), To: new(int32(1))}
		}),
		bad("port", wrong, func(e in) {
			e.Protocol, e.PortRange = new("17"), &shape.PortRange{From: new(int32(2)), To: new(int32(65536))}
		}),
		bad("no type", missing, func(e in) { e.Protocol = new("1") }),
		bad("type", wrong, func(e in) {
			e.Protocol, e.IcmpTypeCode = new("1"), &shape.IcmpTypeCode{Type: new(int32(256)), Code: new(int32(0))}
		}),
		bad("code of all types", wrong, func(e in) {
			e.Protocol, e.IcmpTypeCode = new("1"), &shape.IcmpTypeCode{Type: new(int32(-1)), Code: new(int32(0))}
		}),
		bad("unknown ACL", "InvalidNetworkAclID.NotFound", func(e in) { e.NetworkAclId = new("acl-0123456789abcdef0") }),
		{Name: "replace what is not there", Code: "InvalidNetworkAclEntry.NotFound", Call: func() error {
			return ec2test.Failure(w.API.ReplaceNetworkAclEntry(w.Ctx, new(shape.ReplaceNetworkAclEntryInput(*rule(n, 200, false)))))
		}},
		{Name: "delete what is not there", Code: "InvalidNetworkAclEntry.NotFound", Call: func() error { return w.remove(n, 200, false) }},
		{Name: "delete the last rule", Code: wrong, Call: func() error { return w.remove(n, 32767, false) }},
	})
	if diff := gocmp.Diff(before, text(w.find(t, nil, n)[0])); diff != "" {
		t.Error(diff)
	}
}

// The default ACL lets pass what its VPC has, until it is changed. It stays.
func TestTheDefaultACLIsMadeUpUntilItIsChanged(t *testing.T) {
	w := newWorld(t)
	const four = `100 out allow -1 0.0.0.0/0
32767 out deny -1 0.0.0.0/0
100 in allow -1 0.0.0.0/0
32767 in deny -1 0.0.0.0/0`
	w.shows(t, w.main, four)
	if _, err := w.API.AssociateVpcCidrBlock(w.Ctx, &shape.AssociateVpcCidrBlockInput{VpcId: &w.vpc, AmazonProvidedIpv6CidrBlock: new(true)}); err != nil {
		t.Fatal(err)
	}
	w.shows(t, w.main, `100 out allow -1 0.0.0.0/0
101 out allow -1 ::/0
32767 out deny -1 0.0.0.0/0
32768 out deny -1 ::/0
100 in allow -1 0.0.0.0/0
101 in allow -1 ::/0
32767 in deny -1 0.0.0.0/0
32768 in deny -1 ::/0`)
	// Terraform takes it over like this.
	for _, egress := range []bool{false, true} {
		for _, number := range []int32{100, 101} {
			if err := w.remove(w.main, number, egress); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.shows(t, w.main, "32767 out deny -1 0.0.0.0/0\n32768 out deny -1 ::/0\n32767 in deny -1 0.0.0.0/0\n32768 in deny -1 ::/0")
	w.Refused(t, "delete what was deleted", "InvalidNetworkAclEntry.NotFound", func() error { return w.remove(w.main, 100, true) })
	w.Refused(t, "delete the default one", "InvalidParameterValue", func() error {
		return ec2test.Failure(w.API.DeleteNetworkAcl(w.Ctx, &shape.DeleteNetworkAclInput{NetworkAclId: &w.main}))
	})
}

// A subnet uses one ACL, at first the default one. Each change has an id of its own, and
// what is in use stays.
func TestASubnetUsesOneACL(t *testing.T) {
	w := newWorld(t)
	n := w.create(t)
	both := strings.Join(slices.Sorted(slices.Values([]string{w.one, w.two})), " ")
	using := func(acl, want string) map[string]string {
		t.Helper()
		got, associations := w.uses(t, acl)
		if got != want {
			t.Errorf("%s is used by %q, want %q", acl, got, want)
		}
		return associations
	}
	first := using(w.main, both)[w.one]
	using(n, "")
	second, err := w.replace(first, n)
	if err != nil || second == first {
		t.Fatalf("%s in place of %s: %v", second, first, err)
	}
	using(w.main, w.two)
	if got := using(n, w.one)[w.one]; got != second {
		t.Errorf("the association is %s, want %s", got, second)
	}
	for _, filter := range [][2]string{{"association.association-id", second}, {"association.subnet-id", w.one}, {"association.network-acl-id", n}} {
		if found := w.find(t, ec2test.Filter(filter[0], filter[1])); len(found) != 1 || *found[0].NetworkAclId != n {
			t.Errorf("by %v: %v", filter, found)
		}
	}
	destroy := func() error {
		return ec2test.Failure(w.API.DeleteNetworkAcl(w.Ctx, &shape.DeleteNetworkAclInput{NetworkAclId: &n}))
	}
	other := w.VPC(t, "10.1.0.0/16")
	foreign := *w.find(t, ec2test.Filter("vpc-id", *other.VpcId))[0].NetworkAclId
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "the former association", Code: "InvalidAssociationID.NotFound", Call: func() error { return ec2test.Failure(w.replace(first, n)) }},
		{Name: "no association", Code: "InvalidAssociationID.NotFound", Call: func() error { return ec2test.Failure(w.replace("aclassoc-0123456789abcdef0", n)) }},
		{Name: "unknown ACL", Code: "InvalidNetworkAclID.NotFound", Call: func() error { return ec2test.Failure(w.replace(second, "acl-0123456789abcdef0")) }},
		{Name: "ACL of another VPC", Code: "InvalidParameterValue", Call: func() error { return ec2test.Failure(w.replace(second, foreign)) }},
		{Name: "delete what is in use", Code: "DependencyViolation", Call: destroy},
		{Name: "delete the VPC", Code: "DependencyViolation", Call: func() error {
			return ec2test.Failure(w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: &w.vpc}))
		}},
	})
	third, err := w.replace(second, w.main)
	if err != nil || third == first || third == second {
		t.Fatalf("back as %s: %v", third, err)
	}
	using(w.main, both)
	if fourth, err := w.replace(third, n); err != nil || fourth == third {
		t.Fatal(fourth, err)
	}
	for _, subnet := range []string{w.one, w.two} { // takes the association along
		if _, err := w.API.DeleteSubnet(w.Ctx, &shape.DeleteSubnetInput{SubnetId: &subnet}); err != nil {
			t.Fatal(err)
		}
	}
	w.Refused(t, "delete the VPC with its ACL", "DependencyViolation", func() error {
		return ec2test.Failure(w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: &w.vpc}))
	})
	if err := destroy(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.API.DeleteVpc(w.Ctx, &shape.DeleteVpcInput{VpcId: &w.vpc}); err != nil {
		t.Fatal(err)
	}
	if left := w.find(t, ec2test.Filter("vpc-id", w.vpc)); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// A creation has tags, happens once for a token, and as often as the VPC may have ACLs.
func TestACLsAreMadeOnce(t *testing.T) {
	w := newWorld(t)
	w.Env.Quotas.ACLsPerVPC = 2
	in := &shape.CreateNetworkAclInput{
		VpcId: &w.vpc, ClientToken: new("once"),
		TagSpecifications: []shape.TagSpecification{{ResourceType: new("network-acl"), Tags: []shape.Tag{{Key: new("Name"), Value: new("inner")}}}},
	}
	var ids []string
	for range 2 {
		out, err := w.API.CreateNetworkAcl(w.Ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, *out.NetworkAcl.NetworkAclId)
	}
	if ids[0] != ids[1] {
		t.Errorf("made twice: %v", ids)
	}
	if found := w.find(t, ec2test.Filter("tag:Name", "inner")); len(found) != 1 || *found[0].NetworkAclId != ids[0] || *found[0].IsDefault {
		t.Errorf("by its tag: %v", found)
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "one more", Code: "NetworkAclLimitExceeded", Call: func() error {
			return ec2test.Failure(w.API.CreateNetworkAcl(w.Ctx, &shape.CreateNetworkAclInput{VpcId: &w.vpc}))
		}},
		{Name: "no VPC", Code: "InvalidVpcID.NotFound", Call: func() error {
			return ec2test.Failure(w.API.CreateNetworkAcl(w.Ctx, &shape.CreateNetworkAclInput{VpcId: new("vpc-0123456789abcdef0")}))
		}},
	})
}
