// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"

	"github.com/posternhq/postern/internal/desired"
)

// Effects is what the reconciler can do to a host. The kernel's is package
// dataplane; package fakedp has one in memory. Calls for different realms may
// run at the same time, calls for one realm never do.
type Effects interface {
	// Realms lists the realms that exist on the host and are ours, in any order.
	Realms(ctx context.Context) ([]desired.Realm, error)

	// Dump reads back what a realm has, in any order. A part that is damaged is left
	// out or given with its true value, so that its text differs from the wanted
	// one. The caller owns the slice. A call whose ctx ends returns soon, with an error:
	// something is to be changed in the realm.
	Dump(ctx context.Context, realm desired.Realm) ([]desired.Entry, error)

	// Apply makes the entries of put and then removes those of del, in a realm: put
	// in the order of making, del in the opposite order. Both are idempotent: putting
	// what is there and deleting what is absent succeed. Deleting what a realm exists
	// by takes everything in it. It returns why entries failed, by key; what is not in
	// the map is done. An entry of a kind that it does not know, or of another realm,
	// fails, be it put or deleted. The order within put and del is not given, and the
	// callee may sort the slices but not keep them.
	//
	// With nothing to put or delete, Apply ends what an earlier process may have
	// left half done in the realm, such as connections that it meant to cut. It
	// does so before anything else in every first call.
	//
	// Of an entry of del only the key counts. Its value is what was wanted last
	// or what Dump gave, which need not be what is there.
	Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error
}
