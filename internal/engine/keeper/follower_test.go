// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
)

// line is a read replica, db-2 of the world, and its source, db-1, which another machine keeps.
type line struct {
	*world
	source, replica *server
	// promoted says that the rows made the replica a database of its own once.
	promoted bool
	// own are the changes that clients were told to be sure since then.
	own []int
}

func newLine(t *rapid.T) *line {
	w := newWorld(t)
	l := &line{world: w}
	w.add("db-1", 1)
	delete(w.wanted, "db-1")
	w.add("db-2", 2)
	l.source, l.replica = w.servers["db-1"], w.servers["db-2"]
	*l.source = server{id: "db-1", database: "db-1", exists: true, writer: true, alive: true, identity: 7, timeline: 1, waiting: map[int]bool{}}
	w.seeds = 100
	w.entry.ID, w.entry.Secret = "db-2", 0
	w.entry.Source, w.entry.SourceName, w.entry.SourceAddr, w.entry.SourcePort = "db-1", "one.x.example.", w.wanted["db-2"].Addr.Prev(), 5432
	m := w.wanted["db-2"]
	m.Database = "db-2"
	w.wanted["db-2"] = m
	w.begin(saved{})
	return l
}

// see has the machine know of the source what its keeper knows.
func (l *line) see() {
	if l.machine.follows() {
		l.machine.heed(source{replication: "r", writes: l.source.reachable(), history: l.source.history(), admits: []string{"db-2"}})
	}
}

func (l *line) step() {
	l.see()
	l.world.step()
	l.holds()
}

func (l *line) pass(d time.Duration) {
	l.now = l.now.Add(d)
	l.probe("db-2")
	l.step()
}

func (l *line) complete(fault string) {
	if len(l.pending) > 0 {
		l.see()
		l.world.complete(rapid.IntRange(0, len(l.pending)-1).Draw(l.t, "which"), fault)
		l.holds()
	}
}

// rows has the machine have the entry.
func (l *line) rows() {
	e := l.entry
	l.machine.wanted = &e
}

// promote is what PromoteReadReplica does with the rows.
func (l *line) promote() {
	l.entry.Source, l.entry.SourceName, l.entry.SourcePort = "", "", 0
	l.entry.Writer, l.entry.Epoch, l.entry.Secret = "db-2", 1, 1
	l.writer, l.epoch, l.promoted = "db-2", 1, true
	l.rows()
}

// holds whatever happens: while there is a source nobody is told to write, no changes that the
// database took itself are lost, and it has never anything that its source has not.
func (l *line) holds() {
	r := l.machine.roles()
	if l.machine.follows() && r.Writer != "" {
		l.t.Fatalf("%s is named as the writer of a read replica", r.Writer)
	}
	for _, a := range l.pending {
		wrong := a.verb == verbPromote || a.verb == verbInit || a.verb == verbElect || a.verb == verbUsers || a.verb == verbStart && a.role.Writer
		if l.machine.follows() && wrong && a.seq == l.machine.seq {
			l.t.Fatalf("%s is asked for of a read replica", a.verb)
		}
	}
	for _, c := range l.own {
		if !slices.Contains(l.replica.log, c) {
			l.t.Fatalf("%d is lost, which the promoted database took", c)
		}
	}
	if !l.promoted && l.replica.exists && (len(l.replica.log) > len(l.source.log) || !slices.Equal(l.replica.log, l.source.log[:len(l.replica.log)])) {
		l.t.Fatalf("the replica has %v, the source %v", l.replica.log, l.source.log)
	}
	if !l.promoted && l.replica.alive && l.replica.writer {
		l.t.Fatal("the replica writes")
	}
}

// state says how the replica is shown.
func (l *line) shown() State { return l.machine.states()[0] }

