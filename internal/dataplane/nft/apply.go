// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/internal/desired"
	"golang.org/x/sys/unix"
)

// attempts bounds how often one Apply goes to the kernel: each time after the
// first it reads the table back or leaves out what the kernel refused.
const attempts = 8

// change is one entry's parts, before and after.
type change struct {
	owner    owner
	old, now *parts
}

// Apply puts and then deletes entries in one atomic transaction. Put replaces
// an entry of the same key; deleting what is absent is fine, and of an entry to
// delete only the key counts. A nil map says that all is done; otherwise it
// names the entries that are not, and all others are done. Existing connections
// are not touched.
func (t *Table) Apply(ctx context.Context, put, del []desired.Entry) map[desired.Key]error {
	t.mu.Lock()
	defer t.mu.Unlock()
	failed := map[desired.Key]error{}
	for attempt := range attempts {
		blame, err := t.apply(ctx, put, del, failed)
		if err == nil && len(blame) == 0 {
			break
		}
		// The first refusal may come from a picture that is no longer true.
		if attempt == 0 || err != nil {
			t.forget()
		}
		if attempt > 0 {
			for key, cause := range blame {
				failed[key] = cause
			}
		}
		if err == nil {
			err = fmt.Errorf("the kernel refused %d entries", len(blame))
		}
		if attempt == attempts-1 || ctx.Err() != nil {
			failAll(failed, put, del, cmp.Or(ctx.Err(), err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return failed
}

func failAll(failed map[desired.Key]error, put, del []desired.Entry, err error) {
	for _, e := range slices.Concat(put, del) {
		if _, known := failed[e.Key()]; !known {
			failed[e.Key()] = err
		}
	}
}

// apply makes one attempt, without the entries that failed. It returns whom the
// kernel blames; the error is for what is nobody's fault.
func (t *Table) apply(ctx context.Context, put, del []desired.Entry, failed map[desired.Key]error) (map[desired.Key]error, error) {
	if err := t.know(ctx); err != nil {
		return nil, err
	}
	changes, fresh := t.changes(put, del, failed)
	if err := t.provide(ctx, t.picture.blocks().and(changes)); err != nil {
		return nil, err
	}
	b := t.batch(changes)
	failures, err := t.conn.Commit(unix.NFNL_SUBSYS_NFTABLES, &b.Builder)
	if err == nil && len(failures) == 0 {
		for _, c := range changes {
			t.picture.put(c)
		}
		b.settle(t.picture)
		return nil, t.provide(ctx, t.picture.blocks())
	}
	for _, o := range fresh {
		t.picture.ids.drop(o)
	}
	if err != nil {
		return nil, fmt.Errorf("commit to nftables: %w", err)
	}
	return b.blamed(failures, put, del)
}

// changes compares the entries with the picture. It returns the changes that
// are needed, and the owners that it gave numbers.
func (t *Table) changes(put, del []desired.Entry, failed map[desired.Key]error) (changes []change, fresh []owner) {
	at := map[owner]int{}
	note := func(o owner, now *parts) {
		if i, again := at[o]; again {
			changes[i].now = now
			return
		}
		at[o] = len(changes)
		changes = append(changes, change{o, t.picture.of(o), now})
	}
	// Others refer to the numbered ones, so these come first.
	for _, numbered := range []bool{true, false} {
		for _, e := range put {
			key := e.Key()
			o := ownerOf(key)
			if _, out := failed[key]; out || o.isNumbered() != numbered {
				continue
			}
			_, known := t.picture.ids.number(o)
			if numbered && !known {
				t.picture.ids.assign(o)
			}
			now, err := encode(e, t.picture.ids)
			if err != nil {
				failed[key] = fmt.Errorf("put %s: %w", key, err)
			}
			switch {
			case err != nil && !known:
				t.picture.ids.drop(o)
			case err == nil:
				note(o, now)
				if numbered && !known {
					fresh = append(fresh, o)
				}
			}
		}
	}
	for _, e := range del {
		key := e.Key()
		_, out := failed[key]
		switch _, ours := codecs[key.Kind]; {
		case out:
		case !ours:
			failed[key] = fmt.Errorf("delete %s: %w", key, errNoTable)
		default:
			note(ownerOf(key), &parts{})
		}
	}
	changes = slices.DeleteFunc(changes, func(c change) bool { return c.old.equal(c.now) })
	return changes, fresh
}

// batch is a transaction under construction.
type batch struct {
	nfnl.Builder
	owners        []owner // whose each message is; the zero owner for nobody's
	newSets, dead []string
	owner         owner
	// What becomes of chains that are the border's, or of rules that are turned.
	chainsNow  []chain
	chainsGone []string
}

// batch lays out the messages: first what others refer to, last what nothing
// refers to any more.
func (t *Table) batch(changes []change) *batch {
	b := &batch{}
	b.sets(t.picture, changes)
	for _, set := range b.newSets {
		b.addSet(set)
	}
	filtered := t.picture.filteredAfter(changes)
	if filtered {
		b.raiseBorder(t.picture)
	}
	b.each(changes, func(c change) {
		for _, n := range c.now.chains {
			if _, old := c.old.chainNamed(n.name); !old {
				b.addChain(n.name)
			}
		}
	})
	b.each(changes, func(c change) {
		for _, n := range c.now.chains {
			old, had := c.old.chainNamed(n.name)
			if had && sameChain(old, n) {
				continue
			}
			if had {
				b.flushChain(n.name)
			}
			for _, r := range n.rules {
				b.addRule(n.name, r)
			}
		}
	})
	b.each(changes, func(c change) { b.elements(unix.NFT_MSG_DELSETELEM, without(c.old.elements, c.now.elements)) })
	b.each(changes, func(c change) { b.elements(unix.NFT_MSG_NEWSETELEM, without(c.now.elements, c.old.elements)) })
	// One may lead to another: all are empty before any goes.
	for _, remove := range []func(string){b.flushChain, b.deleteChain} {
		b.each(changes, func(c change) {
			for _, old := range c.old.chains {
				if _, stays := c.now.chainNamed(old.name); !stays {
					remove(old.name)
				}
			}
		})
	}
	if !filtered {
		b.lowerBorder(t.picture)
	}
	for _, set := range b.dead {
		b.deleteSet(set)
	}
	return b
}

func (b *batch) each(changes []change, f func(change)) {
	for _, c := range changes {
		b.owner = c.owner
		f(c)
	}
	b.owner = owner{}
}

// sets finds the sets of members that the changes need first, and those that
// they leave without a use.
func (b *batch) sets(p *picture, changes []change) {
	uses := map[string]int{}
	for _, c := range changes {
		for _, group := range groupsOf(c.owner, c.old) {
			uses[group]--
		}
		for _, group := range groupsOf(c.owner, c.now) {
			uses[group]++
		}
	}
	for _, group := range slices.Sorted(maps.Keys(uses)) {
		for _, f := range families {
			set := memberSet(f, group)
			used := p.groups[group]+uses[group] > 0
			if used && !p.sets[set] {
				b.newSets = append(b.newSets, set)
			}
			if !used && p.sets[set] {
				b.dead = append(b.dead, set)
			}
		}
	}
}

// settle records the sets that the transaction made and removed.
func (b *batch) settle(p *picture) {
	for _, set := range b.newSets {
		p.sets[set] = true
	}
	for _, set := range b.dead {
		delete(p.sets, set)
	}
	for _, c := range b.chainsNow {
		p.chains[c.name] = c.texts()
	}
	for _, name := range b.chainsGone {
		delete(p.chains, name)
	}
}

// blamed turns the kernel's failures into those of entries.
func (b *batch) blamed(failures []nfnl.Failure, put, del []desired.Entry) (map[desired.Key]error, error) {
	causes := map[owner]error{}
	for _, f := range failures {
		if f.Index < 0 || b.owners[f.Index] == (owner{}) {
			return nil, fmt.Errorf("commit to nftables: %w", f.Err)
		}
		o := b.owners[f.Index]
		causes[o] = cmp.Or(causes[o], f.Err)
	}
	blame := map[desired.Key]error{}
	for _, e := range slices.Concat(put, del) {
		if cause := causes[ownerOf(e.Key())]; cause != nil {
			blame[e.Key()] = fmt.Errorf("write %s to nftables: %w", e.Key(), cause)
		}
	}
	return blame, nil
}
