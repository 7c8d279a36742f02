// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables/expr"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
)

// The chains of an ACL and of a filtered subnet.
const (
	aclInPrefix  = "aclin-"
	aclOutPrefix = "aclout-"
	fromPrefix   = "from-"
	toPrefix     = "to-"
)

// aclChain makes the chain of an ACL for one direction, which returns for what is
// allowed. Its comments are "INDEX RULE", as those of a class.
func aclChain(prefix, name string, rules []desired.ACLRule) (chain, error) {
	c := chain{name: prefix + name}
	for i, r := range rules {
		families, err := ruleFamilies(r.Rule)
		if err == nil && r.Group != "" {
			err = errors.New("an ACL knows no groups")
		}
		if err != nil {
			return chain{}, fmt.Errorf("rule %s: %w", r, err)
		}
		for _, f := range families {
			match := f.match(r.Rule, prefix == aclOutPrefix)
			if r.Allow {
				match = append(match, &expr.Verdict{Kind: expr.VerdictReturn})
			} else {
				match = append(match, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})
			}
			c.rules = append(c.rules, rule{fmt.Sprintf("%d %s", i, r), match})
		}
	}
	end := []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}
	c.rules = append(c.rules, rule{fmt.Sprintf("%d rules, all else is dropped", len(rules)), end})
	return c, nil
}

func aclRules(texts []string) (rules []desired.ACLRule) {
	for _, text := range texts {
		_, text, _ := strings.Cut(text, " ")
		if r, err := desired.ParseACLRule(text); err == nil {
			rules = append(rules, r)
		}
	}
	return rules
}

func encodeACL(p *parts, a desired.ACL, _ numbers) error {
	in, err := aclChain(aclInPrefix, a.Name, a.In)
	if err != nil {
		return err
	}
	out, err := aclChain(aclOutPrefix, a.Name, a.Out)
	if err != nil {
		return err
	}
	p.chains = append(p.chains, in, out)
	return nil
}

func decodeACL(vpc string, o owner, p *parts, _ names) desired.Entry {
	in, _ := p.chainNamed(aclInPrefix + o.id)
	out, _ := p.chainNamed(aclOutPrefix + o.id)
	return desired.ACL{VPC: vpc, Name: o.id, In: aclRules(in.texts()), Out: aclRules(out.texts())}
}

// sideChain makes the chain that asks a subnet's ACL about what leaves it, or enters it,
// but for what stays in the subnet: what comes from the other side's addresses, or by one
// of the interfaces that pass on packets of others.
func sideChain(prefix string, f desired.Filtered) chain {
	device, acl := expr.MetaKeyOIFNAME, aclOutPrefix
	if prefix == toPrefix {
		device, acl = expr.MetaKeyIIFNAME, aclInPrefix
	}
	c := chain{name: prefix + f.Subnet}
	for _, eni := range f.ENIs {
		for i, name := range network.WorkloadDevices(eni) {
			c.rules = append(c.rules, said(fmt.Sprintf("%s %s", []string{textInterface, textAlso}[i], eni), matchName(device, name, true), verdict(expr.VerdictReturn, "")))
		}
	}
	for _, p := range f.Prefixes {
		within := familyOf(p.Addr())
		offset := within.other
		if prefix == toPrefix {
			offset = within.source
		}
		c.rules = append(c.rules, said(textWithin+" "+p.String(), within.matchFamily(), matchPrefix(offset, p), verdict(expr.VerdictReturn, "")))
	}
	c.rules = append(c.rules, said(textACL+" "+f.ACL, verdict(expr.VerdictGoto, acl+f.ACL)))
	return c
}

// The first words of the comments in a subnet's chains. An interface has one of two
// names.
const (
	textInterface = "interface"
	textAlso      = "also"
	textWithin    = "within"
	textACL       = "acl"
)

func encodeFiltered(p *parts, f desired.Filtered, ids numbers) error {
	n, _ := ids.number(ownerOf(f.Key()))
	for _, block := range f.Prefixes {
		if err := valid(block.Addr()); err != nil {
			return err
		}
		if block != block.Masked() || block.Bits() == 0 {
			return fmt.Errorf("%s is no block of a subnet", block)
		}
		p.add(element{set: setBorder + familyOf(block.Addr()).suffix, key: raw(block.Addr()), end: behind(block), value: mark(n)})
	}
	for _, eni := range f.ENIs {
		for _, name := range network.WorkloadDevices(eni) {
			p.add(element{set: setBorderDevice, key: deviceKey(name), value: mark(n)})
		}
	}
	from, to := sideChain(fromPrefix, f), sideChain(toPrefix, f)
	p.chains = append(p.chains, from, to)
	p.add(element{set: setBorderOut, key: mark(n), target: from.name, jump: true},
		element{set: setBorderIn, key: mark(n), target: to.name, jump: true})
	return nil
}

// behind is the first address behind a block; empty when there is none.
func behind(p netip.Prefix) string {
	b := p.Addr().AsSlice()
	for bit := p.Bits() - 1; bit >= 0; bit-- {
		if b[bit/8] ^= 0x80 >> (bit % 8); b[bit/8]&(0x80>>(bit%8)) != 0 {
			return string(b)
		}
	}
	return ""
}

func decodeFiltered(vpc string, o owner, p *parts, _ names) desired.Entry {
	f := desired.Filtered{VPC: vpc, Subnet: o.id}
	c, _ := p.chainNamed(fromPrefix + o.id)
	for _, text := range c.texts() {
		switch word, value, _ := strings.Cut(text, " "); word {
		case textInterface:
			f.ENIs = append(f.ENIs, value)
		case textWithin:
			if block, err := netip.ParsePrefix(value); err == nil {
				f.Prefixes = append(f.Prefixes, block)
			}
		case textACL:
			f.ACL = value
		}
	}
	return f
}

// isInterval reports whether a set has intervals. The kernel has them as two elements,
// for where they begin and for the first that is not in them.
func isInterval(set string) bool { return set == setBorder+"4" || set == setBorder+"6" }

// mendIntervals makes intervals of the sorted elements of a set; ends are those that have
// no value.
func mendIntervals(elements []element) (whole []element) {
	for _, e := range elements {
		if e.ends {
			if last := len(whole) - 1; last >= 0 && whole[last].end == "" {
				whole[last].end = e.key
			}
			continue
		}
		whole = append(whole, e)
	}
	return whole
}

// numberedElements are the elements that a number tells the owner of.
type numberedElements []element

// isByNumber reports whether elements of a set tell their owner by a number alone.
func isByNumber(set string) bool { return isInterval(set) || set == setBorderDevice }

// file gives elements to the subnets whose numbers they have. Those of no subnet are
// nobody's.
func (n numberedElements) file(p *picture, found found) {
	of := map[string]owner{}
	for o, parts := range found {
		for _, e := range parts.elements {
			if e.set == setBorderOut || e.set == setBorderIn {
				of[e.key] = o
			}
		}
	}
	for _, e := range n {
		if o, ok := of[e.value]; ok {
			found.of(o).add(e)
		} else {
			p.defaults[e] = true
		}
	}
	for o := range found {
		if o.kind == desired.KindFiltered {
			slices.SortFunc(found.of(o).elements, element.compare)
		}
	}
}
