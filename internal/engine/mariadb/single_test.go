// SPDX-License-Identifier: Apache-2.0

package mariadb_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/enginetest"
	"github.com/posternhq/postern/internal/engine/mariadb"
)

// A database of one server, from its making to its end.
func TestOneServer(t *testing.T) {
	site := enginetest.New(t, mariadb.New(), port)
	a := newInstance(t, site, "db-A")
	ctx := enginetest.Patient(t)
	if d, err := a.Inspect(ctx); err != nil || d.Exists {
		t.Fatalf("an empty folder has %+v, %v", d, err)
	}
	if err := a.Start(ctx, engine.Role{Writer: true}); !errors.Is(err, engine.ErrNoData) {
		t.Fatalf("to start without data gives %v", err)
	}
	a.begin()
	if err := a.Init(ctx); !errors.Is(err, engine.ErrExists) {
		t.Errorf("to make it again gives %v", err)
	}
	s := a.Probed()
	if s.Phase != engine.PhaseUp || !s.Writer || s.Version != site.Install.Version || s.Identity == "" || s.At.Order == 0 || len(s.Pending) > 0 {
		t.Errorf("a new server is %+v", s)
	}
	t.Run("clients", func(t *testing.T) { clients(t, a) })
	t.Run("passwords", func(t *testing.T) { passwords(t, a) })
	t.Run("certificates", func(t *testing.T) { certificates(t, a) })
	t.Run("parameters", func(t *testing.T) { parameters(t, a) })
	t.Run("adoption", func(t *testing.T) { adoption(t, a) })
	t.Run("hangs", func(t *testing.T) { hangs(t, a) })
	t.Run("crash", func(t *testing.T) { crash(t, a) })
	t.Run("snapshots", func(t *testing.T) { snapshots(t, site, a) })
	t.Run("clusters", func(t *testing.T) { clusters(t, a) })
	t.Run("replicas", func(t *testing.T) { replicas(t, site, a) })

	if err := a.Destroy(ctx); !errors.Is(err, engine.ErrRunning) {
		t.Errorf("to remove what runs gives %v", err)
	}
	a.Must(a.Stop(ctx, engine.Stop{}))
	a.Must(a.Destroy(ctx))
	if d, err := a.Inspect(ctx); err != nil || d.Exists {
		t.Errorf("what was removed has %+v, %v", d, err)
	}
}

func clients(t *testing.T, a *instance) {
	a.wantSQL("CREATE TABLE kept (n INT); INSERT INTO kept VALUES (1); SELECT n FROM kept", "1")
	a.wantSQL("SELECT VARIABLE_VALUE LIKE 'TLSv1._' FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_version'", "1")
	a.wantSQL("CREATE DATABASE more; CREATE TABLE more.x (n INT); DROP DATABASE more; SELECT CURRENT_USER()", "boss@%")
	a.wantSQL("CREATE USER clerk IDENTIFIED BY 'secret123'; GRANT SELECT ON shop.* TO clerk; SELECT 1", "1")
	if said, err := a.client(name, "clerk", "secret123", "SELECT n FROM shop.kept"); err != nil || said != "1" {
		t.Errorf("a user that the master made reads %q, %v", said, err)
	}
	const tls1 = "--tls-version=TLSv1.1"
	for _, r := range []struct{ host, user, sql, why, option string }{
		{"other.example", "boss", "SELECT 1", "certificate failed", ""},
		{name, "boss", "SELECT 1", "protocol version", tls1},
		{name, "root", "SELECT 1", "Access denied", ""},
		{name, "mysql", "SELECT 1", "Access denied", ""},
		{name, "nobody", "SELECT 1", "Access denied", ""},
		{name, "boss", "UPDATE mysql.global_priv SET Priv = '{}'", "command denied", ""},
		{name, "boss", "GRANT ALL ON mysql.* TO boss", "Access denied", ""},
		{name, "boss", "SET GLOBAL read_only = ON", "Access denied", ""},
		{name, "boss", "SELECT 'x' INTO OUTFILE '/tmp/x'", "Access denied", ""},
		{name, "boss", "SELECT LENGTH(LOAD_FILE('/etc/passwd')) + 'x' FROM shop.none", "doesn't exist", ""},
		{name, "boss", "INSTALL SONAME 'ha_federatedx'", "denied", ""},
		{name, "boss", "SHUTDOWN", "Access denied", ""},
	} {
		var more []string
		if r.option != "" {
			more = append(more, r.option)
		}
		a.refused(r.host, r.user, password, r.sql, r.why, more...)
	}
	if _, err := a.client(a.Peer.Name, "boss", password, "SELECT 1"); err != nil {
		t.Errorf("its own name gives %v", err)
	}
}

