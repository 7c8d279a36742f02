// SPDX-License-Identifier: Apache-2.0

// Package engine is what Postern knows of database engines: which there are and what RDS
// calls them, which parameters users may set, and what a driver of one does for whoever
// keeps databases running.
//
// A Driver knows the programs of one engine. For each server it gives a Server, which
// works on the server's folder and talks with the server through its Unix socket. The
// processes themselves are a Host's, the supervisor of that server: a driver says what is
// to run and never starts anything by itself. Nothing here remembers what a server should
// be: each call has the whole value that is wanted, and repeating it changes nothing.
//
// Decisions over several servers (who writes, who follows whom, when to give up on one)
// are the caller's.
package engine

import (
	"context"
	"net/netip"
	"time"
)

// Driver knows an engine's programs. Its methods may be called from many goroutines.
type Driver interface {
	// Name is the Driver of the Offers that it is for.
	Name() string
	// Discover looks for installed versions, the newest first. It runs programs to ask for
	// their versions. None is no error.
	Discover(ctx context.Context) ([]Installation, error)
	// Open gives the server of a folder, with the host that runs it. It does no input or
	// output: the folder may be empty, and the host away. The caller calls Close.
	Open(Spec, Host) (Server, error)
	// Verifier makes what a server checks a password with, which does not tell the
	// password. Two of the same password differ where the engine has salts.
	Verifier(password string) (string, error)
	// Fits says whether a replica in the first state can go on with what a writer in the
	// second has, or what it needs first. It may be asked of states that came from Inspect, of a
	// writer that was one, and of a replica that may become one.
	Fits(replica, writer History) Fit
}

// Installation is one version of an engine's programs on this host.
type Installation struct {
	Driver string
	// Version is the whole version, such as 15.18; Major is what data folders are bound to,
	// such as 15 or 10.11.
	Version, Major string
	// Programs is the folder of the programs.
	Programs string
	// User is the account of the operating system that the server runs as; UID and GID are
	// its numbers.
	User     string
	UID, GID uint32
}

// Spec is what never changes of a server while it is open.
type Spec struct {
	// ID is the instance's: unique, and the same in each life of the server.
	ID string
	// Folder is the server's on this host, as an absolute path. Its parts are named by the
	// Part constants.
	Folder string
	Installation
}

// Parts of a server's folder. What is not the driver's is not listed here.
const (
	PartData = "data" // the engine's own: what clients stored
	PartConf = "conf" // settings, and secrets of replication
	PartTLS  = "tls"  // certificate, key, and authorities
	PartRun  = "run"  // the server's Unix socket
	PartLog  = "log"
	PartCopy = "copy" // what Snapshot is making
)

// Peer is another server of the same database.
type Peer struct {
	ID string
	// Name is in its certificate; no DNS is asked for it.
	Name string
	Addr netip.Addr
	Port uint16
}

// Server is one server and its folder. Calls for one server come one at a time, but for
// Probe, which may come at any time. All of them end with their context; what they have
// begun is then undone, or done again by the next call.
//
// "Down" says that a method is for a server that does not run, "up" that it must answer;
// others are for both.
type Server interface {
	// Inspect reads the folder without the server. It is how the keeper finds out what it has
	// after its own start, and before a server is started.
	Inspect(ctx context.Context) (Data, error)

	// Init makes an empty database, of an identity of its own. Down. What an earlier try left
	// half done is removed first; data that is whole is refused with ErrExists.
	Init(ctx context.Context) error
	// Clone makes the data a copy of a running member's, by the network. Down. The data that
	// is there is replaced only when the copy is whole, so that a source which goes away
	// costs nothing. Configure and SetCertificate must have been called before, for the password
	// of replication and for whom to trust.
	Clone(ctx context.Context, from Peer, tell func(Progress)) error
	// Restore makes the data a copy of a snapshot's folder. Down, and only where no data is.
	Restore(ctx context.Context, folder string, tell func(Progress)) error
	// Rejoin makes data that went its own way fit to follow a writer: by taking back what the
	// writer does not have, or else by Clone. Down. It reports which; what was taken back is
	// lost, and the caller says so to users.
	Rejoin(ctx context.Context, writer Peer, tell func(Progress)) (Rejoined, error)
	// Destroy removes what Init, Clone and Restore make. Down.
	Destroy(ctx context.Context) error

	// Configure sets all settings, on disk and in a running server, which need not be told
	// again. It reports what a restart is needed for.
	Configure(ctx context.Context, c Config) (Change, error)
	// SetCertificate has new connections show another certificate. No restart, and no
	// connection ends. Without one a server takes no connections by the network.
	SetCertificate(ctx context.Context, c Certificate) error

	// Start starts the server in a role and waits until it answers or has ended. It does not
	// wait for a replica to have caught up, nor to stream. Configure and SetCertificate must
	// have been called once in the folder's life. Down, and repeating it is no error when the
	// server runs in that role.
	Start(ctx context.Context, r Role) error
	// Stop ends the server, and returns when nothing of it is left. Its policy of restart
	// ends with it. Without a server it does nothing.
	Stop(ctx context.Context, s Stop) error

	// Probe asks how the server is, and answers within its context whatever the server does:
	// that one hangs is an answer too, of Phase PhaseSilent, and no error. It keeps a
	// connection for its questions and now and then tries a new one, since a server that
	// hangs may still serve those that it has.
	Probe(ctx context.Context) (State, error)

	// Promote has a replica write, and returns when it does. The caller has seen to it that
	// nobody else writes, for good. Up.
	Promote(ctx context.Context) error
	// Settle makes a promoted server fit for Rejoin of the others. It may take long and holds
	// up nobody but the caller. Up.
	Settle(ctx context.Context) error
	// Follow has a replica follow another writer, or nobody, without a restart. Up, a replica.
	Follow(ctx context.Context, writer *Peer) error
	// SetMembers says which other members there are, by whom nothing of what they still need
	// is thrown away: slots, where the engine has such. Up. It is called on all members, since
	// each may be promoted.
	SetMembers(ctx context.Context, ids []string) error
	// SetDurability says which members have to have a commit before it is acknowledged. It
	// returns when it holds for all commits to come. Up, a writer.
	SetDurability(ctx context.Context, d Durability) error
	// SetUsers makes the users that a database has from its beginning, and sets what their
	// passwords are checked with. What users did themselves stays. Up, a writer.
	SetUsers(ctx context.Context, u Users) error

	// Snapshot makes a copy of the data in PartCopy, of the server that runs or of one that
	// was stopped cleanly, and gives the folder on this host, which the caller moves away.
	// Restore takes it, also with other settings, users and certificates.
	Snapshot(ctx context.Context, tell func(Progress)) (folder string, err error)

	// Close closes connections. The server goes on.
	Close() error
}

