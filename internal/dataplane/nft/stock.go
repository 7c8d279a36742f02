// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

// Stock keeps rules as the kernel has them, by their texts. What the nft program has made
// once is written again without it: starting the program and reading a text takes some
// ten milliseconds, in which packets go by the old rules. A Stock may be used by many
// tables at once. The zero Stock is empty.
type Stock struct {
	mu    sync.Mutex
	rules map[string]stored // by their lines
	bases map[string]stored // what hooks a chain in, by the line that says it
}

// stored is a rule or a chain as the kernel gives it: contents of attributes.
type stored struct{ first, second, third []byte }

// section is a chain of a text.
type section struct {
	base  string // the line that hooks it in, or ""
	rules []string
}

// outline reads the chains of a skeleton, which has one rule a line.
func (s *skeleton) outline() map[string]section {
	found := map[string]section{}
	for name, text := range sections(s.text) {
		var c section
		for line := range strings.Lines(text) {
			line, inside := strings.CutPrefix(strings.TrimRight(line, "\n"), "\t\t")
			switch {
			case !inside, strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "type "):
				c.base = line
			default:
				c.rules = append(c.rules, line)
			}
		}
		found[name] = c
	}
	return found
}

func (c section) equal(d section) bool { return c.base == d.base && slices.Equal(c.rules, d.rules) }

// Fill makes all rules that a router can have in a namespace that is gone afterwards, and
// keeps them.
func (s *Stock) Fill(ctx context.Context, shares Shares) error {
	ns, err := nfnl.Scratch()
	if err != nil {
		return fmt.Errorf("keep rules in stock: %w", err)
	}
	defer unix.Close(ns)
	t, err := OpenShared(ns, shares)
	if err != nil {
		return fmt.Errorf("keep rules in stock: %w", err)
	}
	defer t.Close()
	for i, b := range []blocks{{}, {Steered: true, Passing: true}} {
		rules, err := newSkeleton(netip.Prefix{}, netip.Prefix{}, t.shares, b)
		if err != nil {
			return fmt.Errorf("keep rules in stock: %w", err)
		}
		text := rules.text
		if i > 0 {
			text = fmt.Sprintf("delete table inet %s\n%s", tableName, text)
		}
		if err = t.run(ctx, text); err == nil {
			err = s.learn(t.conn, rules.outline())
		}
		if err != nil {
			return fmt.Errorf("keep rules in stock: %w", err)
		}
	}
	return nil
}

