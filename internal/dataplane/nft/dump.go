// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/internal/desired"
)

// Content is what a router's table holds, as entries.
type Content struct {
	// Entries are the entries of the kinds that Handles names, in no particular
	// order. One that the kernel has only in part is Damaged.
	Entries []desired.Entry
	// Source4 and Source6 are those of the Router that was loaded.
	Source4, Source6 netip.Prefix
	// Intact says that the skeleton is this program's version and that no
	// chain of it has lost or gained a rule.
	Intact bool
}

// Damaged is an entry that the kernel has only in part. Its text differs from
// that of the whole entry, so that comparing texts finds it.
type Damaged struct{ desired.Entry }

// String prints the entry, as far as it could be read, and the word damaged.
func (d Damaged) String() string { return d.Entry.String() + " damaged" }

// Dump reads the table back as the entries of a VPC. A namespace without the
// table gives an empty Content. When ctx ends it before it has all, what was read or
// written last is still known, so that the next change need not read.
func (t *Table) Dump(ctx context.Context, vpc string) (Content, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.picture
	t.forget()
	if err := t.know(ctx); err != nil {
		if ctx.Err() != nil {
			t.picture = known
		}
		return Content{}, err
	}
	return t.content(vpc), nil
}

// Content is Dump for one who can trust what was read or written last: the table
// is read only when it was not.
func (t *Table) Content(ctx context.Context, vpc string) (Content, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.know(ctx); err != nil {
		return Content{}, err
	}
	return t.content(vpc), nil
}

// content is what is known of the table.
func (t *Table) content(vpc string) Content {
	p := t.picture
	content := Content{Entries: make([]desired.Entry, 0, len(p.elements))}
	for o := range p.owners {
		content.Entries = append(content.Entries, decode(vpc, o, p.of(o), p.ids))
	}
	content.Source4, content.Source6 = p.sources()
	content.Intact = p.intact(t.shares)
	return content
}

// sources reads the transit sources from the comments of the rules that
// translate to them.
func (p *picture) sources() (source4, source6 netip.Prefix) {
	for _, text := range p.chains["srcnat"] {
		family, prefix, _ := strings.Cut(text, "=")
		parsed, err := netip.ParsePrefix(prefix)
		switch {
		case err != nil:
		case family == "source4":
			source4 = parsed
		case family == "source6":
			source6 = parsed
		}
	}
	return source4, source6
}

// intact compares the skeleton's chains with its text.
func (p *picture) intact(shares Shares) bool {
	source4, source6 := p.sources()
	s, err := newSkeleton(source4, source6, shares, p.blocks())
	if err != nil {
		return false
	}
	for chain, rules := range s.rules {
		texts, there := p.chains[chain]
		if !there || len(texts) != rules {
			return false
		}
	}
	for name := range p.chains {
		if _, known := s.rules[name]; !known && !isDynamic(name) {
			return false
		}
	}
	for e := range skeletonElements {
		if !p.defaults[e] {
			return false
		}
	}
	return p.bordered()
}

// skeletonElements are the elements that the skeleton declares. A key of no
// bytes stands for all keys that have no element of their own.
var skeletonElements = map[element]bool{
	{set: setClass + "4", value: mark(0)}:                 true,
	{set: setClass + "6", value: mark(0)}:                 true,
	{set: setClassIn, target: "nobody"}:                   true,
	{set: setClassOut, target: "nobody"}:                  true,
	{set: setDoor + "4", value: mark(0)}:                  true,
	{set: setDoor + "6", value: mark(0)}:                  true,
	{set: setDoors, key: mark(plainDoor), target: "door"}: true,
	{set: setSteerIf, value: mark(0)}:                     true,
	{set: setSteerOut, value: mark(0)}:                    true,
}

// know makes sure that there are a connection and a picture, reading the table if there
// is none.
func (t *Table) know(ctx context.Context) error {
	if t.picture != nil && t.conn != nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := t.connect(); err != nil || t.picture != nil {
		return err
	}
	p, err := read(ctx, t.conn)
	if err != nil {
		t.disconnect()
		return fmt.Errorf("read table %s: %w", tableName, err)
	}
	t.picture = p
	return nil
}

