// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
)

// world is servers in memory, and the machine that keeps them. What the machine asks for
// is carried out at some later time, or fails, with or without effect.
type world struct {
	t       *rapid.T
	now     time.Time
	servers map[string]*server
	machine *machine
	entry   desired.Database
	wanted  map[string]desired.DatabaseMember
	pending []action

	// What is written down of the writer.
	epoch  int64
	writer string

	commits int
	acked   map[int]bool
	// unasked and moved are when another writer was elected that nobody had asked for, and
	// when one was for any other reason. answered are the requests that had one elected.
	unasked, moved time.Time
	answered       map[int64]bool
	seeds          int
	volume         *server
}

// server is one of them.
type server struct {
	id                            string
	exists, writer, clean         bool // the data
	alive, paused, sealed, policy bool
	identity                      int
	timeline                      uint32
	turns                         []engine.Turn
	log                           []int
	upstream                      string
	durability                    engine.Durability
	waiting                       map[int]bool // commits that nobody has acknowledged yet
	life                          int64
	database                      string // another one than the world's, if any
	purged                        int    // how many of its first commits it has no more for others
}

func (s *server) reachable() bool { return s.alive && !s.paused && !s.sealed }

func (s *server) history() engine.History {
	if !s.exists {
		return engine.History{}
	}
	return engine.History{Identity: fmt.Sprint(s.identity), Timeline: s.timeline, Turns: slices.Clone(s.turns), At: engine.Position{Order: uint64(len(s.log)) + 1}}
}

// fits is as PostgreSQL has it.
func fits(replica, writer engine.History) engine.Fit {
	switch {
	case replica.Identity == "" || writer.Identity == "" || writer.At.Order == 0 || replica.At.Order == 0:
		return engine.FitUnknown
	case replica.Identity != writer.Identity:
		return engine.FitForeign
	case replica.Timeline > writer.Timeline:
		return engine.FitAhead
	}
	end := writer.At
	for _, t := range writer.Turns {
		if t.Timeline == replica.Timeline {
			end = t.At
		}
	}
	if end.Before(replica.At) {
		return engine.FitAhead
	}
	return engine.FitYes
}

func newWorld(t *rapid.T, members ...string) *world {
	w := &world{t: t, now: time.Unix(1e9, 0), servers: map[string]*server{}, acked: map[int]bool{}, answered: map[int64]bool{}, wanted: map[string]desired.DatabaseMember{}}
	w.entry = desired.Database{ID: "cluster-1", Engine: "aurora-postgresql", Port: 5432, User: "master", Secret: 1}
	for i, id := range members {
		w.add(id, i)
	}
	w.begin(saved{})
	return w
}

func (w *world) add(id string, i int) {
	w.wanted[id] = desired.DatabaseMember{Database: w.entry.ID, ID: id, Name: id + ".x.example.", Addr: netip.AddrFrom4([4]byte{10, 0, 1, byte(10 + i)})}
	if w.servers[id] == nil {
		w.servers[id] = &server{id: id, waiting: map[int]bool{}}
	}
}

// begin makes a machine of what was written down, as a keeper does that starts.
func (w *world) begin(s saved) {
	text, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	var again saved
	if err := json.Unmarshal(text, &again); err != nil {
		w.t.Fatal(err)
	}
	m := newMachine(w.entry.ID, fits)
	m.saved = again
	if m.saved.Members == nil {
		m.saved.Members = map[string]savedMember{}
	}
	m.saved.Replication = "r"
	m.asked = w.now
	gone := map[string]bool{}
	if w.machine != nil {
		for id, o := range w.machine.members {
			gone[id] = o.gone
		}
	}
	w.machine = m
	e := w.entry
	m.wanted = &e
	for _, d := range w.wanted {
		m.want(d)
		m.members[d.ID].gone = gone[d.ID] // its deletion is asked for again
	}
	w.pending = nil
}

