// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
)

// Times that decisions go by.
const (
	// silences is how many probes in a row have no answer before a server counts as hung.
	// Each has probeTimeout to answer, and errors that come sooner say no more for that.
	silences     = 3
	probeTimeout = 500 * time.Millisecond
	// calm is how long after an automatic failover a writer that ends is started again in
	// its place, and replaced only when it cannot be. A writer that is silent counts as hung
	// in that time only after stunned, and so it does in the calm time after any other
	// change of the writer until it is proven: until it has answered for steady without a
	// break. Before, it may be slow, with all clients connecting at once and a checkpoint
	// to write.
	calm    = 60 * time.Second
	stunned = 10 * time.Second
	steady  = 5 * time.Second
	// hardly is how often a writer fails to start until another one takes its place in the
	// calm time.
	hardly = 3
	// gathering bounds how long members that may have more than others are waited for, and
	// draining how long one is that may still be writing down what it received.
	gathering = 2 * time.Second
	draining  = 200 * time.Millisecond
	// handover is how long a writer that is to be replaced has to end in order.
	handover = 2 * time.Second
	// closing is the like for servers that are stopped for good or for a while.
	closing = 30 * time.Second
	// killPatience is how long the processes of a server have to be gone.
	killPatience = 2 * time.Second
	// hopeless is how long a server without a stand-in may hang before it is killed, and a
	// replica may get nothing before it is made anew.
	hopeless = 60 * time.Second
	// behind is how long a replica may get nothing until the readers' name leads to others.
	behind = 10 * time.Second
	// unanswered is how long a request for another writer waits for the present one, and for
	// members that could take its place: the cluster is shown as failing over meanwhile, which
	// no waiter of clients is made for.
	unanswered = 4 * time.Second
	// firstRetry and lastRetry are the first and the longest pause before something that
	// failed is tried again.
	firstRetry = 500 * time.Millisecond
	lastRetry  = time.Minute
)

// machine is one database. It belongs to one goroutine.
type machine struct {
	id   string
	fits func(replica, writer engine.History) engine.Fit
	now  time.Time

	wanted    *desired.Database // nil when it is to be gone, or not known yet
	members   map[string]*member
	snapshots map[string]*snapshot
	saved     saved

	// seeds are copies of the data that read replicas wait for, by the replicas' ids.
	seeds map[string]*snapshot
	// source is what is known of the database that this one is a replica of.
	source source

	turn     *turnover
	heard    heard
	electing bool
	stale    bool // another writer was elected, and it is not known yet which
	reading  bool // secrets
	retry    retry
	// promoted is the turnover that a writer is promoted for.
	promoted *turnover
	// counted are the members by whom commits may have been acknowledged.
	counted []string
	full    bool // there is no room on the disk
	asked   time.Time
	seq     int64

	actions []action
	events  []Event
}

// retry is when something that failed is tried again.
type retry struct {
	failures int
	at       time.Time
	err      error
}

func (r *retry) fail(now time.Time, err error) {
	r.err = err
	r.at = now.Add(min(firstRetry<<min(r.failures, 10), lastRetry))
	r.failures++
}

func (r *retry) succeed() { *r = retry{} }

// member is one server.
type member struct {
	want desired.DatabaseMember
	// gone says that it is to be removed, removed that it was.
	gone, removed bool

	// state is what it said last, of a probe that began at seen; known that it was asked
	// since the keeper began. silent counts probes without an answer.
	state  engine.State
	seen   time.Time
	known  bool
	silent int
	quiet  time.Time // since when it is silent
	// answers is since when it has answered each probe as the one that writes; zero when it
	// has not. proven says that it once did so for steady since it began to write.
	answers time.Time
	proven  bool
	// looked says that data is what its folder has, while it does not run.
	looked bool
	data   engine.Data
	// mayWrite says that it could take writes without being told to. sealed that its network
	// is closed.
	mayWrite, sealed bool

	busy  *action
	retry retry

	config    string // the digest of what it is configured with
	pending   []string
	members   string // the ids it was told, with commas; untold before
	durable   *engine.Durability
	began     time.Time // when it began to write; zero when it did before the keeper
	secured   bool      // since then it was said who has to have a commit
	settled   bool
	settle    bool // somebody waits for that
	reseed    bool // its data is of no use
	stalled   time.Time
	rebooting bool // it was stopped to be started again
	// streamed is until when a read replica got changes, or could not have got any; broken since
	// when it gets none, and replicating what was told of that, empty for nothing yet.
	streamed    time.Time
	broken      time.Time
	replicating model.Replication
}