// The master's password changes when it is reset, and else stays what users have made it. A
// database that the master has dropped does not come back.
func passwords(t *testing.T, a *instance) {
	ctx := enginetest.Patient(t)
	a.wantSQL("SET PASSWORD = PASSWORD('of their own')", "")
	a.Must(a.SetUsers(ctx, users(t, password)))
	a.refused(name, "boss", password, "SELECT 1", "Access denied")
	if _, err := a.client(name, "boss", "of their own", "SELECT 1"); err != nil {
		t.Error(err)
	}
	for _, sql := range []string{"REVOKE ALL PRIVILEGES ON *.* FROM boss@'%'", "ALTER USER boss@'%' WITH MAX_QUERIES_PER_HOUR 1"} {
		if _, err := a.client(name, "boss", "of their own", sql); err != nil {
			t.Log(err) // whichever came first keeps it from the other
		}
	}
	u := users(t, password)
	u.Reset, u.Database = true, "other"
	a.Must(a.SetUsers(ctx, u))
	a.wantSQL("CREATE USER again@'%'; DROP USER again@'%'", "")
	a.wantSQL("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'other'", "0")
	if _, err := mariadb.New().Verifier("ä"); err == nil {
		t.Error("a password that is not of ASCII has a verifier")
	}
}

// New connections see another certificate; the server goes on.
func certificates(t *testing.T, a *instance) {
	before := a.Probed().Process
	a.refused("later.example", "boss", password, "SELECT 1", "certificate failed")
	a.Certified(name, "later.example")
	if _, err := a.client("later.example", "boss", password, "SELECT 1"); err != nil {
		t.Error(err)
	}
	if after := a.Probed().Process; after.Life != before.Life {
		t.Error("it was started again for a certificate")
	}
	c, err := a.Site.Authority.Certify([]string{"a.example"}, nil, time.Now())
	a.Must(err)
	other, err := a.Site.Authority.Certify([]string{"a.example"}, nil, time.Now())
	a.Must(err)
	if err := a.SetCertificate(enginetest.Patient(t), engine.Certificate{Chain: c.Certificate, Key: other.Key, Authorities: a.Site.Authority.Bundle()}); err == nil {
		t.Error("a key of another certificate is taken")
	}
	a.wantSQL("SELECT 1", "1")
}

