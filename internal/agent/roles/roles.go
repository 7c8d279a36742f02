// SPDX-License-Identifier: Apache-2.0

// Package roles knows who does what in the databases that a host runs or watches: who takes
// writes, who answers queries, and who takes connections at all. Whoever runs or watches a
// database says it, and whoever leads connections there is told at once.
package roles

import (
	"maps"
	"slices"
	"sync"
)

// Roles is who does what in a database, by the ids of its members.
type Roles struct {
	Database string
	// Writer takes writes; empty when nobody does, or it is not decided who.
	Writer string
	// Readers answer queries and do not write. Their order says nothing.
	Readers []string
	// Up are all that take connections.
	Up map[string]bool
	// Epoch counts the decisions about who is the writer.
	Epoch int64
}

// Equal compares roles.
func (r Roles) Equal(o Roles) bool {
	return r.Database == o.Database && r.Writer == o.Writer && r.Epoch == o.Epoch && slices.Equal(r.Readers, o.Readers) && maps.Equal(r.Up, o.Up)
}

// clone copies what whoever hands roles over may change.
func (r Roles) clone() Roles {
	r.Readers, r.Up = slices.Sorted(slices.Values(r.Readers)), maps.Clone(r.Up)
	return r
}

// Board has the roles of databases. Its methods may be called from any goroutine.
type Board struct {
	mu     sync.Mutex
	all    map[string]Roles
	listen []func(Roles)
}

// NewBoard makes a board that knows no database.
func NewBoard() *Board { return &Board{all: map[string]Roles{}} }

// Listen has a function called with the roles of a database whenever they change, in the
// order of the changes, and returns when it has been called with those that are known. The
// function must return soon, and may call Of.
func (b *Board) Listen(fn func(Roles)) {
	b.mu.Lock()
	b.listen = append(b.listen, fn)
	known := slices.Collect(maps.Values(b.all))
	b.mu.Unlock()
	for _, r := range known {
		fn(r)
	}
}

// Set says what the roles of a database are. When it returns all listeners have been told.
// Calls about one database must come one after the other.
func (b *Board) Set(r Roles) {
	r = r.clone()
	b.mu.Lock()
	was, known := b.all[r.Database]
	b.all[r.Database] = r
	listen := b.listen
	b.mu.Unlock()
	if known && was.Equal(r) {
		return
	}
	for _, fn := range listen {
		fn(r)
	}
}

// Drop forgets a database that is gone: nobody does anything in it.
func (b *Board) Drop(database string) {
	b.Set(Roles{Database: database})
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, database)
}

// Of gives the roles of a database; false says that nothing has been said of it.
func (b *Board) Of(database string) (Roles, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, ok := b.all[database]
	return r, ok
}
