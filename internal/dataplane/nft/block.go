// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// blocks are the parts of the rules that a router has only while there are entries
// that need them: others do not pay for them.
type blocks struct {
	Steered bool // by route tables
	Passing bool // something passes interfaces of workloads for others
}

// blocks are those that the entries need.
func (p *picture) blocks() blocks {
	return blocks{Steered: p.kinds[desired.KindSteer] > 0, Passing: p.kinds[desired.KindThrough] > 0}
}

// and adds those that changes need.
func (b blocks) and(changes []change) blocks {
	needs := func(k desired.Kind) bool {
		return slices.ContainsFunc(changes, func(c change) bool { return c.owner.kind == k && !c.now.empty() })
	}
	return blocks{Steered: b.Steered || needs(desired.KindSteer), Passing: b.Passing || needs(desired.KindThrough)}
}

// provide changes the rules to those with just these blocks, when they are the rules
// with others. Chains that are in both stay as they are.
func (t *Table) provide(ctx context.Context, want blocks) error {
	if laid := t.picture.laid; laid != nil && *laid == want {
		return nil
	}
	present := map[string]bool{}
	for _, name := range t.picture.skeletonChains() {
		present[name] = true
	}
	source4, source6 := t.picture.sources()
	now, err := newSkeleton(source4, source6, t.shares, want)
	switch {
	case err != nil:
		return err
	case present[now.marker]:
		t.picture.laid = &want
		return nil
	}
	for _, have := range []blocks{{}, {Steered: true}, {Passing: true}, {Steered: true, Passing: true}} {
		old, err := newSkeleton(source4, source6, t.shares, have)
		if err != nil {
			return err
		}
		if !present[old.marker] {
			continue
		}
		t.picture.laid = nil
		return t.turn(ctx, old, now)
	}
	return nil // they are not there, or are another version's: who loads them loads the blocks
}

// turn is the text that makes other rules of these, one transaction.
func (s *skeleton) turn(now *skeleton) string {
	old, want := sections(s.text), sections(now.text)
	var flush, add, remove strings.Builder
	fmt.Fprintf(&add, "table inet %s {\n", tableName)
	for _, chain := range chainsOf(now.text) {
		if old[chain] == want[chain] {
			continue
		}
		if old[chain] != "" {
			fmt.Fprintf(&flush, "flush chain inet %s %s\n", tableName, chain)
		}
		add.WriteString(want[chain])
	}
	add.WriteString("}\n")
	gone := chainsOf(s.text)
	gone = slices.DeleteFunc(gone, func(chain string) bool { return want[chain] != "" })
	for _, chain := range gone {
		fmt.Fprintf(&flush, "flush chain inet %s %s\n", tableName, chain)
		fmt.Fprintf(&remove, "delete chain inet %s %s\n", tableName, chain)
	}
	return flush.String() + add.String() + remove.String()
}

// sections are the texts of the chains of a skeleton.
func sections(text string) map[string]string {
	found := map[string]string{}
	chain := ""
	for line := range strings.Lines(text) {
		if name, begins := chainIn(line); begins {
			chain = name
		}
		if chain != "" {
			found[chain] += line
		}
		if line == "\t}\n" || strings.HasSuffix(line, " }\n") && strings.HasPrefix(line, "\tchain ") {
			chain = ""
		}
	}
	return found
}

// chainsOf names the chains of a skeleton in their order.
func chainsOf(text string) (names []string) {
	for line := range strings.Lines(text) {
		if name, begins := chainIn(line); begins {
			names = append(names, name)
		}
	}
	return names
}

// readChains reads again which chains there are, and their rules.
func (t *Table) readChains() error {
	var names []string
	if err := list(t.conn, unix.NFT_MSG_GETCHAIN, unix.NFTA_CHAIN_TABLE, unix.NFTA_CHAIN_NAME, &names); err != nil {
		return err
	}
	clear(t.picture.chains)
	t.picture.laid = nil
	for _, name := range names {
		t.picture.chains[name] = nil
	}
	return t.picture.readRules(t.conn, names)
}