// each gives the servers in the order of their ids.
func (w *world) each() iter.Seq2[string, *server] {
	return func(yield func(string, *server) bool) {
		for _, id := range slices.Sorted(maps.Keys(w.servers)) {
			if s := w.servers[id]; s != nil && !yield(id, s) {
				return
			}
		}
	}
}

// step has the machine say what is to be done.
func (w *world) step() {
	was := w.machine.turn
	actions := w.machine.step(w.now)
	if t := w.machine.turn; t != nil && t != was {
		w.calmly(t)
	}
	for _, a := range actions {
		if a.preempt { // what it was doing is ended, maybe when it was done
			w.pending = slices.DeleteFunc(w.pending, func(b action) bool {
				if b.member != a.member || a.member == "" {
					return false
				}
				if rapid.Bool().Draw(w.t, "done before") {
					w.effect(b)
				}
				return true
			})
		}
		w.pending = append(w.pending, a)
	}
	for _, id := range w.machine.ids() {
		m := w.machine.members[id]
		if m.removed {
			delete(w.machine.members, id)
			delete(w.wanted, id)
			delete(w.servers, id)
		}
	}
	w.check()
}

// complete carries out one action that is pending.
func (w *world) complete(i int, fault string) {
	a := w.pending[i]
	w.pending = slices.Delete(w.pending, i, i+1)
	var r result
	switch fault {
	case "":
		r = w.effect(a)
	case "lost":
		r = w.effect(a)
		r.err = errors.Join(r.err, errors.New("the answer was lost"))
		r.sealed = r.sealed && a.verb == verbKill
	default:
		r.err = errors.New("it failed")
	}
	w.machine.finished(a, r, w.now)
	w.check()
}

var errPaused = errors.New("it does not answer")

// effect does what an action says.
func (w *world) effect(a action) (r result) {
	s := w.servers[a.member]
	if a.member != "" && s == nil {
		return result{err: engine.ErrHost}
	}
	needsAnswer := slices.Contains([]verb{verbPromote, verbSettle, verbFollow, verbMembers, verbDurability, verbUsers}, a.verb)
	switch {
	case needsAnswer && !s.alive:
		return result{err: engine.ErrDown}
	case needsAnswer && s.paused || a.verb == verbStop && s.paused:
		return result{err: errPaused}
	}
	down := slices.Contains([]verb{verbInit, verbRestore, verbClone, verbRejoin, verbTake, verbKeep, verbDestroy}, a.verb)
	if down && s.alive {
		return result{err: engine.ErrRunning}
	}
	switch a.verb {
	case verbElect:
		return w.elect(a.election)
	case verbSecrets:
		r.verifier, r.secret = "v", w.entry.Secret
	case verbInspect:
		r.data = engine.Data{Exists: s.exists, Clean: s.clean, Writer: s.writer, History: s.history()}
	case verbCertify:
		r.until = w.now.Add(time.Hour * 1e4)
	case verbInit:
		w.seeds++
		*s = server{id: s.id, exists: true, writer: true, clean: true, identity: w.seeds, timeline: 1, waiting: map[int]bool{}, life: s.life}
	case verbTake:
		if w.volume == nil {
			return result{err: engine.ErrNoData}
		}
		v := *w.volume
		v.id, v.life, w.volume = s.id, s.life, nil
		*s = v
	case verbKeep:
		v := *s
		w.volume = &v
	case verbClone, verbRejoin:
		return w.copy(s, a)
	case verbStart:
		return w.start(s, a.role)
	case verbStop:
		w.halt(s, true)
	case verbKill:
		s.sealed = true
		w.halt(s, false)
		s.policy = false
		r.sealed = true
	case verbPromote:
		if s.writer {
			return result{err: engine.ErrRole}
		}
		w.promote(s)
	case verbFollow:
		s.upstream = a.peer.ID
	case verbDurability:
		s.durability = a.durability
		w.acknowledge(s)
	}
	return r
}

