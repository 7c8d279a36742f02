// SPDX-License-Identifier: Apache-2.0

package mariadb_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/enginetest"
	"github.com/posternhq/postern/internal/engine/mariadb"
)

// A read replica is a copy of its source that gets what is changed since, through crashes of
// both, is read only, and is a database of its own in the end.
func replicas(t *testing.T, site *enginetest.Site, a *instance) {
	ctx := enginetest.Patient(t)
	b := newInstance(t, site, "db-B")
	const accounts = "SELECT COUNT(*) FROM mysql.global_priv WHERE User = 'rdsrepladmin'"
	a.Configured(b.Peer)
	a.wantSQL(accounts, "1")
	made, err := a.Snapshot(ctx, nil)
	a.Must(err)
	seed := filepath.Join(b.Folder, engine.PartCopy, "seed")
	a.Must(os.Rename(made, seed))
	a.wantSQL("INSERT INTO kept VALUES (20); CREATE USER later IDENTIFIED BY 'secret123'; SELECT 1", "1")
	b.Must(b.Server.(engine.Adopter).Adopt(ctx, seed))
	if d, err := b.Inspect(ctx); err != nil || !d.Exists || d.Writer || d.Own || d.Identity != a.Probed().Identity || mariadb.New().Fits(d.History, a.Probed().History) != engine.FitYes {
		t.Errorf("the copy has %+v, %v", d, err)
	}
	if err := b.Start(ctx, engine.Role{Writer: true}); !errors.Is(err, engine.ErrRole) {
		t.Errorf("to start it as a writer gives %v", err)
	}
	follow := engine.Role{Of: &a.Peer, Restart: true}
	b.Must(b.Start(ctx, follow))
	b.Must(b.SetMembers(ctx, nil))
	caughtUp := func(s engine.State) bool {
		return s.Streaming && s.Upstream == "db-A" && !s.Writer && s.Replayed.Order >= a.Probed().At.Order
	}
	s := b.Until("caught up", caughtUp)
	if s.Identity != a.Probed().Identity || s.Own {
		t.Errorf("it is %+v", s)
	}
	b.wantSQL("SELECT COUNT(*) FROM kept WHERE n = 20", "1")
	b.wantSQL(accounts, "0") // who may replicate is each server's own
	if _, err := b.client(name, "later", "secret123", "SELECT 1"); err != nil {
		t.Errorf("a user that was made since gives %v", err)
	}
	b.refused(name, "boss", password, "INSERT INTO kept VALUES (21)", "read-only", "shop")

	life := b.Probed().Process.Life
	b.Crash()
	b.Until("there again", func(s engine.State) bool { return s.Process.Life > life && caughtUp(s) })
	a.Must(a.Stop(ctx, engine.Stop{}))
	b.Until("without a source", func(s engine.State) bool { return s.Phase == engine.PhaseUp && !s.Streaming })
	a.Must(a.Start(ctx, engine.Role{Writer: true}))
	a.wantSQL("INSERT INTO kept VALUES (22)", "")
	b.Until("caught up again", caughtUp)
	b.wantSQL("SELECT COUNT(*) FROM kept WHERE n = 22", "1")

	// One that is behind applies what it has received when it is promoted.
	a.wantSQL("INSERT INTO kept VALUES (23); SELECT 1", "1")
	b.Until("caught up once more", caughtUp)
	b.Must(b.Promote(ctx))
	b.wantSQL("INSERT INTO kept VALUES (24); SELECT COUNT(*) FROM kept WHERE n IN (20, 22, 23, 24)", "4")
	if s := b.Probed(); !s.Writer || !s.Own || s.Upstream != "" || s.Streaming {
		t.Errorf("promoted it is %+v", s)
	}
	if err := b.Follow(ctx, &a.Peer); !errors.Is(err, engine.ErrRole) {
		t.Errorf("to have it follow again gives %v", err)
	}
	b.Must(b.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	if d, err := b.Inspect(ctx); err != nil || !d.Writer || mariadb.New().Fits(d.History, a.Probed().History) != engine.FitAhead {
		t.Errorf("promoted it has %+v, %v", d, err)
	}
	b.Must(b.Start(ctx, engine.Role{Writer: true}))
	b.wantSQL("SELECT COUNT(*) FROM kept WHERE n = 24", "1")
	b.Must(b.Stop(ctx, engine.Stop{}))
	b.Must(b.Destroy(ctx))

	a.wantSQL("SELECT COUNT(*) FROM kept WHERE n = 24", "0")
	a.Config.Members = nil
	a.Configured()
	a.wantSQL(accounts, "0")
	a.wantSQL("DELETE FROM kept WHERE n >= 20; DROP USER later; SELECT COUNT(*) FROM kept", "2")
}
