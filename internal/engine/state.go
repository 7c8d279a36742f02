// SPDX-License-Identifier: Apache-2.0

package engine

import "time"

// Phase is how a server is.
type Phase string

// Phases.
const (
	PhaseDown     Phase = "down"     // no process
	PhaseStarting Phase = "starting" // a process that answers and takes no questions yet
	PhaseUp       Phase = "up"
	PhaseStopping Phase = "stopping"
	// PhaseSilent is a process that does not answer in time: it hangs, or the machine does.
	PhaseSilent Phase = "silent"
	// PhaseBusy is a server that answers and refuses, as it has too many connections. It is
	// alive, and writes if it did.
	PhaseBusy Phase = "busy"
)

// History says what of a database's changes a server has. Positions are comparable
// between servers of one Identity, and mean the same changes as long as both have taken
// the same turns.
type History struct {
	// Identity tells a database from all others; empty when it is not known.
	Identity string
	// Timeline counts promotions, where the engine counts them.
	Timeline uint32
	// Turns are the promotions before, the oldest first.
	Turns []Turn
	// Own says that the server has written what is on the timeline, and not got it from
	// another one.
	Own bool
	// At is the position up to which it has all changes: of a replica what it has received
	// and would replay at a promotion, of a writer what it has written.
	At Position
}

// Turn is where a promoted server left the timeline of those before it.
type Turn struct {
	// Timeline is the one that ended there.
	Timeline uint32
	At       Position
}

// Position is a place in the order of a database's changes.
type Position struct {
	// Order compares: more is later. Zero is not known.
	Order uint64
	// Text is the same in the engine's own words.
	Text string
}

// Before reports whether p is earlier than q.
func (p Position) Before(q Position) bool { return p.Order < q.Order }

// Fit is whether a server can follow another one.
type Fit string

// Fits.
const (
	FitYes     Fit = "yes"     // as it is
	FitAhead   Fit = "ahead"   // it has changes that the writer has not: Rejoin
	FitForeign Fit = "foreign" // it is of another database: Clone, if that is wanted at all
	FitUnknown Fit = "unknown" // states are missing; ask again when both are up
)

// State is what Probe finds.
type State struct {
	Phase Phase
	// Reason is why it is not up, for people.
	Reason string
	// Process is as the host sees it; all that follows is of servers that are up.
	Process Process
	Version string
	// Writer says that it writes; others replicate.
	Writer bool
	// ReadOnly says that a writer takes no changes by default.
	ReadOnly bool
	History
	// Replayed is up to where queries see changes, of a replica.
	Replayed Position
	// Upstream is the id of the member that a replica is told to follow, empty for nobody.
	// Streaming says that it gets changes from it right now.
	Upstream  string
	Streaming bool
	// Lag is how old what a replica has replayed last is, zero when it has all that it has
	// received.
	Lag time.Duration
	// Stuck says that a replica gets changes and cannot see them until it is started again,
	// since the writer has settings that it has not.
	Stuck bool
	// Replicas are those that a writer sends to.
	Replicas []Replica
	// Forsaken says that it does not keep what a member needs any more that it was told of:
	// SetMembers makes that good.
	Forsaken bool
	// Durability is what holds.
	Durability Durability
	// Waiting counts commits that wait for a member to have them.
	Waiting int
	// Pending names the parameters that wait for a restart, sorted.
	Pending []string
}

// Replica is one that a writer sends to, as the writer sees it.
type Replica struct {
	ID string
	// Streaming says that it has caught up once and gets changes as they come.
	Streaming bool
	// Counts says that a commit may be acknowledged because this one has it.
	Counts bool
	// Written is what it has said to have on disk, Replayed what its queries see.
	Written, Replayed Position
}

// Data is what a folder has while no server runs on it.
type Data struct {
	// Exists says that there is a whole database; one that is half made counts as none.
	Exists bool
	// Major is the version that it is bound to.
	Major string
	// Clean says that the server before was stopped cleanly, with everything written down.
	Clean bool
	// Writer says that it was one, or a copy of one; a replica remembers that it is one.
	Writer bool
	// History is of what is surely there. What a crash left behind the last checkpoint is not
	// in it.
	History
}
