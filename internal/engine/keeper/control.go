// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
)

// Control is who knows the rows of databases. Its methods may be called from many
// goroutines, and end with their context.
type Control interface {
	// Elect has a member take writes, in one transaction. It is refused with ErrEpoch when
	// the database's epoch is not that of the election, unless that very election has been
	// made already. It gives the new epoch.
	Elect(ctx context.Context, e Election) (epoch int64, err error)
	// Tell writes down what the host sees.
	Tell(ctx context.Context, o Observation) error
	// Secrets gives the password of a database's master user.
	Secrets(ctx context.Context, database string) (Secrets, error)
	// Certify gives a certificate for a server that has these names and addresses.
	Certify(ctx context.Context, database string, names []string, addrs []netip.Addr) (engine.Certificate, error)
	// Known says what the rows know of a database, a member or a snapshot.
	Known(ctx context.Context, id string) (Known, error)
}

// Known is what rows know of something. A store can be older than what is on disk, when it
// was restored from a backup: then they know nothing of what was made since, and of what was
// removed since they still know that it was there.
type Known struct {
	// Row says that there is a row, if only of what is being deleted.
	Row bool
	// Made says that it was there for clients once.
	Made bool
}

// errLost says that there was data which is not here, so that nobody makes an empty database
// in its place.
var errLost = fmt.Errorf("%w any more on this host: restore it from a snapshot", engine.ErrNoData)

// ErrEpoch says that an election came too late: another one has been made.
var ErrEpoch = errors.New("another writer was elected meanwhile")

// Election is the decision about who takes writes.
type Election struct {
	Database string
	// Epoch is that of the decision before.
	Epoch  int64
	Writer string
	// Turn is that of the last request which the election answers.
	Turn int64
	// Unasked says that the writer before could not go on, and nobody asked for another one.
	Unasked bool
}

// Secrets are what a database is opened with. They are not kept.
type Secrets struct {
	// Count is which change of the password it is.
	Count    int64
	Password string
}

// Observation is what has changed of a database, or of a copy of a snapshot, as the host sees
// it.
type Observation struct {
	// Database is the id of either.
	Database string
	States   []State
	Events   []Event
	// Turned is the last request for another writer that was answered.
	Turned int64
}

// State is how a database, a member or a snapshot is.
type State struct {
	ID    string
	Phase model.DatabasePhase
	// Reason is why, for people; empty when all is well.
	Reason string
	// Secret, Reboot and Turn are the requests that were seen to.
	Secret, Reboot int64
	// Pending says that parameters wait for a reboot.
	Pending bool
	// Version is that of the program that runs.
	Version string
	// Bytes is what a snapshot takes on disk.
	Bytes int64
	// Behind says that a reader has got nothing from the writer for long.
	Behind bool
	// Replication is how a read replica gets on with its source, and ReplicationReason why it
	// does not, for people.
	Replication       model.Replication
	ReplicationReason string
}

// Event is something that happened.
type Event struct {
	// About is the id of a database, a member or a snapshot.
	About      string
	Message    string
	Categories []string
	At         time.Time
}

// Roles is which members of a database do what, as whoever leads connections to them must
// know.
type Roles struct {
	Database string
	// Writer is the id of the member that takes writes now; empty when none does.
	Writer string
	// Readers are the ids of those that answer queries and do not write, sorted.
	Readers []string
	// Up are all members that take connections.
	Up    map[string]bool
	Epoch int64
}

// Ground is what members stand on.
type Ground interface {
	// Host gives the supervisor of a member's server, and starts one where there is none. The
	// caller closes it.
	Host(ctx context.Context, spec engine.Spec) (Host, error)
	// Release ends the supervisor of a server that does not run.
	Release(ctx context.Context, spec engine.Spec) error
	// Slay kills the supervisor of a server, which may not answer, with all that it runs.
	Slay(ctx context.Context, spec engine.Spec) error
	// Seal has nothing come into a member's network or leave it, Unseal ends that. Repeating
	// either is no error.
	Seal(ctx context.Context, member string) error
	Unseal(ctx context.Context, member string) error
}

// Host is a supervisor that is connected to.
type Host interface {
	engine.Host
	Close() error
}