func (l *line) events() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"": func(*rapid.T) { l.holds() },
		"pass": func(t *rapid.T) {
			l.pass(time.Duration(rapid.SampledFrom([]int{5, 50, 500, 500, 3000, 70000}).Draw(t, "ms")) * time.Millisecond)
		},
		"complete": func(t *rapid.T) {
			l.complete(rapid.SampledFrom([]string{"", "", "", "", "", "lost", "fails"}).Draw(t, "fault"))
		},
		"complete all": func(*rapid.T) { l.settle(20) },
		"commit": func(*rapid.T) {
			l.commit(l.source)
			if before := l.commits; l.promoted {
				if l.commit(l.replica); l.commits > before {
					l.own = append(l.own, l.commits)
				}
			}
		},
		"replicate": func(t *rapid.T) { l.replicate(l.replica, l.source, rapid.IntRange(1, 3).Draw(t, "commits")) },
		"crash": func(t *rapid.T) {
			if s := rapid.SampledFrom([]*server{l.source, l.replica}).Draw(t, "server"); s.alive {
				s.alive, s.paused, s.clean, s.waiting = s == l.source || s.policy, false, false, map[int]bool{}
				s.life++
			}
		},
		"hang": func(t *rapid.T) {
			s := rapid.SampledFrom([]*server{l.source, l.replica}).Draw(t, "server")
			s.paused = s.alive && rapid.Bool().Draw(t, "hangs")
		},
		"the source is away": func(t *rapid.T) { l.source.sealed = rapid.Bool().Draw(t, "away") },
		"the source keeps nothing": func(*rapid.T) {
			l.source.purged = len(l.source.log)
		},
		"keeper again": func(*rapid.T) { l.begin(l.machine.saved); l.see() },
		"stop": func(t *rapid.T) {
			l.entry.Stopped = rapid.Bool().Draw(t, "stopped")
			l.rows()
		},
		"promote": func(*rapid.T) {
			if l.machine.saved.Made && !l.promoted {
				l.promote()
			}
		},
	}
}

// settle has all done that is asked for, some times.
func (l *line) settle(times int) {
	for range times {
		for len(l.pending) > 0 {
			l.world.complete(0, "")
			l.holds()
		}
		l.pass(500 * time.Millisecond)
		l.replicate(l.replica, l.source, len(l.source.log))
	}
}

// Whatever happens to a read replica, its source and the keeper: nobody writes in it while it
// has a source, and it follows in the end; when it was promoted it writes in the end, and
// has lost nothing of its own.
func TestAnythingHappensToAReplica(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLine(t)
		l.t.Repeat(l.events())
		for _, s := range []*server{l.source, l.replica} {
			s.paused = false
		}
		l.source.sealed, l.entry.Stopped = false, false
		l.rows()
		for range 20 {
			if l.settle(20); l.isAsWanted() == nil {
				return
			}
		}
		t.Fatalf("it does not converge: %v\n%s", l.isAsWanted(), l)
	})
}

func (l *line) isAsWanted() error {
	r, s := l.machine.roles(), l.shown()
	switch {
	case l.promoted && (r.Writer != "db-2" || !l.replica.writer || s.Phase != model.DatabaseAvailable || s.Replication != ""):
		return fmt.Errorf("promoted, and %+v, shown as %+v", r, s)
	case l.promoted:
		return nil
	case !slices.Equal(r.Readers, []string{"db-2"}) || !streams(l.replica, l.source) || len(l.replica.log) != len(l.source.log):
		return errors.New("it does not follow")
	case s.Phase != model.DatabaseAvailable || s.Replication != model.Replicating:
		return fmt.Errorf("it is shown as %+v", s)
	}
	return nil
}

// followed is a read replica that follows.
func followed(t *rapid.T) *line {
	l := newLine(t)
	l.settle(20)
	l.commit(l.source)
	if l.settle(2); l.isAsWanted() != nil {
		t.Fatal(l.isAsWanted())
	}
	return l
}