func (w *world) halt(s *server, clean bool) {
	if s.alive {
		if clean && s.writer { // replicas get all that there is
			for _, o := range w.each() {
				w.replicate(o, s, len(s.log))
			}
		}
		s.alive, s.paused = false, false
		s.clean = clean
		s.waiting = map[int]bool{}
		s.policy = false
	}
}

func (w *world) start(s *server, role engine.Role) result {
	switch {
	case !s.exists:
		return result{err: engine.ErrNoData}
	case s.alive && s.writer == role.Writer:
		return result{}
	case s.alive:
		return result{err: engine.ErrRole}
	}
	if role.Writer && !s.writer {
		return result{err: engine.ErrRole}
	}
	s.alive, s.sealed, s.writer, s.clean, s.upstream = true, false, role.Writer, false, ""
	s.durability = engine.Durability{}
	s.policy = role.Restart
	s.life++
	if role.Of != nil {
		s.upstream = role.Of.ID
	}
	if role.Writer && w.writer != s.id {
		w.t.Fatalf("%s is started as a writer; %q was elected", s.id, w.writer)
	}
	return result{}
}

func (w *world) promote(s *server) {
	if w.writer != s.id {
		w.t.Fatalf("%s is promoted; %q was elected", s.id, w.writer)
	}
	for _, o := range w.each() {
		if o != s && !o.sealed && o.alive && o.writer && o.database == s.database {
			w.t.Fatalf("%s is promoted while %s writes", s.id, o.id)
		}
	}
	s.turns = append(slices.Clone(s.turns), engine.Turn{Timeline: s.timeline, At: s.history().At})
	s.timeline++
	s.writer, s.upstream, s.durability = true, "", engine.Durability{}
}

// copy makes a server a copy of another one, or takes back what the other one has not.
func (w *world) copy(s *server, a action) result {
	s.sealed = false
	of := w.servers[a.peer.ID]
	if of == nil || !of.reachable() || !of.writer {
		return result{err: engine.ErrDown}
	}
	s.exists, s.writer, s.clean, s.identity, s.timeline = true, false, true, of.identity, of.timeline
	s.turns, s.log = slices.Clone(of.turns), slices.Clone(of.log)
	return result{rejoined: engine.RejoinedRewound}
}

func (w *world) elect(e Election) result {
	if w.epoch == e.Epoch+1 && w.writer == e.Writer {
		return result{epoch: w.epoch}
	}
	if w.epoch != e.Epoch {
		return result{epoch: w.epoch, err: ErrEpoch}
	}
	chosen := w.servers[e.Writer]
	if t := w.machine.turn; t != nil && chosen != nil {
		if o := w.servers[t.from]; o != nil && o.alive && !o.sealed && o.writer {
			w.t.Fatalf("%s is elected while %s can be written to", e.Writer, t.from)
		}
		for id, o := range w.each() {
			m := w.machine.members[id]
			if m == nil || m.gone || id == t.from || !o.reachable() || o.writer || o.identity != chosen.identity || !m.known {
				continue
			}
			if len(o.log) > len(chosen.log) && o.timeline >= chosen.timeline {
				w.t.Fatalf("%s is elected with %d commits, %s has %d", e.Writer, len(chosen.log), id, len(o.log))
			}
		}
		w.keeps(t, chosen)
	}
	w.epoch, w.writer = w.epoch+1, e.Writer
	if e.Unasked {
		w.unasked = w.now
	} else {
		w.moved = w.now
	}
	if t := w.machine.turn; t != nil && t.asked > 0 && t.asked == e.Turn {
		w.answered[t.asked] = true
	}
	if rapid.Bool().Draw(w.t, "the rows are quicker than the answer") {
		w.entry.Epoch, w.entry.Writer = w.epoch, w.writer
		row := w.entry
		w.machine.wanted = &row
		w.machine.adopt()
	}
	return result{epoch: w.epoch}
}

