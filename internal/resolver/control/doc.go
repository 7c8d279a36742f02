// SPDX-License-Identifier: Apache-2.0

// Package control is how the process that resolves names is told what it serves, and
// asked how it is.
//
// It listens on a Unix socket in the data folder, to root alone, and speaks HTTP there.
// Entries are sent as desired.Record prints them, one a line, and keys that are to go
// behind a minus, as in the copy of the desired state. What a message may hold and how
// long it may take is bounded, and each is served by itself: a peer that is slow, or
// says nothing, keeps no other one waiting.
package control

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Kinds are those of the entries that a resolver has.
func Kinds() []desired.Kind {
	return []desired.Kind{desired.KindResolver, desired.KindView, desired.KindZone, desired.KindRecord}
}

// Served is what the process does when it is told. Its methods may be called from many
// goroutines.
type Served interface {
	// Realms lists the realms that have anything, in any order.
	Realms(ctx context.Context) ([]desired.Realm, error)
	// Dump gives what a realm has, in any order.
	Dump(ctx context.Context, realm desired.Realm) ([]desired.Entry, error)
	// Apply puts entries in a realm, then deletes keys there, and gives why some of them
	// could not be done; see reconcile.Effects.
	Apply(ctx context.Context, realm desired.Realm, put []desired.Entry, del []desired.Key) map[desired.Key]error
	// Lookup resolves a name for the agent.
	Lookup(ctx context.Context, q Question) (Answer, error)
	// Status tells how the process is.
	Status(ctx context.Context) (Status, error)
	// UseShelf gives the process what it may have the kernel answer by itself. Answers
	// that it has put elsewhere before do not count.
	UseShelf(ctx context.Context, s Shelf) error
	// HandOver gives the sockets to a newer process, over a connection that it owns.
	HandOver(conn *net.UnixConn) error
	// Stop ends the process soon.
	Stop()
}

// Question asks for the addresses of a name.
type Question struct {
	// Name is absolute, in the normal form of package model.
	Name string `json:"name"`
	// IPv6 asks for addresses of IPv6 instead of IPv4.
	IPv6 bool `json:"ipv6,omitempty"`
	// VPC is whose resolver is asked; empty asks the upstream servers of the host.
	VPC string `json:"vpc,omitempty"`
	// Text asks for TXT records instead of addresses.
	Text bool `json:"text,omitempty"`
}

// Answer is what a name has. A name that is there without addresses of the family has
// none, and neither has one that does not exist.
type Answer struct {
	Addrs []netip.Addr `json:"addrs,omitempty"`
	// TTL is the least of the whole chain; of an answer without addresses, how long that
	// may be believed.
	TTL time.Duration `json:"ttl"`
	// Missing says that the name does not exist.
	Missing bool `json:"missing,omitempty"`
	// Texts are the strings of TXT records, when they were asked for.
	Texts []string `json:"texts,omitempty"`
}

// Status tells how a resolver's process is.
type Status struct {
	// Version is that of the program, PID the process, Since when it was started.
	Version string `json:"version"`
	// Identity tells programs and their flags apart.
	Identity string    `json:"identity"`
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
	// Upstream are the servers that are asked for what no zone has; none means that such
	// questions are refused.
	Upstream []Upstream `json:"upstream"`
	// Resolvers is how many VPCs are to be served.
	Resolvers int `json:"resolvers"`
	// Closed are VPCs whose sockets are not open, with the reason.
	Closed map[string]string `json:"closed,omitempty"`
	// Listens are the addresses at which the names of endpoints are served to everybody,
	// with why one is not.
	Listens map[string]string `json:"listens,omitempty"`
	// Copy is why what is served is not on disk; empty when it is.
	Copy string `json:"copy,omitempty"`
	// Counters count since the process was started.
	Counters map[string]int64 `json:"counters"`
}

// Upstream is a server that is asked, and how it does.
type Upstream struct {
	Addr string `json:"addr"`
	// Asked and Failed count questions.
	Asked  int64 `json:"asked"`
	Failed int64 `json:"failed"`
	// Problem is why the last question failed; empty when it was answered.
	Problem string `json:"problem,omitempty"`
}

// Shelf is where the kernel finds answers to give by itself: maps of the express lane, by
// their numbers in the kernel, and the term of the process that they are given to.
type Shelf struct {
	Sites   uint32 `json:"sites"`
	Sources uint32 `json:"sources"`
	Answers uint32 `json:"answers"`
	Term    uint32 `json:"term"`
}

// SocketName is the name of the socket in the data folder.
const SocketName = "resolver.sock"

// Bounds of a message: of what is told at once, of a line of it, and of all that is
// read of an answer.
const (
	maxBody   = 4 << 20
	partBody  = 1 << 20
	maxLine   = 1 << 20
	maxAnswer = 1 << 30
)

const deletion = "- "
