// SPDX-License-Identifier: Apache-2.0

// Package makers runs the controllers that make and remove rows by themselves: because
// of other rows, or because a time has come. Each is a Maker, a function of the tables
// and the time, that does, waits for and remembers nothing. A Runner asks makers
// when it must, and writes what they answer.
//
// One process at a time runs makers, of all that use a store. It is elected, and what
// it writes is fenced: each transaction reads the row of the election
// (model.Election), which the next one that is elected has changed before it asks
// any maker. So what the former one has on its way is refused, however late it comes.
package makers

import (
	"context"
	"log/slog"
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

// Maker is a controller that makes and removes rows.
type Maker interface {
	// Name tells people which one it is. No two have the same.
	Name() string
	// Ask gives what is to be changed in a state of the tables, at a time. It is a
	// function of these two and has no effect. It is asked again when something that
	// it has read has changed, which its own changes do too, so it need not answer
	// everything at once; when the time has come that it names; and sometimes
	// without cause.
	Ask(tx *table.Txn, now time.Time) Answer
}

// Answer is what a maker has to say.
type Answer struct {
	Changes []Change
	// Looks are changes that depend on what is outside of the tables.
	Looks []Look
	// Again is when the maker wants to be asked, though nothing that it has read has
	// changed. The zero time is never.
	Again time.Time
}

// due says whether the next row of a timeline is to be dealt with: its time has come,
// and the answer is not long enough yet. When the time is still to come the maker is
// asked again then.
func (a *Answer) due(at, now time.Time) bool {
	if now.Before(at) {
		if a.Again.IsZero() || at.Before(a.Again) {
			a.Again = at
		}
		return false
	}
	return len(a.Changes)+len(a.Looks) < atOnce
}

// atOnce bounds how many changes makers answer: what is left comes when these are made.
const atOnce = 16 * together

// Change is one change of rows, that happens whole or not at all. Changes of an answer
// may be made together or apart, in any order, and more than once.
type Change struct {
	// About tells people what is changed, such as the id of a resource.
	About string
	// Make makes the change, in tables that may be newer than those which the maker
	// has seen: it looks again whether what it does is still right, and does nothing
	// when it is not. An error is for what should have been possible; the change is
	// then tried again, and keeps no other one from being made.
	Make func(tx *table.Txn) error
}

// Look is a change that depends on what is outside of the tables, such as what a name
// server says.
type Look struct {
	// About is as that of a Change.
	About string
	// See looks, and gives what makes the change then. The runner calls it, in no
	// transaction and beside others; it ends with its context, and what it does not come
	// to see in time is a thing to tell too. It changes nothing.
	See func(ctx context.Context) func(tx *table.Txn) error
}

// Config sets up a Runner; all fields are required.
type Config struct {
	DB *table.DB
	// Campaign is that of the store which the tables follow.
	Campaign func(ctx context.Context, office string) (store.Tenure, error)
	Makers   []Maker
	// Host is the name of the host, for people.
	Host string
	Now  func() time.Time
	Log  *slog.Logger
}

// Means is what makers need.
type Means struct {
	// Alloc hands out what rows need that they make.
	Alloc *alloc.Allocator
	// Host is the place in the transit realm of the host that new targets are on.
	Host int
	// DatabaseSuffix is the domain of the names of databases, in normal form.
	DatabaseSuffix string
	// Texts looks up what names have in public.
	Texts Texts
}

// All gives every maker there is.
func All(m Means) []Maker {
	return []Maker{
		Tokens{}, FormerBlocks{}, ZoneChanges{}, DatabaseEvents{}, NATGateways{}, DrainedTargets{}, Peerings{}, EndpointRequests{}, Members{m.Alloc}, Verifications{m.Texts}, Shares{},
		DatabaseParts{Alloc: m.Alloc, Host: m.Host, Suffix: m.DatabaseSuffix},
	}
}

// still gives a change of a row that the maker has seen, for as long as there is one
// with its key. The function gets it as it is when the change is made.
func still[T table.Row](rows *table.Table[T], seen T, change func(tx *table.Txn, row T)) func(*table.Txn) error {
	account, region, id := seen.RowKey()
	return func(tx *table.Txn) error {
		if row, ok := rows.Get(tx, account, region, id); ok {
			change(tx, row)
		}
		return nil
	}
}
