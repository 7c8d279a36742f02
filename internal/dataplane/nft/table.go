// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"errors"
	"net/netip"

	"github.com/posternhq/postern/internal/desired"
)

// Table is the table "inet postern" of one router's namespace.
type Table struct{}

// Content is what a router's table holds, as entries.
type Content struct {
	// Entries are the entries of the kinds that Handles names. One that the
	// kernel has only in part is a Damaged entry.
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

var errNotYet = errors.New("not written yet")

// Handles reports whether entries of kind k live in the table.
func Handles(k desired.Kind) bool { return k.Stage() >= desired.KindClass.Stage() && k != desired.KindWorkload }

// Open connects to nftables in the network namespace that nsFD refers to. The
// descriptor is only used, never closed.
func Open(nsFD int) (*Table, error) { return nil, errNotYet }

// Close ends the connection. The rules stay.
func (t *Table) Close() error { return nil }

// Load puts the skeleton for r into the namespace.
func (t *Table) Load(ctx context.Context, r desired.Router) error { return errNotYet }

// Apply puts and then deletes entries in one atomic batch. A nil map says that
// all is done; otherwise it names the entries that the kernel refused, and all
// others are done.
func (t *Table) Apply(ctx context.Context, put, del []desired.Entry) map[desired.Key]error {
	return nil
}

// Dump reads the table back.
func (t *Table) Dump(ctx context.Context, vpc string) (Content, error) { return Content{}, errNotYet }
