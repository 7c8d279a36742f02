// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/enginetest"
	"github.com/posternhq/postern/internal/engine/postgres"
	"github.com/posternhq/postern/internal/engine/supervisor"
)

// A database of one server, from its making to its end.
func TestOneServer(t *testing.T) {
	site := newSite(t)
	a := site.instance(t, "db-A")
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
	if s.Phase != engine.PhaseUp || !s.Writer || s.Version != site.Install.Version || s.Identity == "" || s.Timeline != 1 || s.At.Order == 0 {
		t.Errorf("a new server is %+v", s)
	}
	t.Run("clients", func(t *testing.T) { clients(t, site, a) })
	t.Run("passwords", func(t *testing.T) { passwords(t, a) })
	t.Run("certificates", func(t *testing.T) { certificates(t, a) })
	t.Run("parameters", func(t *testing.T) { parameters(t, site, a) })
	t.Run("adoption", func(t *testing.T) { adoption(t, a) })
	t.Run("hangs", func(t *testing.T) { hangs(t, a) })
	t.Run("crash", func(t *testing.T) { crash(t, a) })
	t.Run("snapshots", func(t *testing.T) { snapshots(t, site, a) })

	if err := a.Destroy(ctx); !errors.Is(err, engine.ErrRunning) {
		t.Errorf("to remove what runs gives %v", err)
	}
	a.Must(a.Stop(ctx, engine.Stop{}))
	a.Must(a.Destroy(ctx))
	if d, err := a.Inspect(ctx); err != nil || d.Exists {
		t.Errorf("what was removed has %+v, %v", d, err)
	}
}