func parameters(t *testing.T, a *instance) {
	ctx := enginetest.Patient(t)
	a.Config.Parameters = map[string]string{"wait_timeout": "1234", "require_secure_transport": "1", "sql_mode": "ANSI_QUOTES,NO_ZERO_DATE", "time_zone": `+01:00`}
	if change := a.Configured(); len(change.Pending) > 0 {
		t.Errorf("%v wait for a restart, and need none", change.Pending)
	}
	a.wantSQL("SELECT @@global.wait_timeout, @@global.time_zone", "1234\t+01:00")
	a.refused(name, "boss", password, "SELECT 1", "Access denied", "--skip-ssl", "--skip-ssl-verify-server-cert")
	a.Config.Parameters = map[string]string{"innodb_sort_buffer_size": "2097152"}
	if change := a.Configured(); !slices.Equal(change.Pending, []string{"innodb_sort_buffer_size"}) {
		t.Errorf("%v wait for a restart, want innodb_sort_buffer_size", change.Pending)
	}
	a.wantSQL("SELECT @@global.wait_timeout, @@global.require_secure_transport", "28800\t0")
	if _, err := a.client(name, "boss", password, "SELECT 1", "--skip-ssl", "--skip-ssl-verify-server-cert"); err != nil {
		t.Errorf("without TLS, which is not asked for: %v", err)
	}
	a.Until("told that a parameter waits", func(s engine.State) bool { return slices.Equal(s.Pending, []string{"innodb_sort_buffer_size"}) })
	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	a.Must(a.Start(ctx, engine.Role{Writer: true}))
	a.wantSQL("SELECT @@global.innodb_sort_buffer_size", "2097152")
	if s := a.Probed(); len(s.Pending) > 0 {
		t.Errorf("after the restart %v wait", s.Pending)
	}

	// All that there is, as its default, is taken by the server, which needs no restart for it.
	a.Config.Parameters = map[string]string{}
	list := engine.Parameters("mariadb" + a.Site.Install.Major)
	for _, p := range list {
		if p.Default != "" {
			a.Config.Parameters[p.Name] = p.Default
		}
	}
	if change := a.Configured(); !slices.Equal(change.Pending, []string{"innodb_sort_buffer_size"}) {
		t.Errorf("with all defaults %v wait for a restart", change.Pending)
	}
	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	a.Must(a.Start(ctx, engine.Role{Writer: true}))
	if s := a.Probed(); len(s.Pending) > 0 {
		t.Errorf("with all defaults %v wait after a restart", s.Pending)
	}
	a.Config.Parameters = map[string]string{"collation_server": "of nobody"}
	var wrong *engine.ParameterError
	if _, err := a.Configure(ctx, a.Config); !errors.As(err, &wrong) || wrong.Name != "collation_server" {
		t.Errorf("a value that the server refuses gives %v", err)
	}
	// More than any machine has: it ends before it answers, and that is said to be of
	// settings, also when the supervisor is to start it again by itself.
	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	a.Config.Parameters = map[string]string{"innodb_buffer_pool_size": "9223372036854775807"}
	a.Configured()
	for range 3 {
		var started *engine.StartError
		if err := a.Start(ctx, engine.Role{Writer: true, Restart: true}); !errors.As(err, &started) || !started.Parameters || started.Words == "" {
			t.Fatalf("with a buffer pool that cannot be had it starts with %v", err)
		}
	}
	a.Config.Parameters = nil
	a.Configured()
	a.Must(a.Start(ctx, engine.Role{Writer: true}))
	a.Configured()
}

// A keeper that begins finds the server as it is.
func adoption(t *testing.T, a *instance) {
	before := a.Probed()
	a.Must(a.Close())
	a.Open()
	if after := a.Probed(); after.Process.Life != before.Process.Life || !after.Writer || after.Identity != before.Identity {
		t.Errorf("it was %+v and is %+v", before, after)
	}
	a.wantSQL("SELECT n FROM kept", "1")
}

// A server whose processes stand still is silent, and goes on afterwards.
func hangs(t *testing.T, a *instance) {
	ctx := enginetest.Patient(t)
	a.Must(a.Client.Signal(ctx, int(unix.SIGSTOP)))
	a.Until("silent", func(s engine.State) bool { return s.Phase == engine.PhaseSilent && s.Process.Running })
	a.Must(a.Client.Signal(ctx, int(unix.SIGCONT)))
	a.Until("up", func(s engine.State) bool { return s.Phase == engine.PhaseUp })
}

