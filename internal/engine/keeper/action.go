// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"net/netip"
	"time"

	"github.com/posternhq/postern/internal/engine"
)

// verb is what is to be done.
type verb string

// Verbs. The first ones are for a member.
const (
	verbInspect    verb = "inspect"
	verbConfigure  verb = "configure"
	verbCertify    verb = "certify"
	verbInit       verb = "init"
	verbRestore    verb = "restore"
	verbTake       verb = "take the volume"
	verbClone      verb = "clone"
	verbRejoin     verb = "rejoin"
	verbStart      verb = "start"
	verbStop       verb = "stop"
	verbKill       verb = "kill"
	verbPromote    verb = "promote"
	verbSettle     verb = "settle"
	verbFollow     verb = "follow"
	verbMembers    verb = "set members"
	verbDurability verb = "set durability"
	verbUsers      verb = "set users"
	verbSnapshot   verb = "snapshot"
	verbKeep       verb = "keep the volume"
	verbDestroy    verb = "destroy"

	verbElect   verb = "elect"
	verbSecrets verb = "read secrets"
)

// limits are how long something may take. What is not listed has the usual one.
var limits = map[verb]time.Duration{
	verbInit: 10 * time.Minute, verbRestore: 24 * time.Hour, verbClone: 24 * time.Hour, verbRejoin: 24 * time.Hour, verbSnapshot: 24 * time.Hour,
	verbStart: time.Hour, verbStop: 2 * time.Minute, verbSettle: 10 * time.Minute, verbPromote: time.Minute, verbDestroy: 5 * time.Minute, verbKill: killPatience,
}

const usualLimit = 30 * time.Second

// action is one thing to do. Of each member and of the database as a whole there is one
// at a time.
type action struct {
	seq    int64
	verb   verb
	member string
	// preempt says that what the member is doing is ended before.
	preempt bool

	role       engine.Role
	peer       engine.Peer
	config     engine.Config
	digest     string // of config, or of what a certificate is for
	names      []string
	addr       netip.Addr
	ids        []string
	durability engine.Durability
	users      engine.Users
	secret     int64 // which users have
	clean      time.Duration
	reboot     int64 // what a stop answers
	snapshot   string
	seed       bool // the snapshot is for a read replica of that id
	election   Election
}

// result is what became of an action.
type result struct {
	err      error
	data     engine.Data
	change   engine.Change
	until    time.Time // when a certificate is to be renewed
	epoch    int64
	verifier string
	secret   int64
	sealed   bool // the network is closed, whatever err says
	rejoined engine.Rejoined
	bytes    int64
}
