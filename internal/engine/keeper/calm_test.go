// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/engine"
)

// live has all that is asked for done, or failed when it is to start a server, for a time.
func (w *world) live(d time.Duration, starts bool) {
	for range d / probeTimeout {
		for len(w.pending) > 0 {
			fault := ""
			if w.pending[0].verb == verbStart && !starts {
				fault = "fails"
			}
			w.complete(0, fault)
		}
		for _, s := range w.each() {
			for _, o := range w.each() {
				w.replicate(s, o, len(o.log))
			}
		}
		w.entry.Epoch, w.entry.Writer = w.epoch, w.writer
		e := w.entry
		w.machine.wanted = &e
		w.pass(probeTimeout)
	}
}

// moved is a database whose writer was changed by request just now.
func moved(t *rapid.T) (w *world, writer *server) {
	w = tale(t)
	w.live(2*calm, true)
	was := w.writer
	w.entry.Turn++
	w.converge("after a request")
	if w.writer == was {
		t.Fatal("the request was not carried out")
	}
	return w, w.servers[w.writer]
}

// A writer that was just moved to by request and is slow to answer stays. One that ended,
// or is silent for long, is replaced.
func TestANewWriterMayBeSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, writer := moved(t)
		writer.paused = true
		w.live(stunned-2*probeTimeout, true)
		if w.writer != writer.id {
			t.Fatalf("%s writes", w.writer)
		}
		if rapid.Bool().Draw(t, "it answers again") {
			writer.paused = false
			w.live(calm, true)
			if w.writer != writer.id {
				t.Fatalf("%s writes", w.writer)
			}
			return
		}
		w.live(5*time.Second, true)
		if w.writer == writer.id {
			t.Fatal("the writer that hangs was not replaced")
		}
	})
}

func TestANewWriterThatEndsIsReplaced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, writer := moved(t)
		w.live(time.Second, true)
		w.halt(writer, false)
		w.live(4*time.Second, true)
		if w.writer == writer.id {
			t.Fatal("the writer that ended was not replaced")
		}
		// The next one is started again, and replaced when that cannot be.
		next := w.servers[w.writer]
		w.halt(next, false)
		starts := rapid.Bool().Draw(t, "it can be started again")
		w.live(calm/2, starts)
		if (w.writer == next.id) != starts {
			t.Fatalf("%s writes after %s, which can be started: %v", w.writer, next.id, starts)
		}
		if s := w.servers[w.writer]; !s.alive || !s.writer {
			t.Fatalf("nobody writes\n%s", w)
		}
	})
}

// Quick errors are no sooner a hung server than slow ones, and a clock that was set back
// does not put off failovers.
func TestWhenAServerHangs(t *testing.T) {
	k := newMachine("cluster-1", nil)
	k.members["db-1"] = &member{}
	now := time.Unix(1e9, 0)
	probe := func(p engine.Phase) bool {
		k.observe("db-1", engine.State{Phase: p}, now, now)
		return k.members["db-1"].phase() == engine.PhaseSilent
	}
	probe(engine.PhaseUp)
	for at := time.Duration(0); at < (silences-1)*probeTimeout; at += probeTimeout / 10 {
		if probe(engine.PhaseSilent) {
			t.Fatalf("it hangs after %v", at)
		}
		now = now.Add(probeTimeout / 10)
	}
	if !probe(engine.PhaseSilent) {
		t.Error("it does not hang")
	}
	if k.calm(now.Add(time.Hour)) || !k.calm(now.Add(-calm+1)) || k.calm(now.Add(-calm)) {
		t.Error("the calm time is counted wrong")
	}
}

// A writer that has shown to be well after it was moved to is replaced as soon as any other
// one that hangs.
func TestAWriterThatIsProvenIsReplacedSoon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, writer := moved(t)
		w.live(steady+2*time.Second, true)
		writer.paused = true
		w.live(gathering+(silences+2)*probeTimeout, true)
		if w.writer == writer.id {
			t.Fatalf("the writer that hangs was not replaced\n%s", w)
		}
	})
}

// Soon after a failover that nobody asked for, one that hangs is waited for, and then
// replaced: nobody waits for the calm time to pass.
func TestAWriterThatHangsAfterAFailoverIsReplaced(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := tale(t)
		w.live(2*calm, true)
		first := w.servers[w.writer]
		first.paused = true
		w.live(gathering+(silences+2)*probeTimeout, true)
		if w.writer == first.id {
			t.Fatal("the writer that hangs was not replaced")
		}
		first.paused = false
		w.live(time.Duration(rapid.IntRange(4, 30).Draw(t, "seconds"))*time.Second, true)
		next := w.servers[w.writer]
		next.paused = true
		w.live(stunned-2*probeTimeout, true)
		if w.writer != next.id {
			t.Fatalf("%s writes, and was not waited for", w.writer)
		}
		w.live(gathering+(silences+2)*probeTimeout, true)
		if w.writer == next.id {
			t.Fatalf("the writer that hangs was not replaced\n%s", w)
		}
	})
}

// Nobody is led to a replica by the readers' name that has long got nothing from the writer,
// unless nobody writes. It has its own name still.
func TestAReplicaThatGetsNothingIsNotReadFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := tale(t)
		w.live(2*calm, true)
		k := w.machine
		readers := k.roles().Readers
		if len(readers) == 0 {
			t.Skip("there are no readers")
		}
		m := k.members[readers[0]]
		m.state.Streaming = false
		for ago, want := range map[time.Duration]bool{behind - time.Second: true, behind + time.Second: false} {
			m.stalled = k.now.Add(-ago)
			if r := k.roles(); slices.Contains(r.Readers, m.want.ID) != want || !r.Up[m.want.ID] {
				t.Fatalf("after %v without anything there are %+v", ago, r)
			}
		}
		k.writer().state.Phase = engine.PhaseDown
		if r := k.roles(); !slices.Contains(r.Readers, m.want.ID) {
			t.Fatalf("while nobody writes there are %+v", r)
		}
	})
}
