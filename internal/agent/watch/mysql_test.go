// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// mariadb is a server of MariaDB on loopback, without TLS.
type mariadb struct {
	*testing.T
	folder, socket string
	at             netip.AddrPort
	running        *child.Process
}

func newMariaDB(t *testing.T) *mariadb {
	testnet.Require(t)
	u, err := user.Lookup("mysql")
	if _, missing := exec.LookPath("mariadbd"); err != nil || missing != nil {
		testnet.Unable(t, "MariaDB is not installed")
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	m := &mariadb{T: t}
	if m.folder, err = os.MkdirTemp("/tmp", "mysql"); err == nil {
		err = os.Chown(m.folder, uid, gid)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(m.folder) })
	m.socket = filepath.Join(m.folder, "s")
	free, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	m.at = netip.MustParseAddrPort(free.Addr().String())
	free.Close()
	data := filepath.Join(m.folder, "data")
	made, err := exec.Command("mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db").CombinedOutput()
	if err != nil {
		t.Fatalf("make the data: %v\n%s", err, made)
	}
	cmd := exec.Command("mariadbd", "--no-defaults", "--datadir="+data, "--socket="+m.socket, "--bind-address="+m.at.Addr().String(), "--port="+strconv.Itoa(int(m.at.Port())), "--skip-name-resolve", "--skip-log-bin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if m.running, err = child.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.running.Kill()
		if _, err := m.running.Wait(testnet.Patience); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(testnet.Patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := m.sql("CREATE OR REPLACE USER watch@'%' IDENTIFIED BY 'sesame'"); err == nil {
			return m
		}
		if _, ended := m.running.Status(); ended || time.Now().After(deadline) {
			t.Fatalf("MariaDB did not start:\n%s", m.running.Output())
		}
	}
}

func (m *mariadb) sql(statement string) (string, error) {
	out, err := exec.Command("mariadb", "--no-defaults", "--socket="+m.socket, "-uroot", "-BNe", statement).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (m *mariadb) must(statement string) {
	m.Helper()
	if out, err := m.sql(statement); err != nil {
		m.Fatalf("%s: %v: %s", statement, err, out)
	}
}

// TestMariaDBSaysWhetherItWrites asks a real server with a role that may log in and nothing
// else: while it writes, while it is read only, and when it refuses.
func TestMariaDBSaysWhetherItWrites(t *testing.T) {
	m := newMariaDB(t)
	ask := func(a Access) (Answer, asker) {
		q := newMySQL(question{access: a, member: "a", addr: m.at, dial: func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return loopback{}.Dial(ctx, "", netip.Addr{}, to)
		}})
		t.Cleanup(q.close)
		ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
		defer cancel()
		return q.ask(ctx), q
	}
	access := Access{User: "watch", Password: "sesame"}
	got, kept := ask(access)
	if got.Err != nil || !got.Writes || got.Reads || got.Shares {
		t.Errorf("a server that writes says %+v", got)
	}
	m.must("SET GLOBAL read_only = 1")
	if got := kept.ask(t.Context()); got.Err != nil || got.Writes || !got.Reads {
		t.Errorf("a server that is read only says %+v over the connection that is kept", got)
	}
	access.Password = "wrong"
	if got, _ := ask(access); got.Err == nil || !got.Alive || got.Writes {
		t.Errorf("asked with another password it says %+v", got)
	}
	access.Authority = "no certificate"
	if got, _ := ask(access); got.Err == nil || got.Alive {
		t.Errorf("with an authority that is none it says %+v", got)
	}
	m.running.Kill()
	if got := kept.ask(t.Context()); got.Err == nil || got.Alive || got.Writes || got.Reads {
		t.Errorf("a server that is gone says %+v", got)
	}
}
