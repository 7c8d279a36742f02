// SPDX-License-Identifier: Apache-2.0

package mariadb_test

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
	"github.com/posternhq/postern/internal/engine/mariadb"
	"github.com/posternhq/postern/internal/engine/supervisor/supervisortest"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

func TestMain(m *testing.M) { supervisortest.Main(m) }

const (
	port     = 3306
	password = "master's password"
	// name is one of the names in its certificate.
	name = "writer.example"
)

// instance is a server under test.
type instance struct{ *enginetest.Instance }

func newInstance(t *testing.T, site *enginetest.Site, id string) *instance {
	return &instance{site.Instance(t, id)}
}

func users(t *testing.T, password string) engine.Users {
	t.Helper()
	v, err := mariadb.New().Verifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Users{Master: "boss", Verifier: v, Database: "shop", Replication: enginetest.Secret}
}

// begin makes a database and has the server write.
func (i *instance) begin() {
	i.T.Helper()
	ctx := enginetest.Patient(i.T)
	i.Must(i.Init(ctx))
	i.Must(i.Start(ctx, engine.Role{Writer: true}))
	i.Must(i.SetUsers(ctx, users(i.T, password)))
}

// client runs statements as a user does by one of the server's names, with its certificate
// checked, and gives what they print.
func (i *instance) client(host, user, password, sql string, more ...string) (string, error) {
	i.T.Helper()
	dir := i.T.TempDir()
	root, names, hosts := filepath.Join(dir, "root.pem"), filepath.Join(dir, "client.cnf"), fmt.Sprintf("%s %s\n", i.Peer.Addr, host)
	options := fmt.Sprintf("[client]\nuser=%s\npassword=\"%s\"\nhost=%s\nport=%d\nssl-ca=%s\nssl-verify-server-cert\nconnect-timeout=60\n", user, password, host, port, root)
	for path, text := range map[string]string{root: string(i.Site.Authority.Bundle()), names: options, filepath.Join(dir, "hosts"): hosts} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			i.T.Fatal(err)
		}
	}
	// The name has to have an address, and there is no resolver.
	script := `mount --bind "$1" /etc/hosts && shift && exec "$@"`
	args := append([]string{"--mount", "sh", "-c", script, "sh", filepath.Join(dir, "hosts"), "mariadb", "--defaults-file=" + names, "-N", "-B", "-e", sql}, more...)
	var out bytes.Buffer
	cmd := exec.Command("unshare", args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &out, "/"
	p, err := child.StartWithin(i.Site.Clients.Run, cmd)
	if err != nil {
		i.T.Fatal(err)
	}
	status, err := p.Wait(testnet.Patience)
	if err == nil && status != 0 {
		err = fmt.Errorf("mariadb ends with %d: %s", status, out.String())
	}
	return strings.TrimSpace(out.String()), err
}

// wantSQL wants an answer to the master.
func (i *instance) wantSQL(sql, want string) {
	i.T.Helper()
	if got, err := i.client(name, "boss", password, sql, "shop"); err != nil || got != want {
		i.T.Errorf("%s: %s gives %q, %v, want %q", i.Peer.ID, sql, got, err, want)
	}
}

// refused wants a refusal for a reason.
func (i *instance) refused(host, user, password, sql, why string, more ...string) {
	i.T.Helper()
	if said, err := i.client(host, user, password, sql, more...); err == nil || !strings.Contains(err.Error(), why) {
		i.T.Errorf("%s as %s at %s gives %q, %v, want %q", sql, user, host, said, err, why)
	}
}
