// SPDX-License-Identifier: Apache-2.0

// Package control turns what users asked for into what hosts should be, and
// what hosts acknowledge into the states that users see.
//
// A Controller follows the tables, keeps the plan of one host (package plan)
// and hands on each change as a delta. When the host has settled the revision
// of a change, the controller passes a verdict on every resource that waited
// for it: it writes the resource's status row, or, for a resource whose
// deletion was asked for, removes the row with all that belongs to it. So a
// resource is ready only when the data plane has said so, and an address is
// free only when the data plane has let go of it.
package control

import "github.com/posternhq/postern/internal/desired"

// Acknowledgement is what a host tells of its progress. Its fields mean what
// they mean in reconcile.Report.
type Acknowledgement struct {
	// Full says that Failed is everything that is in error now.
	Full bool
	// Revision is settled in all realms but those in Behind, which have settled
	// what Behind says.
	Revision  int64
	Behind    map[desired.Realm]int64
	Failed    map[desired.Key]string
	Recovered []desired.Key
}