// What was acknowledged is there after a crash. A server that comes up by itself writes;
// otherwise it waits to be told.
func crash(t *testing.T, a *instance) {
	ctx := enginetest.Patient(t)
	before := a.Probed()
	a.wantSQL("INSERT INTO kept VALUES (2)", "")
	a.Crash()
	a.Until("down", func(s engine.State) bool { return s.Phase == engine.PhaseDown })
	if d, err := a.Inspect(ctx); err != nil || !d.Exists || d.Clean || d.Identity != before.Identity || d.Major != a.Site.Install.Major {
		t.Errorf("after a crash there is %+v, %v", d, err)
	}
	a.Must(a.Start(ctx, engine.Role{Writer: true, Restart: true}))
	life := a.Probed().Process.Life
	a.Crash()
	a.Until("up again", func(s engine.State) bool { return s.Phase == engine.PhaseUp && s.Process.Life > life && s.Writer })
	a.wantSQL("INSERT INTO kept VALUES (3); SELECT COUNT(*) FROM kept", "3")

	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	if d, err := a.Inspect(ctx); err != nil || !d.Clean || !d.Writer || d.At.Order <= before.At.Order {
		t.Errorf("after a stop there is %+v, %v", d, err)
	}
	a.Must(a.Start(ctx, engine.Role{}))
	if s := a.Probed(); s.Writer {
		t.Error("it writes without being told to")
	}
	a.refused(name, "boss", password, "INSERT INTO shop.kept VALUES (4)", "read-only")
	a.Must(a.Promote(ctx))
	a.wantSQL("DELETE FROM kept WHERE n > 2; SELECT COUNT(*) FROM kept", "2")
}

// A snapshot has what was there when it was taken, of a server that runs as of one that
// does not, and becomes a database of its own.
func snapshots(t *testing.T, site *enginetest.Site, a *instance) {
	ctx := enginetest.Patient(t)
	b := newInstance(t, site, "db-B")
	for _, running := range []bool{true, false} {
		if !running {
			a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
		}
		made, err := a.Snapshot(ctx, nil)
		a.Must(err)
		kept := filepath.Join(t.TempDir(), "snapshot")
		a.Must(os.Rename(made, kept))
		a.Must(a.Start(ctx, engine.Role{Writer: true}))
		a.wantSQL("INSERT INTO kept VALUES (9); SELECT COUNT(*) FROM kept WHERE n = 9", "1")

		b.Must(b.Restore(ctx, kept, nil))
		if err := b.Restore(ctx, kept, nil); !errors.Is(err, engine.ErrExists) {
			t.Errorf("to restore where data is gives %v", err)
		}
		b.Must(b.Start(ctx, engine.Role{Writer: true}))
		b.wantSQL("SELECT COUNT(*) FROM kept WHERE n = 9", "0")
		b.wantSQL("INSERT INTO kept VALUES (8); SELECT COUNT(*) FROM kept", "3")
		if s := b.Probed(); s.Identity == a.Probed().Identity || s.At.Order == 0 {
			t.Errorf("the restored one is %+v", s)
		}
		b.Must(b.Stop(ctx, engine.Stop{}))
		b.Must(b.Destroy(ctx))
		a.wantSQL("DELETE FROM kept WHERE n = 9", "")
	}
}

// There are no clusters, and nothing is begun that would need one.
func clusters(t *testing.T, a *instance) {
	ctx := enginetest.Patient(t)
	other := engine.Peer{ID: "db-Z", Name: "z.example", Addr: a.Peer.Addr, Port: port}
	_, rejoin := a.Rejoin(ctx, other, nil)
	for what, err := range map[string]error{
		"clone": a.Clone(ctx, other, nil), "follow": a.Follow(ctx, &other), "rejoin": rejoin,
		"durability": a.SetDurability(ctx, engine.Durability{Mode: engine.ModeReceived, AnyOf: []string{"db-Z"}}),
	} {
		if err == nil {
			t.Errorf("%s with another server is taken", what)
		}
	}
	a.wantSQL("SELECT COUNT(*) FROM kept", "2")
}