// keeps holds that what clients were told to be sure is where the new writer is from, or
// with nobody who answers.
func (w *world) keeps(t *turnover, chosen *server) {
	from := w.servers[t.from]
	for _, c := range slices.Sorted(maps.Keys(w.acked)) {
		if slices.Contains(chosen.log, c) {
			continue
		}
		if t.planned && from != nil && from.clean && !from.alive && slices.Contains(from.log, c) {
			w.t.Fatalf("commit %d is lost with %s, which ended in order", c, t.from)
		}
		for id, o := range w.each() {
			m := w.machine.members[id]
			if o.reachable() && !o.writer && m != nil && !m.gone && slices.Contains(o.log, c) && o.identity == chosen.identity && slices.Contains(t.counted, id) {
				w.t.Fatalf("commit %d is lost, %s has it", c, id)
			}
		}
	}
}

// calmly holds that a request is carried out once, and that a writer is not left too soon
// that nobody asked to leave: after a failover of that kind one that ends is started again
// first, and one that is silent is waited for, as it is after a planned one when it has not
// been seen to be steady.
func (w *world) calmly(t *turnover) {
	if t.asked > 0 && w.answered[t.asked] {
		w.t.Fatalf("request %d is carried out again", t.asked)
	}
	from := w.machine.members[t.from]
	if !t.auto || from.down() && from.retry.failures > 0 {
		return
	}
	unasked, moved, quiet := w.now.Sub(w.unasked), w.now.Sub(w.moved), w.now.Sub(from.quiet)
	switch {
	case unasked < calm && (from.down() || quiet < stunned):
		w.t.Fatalf("a failover %v after another one that nobody asked for, of a writer that is down: %v, or silent for %v", unasked, from.down(), quiet)
	case !from.down() && moved < steady && quiet < stunned:
		w.t.Fatalf("a failover %v after a planned one, of a writer that is silent for %v", moved, quiet)
	}
}

// streams says that a server gets what another one has.
func streams(s, of *server) bool {
	return s != of && s.reachable() && of.reachable() && !s.writer && s.upstream == of.id && s.identity == of.identity &&
		len(s.log) >= of.purged && len(s.log) <= len(of.log) && slices.Equal(s.log, of.log[:len(s.log)]) && fits(s.history(), of.history()) == engine.FitYes
}

func (w *world) replicate(s, of *server, n int) {
	if !streams(s, of) {
		return
	}
	s.log = slices.Clone(of.log[:min(len(of.log), len(s.log)+n)])
	s.timeline, s.turns = of.timeline, slices.Clone(of.turns)
	w.acknowledge(of)
}

// acknowledge tells clients of the commits that are sure enough.
func (w *world) acknowledge(s *server) {
	for _, c := range slices.Sorted(maps.Keys(s.waiting)) {
		sure := s.durability.Mode == engine.ModeAlone
		for _, id := range s.durability.AnyOf {
			o := w.servers[id]
			sure = sure || o != nil && streams(o, s) && slices.Contains(o.log, c)
		}
		if sure && s.reachable() {
			delete(s.waiting, c)
			w.acked[c] = true
		}
	}
}

func (w *world) commit(s *server) {
	if s.reachable() && s.writer {
		w.commits++
		s.log = append(slices.Clone(s.log), w.commits)
		s.waiting[w.commits] = true
		w.acknowledge(s)
	}
}

// state is what a probe finds.
func (w *world) state(s *server) engine.State {
	p := engine.Process{Running: s.alive, Life: s.life}
	switch {
	case s.paused:
		return engine.State{Phase: engine.PhaseSilent, Process: p}
	case !s.alive:
		return engine.State{Phase: engine.PhaseDown, Process: p}
	}
	st := engine.State{Phase: engine.PhaseUp, Process: p, Writer: s.writer, History: s.history(), Upstream: s.upstream, Durability: s.durability}
	for _, id := range slices.Sorted(maps.Keys(w.servers)) {
		o := w.servers[id]
		if streams(o, s) {
			st.Replicas = append(st.Replicas, engine.Replica{ID: id, Streaming: len(o.log) == len(s.log)})
		}
		st.Streaming = st.Streaming || streams(s, o)
	}
	return st
}