func newMachine(id string, fits func(replica, writer engine.History) engine.Fit) *machine {
	return &machine{id: id, fits: fits, members: map[string]*member{}, snapshots: map[string]*snapshot{}, seeds: map[string]*snapshot{}, saved: saved{Members: map[string]savedMember{}}}
}

// want sets what a member should be.
func (k *machine) want(w desired.DatabaseMember) {
	m := k.members[w.ID]
	if m == nil {
		m = &member{mayWrite: true, members: untold}
		k.members[w.ID] = m
	}
	if !slices.Equal(m.want.Params, w.Params) {
		m.retry.at = time.Time{} // what it did not start with may be another value now
	}
	m.want, m.gone = w, false
}

// wants sets what the database should be.
func (k *machine) wants(d *desired.Database) {
	if k.wanted != nil && !slices.Equal(k.wanted.Params, d.Params) {
		for _, m := range k.members {
			m.retry.at = time.Time{}
		}
	}
	k.wanted = d
}

// writer is the member that takes writes by the last decision; nil when there is none.
func (k *machine) writer() *member { return k.members[k.leader()] }

// ids are those of all members, sorted.
func (k *machine) ids() []string { return slices.Sorted(maps.Keys(k.members)) }

// each gives the members in the order of their ids.
func (k *machine) each(f func(m *member)) {
	for _, id := range k.ids() {
		f(k.members[id])
	}
}

// observe takes the answer to a probe that began at a time.
func (k *machine) observe(id string, s engine.State, began, now time.Time) {
	m := k.members[id]
	if m == nil || began.Before(m.seen) {
		return
	}
	k.now = now
	m.known, m.seen = true, began
	if s.Phase == engine.PhaseSilent {
		if m.silent++; m.silent == 1 {
			m.quiet = began
		}
		m.answers = time.Time{}
		return
	}
	m.silent = 0
	m.prove(s, began)
	if s.Phase == engine.PhaseBusy { // it says no more than that it is alive
		before := m.state
		before.Phase, before.Process, before.Reason = s.Phase, s.Process, s.Reason
		s = before
	}
	m.take(s)
	if id == k.leader() && s.Writer && m.durable != nil && (m.busy == nil || m.busy.verb != verbDurability) {
		k.counted = union(s.Durability.AnyOf, m.durable.AnyOf)
	}
}

// take takes what is known of a member for sure.
func (m *member) take(s engine.State) {
	if s.Phase == engine.PhaseDown {
		if m.state.Phase != engine.PhaseDown || s.Process.Life != m.state.Process.Life {
			m.looked = false
		}
		m.pending, m.members, m.durable, m.settled, m.stalled = nil, untold, nil, false, time.Time{}
	}
	if s.Phase == engine.PhaseUp {
		m.looked = false
		m.mayWrite = s.Writer && !m.sealed
		m.pending = s.Pending
		m.rebooting = m.rebooting && m.busy != nil
		if m.durable == nil && s.Writer {
			m.durable = &engine.Durability{Mode: s.Durability.Mode, AnyOf: slices.Clone(s.Durability.AnyOf)}
		}
	}
	m.state = s
}

// exited takes that a member's server is another one than it was, or none.
func (k *machine) exited(id string, p engine.Process, now time.Time) {
	m := k.members[id]
	if m == nil {
		return
	}
	k.now = now
	if p.Running {
		return // its next probe tells
	}
	m.known, m.seen, m.silent = true, now, 0
	m.take(engine.State{Phase: engine.PhaseDown, Process: p})
}

// do asks for something to be done.
func (k *machine) do(m *member, a action) {
	k.seq++
	a.seq = k.seq
	if m != nil {
		a.member = m.want.ID
		m.busy = &a
	}
	k.actions = append(k.actions, a)
}