// learn keeps the rules of a namespace in which those of the chains are.
func (s *Stock) learn(c *nfnl.Conn, chains map[string]section) error {
	have, err := readStored(c, "")
	if err != nil {
		return err
	}
	bases := map[string]stored{}
	var b nfnl.Builder
	message(&b, unix.NFT_MSG_GETCHAIN, 0)
	b.String(unix.NFTA_CHAIN_TABLE, tableName)
	err = c.Dump(&b, func() { clear(bases) }, func(family uint8, attributes []byte) {
		if family != unix.NFPROTO_INET || nfnl.Text(attributes, unix.NFTA_CHAIN_TABLE) != tableName {
			return
		}
		bases[nfnl.Text(attributes, unix.NFTA_CHAIN_NAME)] = store(attributes, unix.NFTA_CHAIN_HOOK, unix.NFTA_CHAIN_TYPE, unix.NFTA_CHAIN_POLICY)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules == nil {
		s.rules, s.bases = map[string]stored{}, map[string]stored{}
	}
	for name, c := range chains {
		if base, there := bases[name]; there && c.base != "" {
			s.bases[c.base] = base
		}
		c.pair(have[name], s.rules)
	}
	return nil
}

// pair files a chain's rules under their lines. A rule that has a set of its own has it in
// its router only.
func (c section) pair(rules []stored, under map[string]stored) {
	if len(rules) != len(c.rules) {
		return // somebody has changed it
	}
	for i, line := range c.rules {
		if !bytes.Contains(rules[i].first, []byte("__")) {
			under[line] = rules[i]
		}
	}
}

// readStored reads the rules of one chain, or of all.
func readStored(c *nfnl.Conn, chain string) (map[string][]stored, error) {
	found := map[string][]stored{}
	var b nfnl.Builder
	message(&b, unix.NFT_MSG_GETRULE, 0)
	b.String(unix.NFTA_RULE_TABLE, tableName)
	if chain != "" {
		b.String(unix.NFTA_RULE_CHAIN, chain)
	}
	err := c.Dump(&b, func() { clear(found) }, func(family uint8, attributes []byte) {
		name := nfnl.Text(attributes, unix.NFTA_RULE_CHAIN)
		if family == unix.NFPROTO_INET && nfnl.Text(attributes, unix.NFTA_RULE_TABLE) == tableName && (chain == "" || name == chain) {
			r := store(attributes, unix.NFTA_RULE_EXPRESSIONS, unix.NFTA_RULE_USERDATA, 0)
			r.first = again(r.first)
			found[name] = append(found[name], r)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	return found, nil
}

// again takes out of a rule's expressions what the kernel tells and does not take: that
// elements that a rule adds never time out (nft_dynset_init), and flags of an option of
// TCP that is written (nft_exthdr_tcp_set_init, Linux 6.18).
func again(expressions []byte) (all []byte) {
	for typ, e := range nfnl.Attributes(expressions) {
		unset := uint16(0)
		data := nfnl.Attribute(e, unix.NFTA_EXPR_DATA)
		switch name := nfnl.Text(e, unix.NFTA_EXPR_NAME); {
		case name == "dynset" && len(bytes.Trim(nfnl.Attribute(data, unix.NFTA_DYNSET_TIMEOUT), "\x00")) == 0:
			unset = unix.NFTA_DYNSET_TIMEOUT
		case name == "exthdr" && nfnl.Attribute(data, unix.NFTA_EXTHDR_SREG) != nil:
			unset = unix.NFTA_EXTHDR_FLAGS
		}
		if unset != 0 {
			var kept []byte
			for part, value := range nfnl.Attributes(data) {
				if part != unset {
					kept = nfnl.With(kept, part, value)
				}
			}
			e = nfnl.With(nfnl.With(nil, unix.NFTA_EXPR_NAME, nfnl.Attribute(e, unix.NFTA_EXPR_NAME)), unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, kept)
		}
		all = nfnl.With(all, typ|unix.NLA_F_NESTED, e)
	}
	return all
}

// store copies contents of attributes.
func store(attributes []byte, first, second, third uint16) stored {
	return stored{bytes.Clone(nfnl.Attribute(attributes, first)), bytes.Clone(nfnl.Attribute(attributes, second)), bytes.Clone(nfnl.Attribute(attributes, third))}
}

// turn makes other rules of those of the router, in one transaction, and keeps the picture
// true.
func (t *Table) turn(ctx context.Context, old, now *skeleton) error {
	have, want := old.outline(), now.outline()
	if b := t.turned(have, want); b != nil {
		failures, err := t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &b.Builder)
		if err == nil && len(failures) == 0 {
			b.settle(t.picture)
			return nil
		}
	}
	if err := t.run(ctx, old.turn(now)); err != nil {
		return fmt.Errorf("change the rules: %w", err)
	}
	if err := t.readChains(); err != nil {
		return err
	}
	return t.stock.learn(t.conn, want)
}

// turned lays out the messages of a turn; nil when a rule is not in stock. What only this
// router has stays in the chains that change: it is written again as it is there.
func (t *Table) turned(have, want map[string]section) *batch {
	t.stock.mu.Lock()
	defer t.stock.mu.Unlock()
	b := &batch{}
	var changed []string
	for name, c := range want {
		if old, there := have[name]; !there || !old.equal(c) {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	for _, name := range changed {
		old, there := have[name]
		switch base := want[name].base; {
		case there && old.base == base:
			b.flushChain(name)
		case there:
			return nil
		default:
			known, ok := t.stock.bases[base]
			if base != "" && !ok {
				return nil
			}
			b.addStoredChain(name, known)
		}
	}
	for _, name := range changed {
		rules := t.stock.find(t.conn, name, have[name], want[name].rules)
		if rules == nil && len(want[name].rules) > 0 {
			return nil
		}
		texts := chain{name: name}
		for _, r := range rules {
			b.addStored(name, r)
			texts.rules = append(texts.rules, rule{text: commentOf(r.second)})
		}
		b.chainsNow = append(b.chainsNow, texts)
	}
	var gone []string
	for name := range have {
		if _, stays := want[name]; !stays {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	for _, remove := range []func(string){b.flushChain, b.deleteChain} {
		for _, name := range gone {
			remove(name)
		}
	}
	b.chainsGone = gone
	return b
}

// find gives the stored rules of lines; nil when one is neither in stock nor in the chain
// as it is.
func (s *Stock) find(c *nfnl.Conn, name string, have section, lines []string) (rules []stored) {
	var own map[string]stored
	for _, line := range lines {
		r, known := s.rules[line]
		if !known && own == nil {
			own = map[string]stored{}
			if there, err := readStored(c, name); err == nil {
				have.pair(there[name], own)
			}
		}
		if !known {
			r, known = own[line]
		}
		if !known {
			return nil
		}
		rules = append(rules, r)
	}
	return rules
}

func (b *batch) addStoredChain(name string, s stored) {
	b.addChain(name)
	if s.first == nil {
		return
	}
	b.Bytes(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, s.first)
	b.Bytes(unix.NFTA_CHAIN_TYPE, s.second)
	b.Bytes(unix.NFTA_CHAIN_POLICY, s.third)
}

func (b *batch) addStored(chain string, s stored) {
	b.message(unix.NFT_MSG_NEWRULE, nfnl.Create|nfnl.Append)
	b.String(unix.NFTA_RULE_TABLE, tableName)
	b.String(unix.NFTA_RULE_CHAIN, chain)
	b.Bytes(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, s.first)
	if len(s.second) > 0 {
		b.Bytes(unix.NFTA_RULE_USERDATA, s.second)
	}
}