// A replica whose source is away answers, is shown with why it gets nothing, and is not made
// anew, however long that lasts.
func TestAReplicaOutlastsItsSource(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := followed(t)
		life := l.replica.life
		l.source.sealed = true
		l.pass(time.Second)
		l.pass(brief)
		for range rapid.IntRange(1, 5).Draw(t, "times") {
			l.pass(2 * hopeless)
		}
		s := l.shown()
		if s.Replication != model.ReplicationError || s.ReplicationReason == "" || s.Phase != model.DatabaseAvailable || !l.said("Replication has stopped") || len(l.machine.roles().Readers) != 1 {
			t.Fatalf("it is shown as %+v, events %v", s, l.machine.events)
		}
		l.source.sealed = false
		l.settle(2)
		if l.isAsWanted() != nil || l.replica.life != life || !l.said("Replication for the Read Replica resumed") {
			t.Fatalf("then %v, life %d after %d, events %v", l.isAsWanted(), l.replica.life, life, l.machine.events)
		}
	})
}

// A replica that lacks what its source has no more is made anew, once the source has been
// there for long enough to know.
func TestAReplicaThatFellBehindIsMadeAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := followed(t)
		l.replica.paused = true
		l.commit(l.source)
		l.source.purged = len(l.source.log)
		l.replica.paused = false
		l.settle(int(hopeless/time.Second) + 20)
		l.settle(int(hopeless/time.Second) + 20)
		if l.isAsWanted() != nil || !l.said("Replication streaming has been terminated: the source has not what db-2 lacks any more. It is made anew") {
			t.Fatalf("%v, events %v", l.isAsWanted(), l.machine.events)
		}
	})
}

// One that is to be made anew and cannot be copied answers queries with what it had.
func TestAReplicaServesWhenItCannotBeMadeAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := followed(t)
		had := len(l.replica.log)
		l.source.purged, l.replica.paused = had+1, true
		l.commit(l.source)
		l.replica.paused = false
		serves, clones := 0, 0
		for range 400 {
			for len(l.pending) > 0 {
				fault := ""
				if l.pending[0].verb == verbClone {
					fault, clones = "fails", clones+1
				}
				l.world.complete(0, fault)
			}
			l.pass(500 * time.Millisecond)
			serves += len(l.machine.roles().Readers)
		}
		if clones == 0 || clones > 5 || serves < 350 || len(l.replica.log) != had {
			t.Fatalf("it was copied %d times and served %d times of 400, with %v", clones, serves, l.replica.log)
		}
	})
}

// Rows of a store that was set back say that a promoted database is a replica: its data stay.
func TestAStoreThatWasSetBackCostsNoData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := followed(t)
		before := l.entry
		l.promote()
		l.settle(20)
		l.commit(l.replica)
		l.own = append(l.own, l.commits)
		l.entry = before
		l.rows()
		if rapid.Bool().Draw(t, "the keeper begins anew") {
			l.begin(l.machine.saved)
		}
		for range 100 {
			l.settle(5)
		}
		s := l.shown()
		if l.replica.alive || s.Phase != model.DatabaseFailed || s.Reason != errParted.Error() || s.Replication == "" {
			t.Fatalf("it runs: %v, shown as %+v", l.replica.alive, s)
		}
		l.promote()
		l.settle(200)
		if err := l.isAsWanted(); err != nil {
			t.Fatal(err)
		}
	})
}

// What waits for a copy of a server hears of it, also when it was taken in the second try, and
// is not told of what it does not wait for any more.
func TestACopyForAReplicaIsTakenOfTheWriter(t *testing.T) {
	k := newMachine("db-1", fits)
	heard := make(chan error, 1)
	w := &member{known: true, want: desired.DatabaseMember{Database: "db-1", ID: "db-1"}, state: engine.State{Phase: engine.PhaseUp, Writer: true}}
	k.members["db-1"], k.saved.Writer, k.saved.Set = w, "db-1", 1
	k.seeds["db-2"] = &snapshot{id: "db-2", heard: heard}
	k.copies()
	if w.busy == nil || w.busy.verb != verbSnapshot || !w.busy.seed {
		t.Fatalf("the writer is at %+v", w.busy)
	}
	first := *w.busy
	w.busy = nil
	k.finished(first, result{err: errors.New("it was ended for another thing")}, time.Now())
	k.copies()
	second := *w.busy
	k.finished(second, result{}, time.Now())
	if err := <-heard; err != nil {
		t.Error(err)
	}
	k.copies()
	if w.busy != nil {
		t.Errorf("the writer is at %+v", w.busy)
	}
}
