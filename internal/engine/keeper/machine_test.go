// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/model"
)

// Whatever happens to servers, to the keeper and to what it asks for: nobody writes beside
// the one that was elected, who has most is elected, and in the end the database is as it
// should be.
func TestAnythingHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, "db-1", "db-2", "db-3")
		if rapid.Bool().Draw(t, "made before") {
			w.converge("making it")
		}
		w.t.Repeat(w.things())
		w.converge("after all")
	})
}

// some draws a server.
func (w *world) some(t *rapid.T) *server {
	if len(w.servers) == 0 {
		return &server{}
	}
	return w.servers[rapid.SampledFrom(slices.Sorted(maps.Keys(w.servers))).Draw(t, "server")]
}

// things are what can happen.
func (w *world) things() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"": func(*rapid.T) { w.check() },
		"pass": func(t *rapid.T) {
			w.pass(time.Duration(rapid.SampledFrom([]int{5, 50, 500, 500, 3000, 70000}).Draw(t, "ms")) * time.Millisecond)
		},
		"step": func(*rapid.T) { w.step() },
		"complete": func(t *rapid.T) {
			if len(w.pending) > 0 {
				w.complete(rapid.IntRange(0, len(w.pending)-1).Draw(t, "which"), rapid.SampledFrom([]string{"", "", "", "", "", "lost", "fails"}).Draw(t, "fault"))
			}
		},
		"complete all": func(t *rapid.T) {
			for range 20 {
				for len(w.pending) > 0 {
					w.complete(0, "")
				}
				w.pass(50 * time.Millisecond)
			}
		},
		"commit": func(*rapid.T) {
			for _, s := range w.each() {
				w.commit(s)
			}
		},
		"replicate": func(t *rapid.T) {
			s := w.some(t)
			for _, o := range w.each() {
				w.replicate(s, o, rapid.IntRange(1, 3).Draw(t, "commits"))
			}
		},
		"crash": func(t *rapid.T) {
			s := w.some(t)
			if s.alive {
				s.alive, s.paused, s.clean, s.waiting = false, false, false, map[int]bool{}
				if s.policy {
					s.alive, s.life = true, s.life+1
				} else if rapid.Bool().Draw(t, "told") {
					w.machine.exited(s.id, w.state(s).Process, w.now)
				}
			}
		},
		"pause":   func(t *rapid.T) { s := w.some(t); s.paused = s.alive },
		"resume":  func(t *rapid.T) { w.some(t).paused = false },
		"restart": func(*rapid.T) { w.begin(w.machine.saved) },
		"ask": func(t *rapid.T) {
			w.entry.Turn++
			w.entry.Prefer = rapid.SampledFrom([]string{"", "db-1", "db-2", "db-3"}).Draw(t, "prefer")
			e := w.entry
			w.machine.wanted = &e
		},
		"full": func(*rapid.T) { w.machine.full = !w.machine.full },
		"stop": func(t *rapid.T) {
			w.entry.Stopped = !w.entry.Stopped
			e := w.entry
			w.machine.wanted = &e
		},
		"remove": func(t *rapid.T) {
			if m := w.machine.members[w.some(t).id]; m != nil {
				m.gone = true
			}
		},
		"add": func(t *rapid.T) {
			i := rapid.IntRange(1, 3).Draw(t, "member")
			id := fmt.Sprint("db-", i)
			if w.servers[id] == nil {
				w.add(id, i)
				w.machine.want(w.wanted[id])
			}
		},
		"reboot": func(t *rapid.T) {
			d := w.wanted[w.some(t).id]
			if m := w.machine.members[d.ID]; m == nil || m.gone {
				return
			}
			d.Reboot++
			w.wanted[d.ID] = d
			w.machine.want(d)
		},
		"the rows say": func(*rapid.T) {
			w.entry.Epoch, w.entry.Writer = w.epoch, w.writer
			e := w.entry
			w.machine.wanted = &e
		},
	}
}

// A snapshot that made room for something else on its server is taken again.
func TestASnapshotThatWasEndedIsTakenAgain(t *testing.T) {
	k := newMachine("cluster-1", nil)
	k.members["db-1"] = &member{busy: &action{verb: verbConfigure, seq: 2}}
	k.snapshots["snap-1"] = &snapshot{id: "snap-1", busy: true}
	k.finished(action{verb: verbSnapshot, member: "db-1", snapshot: "snap-1", seq: 1}, result{err: context.Canceled}, time.Now())
	if s := k.snapshots["snap-1"]; s.busy || s.done {
		t.Errorf("busy %v, done %v", s.busy, s.done)
	}
}

