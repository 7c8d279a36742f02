// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/enginetest"
	"github.com/posternhq/postern/internal/engine/postgres"
	"github.com/posternhq/postern/internal/engine/supervisor/supervisortest"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

func TestMain(m *testing.M) { supervisortest.Main(m) }

const (
	port     = 5432
	password = "master's password"
)

// site is a network where servers can be.
type site struct{ *enginetest.Site }

func newSite(t *testing.T) site { return site{enginetest.New(t, postgres.New(), port)} }

// instance is a server under test.
type instance struct{ *enginetest.Instance }

func (s site) instance(t *testing.T, id string) *instance { return &instance{s.Instance(t, id)} }

// begin makes a database and has the server write.
func (i *instance) begin() {
	i.T.Helper()
	ctx := enginetest.Patient(i.T)
	i.Must(i.Init(ctx))
	i.Must(i.Start(ctx, engine.Role{Writer: true}))
	i.Must(i.SetUsers(ctx, users(i.T, password)))
}

func users(t *testing.T, password string) engine.Users {
	t.Helper()
	v, err := postgres.New().Verifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Users{Master: "boss", Verifier: v, Database: "shop", Replication: enginetest.Secret}
}

// psql runs statements as the master does, from a place in the network, by a name whose
// address is given, and gives what they print.
func (i *instance) psql(from *testnet.NS, host, sql string, more ...string) (string, error) {
	i.T.Helper()
	root := filepath.Join(i.T.TempDir(), "root.pem")
	if err := os.WriteFile(root, i.Site.Authority.Bundle(), 0o600); err != nil {
		i.T.Fatal(err)
	}
	var out bytes.Buffer
	args := []string{fmt.Sprintf("host=%s hostaddr=%s port=%d dbname=shop user=boss sslmode=verify-full sslrootcert=%s %s",
		host, i.Peer.Addr, port, root, strings.Join(more, " ")), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql}
	cmd := exec.Command("psql", args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + password, "HOME=/nonexistent", "PGCONNECT_TIMEOUT=60"}
	p, err := child.StartWithin(from.Run, cmd)
	if err != nil {
		i.T.Fatal(err)
	}
	status, err := p.Wait(testnet.Patience)
	if err == nil && status != 0 {
		err = fmt.Errorf("psql ends with %d: %s", status, out.String())
	}
	return strings.TrimSpace(out.String()), err
}

func (i *instance) sql(sql string) string {
	i.T.Helper()
	said, err := i.psql(i.Site.Clients, "writer.example", sql)
	if err != nil {
		i.T.Fatalf("%s: %v", i.Peer.ID, err)
	}
	return said
}

func (i *instance) wantSQL(sql, want string) {
	i.T.Helper()
	if got := i.sql(sql); got != want {
		i.T.Errorf("%s: %s gives %q, want %q", i.Peer.ID, sql, got, want)
	}
}

// sqlAs is sql with another password of the master.
func (i *instance) sqlAs(password, sql string) {
	i.T.Helper()
	if _, err := i.psql(i.Site.Clients, "writer.example", sql, "password='"+password+"'"); err != nil {
		i.T.Fatal(err)
	}
}