// read dumps the table. It looks between sets whether ctx ends it.
func read(ctx context.Context, c *nfnl.Conn) (*picture, error) {
	p, found := newPicture(), found{}
	var chains, sets []string
	var byNumber numberedElements
	if err := list(c, unix.NFT_MSG_GETCHAIN, unix.NFTA_CHAIN_TABLE, unix.NFTA_CHAIN_NAME, &chains); err != nil {
		return nil, err
	}
	for _, name := range chains {
		p.chains[name] = nil
	}
	if len(chains) == 0 {
		return p, nil
	}
	if err := list(c, unix.NFT_MSG_GETSET, unix.NFTA_SET_TABLE, unix.NFTA_SET_NAME, &sets); err != nil {
		return nil, err
	}
	if err := p.readRules(c, chains); err != nil {
		return nil, err
	}
	for _, set := range sets {
		if strings.HasPrefix(set, "__") || isCounting(set) { // made for a rule, or by packets
			continue
		}
		_, _, isMember := memberGroup(set)
		if _, isBorder := borderMaps[set]; isMember || isBorder {
			p.sets[set] = true
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := p.readElements(c, set, found, &byNumber); err != nil {
			return nil, err
		}
	}
	byNumber.file(p, found)
	p.adopt(found)
	return p, nil
}

// list reads the names of our table's objects of one kind.
func list(c *nfnl.Conn, typ uint8, table, name uint16, names *[]string) error {
	var b nfnl.Builder
	message(&b, typ, 0)
	b.String(table, tableName)
	return c.Dump(&b, func() { *names = nil }, func(family uint8, attributes []byte) {
		if family == unix.NFPROTO_INET && nfnl.Text(attributes, table) == tableName {
			*names = append(*names, nfnl.Text(attributes, name))
		}
	})
}

func (p *picture) readRules(c *nfnl.Conn, chains []string) error {
	var b nfnl.Builder
	message(&b, unix.NFT_MSG_GETRULE, 0)
	b.String(unix.NFTA_RULE_TABLE, tableName)
	restart := func() {
		for _, name := range chains {
			p.chains[name] = nil
		}
	}
	return c.Dump(&b, restart, func(family uint8, attributes []byte) {
		if family != unix.NFPROTO_INET || nfnl.Text(attributes, unix.NFTA_RULE_TABLE) != tableName {
			return
		}
		chain := nfnl.Text(attributes, unix.NFTA_RULE_CHAIN)
		p.chains[chain] = append(p.chains[chain], commentOf(nfnl.Attribute(attributes, unix.NFTA_RULE_USERDATA)))
	})
}

// readElements files the elements of one set under their owners.
func (p *picture) readElements(c *nfnl.Conn, set string, found found, byNumber *numberedElements) error {
	var b nfnl.Builder
	message(&b, unix.NFT_MSG_GETSETELEM, 0)
	b.String(unix.NFTA_SET_ELEM_LIST_TABLE, tableName)
	b.String(unix.NFTA_SET_ELEM_LIST_SET, set)
	var elements []element
	err := c.Dump(&b, func() { elements = nil }, func(_ uint8, attributes []byte) {
		for _, item := range nfnl.Attributes(nfnl.Attribute(attributes, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
			elements = append(elements, readElement(set, item))
		}
	})
	if err != nil {
		return fmt.Errorf("read set %s: %w", set, err)
	}
	// A hash table that grows while it is read may show an element twice.
	slices.SortFunc(elements, element.compare)
	elements = slices.Compact(elements)
	if isInterval(set) {
		elements = mendIntervals(elements)
	}
	if isByNumber(set) {
		*byNumber = append(*byNumber, elements...)
		return nil
	}
	for _, e := range elements {
		if o, ok := elementOwner(e); ok {
			found.of(o).add(e)
		} else {
			p.defaults[e] = true
		}
	}
	return nil
}

func readElement(set string, item []byte) element {
	e := element{set: set}
	e.key = string(nfnl.Attribute(nfnl.Attribute(item, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE))
	e.note = commentOf(nfnl.Attribute(item, unix.NFTA_SET_ELEM_USERDATA))
	data := nfnl.Attribute(item, unix.NFTA_SET_ELEM_DATA)
	e.value = string(nfnl.Attribute(data, unix.NFTA_DATA_VALUE))
	e.ends = number32(item, unix.NFTA_SET_ELEM_FLAGS)&unix.NFT_SET_ELEM_INTERVAL_END != 0
	if verdict := nfnl.Attribute(data, unix.NFTA_DATA_VERDICT); verdict != nil {
		code := nfnl.Attribute(verdict, unix.NFTA_VERDICT_CODE)
		e.jump = len(code) == 4 && int32(binary.BigEndian.Uint32(code)) == unix.NFT_JUMP
		e.target = nfnl.Text(verdict, unix.NFTA_VERDICT_CHAIN)
	}
	return e
}

// found are the parts that were read, by their owners.
type found map[owner]*parts

func (f found) of(o owner) *parts {
	if f[o] == nil {
		f[o] = &parts{}
	}
	return f[o]
}

// adopt files the chains under their owners, learns the numbers and counts the
// uses of groups.
func (p *picture) adopt(found found) {
	for name, texts := range p.chains {
		o, ok := chainOwner(name)
		if !ok {
			continue
		}
		c := chain{name: name}
		for _, text := range texts {
			c.rules = append(c.rules, rule{text: text})
		}
		of := found.of(o)
		of.chains = append(of.chains, c)
	}
	for o, of := range found {
		of.sort()
		p.refer(o, of, +1)
		p.keep(o, of)
		for _, e := range of.elements {
			if e.target != "" {
				p.ids.set(o, markOf(e.key))
			}
		}
	}
}