func clients(t *testing.T, site site, a *instance) {
	a.wantSQL("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1); SELECT n FROM kept", "1")
	a.wantSQL("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "t")
	a.wantSQL("SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, pg_has_role('rds_superuser', 'MEMBER') FROM pg_roles WHERE rolname = 'boss'", "f|t|t|f|t")
	a.wantSQL("SELECT datname FROM pg_database WHERE pg_has_role(datdba, 'USAGE') ORDER BY 1", "postgres\nshop")
	for _, refused := range []struct{ host, sql, options, why string }{
		{"other.example", "SELECT 1", "", "does not match host name"},
		{"writer.example", "SELECT 1", "sslmode=disable", "no encryption"},
		{"writer.example", "SELECT 1", "dbname=rdsadmin", "pg_hba.conf rejects"},
		{"writer.example", "GRANT pg_execute_server_program TO boss", "", "must"},
		{"writer.example", "GRANT pg_read_server_files TO boss", "", "must"},
		{"writer.example", "GRANT pg_write_server_files TO boss", "", "must"},
		{"writer.example", "SET ROLE pg_execute_server_program", "", "permission denied"},
		{"writer.example", "GRANT rdsadmin TO boss", "", "must"},
		{"writer.example", "ALTER ROLE rdsrepladmin PASSWORD 'x'", "", "must be superuser"},
		{"writer.example", "CREATE ROLE another SUPERUSER", "", "must be superuser"},
		{"writer.example", "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'getpid'", "", "permission denied"},
		{"writer.example", "SELECT 1", "user=rdsadmin", "pg_hba.conf rejects"},
		{"writer.example", "SELECT 1", "user=rdsrepladmin", "pg_hba.conf rejects"},
		{"writer.example", "SELECT 1", "user=nobody", "password authentication failed"},
		{"writer.example", "COPY kept FROM PROGRAM 'id'", "", "must be superuser"},
		{"writer.example", "SELECT pg_read_file('/run/postern/conf/replication.pass')", "", "permission denied"},
		{"writer.example", "ALTER SYSTEM SET fsync = off", "", "permission denied"},
	} {
		if said, err := a.psql(site.Clients, refused.host, refused.sql, refused.options); err == nil || !strings.Contains(err.Error(), refused.why) {
			t.Errorf("%s at %s with %q gives %q, %v, want %q", refused.sql, refused.host, refused.options, said, err, refused.why)
		}
	}
	if _, err := a.psql(site.Clients, a.Peer.Name, "SELECT 1"); err != nil {
		t.Errorf("its own name gives %v", err)
	}
}

// The master's password changes when it is reset, and else stays what users have made it.
func passwords(t *testing.T, a *instance) {
	ctx := enginetest.Patient(t)
	a.sql("ALTER ROLE boss PASSWORD 'of their own'")
	a.Must(a.SetUsers(ctx, users(t, password)))
	if _, err := a.psql(a.Site.Clients, "writer.example", "SELECT 1"); err == nil {
		t.Error("the master's own password was changed without a reset")
	}
	a.sqlAs("of their own", "DROP DATABASE IF EXISTS nothing")
	a.sqlAs("of their own", "ALTER ROLE boss CONNECTION LIMIT 0 NOCREATEDB NOCREATEROLE")
	u := users(t, password)
	u.Reset = true
	a.Must(a.SetUsers(ctx, u))
	a.wantSQL("SELECT rolcreatedb AND rolcreaterole AND pg_has_role('rds_superuser', 'USAGE') FROM pg_roles WHERE rolname = 'boss'", "t")
	if _, err := postgres.New().Verifier("ä"); err == nil {
		t.Error("a password that is not of ASCII has a verifier")
	}
}

// New connections see another certificate; the old ones go on.
func certificates(t *testing.T, a *instance) {
	before := a.Probed().Process
	if _, err := a.psql(a.Site.Clients, "later.example", "SELECT 1"); err == nil {
		t.Error("it has a name already that it gets later")
	}
	a.Certified("writer.example", "later.example")
	if _, err := a.psql(a.Site.Clients, "later.example", "SELECT 1"); err != nil {
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

func parameters(t *testing.T, site site, a *instance) {
	ctx := enginetest.Patient(t)
	had := a.Config
	a.Config.Parameters = map[string]string{"work_mem": "12345", "statement_timeout": "61000"}
	if change := a.Configured(); len(change.Pending) > 0 {
		t.Errorf("%v wait for a restart, and need none", change.Pending)
	}
	a.wantSQL("SHOW work_mem", "12345kB")
	a.wantSQL("SHOW statement_timeout", "61s")
	a.Config.Parameters["max_connections"] = "33"
	if change := a.Configured(); !slices.Equal(change.Pending, []string{"max_connections"}) {
		t.Errorf("%v wait for a restart, want max_connections", change.Pending)
	}
	a.Until("told that a parameter waits", func(s engine.State) bool { return slices.Equal(s.Pending, []string{"max_connections"}) })
	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	a.Must(a.Start(ctx, engine.Role{Writer: true}))
	a.wantSQL("SHOW max_connections", "33")
	if s := a.Probed(); len(s.Pending) > 0 {
		t.Errorf("%v wait for a restart after one", s.Pending)
	}
	for name, value := range map[string]string{"work_mem": "1", "shared_preload_libraries": "/tmp/evil", "archive_command": "true", "fsync": "0", "timezone": "Nowhere/At-All", "datestyle": "wrong"} {
		bad := had
		bad.Parameters = map[string]string{name: value}
		var wrong *engine.ParameterError
		if _, err := a.Configure(ctx, bad); !errors.As(err, &wrong) || wrong.Name != name {
			t.Errorf("%s = %s gives %v", name, value, err)
		}
	}
	a.wantSQL("SHOW work_mem", "12345kB")

	a.Config = had
	a.Config.Parameters = map[string]string{}
	for _, p := range engine.Parameters("postgres" + site.Install.Major) {
		if p.Default != "" {
			a.Config.Parameters[p.Name] = p.Default
		}
	}
	a.Configured() // it takes all that users are told
	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	a.Must(a.Start(ctx, engine.Role{Writer: true}))
	a.Config.Parameters = map[string]string{"rds.force_ssl": "0"}
	a.Configured()
	if _, err := a.psql(a.Site.Clients, "writer.example", "SELECT 1", "sslmode=disable"); err != nil {
		t.Errorf("without the force of TLS: %v", err)
	}
	// More than any machine has: it ends before it answers, and that is said to be of settings.
	a.Config.Parameters = map[string]string{"shared_buffers": "1073741823"}
	a.Configured()
	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	var started *engine.StartError
	if err := a.Start(ctx, engine.Role{Writer: true}); !errors.As(err, &started) || !started.Parameters {
		t.Errorf("settings that no machine has give %v", err)
	}
	a.Config = had
	a.Configured()
	a.Must(a.Start(ctx, engine.Role{Writer: true}))
}

// Who keeps databases may end at any time: the next one finds the server.
func adoption(t *testing.T, a *instance) {
	ctx := enginetest.Patient(t)
	before := a.Probed()
	a.Must(a.Close())
	a.Must(a.Client.Close())
	a.Open()
	if after := a.Probed(); after.Process.Life != before.Process.Life || !after.Process.Started.Equal(before.Process.Started) || after.Phase != engine.PhaseUp {
		t.Errorf("it is found as %+v, and was %+v", after, before)
	}
	a.Must(a.Start(ctx, engine.Role{Writer: true})) // it has the role
	a.Configured()
	if err := a.Start(ctx, engine.Role{}); !errors.Is(err, engine.ErrRole) {
		t.Errorf("to start a writer as a replica gives %v", err)
	}
}

// A server whose first process hangs serves those that it has, and takes nobody else.
func hangs(t *testing.T, a *instance) {
	a.Probed()
	a.Must(a.Client.Signal(enginetest.Patient(t), int(unix.SIGSTOP)))
	a.Until("silent", func(s engine.State) bool { return s.Phase == engine.PhaseSilent })
	a.Must(a.Client.Signal(enginetest.Patient(t), int(unix.SIGCONT)))
	a.Until("up", func(s engine.State) bool { return s.Phase == engine.PhaseUp })
}

func crash(t *testing.T, a *instance) {
	ctx := enginetest.Patient(t)
	a.sql("INSERT INTO kept VALUES (2)")
	before := a.Probed()
	a.Must(a.Client.Signal(ctx, int(unix.SIGKILL)))
	p, err := a.Client.Wait(ctx, before.Process)
	if err != nil || p.Running {
		t.Fatalf("the end is told as %+v, %v", p, err)
	}
	if s := a.Probed(); s.Phase != engine.PhaseDown {
		t.Errorf("it is %+v", s)
	}
	if d, err := a.Inspect(ctx); err != nil || !d.Exists || d.Clean || !d.Writer || d.Identity != before.Identity || d.Major != a.Site.Install.Major {
		t.Errorf("after a crash it has %+v, %v", d, err)
	}
	if _, err := a.Snapshot(ctx, nil); err == nil {
		t.Error("what has crashed is copied as if it were whole")
	}
	a.Must(a.Start(ctx, engine.Role{Writer: true, Restart: true}))
	a.wantSQL("SELECT count(*) FROM kept", "2")
	// And again by itself, when it is told to.
	before = a.Probed()
	a.Must(a.Client.Signal(ctx, int(unix.SIGSTOP)))
	a.Crash()
	a.Until("up again", func(s engine.State) bool { return s.Phase == engine.PhaseUp && s.Process.Life > before.Process.Life })
}

func snapshots(t *testing.T, site site, a *instance) {
	ctx := enginetest.Patient(t)
	var told []engine.Progress
	tell := func(p engine.Progress) { told = append(told, p) }
	folder, err := a.Snapshot(ctx, tell)
	a.Must(err)
	if len(told) == 0 || told[len(told)-1].Done == 0 {
		t.Errorf("its progress is %+v", told)
	}
	moved := filepath.Join(filepath.Dir(a.Folder), "snapshot")
	a.Must(os.Rename(folder, moved))
	a.sql("INSERT INTO kept VALUES (3)")

	b := site.instance(t, "db-B")
	b.Must(b.Restore(ctx, moved, tell))
	if err := b.Restore(ctx, moved, tell); !errors.Is(err, engine.ErrExists) {
		t.Errorf("to restore twice gives %v", err)
	}
	b.Must(b.Start(ctx, engine.Role{Writer: true}))
	b.wantSQL("SELECT count(*) FROM kept", "2")
	a.wantSQL("SELECT count(*) FROM kept", "3")

	b.Must(b.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	if d, err := b.Inspect(ctx); err != nil || !d.Clean {
		t.Errorf("after a clean stop it has %+v, %v", d, err)
	}
	folder, err = b.Snapshot(ctx, tell)
	b.Must(err)
	moved += "2"
	b.Must(os.Rename(folder, moved))
	b.Must(b.Destroy(ctx))
	b.Must(b.Restore(ctx, moved, nil))
	b.Must(b.Start(ctx, engine.Role{Writer: true}))
	b.wantSQL("SELECT count(*) FROM kept", "2")
	b.Must(b.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	b.Must(b.Client.End(ctx))
	if s := b.Probed(); s.Phase != engine.PhaseDown {
		t.Errorf("without a supervisor it is %+v", s)
	}
	if _, err := supervisor.Open(ctx, b.Folder); !errors.Is(err, engine.ErrHost) {
		t.Errorf("its supervisor is found: %v", err)
	}
}

// A disk that is full ends a server, and what is there is there when there is space again.
func TestAFullDisk(t *testing.T) {
	site := newSite(t)
	a := &instance{site.InstanceIn(t, "db-A", "size=256m")}
	ctx := enginetest.Patient(t)
	a.begin()
	a.sql("CREATE TABLE kept (n int, filler text); INSERT INTO kept VALUES (1)")
	if _, err := a.Snapshot(ctx, nil); !errors.Is(err, engine.ErrFull) {
		t.Errorf("a snapshot that leaves no room gives %v", err)
	}
	filler := filepath.Join(a.Folder, "filler")
	a.Must(os.WriteFile(filler, make([]byte, 100<<20), 0o600))
	if _, err := a.psql(site.Clients, "writer.example", "INSERT INTO kept SELECT n, repeat('x', 1000) FROM generate_series(2, 300000) n"); err == nil {
		t.Fatal("300 MB are on a disk of 256")
	}
	a.Must(a.Stop(ctx, engine.Stop{Clean: enginetest.Patience}))
	if err := fillUp(filler); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if err := a.Start(ctx, engine.Role{Writer: true}); !errors.Is(err, engine.ErrFull) {
		t.Errorf("to start on a full disk gives %v", err)
	}
	a.Must(os.Remove(filler))
	a.Must(a.Start(ctx, engine.Role{Writer: true}))
	a.wantSQL("SELECT count(*) FROM kept", "1")
}

// fillUp appends to a file until it cannot.
func fillUp(path string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		if _, err := file.Write(make([]byte, 4096)); err != nil {
			return err
		}
	}
}