// What the last member left is copied when a snapshot of the database is wanted, one after
// the other.
func TestSnapshotsOfWhatTheLastMemberLeft(t *testing.T) {
	k := newMachine("cluster-1", nil)
	k.saved.Volume = true
	k.snapshots["snap-1"], k.snapshots["snap-2"] = &snapshot{id: "snap-1"}, &snapshot{id: "snap-2"}
	now := time.Now()
	for _, id := range []string{"snap-1", "snap-2"} {
		actions := k.step(now)
		if len(actions) != 1 || actions[0].verb != verbSnapshot || actions[0].snapshot != id || actions[0].member != "" {
			t.Fatalf("actions %+v, want a snapshot %s", actions, id)
		}
		k.finished(actions[0], result{bytes: 7}, now)
		if !k.snapshots[id].done {
			t.Errorf("%s is not done", id)
		}
	}
}

// tale is a database of three members that is as it should be.
func tale(t *rapid.T) *world {
	w := newWorld(t, "db-1", "db-2", "db-3")
	w.converge("making it")
	w.machine.events = nil
	return w
}

func (w *world) said(message string) bool {
	return slices.ContainsFunc(w.machine.events, func(e Event) bool { return e.Message == message })
}

// A request is answered by the member that it names, or refused with a reason, and changes
// nothing then.
func TestRequestsAreAnswered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := tale(t)
		was := w.writer
		prefer := rapid.SampledFrom([]string{"db-1", "db-2", "db-3", "db-9"}).Draw(t, "prefer")
		hangs := rapid.Bool().Draw(t, "hangs") && w.servers[prefer] != nil && prefer != was
		if hangs {
			w.servers[prefer].paused = true
			for range silences {
				w.pass(probeTimeout)
			}
		}
		w.entry.Turn, w.entry.Prefer = 1, prefer
		e := w.entry
		w.machine.wanted = &e
		w.step()
		for range 10 {
			for len(w.pending) > 0 {
				w.complete(0, "")
			}
			w.pass(10 * time.Millisecond)
		}
		if hangs && rapid.Bool().Draw(t, "for a moment") {
			w.servers[prefer].paused, hangs = false, false
		}
		for range unanswered / probeTimeout * 2 {
			w.pass(probeTimeout)
			for len(w.pending) > 0 {
				w.complete(0, "")
			}
		}
		switch {
		case prefer == "db-9":
			if w.writer != was || !w.said("Failover was not started: there is no DB instance db-9") {
				t.Fatalf("%s writes, events %v", w.writer, w.machine.events)
			}
		case hangs:
			if w.writer != was || !w.said("Failover was not started: DB instance "+prefer+" is not available") {
				t.Fatalf("%s writes, events %v", w.writer, w.machine.events)
			}
		case w.writer != prefer || prefer != was && !w.said("Completed failover to DB instance: "+prefer):
			t.Fatalf("%s writes, events %v", w.writer, w.machine.events)
		}
		if w.machine.saved.Turned != 1 {
			t.Fatal("the request has no answer")
		}
		w.converge("after a request")
	})
}

// Without room nobody is started or promoted, and with it the writer goes on.
func TestFullDiskIsNoReasonToTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := tale(t)
		was := w.servers[w.writer]
		w.machine.room(room - 1)
		w.machine.room(room - 1)
		for _, s := range w.machine.states() {
			if s.ID == was.id && s.Phase != model.DatabaseFull {
				t.Fatalf("the writer that answers and has no room is %s", s.Phase)
			}
		}
		if n := len(w.machine.events); n != 3 {
			t.Fatalf("%d events for three members", n)
		}
		was.alive = false
		for range 20 {
			w.pass(500 * time.Millisecond)
			for len(w.pending) > 0 {
				w.complete(0, "")
			}
		}
		if was.alive || w.writer != was.id {
			t.Fatalf("%s writes", w.writer)
		}
		for _, s := range w.machine.states() {
			if s.ID == was.id && s.Phase != model.DatabaseFull {
				t.Fatalf("the writer is %s", s.Phase)
			}
		}
		w.machine.room(room) // one file less than before is no room
		if !w.machine.full {
			t.Fatal("there is room at once")
		}
		w.machine.room(reserve)
		w.converge("with room again")
	})
}

// The data of the last member waits for another one.
func TestVolumeOutlivesTheLastMember(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, "db-1")
		w.converge("making it")
		w.commit(w.servers["db-1"])
		w.machine.members["db-1"].gone = true
		w.converge("without a member")
		w.add("db-2", 2)
		w.machine.want(w.wanted["db-2"])
		w.converge("with another one")
		if log := w.servers["db-2"].log; len(log) != 1 {
			t.Fatalf("it has the commits %v", log)
		}
	})
}
