// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables/expr"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
)

// The chains of a peering, which maps find by the interface of the link, and where a first
// packet goes on from them.
const (
	peerInPrefix  = "peerin-"
	peerOutPrefix = "peerout-"

	setPeerIn  = "peerin"
	setPeerOut = "peerout"

	chainPeered = "peered"
)

func encodePeering(p *parts, e desired.Peering, _ numbers) error {
	if len(e.Own) == 0 || len(e.Theirs) == 0 {
		return fmt.Errorf("both sides need blocks")
	}
	for _, sides := range [][2][]netip.Prefix{{e.Own, e.Theirs}, {e.Theirs, e.Own}} {
		for _, block := range sides[0] {
			if err := valid(block.Addr()); err != nil {
				return err
			}
			if block != block.Masked() || block.Bits() == 0 {
				return fmt.Errorf("%s is no block of a VPC", block)
			}
			if !slices.ContainsFunc(sides[1], func(o netip.Prefix) bool { return o.Addr().Is4() == block.Addr().Is4() }) {
				return fmt.Errorf("the other side has no block of the family of %s", block)
			}
		}
	}
	in, out := peerChain(peerInPrefix, e), peerChain(peerOutPrefix, e)
	p.chains = append(p.chains, in, out)
	for _, name := range network.LinkDevices(e.Peer) {
		p.add(element{set: setPeerIn, key: interfaceKey(name), target: in.name, jump: true},
			element{set: setPeerOut, key: interfaceKey(name), target: out.name, jump: true})
	}
	return nil
}

// peerChain makes the chain that lets connections between blocks of both sides begin, those
// that come from the peer or those that go there. Others return.
func peerChain(prefix string, e desired.Peering) chain {
	c := chain{name: prefix + e.Peer}
	from, to, pass := e.Own, e.Theirs, verdict(expr.VerdictAccept, "")
	if prefix == peerInPrefix {
		from, to, pass = e.Theirs, e.Own, verdict(expr.VerdictGoto, chainPeered)
	}
	for _, source := range from {
		for _, dest := range to {
			if f := familyOf(source.Addr()); f == familyOf(dest.Addr()) {
				c.rules = append(c.rules, said(source.String()+" "+dest.String(), f.matchFamily(), matchPrefix(f.source, source), matchPrefix(f.other, dest), pass))
			}
		}
	}
	return c
}

func decodePeering(vpc string, o owner, p *parts, _ names) desired.Entry {
	e := desired.Peering{VPC: vpc, Peer: o.id}
	add := func(to *[]netip.Prefix, text string) {
		if block, err := netip.ParsePrefix(text); err == nil && !slices.Contains(*to, block) {
			*to = append(*to, block)
		}
	}
	c, _ := p.chainNamed(peerOutPrefix + o.id)
	for _, text := range c.texts() {
		own, theirs, _ := strings.Cut(text, " ")
		add(&e.Own, own)
		add(&e.Theirs, theirs)
	}
	slices.SortFunc(e.Own, netip.Prefix.Compare)
	slices.SortFunc(e.Theirs, netip.Prefix.Compare)
	return e
}

// Peers gives the blocks of the peers that the router's VPC is peered with.
func (t *Table) Peers(ctx context.Context) (map[string][]netip.Prefix, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.know(ctx); err != nil {
		return nil, err
	}
	return maps.Clone(t.picture.peers), nil
}