// step says what is to be done next.
func (k *machine) step(now time.Time) []action {
	k.now, k.actions = now, nil
	k.adopt()
	k.decide()
	k.each(k.tend)
	k.readSecrets()
	k.copies()
	return k.actions
}

// adopt goes by a decision that was made elsewhere, or by a keeper before this one.
func (k *machine) adopt() {
	if k.wanted == nil {
		return
	}
	if d := k.wanted; d.Epoch > k.saved.Epoch || d.Epoch == k.saved.Epoch && k.saved.Writer == "" && d.Writer != "" && k.saved.Asking == nil {
		if a := k.saved.Asking; a != nil && d.Epoch == a.Epoch+1 && d.Writer == a.Writer { // its answer is late
			k.decided(*a)
			if k.turn != nil {
				k.promoted = k.turn
			}
		}
		k.saved.Epoch, k.saved.Writer, k.saved.Asking = d.Epoch, d.Writer, nil
		k.turn, k.stale, k.electing = nil, false, false
	}
}

// readSecrets reads the master's password when it is another one.
func (k *machine) readSecrets() {
	if d := k.wanted; d == nil || d.Source != "" || k.reading || k.retry.at.After(k.now) || k.saved.Secret >= d.Secret && k.saved.Verifier != "" || d.User == "" {
		return
	}
	k.reading = true
	k.do(nil, action{verb: verbSecrets})
}

// finished takes what became of an action.
func (k *machine) finished(a action, r result, now time.Time) {
	k.now = now
	m := k.members[a.member]
	if m != nil {
		if m.busy == nil || m.busy.seq != a.seq {
			if s := k.taking(a); a.verb == verbSnapshot && s != nil {
				s.busy = false // it is taken again
			}
			return // it was ended for another one
		}
		m.busy = nil
		k.done(m, a, r)
		return
	}
	switch a.verb {
	case verbElect:
		k.elected(a, r)
	case verbSnapshot:
		k.copied(a, r)
	case verbSecrets:
		k.reading = false
		if r.err != nil {
			k.retry.fail(now, r.err)
			return
		}
		k.retry.succeed()
		k.saved.Verifier, k.saved.Secret = r.verifier, max(r.secret, k.wantedSecret())
	}
}

func (k *machine) wantedSecret() int64 {
	if k.wanted == nil {
		return 0
	}
	return k.wanted.Secret
}

// done takes what became of a member's action.
func (k *machine) done(m *member, a action, r result) {
	if a.verb == verbSnapshot {
		k.copied(a, r)
		return
	}
	if r.err != nil {
		k.failed(m, a, r)
		return
	}
	if a.verb != verbInspect && a.verb != verbConfigure && a.verb != verbCertify {
		m.retry.succeed()
	}
	id := m.want.ID
	note := k.saved.Members[id]
	switch a.verb {
	case verbInspect:
		m.looked, m.data = true, r.data
		if !r.data.Exists {
			m.mayWrite = false
		}
	case verbConfigure:
		m.config, m.pending = a.digest, r.change.Pending
	case verbCertify:
		note.Certified, note.Until = a.digest, r.until
	case verbInit, verbRestore, verbTake, verbClone, verbRejoin:
		m.looked, m.reseed = false, false
		k.saved.Made = k.saved.Made || k.follows()
		k.made(m, a, r)
	case verbStart:
		m.sealed = false
		k.started(m, a)
	case verbStop, verbKill:
		k.stopped(m, a, r)
		if a.reboot > 0 {
			note.Reboot, m.rebooting = max(a.reboot, note.Reboot), true
		}
	case verbPromote:
		m.state.Writer, m.mayWrite, m.settled = true, true, false
		m.state.Upstream, m.state.Streaming, m.state.Replicas = "", false, nil
		m.durable = &engine.Durability{}
		m.begins(k.now)
		k.completed(m)
		k.parted(m)
	case verbSettle:
		m.settled, m.settle = true, false
	case verbFollow:
		m.state.Upstream, m.stalled = a.peer.ID, time.Time{}
	case verbMembers:
		m.members = strings.Join(a.ids, ",")
	case verbDurability:
		m.durable, m.secured = &a.durability, true
	case verbUsers:
		if k.saved.Set > 0 && a.users.Reset {
			k.tell(k.id, "Reset master credentials", "configuration change")
		}
		k.saved.Set, k.saved.Made = max(a.secret, 1), true
	case verbKeep, verbDestroy:
		m.removed = true
		k.saved.Volume = k.saved.Volume || a.verb == verbKeep
		if k.saved.Writer == id {
			k.saved.Writer = ""
		}
		delete(k.saved.Members, id)
		return
	}
	k.saved.Members[id] = note
}

