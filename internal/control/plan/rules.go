// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// protocolNumbers are the protocols that a security group's rule may name:
// https://www.iana.org/assignments/protocol-numbers
var protocolNumbers = map[string]int{
	"-1": desired.AllProtocols, "icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58,
}

// filterRules says a rule of a group in numbers, one about a prefix list once for each of
// its blocks.
func (r *reading) filterRules(g *model.SecurityGroup, rule model.SecurityGroupRule) []desired.Rule {
	if rule.Peering != "" {
		// Without the connection a rule about a peer's group matches nothing: it is stale.
		if _, ok := state.PeerOf(r.tx, g.VPCRef(), rule.Peering); !ok {
			return nil
		}
	}
	if rule.PrefixList == "" {
		return []desired.Rule{filterRule(rule)}
	}
	list, _ := state.ListOf(r.tx, g.Sibling(rule.PrefixList))
	var rules []desired.Rule
	for _, block := range list.Blocks {
		rule.CIDR = block
		rules = append(rules, filterRule(rule))
	}
	return rules
}

// filterRule says a security group's rule in numbers.
func filterRule(r model.SecurityGroupRule) desired.Rule {
	number, named := protocolNumbers[strings.ToLower(r.Protocol)]
	if !named {
		// Rules are checked when they are written: what is not a name is a number.
		number, _ = strconv.Atoi(r.Protocol)
	}
	rule := desired.Rule{Protocol: number, From: r.From, To: r.To, Peer: r.CIDR, Group: r.Group}
	switch number {
	case 1, 6, 17, 58:
	default:
		rule.From, rule.To = -1, -1
	}
	return rule
}

// sortedRules orders rules and removes repetitions, so that the order in which
// groups and rules were made does not show.
func sortedRules(rules []desired.Rule) []desired.Rule {
	slices.SortFunc(rules, func(a, b desired.Rule) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.From, b.From),
			cmp.Compare(a.To, b.To), cmp.Compare(a.Group, b.Group), a.Peer.Compare(b.Peer))
	})
	return slices.Compact(rules)
}
