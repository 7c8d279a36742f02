// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/enginetest"
	"github.com/posternhq/postern/internal/engine/postgres"
)

// join makes a replica of a writer, and returns when it streams.
func (i *instance) join(of *instance) {
	i.T.Helper()
	i.Must(i.Clone(enginetest.Patient(i.T), of.Peer, nil))
	i.follow(of)
}

// follow starts a server as a replica, and returns when it streams.
func (i *instance) follow(of *instance) engine.State {
	i.T.Helper()
	i.Must(i.Start(enginetest.Patient(i.T), engine.Role{Of: &of.Peer}))
	return i.streams(of)
}

func (i *instance) streams(of *instance) engine.State {
	i.T.Helper()
	return i.Until("a replica that streams from "+of.Peer.ID, func(s engine.State) bool {
		return s.Phase == engine.PhaseUp && !s.Writer && s.Streaming && s.Upstream == of.Peer.ID
	})
}

// sees waits until a replica has what a writer has.
func (i *instance) sees(sql, want string) {
	i.T.Helper()
	for ctx := enginetest.Patient(i.T); ; {
		got, err := i.psql(i.Site.Clients, "writer.example", sql) // a table may not be there yet
		if err == nil && got == want {
			return
		}
		if ctx.Err() != nil {
			i.T.Fatalf("%s: %s gives %q, %v, want %q", i.Peer.ID, sql, got, err, want)
		}
	}
}

func fits(replica, writer engine.History) engine.Fit { return postgres.New().Fits(replica, writer) }

// cluster makes a writer and replicas that know each other.
func cluster(t *testing.T, ids ...string) []*instance {
	site := newSite(t)
	var all []*instance
	var peers []engine.Peer
	for _, id := range ids {
		i := site.instance(t, id)
		all, peers = append(all, i), append(peers, i.Peer)
	}
	for n, i := range all {
		i.Configured(slices.Delete(slices.Clone(peers), n, n+1)...)
	}
	all[0].begin()
	all[0].Must(all[0].SetMembers(enginetest.Patient(t), ids))
	for _, i := range all[1:] {
		i.join(all[0])
		i.Must(i.SetMembers(enginetest.Patient(t), ids))
	}
	return all
}

// A cluster of three over its life: who writes changes as planned, by a crash, and with a
// replica that is ahead of the promoted one.
func TestThreeServers(t *testing.T) {
	all := cluster(t, "db-A", "db-B", "db-C")
	a, b, c := all[0], all[1], all[2]
	ctx := enginetest.Patient(t)
	a.sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
	b.sees("SELECT count(*) FROM kept", "1")
	if said, err := b.psql(b.Site.Clients, "writer.example", "INSERT INTO kept VALUES (0)"); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a replica takes changes: %q, %v", said, err)
	}
	if err := b.SetUsers(ctx, users(t, password)); !errors.Is(err, engine.ErrRole) {
		t.Errorf("to set a replica's users gives %v", err)
	}
	wantMembers(t, a, "db-B", "db-C")
	t.Run("members", func(t *testing.T) { members(t, a, b, c) })
	t.Run("durability", func(t *testing.T) { durability(t, a, b, c) })
	t.Run("planned", func(t *testing.T) { planned(t, a, b, c) })
	t.Run("settings", func(t *testing.T) { settings(t, a, b, c) })
	t.Run("crash", func(t *testing.T) { failover(t, a, b, c) })
	t.Run("ahead", func(t *testing.T) { ahead(t, a, b, c) })
}

func wantMembers(t *testing.T, writer *instance, ids ...string) {
	t.Helper()
	writer.Until(fmt.Sprintf("followed by %v", ids), func(s engine.State) bool {
		var has []string
		for _, r := range s.Replicas {
			if r.Streaming {
				has = append(has, r.ID)
			}
		}
		return slices.Equal(has, ids)
	})
}

// What is kept for one that is no member any more goes at once, though that one still gets it;
// it follows again when it is a member again.
func members(t *testing.T, a, b, c *instance) {
	ctx := enginetest.Patient(t)
	const slots = "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots"
	a.Must(a.SetMembers(ctx, []string{"db-B"}))
	a.wantSQL(slots, "postern_db_b")
	a.Must(a.SetMembers(ctx, []string{"db-B", "db-C"}))
	a.wantSQL(slots, "postern_db_b postern_db_c")
	c.streams(a)
	if b.streams(a); a.Probed().Forsaken {
		t.Error("a slot is said to be lost")
	}
	wantMembers(t, a, "db-B", "db-C")
}