// made tells how a member got its data.
func (k *machine) made(m *member, a action, r result) {
	switch {
	case a.verb == verbTake:
		k.saved.Volume, k.saved.Made = false, true
	case a.verb == verbRestore:
		k.saved.Set = 0
	case a.verb == verbRejoin && r.rejoined == engine.RejoinedRewound:
		k.tell(m.want.ID, "What "+m.name()+" had and the new writer had not was taken back, so that it can follow it", "recovery")
	case a.verb == verbRejoin && r.rejoined == engine.RejoinedCloned:
		k.tell(m.want.ID, "The data of "+m.name()+" was replaced by a copy of the new writer's", "recovery")
	}
}

// started goes by a server having answered, until it is probed.
func (k *machine) started(m *member, a action) {
	m.known, m.silent, m.seen = true, 0, k.now
	m.mayWrite = a.role.Writer
	upstream := ""
	if a.role.Of != nil {
		upstream = a.role.Of.ID
	}
	before := m.state
	m.take(engine.State{Phase: engine.PhaseUp, Process: before.Process, Writer: a.role.Writer, Upstream: upstream, History: m.data.History, Version: before.Version})
	m.pending = nil
	if a.role.Writer {
		m.durable = nil
		m.begins(k.now)
	}
	if m.rebooting || k.saved.Members[m.want.ID].Served {
		k.tell(m.want.ID, "DB instance restarted", "availability")
	}
	m.rebooting = false
}

// stopped goes by nothing of a server being left.
func (k *machine) stopped(m *member, a action, r result) {
	m.mayWrite = false
	if a.verb == verbKill {
		m.sealed = m.sealed || r.sealed
	}
	m.known, m.silent, m.seen = true, 0, k.now
	p := m.state.Process
	p.Running, p.Asked = false, true
	m.state.Phase = engine.PhaseUp // so that the folder is looked at again
	m.take(engine.State{Phase: engine.PhaseDown, Process: p, History: m.state.History, Durability: m.state.Durability})
	if t := k.turn; t != nil && t.from == m.want.ID {
		t.close(k.now)
	}
}

// failed takes that something could not be done.
func (k *machine) failed(m *member, a action, r result) {
	switch a.verb {
	case verbKill:
		if r.sealed { // whatever it does, nobody sees it
			m.sealed, m.mayWrite = true, false
			if t := k.turn; t != nil && t.from == m.want.ID {
				t.close(k.now)
			}
		}
	case verbStop:
		if t := k.turn; t != nil && t.from == m.want.ID {
			t.planned = false // it is killed instead
		}
	case verbInit, verbRestore, verbClone, verbRejoin, verbTake, verbStart:
		m.looked = false
		if a.verb == verbRejoin {
			m.reseed = true
		}
		if a.verb == verbClone && k.follows() {
			m.reseed = false // what it had answers queries until the next try
		}
	case verbPromote:
		if errors.Is(r.err, engine.ErrRole) {
			m.state.Writer, m.mayWrite = true, true // it does already
			k.completed(m)
			return
		}
	}
	k.lament(m, r.err)
	m.retry.fail(k.now, r.err)
	if a.verb == verbKill && !r.sealed {
		m.retry.at = k.now.Add(100 * time.Millisecond)
	}
}

// tell notes an event.
func (k *machine) tell(about, message string, categories ...string) {
	k.events = append(k.events, Event{About: about, Message: message, Categories: categories, At: k.now})
}
