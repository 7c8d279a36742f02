// SPDX-License-Identifier: Apache-2.0

package table

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// aside is a row of the store that cannot be read.
type aside struct {
	rev    int64
	reason error
}

// Aside is a row that is in the store and in no table.
type Aside struct {
	Key
	// Reason is why it cannot be read, and names it.
	Reason error
}

// SetAside yields the rows that cannot be read, because they are damaged or of a
// later version, in the order of their keys. They stay in the store as they are:
// nobody sees, replaces or deletes them, and what has their key cannot be made.
func (tx *Txn) SetAside() iter.Seq[Aside] {
	return func(yield func(Aside) bool) {
		for pos, c := range tx.base.tables {
			for _, path := range slices.Sorted(maps.Keys(c.aside)) {
				if !yield(Aside{keyOf(tx.db.definitions[pos].kind, path), c.aside[path].reason}) {
					return
				}
			}
		}
	}
}

// aside says why the row at path cannot be read; nil when it can, or is not there.
func (tx *Txn) aside(def *definition, path string) error {
	return tx.base.tables[tx.position(def)].aside[path].reason
}

// keyOf takes a path apart.
func keyOf(kind, path string) Key {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if plain, err := unescape(p); err == nil {
			parts[i] = plain
		}
	}
	return Key{Kind: kind, Account: parts[0], Region: parts[1], ID: parts[2]}
}

// revision gives the revision of what is stored at path, zero for nothing.
func (c *content) revision(path string) int64 {
	if e := c.get(path); e != nil {
		return e.rev
	}
	return c.aside[path].rev
}

// putAside and takeBack note what cannot be read, and that it can or is gone. The
// map is shared with other versions of the table.
func (c *content) putAside(path string, a aside) {
	next := maps.Clone(c.aside)
	if next == nil {
		next = make(map[string]aside)
	}
	next[path] = a
	c.aside = next
}

func (c *content) takeBack(path string) {
	if _, is := c.aside[path]; !is {
		return
	}
	next := maps.Clone(c.aside)
	if delete(next, path); len(next) == 0 {
		next = nil
	}
	c.aside = next
}