// A commit waits until a member has it, and no longer when none has to.
func durability(t *testing.T, a, b, c *instance) {
	ctx := enginetest.Patient(t)
	want := engine.Durability{Mode: engine.ModeReceived, AnyOf: []string{"db-B", "db-C"}}
	a.Must(a.SetDurability(ctx, want))
	a.Until("one whose members count", func(s engine.State) bool {
		return s.Durability.Mode == want.Mode && slices.Equal(s.Durability.AnyOf, want.AnyOf) && len(s.Replicas) == 2 && s.Replicas[0].Counts && s.Replicas[1].Counts
	})
	a.wantSQL("SHOW synchronous_commit", "remote_write")
	a.sql("INSERT INTO kept VALUES (2)")
	a.Must(b.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	a.sql("INSERT INTO kept VALUES (3)") // c has it
	a.Must(c.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	done := make(chan error, 1)
	go func() {
		_, err := a.psql(a.Site.Clients, "writer.example", "INSERT INTO kept VALUES (4)")
		done <- err
	}()
	a.Until("one with a commit that waits", func(s engine.State) bool { return s.Waiting == 1 })
	a.Must(a.SetUsers(ctx, users(t, password))) // does not wait for members
	select {
	case err := <-done:
		t.Errorf("a commit that nobody has is acknowledged: %v", err)
	default:
	}
	a.Must(a.SetDurability(ctx, engine.Durability{}))
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.follow(a)
	c.follow(a)
	a.Must(a.SetDurability(ctx, want))
	if err := a.SetDurability(ctx, engine.Durability{Mode: "strange"}); err == nil {
		t.Error("a mode that there is not is taken")
	}
}

// The writer ends well, another one writes, and nobody has to be copied.
func planned(t *testing.T, a, b, c *instance) {
	ctx := enginetest.Patient(t)
	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	b.Must(b.Follow(ctx, nil))
	c.Must(c.Follow(ctx, nil))
	left, err := a.Inspect(ctx)
	if a.Must(err); fits(left.History, b.Probed().History) != engine.FitYes {
		t.Errorf("what the writer has left, %+v, is not with the one to be promoted, %+v", left, b.Probed())
	}
	b.Must(b.Promote(ctx))
	b.Must(b.Promote(ctx)) // and nothing more happens
	b.Must(b.Settle(ctx))
	writer := b.Probed()
	if !writer.Writer || writer.Timeline != 2 || len(writer.Turns) != 1 {
		t.Errorf("the promoted one is %+v", writer)
	}
	if f := fits(c.Probed().History, writer.History); f != engine.FitYes {
		t.Errorf("the other replica fits: %s", f)
	}
	d, err := a.Inspect(ctx)
	if a.Must(err); fits(d.History, writer.History) != engine.FitYes || !d.Clean || !d.Writer {
		t.Errorf("the writer that was stopped has %+v, and does not fit %+v", d, writer.History)
	}
	c.Must(c.Follow(ctx, &b.Peer))
	c.streams(b)
	a.follow(b)
	wantMembers(t, b, "db-A", "db-C")
	b.sql("INSERT INTO kept VALUES (5)")
	a.sees("SELECT count(*) FROM kept", "5")
	c.sees("SELECT count(*) FROM kept", "5")
	// A replica that has lost its writer says what it has got, long before its control file does.
	c.Must(c.Follow(ctx, nil))
	alone := c.Until("one that gets nothing", func(s engine.State) bool { return !s.Streaming })
	if alone.Timeline != 2 {
		t.Errorf("a replica that has changes of timeline 2 says %d", alone.Timeline)
	}
	c.Must(c.Follow(ctx, &b.Peer))
	c.streams(b)
}

// The writer allows more connections than a replica is set to, which is so with instances
// of different classes: the replica allows as many.
func settings(t *testing.T, a, b, c *instance) {
	ctx := enginetest.Patient(t)
	b.Config.Parameters = map[string]string{"max_connections": "150"}
	if change := b.Configured(); !slices.Equal(change.Pending, []string{"max_connections"}) {
		t.Errorf("%v wait for a restart", change.Pending)
	}
	b.Must(b.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	b.Must(b.Start(ctx, engine.Role{Writer: true}))
	b.sql("INSERT INTO kept VALUES (5)")
	for _, i := range []*instance{a, c} {
		i.Until("one that has to be started again", func(s engine.State) bool { return s.Stuck })
		i.Must(i.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
		if s := i.follow(b); s.Stuck {
			t.Errorf("%s still has to be", i.Peer.ID)
		}
		i.wantSQL("SHOW max_connections", "150")
	}
	b.sql("DELETE FROM kept WHERE ctid = (SELECT max(ctid) FROM kept WHERE n = 5)")
	b.Config.Parameters = nil
	b.Configured()
}

// The writer is killed with a change that no other one has; it is taken back.
func failover(t *testing.T, a, b, c *instance) {
	ctx := enginetest.Patient(t)
	for _, i := range []*instance{a, c} {
		i.Must(i.Follow(ctx, nil))
	}
	b.Until("one that nobody follows", func(s engine.State) bool { return len(s.Replicas) == 0 })
	b.sql("INSERT INTO kept VALUES (6)")
	b.Must(b.Client.Kill(ctx))
	c.Must(c.Promote(ctx))
	c.sql("INSERT INTO kept VALUES (7)")
	c.Must(c.Settle(ctx))
	a.Must(a.Follow(ctx, &c.Peer))
	a.streams(c)

	c.Must(c.SetMembers(ctx, []string{"db-A", "db-B", "db-C"}))
	how, err := b.Rejoin(ctx, c.Peer, nil)
	if b.Must(err); how != engine.RejoinedRewound {
		t.Errorf("the old writer was %s, want it rewound", how)
	}
	if d, err := b.Inspect(ctx); err != nil || d.Writer || !d.Exists {
		t.Errorf("it has %+v, %v", d, err)
	}
	b.follow(c)
	b.sees("SELECT string_agg(n::text, ' ' ORDER BY n) FROM kept", "1 2 3 4 5 7")
	b.Must(b.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	if err := b.Start(ctx, engine.Role{Writer: true}); !errors.Is(err, engine.ErrRole) {
		t.Errorf("to start a replica as a writer gives %v", err)
	}
	how, err = b.Rejoin(ctx, c.Peer, nil)
	if b.Must(err); how != engine.RejoinedAsIs {
		t.Errorf("a replica that has nothing of its own was %s, want it as it was", how)
	}
	b.follow(c)
}

// A replica has what the promoted one has not: it cannot follow, and that is known.
func ahead(t *testing.T, a, b, c *instance) {
	ctx := enginetest.Patient(t)
	a.Must(a.Follow(ctx, nil))
	c.Until("followed by one", func(s engine.State) bool { return len(s.Replicas) == 1 })
	c.sql("INSERT INTO kept VALUES (8)")
	b.sees("SELECT count(*) FROM kept", "7")
	c.Must(c.Client.Kill(ctx))
	b.Must(b.Follow(ctx, nil))
	a.Must(a.Promote(ctx))
	a.Must(a.Settle(ctx))
	writer := a.Probed()
	if f := fits(b.Probed().History, writer.History); f != engine.FitAhead {
		t.Errorf("a replica that is ahead fits: %s", f)
	}
	b.Must(b.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	d, err := b.Inspect(ctx)
	if b.Must(err); fits(d.History, writer.History) != engine.FitAhead {
		t.Errorf("a replica that is ahead and was stopped, %+v, fits %+v", d, writer.History)
	}
	if how, err := b.Rejoin(ctx, a.Peer, nil); err != nil || how == engine.RejoinedAsIs {
		t.Errorf("it was %s, %v", how, err)
	}
	b.follow(a)
	// What cannot be rewound is copied.
	c.Must(c.Destroy(ctx))
	if how, err := c.Rejoin(ctx, a.Peer, nil); err != nil || how != engine.RejoinedCloned {
		t.Errorf("one without data was %s, %v", how, err)
	}
	c.follow(a)
	c.sees("SELECT string_agg(n::text, ' ' ORDER BY n) FROM kept", "1 2 3 4 5 7")
}
