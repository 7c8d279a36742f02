// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// restriction is a network ACL that lets less than everything pass, and its VPC.
type restriction struct{ vpc, name string }

// deriveACL asks for a network ACL that a subnet uses, if it lets less than everything
// pass. Its value is a restriction then, which does not change with the rules.
func (r *reading) deriveACL(ref model.Ref) derived {
	row, ok := state.NetworkACLs.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	vpc, ok := state.VPCs.Get(r.tx, row.Account, row.Region, row.VPC)
	if !ok {
		return derived{}
	}
	acl := desired.ACL{VPC: vpc.ID, Name: row.ID}
	for _, e := range row.EntriesIn(vpc) {
		if e.Egress {
			acl.Out = append(acl.Out, aclRule(e))
		} else {
			acl.In = append(acl.In, aclRule(e))
		}
	}
	open := true
	for _, rules := range [][]desired.ACLRule{acl.In, acl.Out} {
		open = open && passesAll(rules, model.Everywhere4)
		open = open && (len(vpc.CIDRs6) == 0 || passesAll(rules, model.Everywhere6))
	}
	if open {
		return derived{}
	}
	return derived{entries: []desired.Entry{acl}, value: restriction{vpc.ID, row.ID}}
}

// aclRule says an entry in the terms of packets. Only some protocols have ports or types
// there.
func aclRule(e model.ACLEntry) desired.ACLRule {
	r := desired.ACLRule{Allow: e.Allow, Rule: desired.Rule{Protocol: e.Protocol, From: -1, To: -1, Peer: e.CIDR}}
	switch e.Protocol {
	case 1, 6, 17, 58:
		r.From, r.To = e.From, e.To
	}
	return r
}

// passesAll reports whether rules let all packets of a family pass: before anything is
// denied, blocks that are allowed altogether are everything together.
func passesAll(rules []desired.ACLRule, all netip.Prefix) bool {
	var passed []netip.Prefix
	for _, r := range rules {
		if r.Peer.Addr().Is4() != all.Addr().Is4() {
			continue
		}
		if !r.Allow {
			return false
		}
		if r.Protocol == desired.AllProtocols {
			if passed = join(passed, r.Peer); slices.Contains(passed, all) {
				return true
			}
		}
	}
	return false
}

// join adds a block to others. Two halves of one become that.
func join(blocks []netip.Prefix, p netip.Prefix) []netip.Prefix {
	if slices.ContainsFunc(blocks, func(b netip.Prefix) bool { return b.Bits() <= p.Bits() && b.Contains(p.Addr()) }) {
		return blocks
	}
	blocks = slices.DeleteFunc(blocks, func(b netip.Prefix) bool { return p.Bits() <= b.Bits() && p.Contains(b.Addr()) })
	if p.Bits() > 0 {
		whole := netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
		sibling := func(b netip.Prefix) bool { return b.Bits() == p.Bits() && whole.Contains(b.Addr()) }
		if slices.ContainsFunc(blocks, sibling) {
			return join(slices.DeleteFunc(blocks, sibling), whole)
		}
	}
	return append(blocks, p)
}

// deriveBorder asks for the subnets of a VPC whose ACLs let less than everything pass.
func (r *reading) deriveBorder(ref model.Ref) derived {
	vpc, ok := state.VPCs.Get(r.tx, ref.Account, ref.Region, ref.ID)
	if !ok {
		return derived{}
	}
	var d derived
	for s := range state.SubnetsByVPC.Rows(r.tx, ref) {
		used := vpc.DefaultACL
		for a := range state.NetworkACLAssociationsBySubnet.Rows(r.tx, s.Ref()) {
			used = a.ACL
		}
		if acl, ok := valueOf[restriction](r, unitACL, s.Sibling(used)); ok && acl.vpc == vpc.ID {
			d.entries = append(d.entries, r.filtered(s, acl.name))
		}
	}
	return d
}

// filtered has an ACL filter a subnet, with the interfaces that pass on packets of others.
func (r *reading) filtered(s *model.Subnet, acl string) desired.Filtered {
	f := desired.Filtered{VPC: s.VPC, Subnet: s.ID, ACL: acl}
	for _, block := range []netip.Prefix{s.CIDR, s.CIDR6.Prefix} {
		if block.IsValid() {
			f.Prefixes = append(f.Prefixes, block.Masked())
		}
	}
	slices.SortFunc(f.Prefixes, netip.Prefix.Compare)
	for ni := range state.NetworkInterfacesBySubnet.Rows(r.tx, s.Ref()) {
		if ni.Type == model.InterfaceNAT || ni.Type == model.InterfaceWorkload && !ni.SourceDestCheck {
			f.ENIs = append(f.ENIs, ni.ID)
		}
	}
	slices.Sort(f.ENIs)
	return f
}