func (w *world) probe(id string) {
	if s := w.servers[id]; s != nil {
		w.machine.observe(id, w.state(s), w.now, w.now)
	}
}

// pass lets time pass, and has all members asked.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	for _, id := range slices.Sorted(maps.Keys(w.servers)) {
		w.probe(id)
	}
	w.step()
}

// check holds whatever happens.
func (w *world) check() {
	var writers []string
	for id, s := range w.each() {
		if s.alive && s.writer && !s.sealed && s.database == "" {
			writers = append(writers, id)
		}
	}
	if len(writers) > 1 {
		w.t.Fatalf("%v write", writers)
	}
	r := w.machine.roles()
	if r.Writer != "" && r.Writer != w.machine.saved.Writer {
		w.t.Fatalf("%s is named as the writer; %s was elected", r.Writer, w.machine.saved.Writer)
	}
	if slices.Contains(r.Readers, r.Writer) && r.Writer != "" {
		w.t.Fatalf("%s writes and is a reader", r.Writer)
	}
}

// converge ends all faults and waits until the database is as it should be.
func (w *world) converge(what string) {
	for _, s := range w.each() {
		s.paused = false
	}
	w.machine.full = false
	for range 1000 {
		w.pass(500 * time.Millisecond)
		for len(w.pending) > 0 {
			w.complete(0, "")
		}
		for _, s := range w.each() {
			for _, o := range w.each() {
				w.replicate(s, o, len(o.log))
			}
		}
		w.entry.Epoch, w.entry.Writer = w.epoch, w.writer
		e := w.entry
		w.machine.wanted = &e
		if w.done() == "" {
			return
		}
	}
	w.t.Fatalf("%s: it does not converge: %s\n%s", what, w.done(), w)
}

// done says what is not as it should be.
func (w *world) done() string {
	r := w.machine.roles()
	if w.entry.Stopped {
		for id, s := range w.each() {
			if s.alive {
				return id + " runs"
			}
		}
		return ""
	}
	for _, id := range w.machine.ids() {
		m := w.machine.members[id]
		if m.gone {
			return id + " is there"
		}
	}
	switch {
	case len(w.servers) == 0:
		return ""
	case r.Writer == "" || r.Writer != w.writer:
		return fmt.Sprintf("%q is named as the writer, %q was elected", r.Writer, w.writer)
	case len(r.Readers) != len(w.servers)-1:
		return fmt.Sprintf("the readers are %v", r.Readers)
	case w.entry.Turn != w.machine.saved.Turned:
		return "a request has no answer"
	}
	writer := w.servers[r.Writer]
	for id, s := range w.each() {
		if s != writer && !streams(s, writer) {
			return id + " does not follow"
		}
	}
	if len(writer.durability.AnyOf) != len(w.servers)-1 {
		return fmt.Sprintf("commits are sure with %v", writer.durability)
	}
	return ""
}

func (w *world) String() (text string) {
	m := w.machine
	text = fmt.Sprintf("saved %+v turn %+v electing %v promoted %v pending %v\n", m.saved, m.turn, m.electing, m.promoted, w.pending)
	for _, id := range slices.Sorted(maps.Keys(w.servers)) {
		s := *w.servers[id]
		s.log = nil
		text += fmt.Sprintf("  %s: %+v\n", id, s)
		if o := m.members[id]; o != nil {
			text += fmt.Sprintf("      phase %q known %v looked %v data %+v mayWrite %v busy %v retry %+v state %+v\n", o.phase(), o.known, o.looked, o.data, o.mayWrite, o.busy, o.retry, o.state)
		}
	}
	return text
}
