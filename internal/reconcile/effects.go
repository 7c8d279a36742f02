// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"

	"github.com/posternhq/postern/internal/desired"
)

// Effects is what the reconciler can do to a host. The kernel's is package
// dataplane; package fakedp has one in memory. Calls for different routers may
// run at the same time, calls for one router never do.
type Effects interface {
	// Routers lists the VPCs whose routers exist on the host and are ours, in
	// any order.
	Routers(ctx context.Context) ([]string, error)

	// Dump reads back what the router of vpc has, in any order. A part that is
	// damaged is left out or given with its true value, so that its text
	// differs from the wanted one. The caller owns the slice.
	Dump(ctx context.Context, vpc string) ([]desired.Entry, error)

	// Apply makes the entries of put and then removes those of del, in the
	// router of vpc: put in the order of making, del in the opposite order.
	// Both are idempotent: putting what is there and deleting what is absent
	// succeed. Deleting a Router takes everything in it. It returns why entries
	// failed, by key; what is not in the map is done. The order within put and
	// del is not given, and the callee may sort the slices but not keep them.
	//
	// With nothing to put or delete, Apply ends what an earlier process may have
	// left half done in the router, such as connections that it meant to cut. It
	// does so before anything else in every first call.
	//
	// Of an entry of del only the key counts. Its value is what was wanted last
	// or what Dump gave, which need not be what is there.
	Apply(ctx context.Context, vpc string, put, del []desired.Entry) map[desired.Key]error
}