// Adopter is a Server that is no copy of another one by the network, but of what Snapshot of
// that one has made on the same host.
type Adopter interface {
	// Adopt makes the data a copy of another member's, which can follow it, of a folder that
	// its Snapshot has made. Down. The folder is moved, when all is well.
	Adopt(ctx context.Context, from string) error
}

// Role is what a server is started as.
type Role struct {
	// Writer says that it writes. Otherwise it is a replica of Of, or of nobody until Follow.
	Writer bool
	Of     *Peer
	// Restart has the supervisor start the server again when it ends by itself. It is for
	// servers that nobody could take the place of: a writer that was restarted while another
	// one was promoted would be a second one.
	Restart bool
}

// Stop is how a server ends.
type Stop struct {
	// Clean lets it write down everything and give replicas all they lack, for so long; then
	// it is ended at once. Zero ends it at once, as a loss of power would.
	Clean time.Duration
}

// Config is all that a server is told by settings.
type Config struct {
	// Name is the server's own, Addr the only address that it listens at.
	Name string
	Addr netip.Addr
	Port uint16
	// Memory is how much the server may plan with, in MiB; zero leaves the engine's defaults.
	Memory int
	// Parameters are users', by name, checked by CheckParameters.
	Parameters map[string]string
	// Members are the other servers of the database: only they may replicate.
	Members []Peer
	// Replication is the password with which members replicate from each other.
	Replication string
}

// Change is what came of new settings.
type Change struct {
	// Pending names, sorted, the users' parameters that wait for a restart.
	Pending []string
}

// Certificate is what a server shows, and what it checks other members with, in PEM.
type Certificate struct {
	Chain, Key, Authorities []byte
}

// Users are those of a database that its owner did not make.
type Users struct {
	// Master is the owner's, with a database of that name when Database is not empty.
	Master, Verifier string
	Database         string
	// Replication is the password of the user that members replicate as.
	Replication string
	// Reset sets the master's password when it was set before. Without it, users' own
	// changes of it stay.
	Reset bool
}

// Mode is how sure a commit is before it is acknowledged.
type Mode string

// Modes. The members count from ModeReceived on.
const (
	ModeAlone    Mode = ""         // it is on this server's disk
	ModeReceived Mode = "received" // and in a member's memory: a crash of one of both loses nothing
	ModeWritten  Mode = "written"  // and on a member's disk
)

// Durability says who has to have a commit.
type Durability struct {
	Mode Mode
	// AnyOf are the members of which one has to have it.
	AnyOf []string
}

// Rejoined is how a server was made fit to follow.
type Rejoined string

// The ways of Rejoin.
const (
	RejoinedAsIs    Rejoined = "as it was" // nothing was lost
	RejoinedRewound Rejoined = "rewound"   // what the writer lacks was taken back
	RejoinedCloned  Rejoined = "cloned"    // it is a new copy of the writer
)

// Progress is how far something is that takes long.
type Progress struct {
	// Step is what is being done, in a few words for people.
	Step string
	// Done and Total are bytes; zero when they are not known.
	Done, Total int64
}
