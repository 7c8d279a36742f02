// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// The chains that elements point to are named by a prefix and the entry.
const (
	inPrefix    = "in-"
	outPrefix   = "out-"
	portsPrefix = "ports-"
	poolPrefix  = "pool-"
)

// rule is one kernel rule. Its text, kept as the rule's comment, says all that
// the expressions do, so that a chain is compared and read back by text.
type rule struct {
	text  string
	exprs []expr.Any
}

// chain is a chain that elements point to.
type chain struct {
	name  string
	rules []rule
}

// texts lists the comments of the chain's rules.
func (c chain) texts() []string {
	texts := make([]string, len(c.rules))
	for i, r := range c.rules {
		texts[i] = r.text
	}
	return texts
}

// bare is the chain without what its rules do.
func (c chain) bare() chain {
	bare := chain{c.name, make([]rule, len(c.rules))}
	for i, r := range c.rules {
		bare.rules[i].text = r.text
	}
	return bare
}

// isDynamic reports whether a chain of this name belongs to an entry.
func isDynamic(name string) bool {
	return strings.HasPrefix(name, inPrefix) || strings.HasPrefix(name, outPrefix) ||
		strings.HasPrefix(name, portsPrefix) || strings.HasPrefix(name, poolPrefix) ||
		strings.HasPrefix(name, aclInPrefix) || strings.HasPrefix(name, aclOutPrefix) ||
		strings.HasPrefix(name, fromPrefix) || strings.HasPrefix(name, toPrefix) ||
		strings.HasPrefix(name, peerInPrefix) || strings.HasPrefix(name, peerOutPrefix) || isBorder(name)
}

// classChain makes the chain of a class for one direction. A packet that a rule
// admits returns to the caller. Comments are "INDEX RULE": a rule that refers
// to a group takes one kernel rule per family, and all have one index.
func classChain(prefix, name string, rules []desired.Rule) (chain, error) {
	c := chain{name: prefix + name}
	for i, r := range rules {
		families, err := ruleFamilies(r)
		if err != nil {
			return chain{}, fmt.Errorf("rule %s: %w", r, err)
		}
		for _, f := range families {
			match := append(f.match(r, prefix == outPrefix), &expr.Verdict{Kind: expr.VerdictReturn})
			c.rules = append(c.rules, rule{fmt.Sprintf("%d %s", i, r), match})
		}
	}
	end := []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}}
	c.rules = append(c.rules, rule{fmt.Sprintf("%d rules, all else is dropped", len(rules)), end})
	return c, nil
}

// classRules reads the rules of a class back from a chain's comments, as far as
// they can be understood.
func classRules(texts []string) []desired.Rule {
	var rules []desired.Rule
	last := ""
	for _, text := range texts {
		index, text, _ := strings.Cut(text, " ")
		if r, err := desired.ParseRule(text); err == nil && index != last {
			rules, last = append(rules, r), index
		}
	}
	return rules
}

// portsChain makes the chain of a port set: an endpoint's door that admits
// ranges as well as the endpoint's single ports.
func portsChain(p desired.PortSet) (chain, error) {
	c := chain{name: portsPrefix + p.Name}
	c.rules = append(c.rules, rule{"enter", []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: "enter"}}})
	for _, r := range p.Ranges {
		if r.From > r.To {
			return chain{}, fmt.Errorf("range %s is empty", r)
		}
		match := append(matchProtocol(unix.IPPROTO_TCP), matchPorts(int(r.From), int(r.To))...)
		match = append(match, &expr.Verdict{Kind: expr.VerdictGoto, Chain: "translate"})
		c.rules = append(c.rules, rule{r.String(), match})
	}
	c.rules = append(c.rules, rule{"refuse", []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: "refuse"}}})
	return c, nil
}

// portRanges reads the ranges of a port set back.
func portRanges(texts []string) []desired.PortRange {
	var ranges []desired.PortRange
	for _, text := range texts {
		if r, err := desired.ParsePortRange(text); err == nil {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

// poolChain makes the chain that gives connections an address of an IPv6 pool.
func poolChain(gateway netip.Addr, pool netip.Prefix) chain {
	first := pool.Masked().Addr().As16()
	last := first
	for bit := pool.Bits(); bit < 128; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	return chain{name: poolChainName(gateway), rules: []rule{{pool.String(), []expr.Any{
		&expr.Immediate{Register: unix.NFT_REG_1, Data: first[:]},
		&expr.Immediate{Register: unix.NFT_REG_2, Data: last[:]},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV6,
			RegAddrMin: unix.NFT_REG_1, RegAddrMax: unix.NFT_REG_2},
	}}}}
}

// poolChainName names the chain of a gateway; the nft program would not read a
// name with colons back.
func poolChainName(gateway netip.Addr) string {
	return poolPrefix + strings.ReplaceAll(gateway.String(), ":", "_")
}

func poolChainGateway(name string) (netip.Addr, bool) {
	text, ok := strings.CutPrefix(name, poolPrefix)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(strings.ReplaceAll(text, "_", ":"))
	return a, err == nil
}
