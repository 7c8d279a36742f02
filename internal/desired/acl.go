// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"fmt"
	"net/netip"
	"strings"
)

// ACLRule decides about the packets that it matches: those whose other end is in Peer,
// by their destination port.
type ACLRule struct {
	Allow bool
	Rule
}

// String prints the rule as "allow:" or "deny:" and what it matches.
func (r ACLRule) String() string { return string(r.append(nil)) }

func (r ACLRule) append(b []byte) []byte {
	if r.Allow {
		b = append(b, "allow:"...)
	} else {
		b = append(b, "deny:"...)
	}
	return r.Rule.append(b)
}

// ParseACLRule reads a rule from the text that String gives.
func ParseACLRule(text string) (ACLRule, error) {
	action, match, _ := strings.Cut(text, ":")
	if action != "allow" && action != "deny" {
		return ACLRule{}, fmt.Errorf("%q is not a rule of a network ACL", text)
	}
	r, err := ParseRule(match)
	if err == nil && r.Group != "" {
		err = fmt.Errorf("%q names no block", text)
	}
	return ACLRule{Allow: action == "allow", Rule: r}, err
}

// ACL is what a network ACL says of packets into subnets and out of them: the first
// rule that matches decides, and without one a packet is dropped.
type ACL struct {
	VPC     string
	Name    string
	In, Out []ACLRule
}

// KindACL is the kind of ACL. It knows no connections, so there are none that end with it.
var KindACL = ours(Description[ACL]{
	Name: "acl", Stage: StageMeans, Sort: Routers, Spell: (*ACL).spell, Ends: EndsNothing[ACL], Turns: TurnsNothing[ACL],
	Examples: []ACL{{
		VPC: "vpc-1", Name: "acl-1",
		In: []ACLRule{
			{Rule: Rule{Protocol: 6, From: 22, To: 22, Peer: netip.MustParsePrefix("10.0.1.0/24")}},
			{Allow: true, Rule: Rule{Protocol: AllProtocols, From: -1, To: -1, Peer: netip.MustParsePrefix("0.0.0.0/0")}},
		},
		Out: []ACLRule{{Allow: true, Rule: Rule{Protocol: 17, From: 1024, To: 65535, Peer: netip.MustParsePrefix("::/0")}}},
	}},
})

// Key implements Entry.
func (a ACL) Key() Key { return Key{Realm(a.VPC), KindACL, a.Name} }

// String implements Entry.
func (a ACL) String() string {
	s := spell(make([]byte, 0, usual), a.Key())
	a.spell(&s)
	return s.String()
}

func (a *ACL) spell(s *Spelling) {
	s.Realm(&a.VPC)
	s.IDName(&a.Name)
	s.aclRules("in", &a.In)
	s.aclRules("out", &a.Out)
}

func (s *Spelling) aclRules(field string, values *[]ACLRule) {
	spellList(s, field, values, ParseACLRule, func(b []byte, r ACLRule) []byte { return r.append(b) })
}

// Filtered has the packets into a subnet and out of it be asked about by an ACL. Those
// between two interfaces of the subnet are not.
type Filtered struct {
	VPC    string
	Subnet string
	// Prefixes are the blocks of the subnet, sorted.
	Prefixes []netip.Prefix
	// ENIs are the interfaces of the subnet that pass on packets of others: what comes
	// from them and goes to them is the subnet's whatever its addresses. Sorted.
	ENIs []string
	ACL  string
}

// KindFiltered is the kind of Filtered.
var KindFiltered = ours(Description[Filtered]{
	Name: "filtered", Stage: StageMember, Sort: Routers, Spell: (*Filtered).spell, Ends: EndsNothing[Filtered], Turns: TurnsNothing[Filtered],
	Examples: []Filtered{{
		VPC: "vpc-1", Subnet: "subnet-1", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("2001:db8:0:1::/64")},
		ENIs: []string{"eni-1", "eni-2"}, ACL: "acl-1",
	}},
})

// Key implements Entry.
func (f Filtered) Key() Key { return Key{Realm(f.VPC), KindFiltered, f.Subnet} }

// String implements Entry.
func (f Filtered) String() string {
	s := spell(make([]byte, 0, usual), f.Key())
	f.spell(&s)
	return s.String()
}

func (f *Filtered) spell(s *Spelling) {
	s.Realm(&f.VPC)
	s.IDName(&f.Subnet)
	s.Prefixes("prefixes", &f.Prefixes)
	s.names("enis", &f.ENIs)
	s.Name("acl", &f.ACL)
}
