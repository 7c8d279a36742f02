// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/postgres"
	"github.com/posternhq/postern/internal/engine/supervisor"
	"github.com/posternhq/postern/internal/engine/supervisor/supervisortest"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

func TestMain(m *testing.M) { supervisortest.Main(m) }

const (
	port     = 5432
	secret   = "replication's own: secret"
	password = "master's password"
)

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*testnet.Patience)
	t.Cleanup(cancel)
	return ctx
}

// installed gives the newest PostgreSQL of this machine.
func installed(t testing.TB) engine.Installation {
	t.Helper()
	testnet.Require(t)
	found, err := postgres.New().Discover(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		testnet.Unable(t, "PostgreSQL is not installed")
	}
	return found[0]
}

// site is a network with a certificate authority, where servers can be.
type site struct {
	hub       *testnet.NS
	clients   *testnet.NS
	install   engine.Installation
	authority *authority.Authority
	places    int
}

func newSite(t *testing.T) *site {
	s := &site{install: installed(t), hub: testnet.New(t)}
	var err error
	if s.authority, _, err = authority.New("123456789012", "eu-central-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	err = s.hub.Run(func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge"}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		return netlink.LinkSetUp(bridge)
	})
	if err != nil {
		t.Fatal(err)
	}
	s.clients, _ = s.place(t)
	return s
}

// place makes a namespace in the network with the next address.
func (s *site) place(t *testing.T) (*testnet.NS, netip.Addr) {
	t.Helper()
	ns := testnet.New(t)
	s.places++
	addr := netip.AddrFrom4([4]byte{10, 0, 1, byte(10 + s.places)})
	err := s.hub.Run(func() error {
		name := fmt.Sprint("port", s.places)
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns.FD())}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		near, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		bridge, err := netlink.LinkByName("bridge")
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(near, bridge); err != nil {
			return err
		}
		return netlink.LinkSetUp(near)
	})
	if err == nil {
		err = ns.Run(func() error {
			eth, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(eth, &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(24, 32)}}); err != nil {
				return err
			}
			return netlink.LinkSetUp(eth)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return ns, addr
}

// instance is a server under test.
type instance struct {
	engine.Server
	t      *testing.T
	site   *site
	ns     *testnet.NS
	client *supervisor.Client
	peer   engine.Peer
	folder string
	config engine.Config
}

// instance makes a folder, a supervisor, settings and a certificate. There is no data yet.
func (s *site) instance(t *testing.T, id string) *instance {
	t.Helper()
	return s.instanceAt(t, id, supervisortest.Folder(t, id))
}

// instanceIn is instance with a file system of its own, in memory.
func (s *site) instanceIn(t *testing.T, id, options string) *instance {
	t.Helper()
	folder := supervisortest.Folder(t, id)
	if err := errors.Join(os.MkdirAll(folder, 0o750), unix.Mount("disk", folder, "tmpfs", 0, options)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return s.instanceAt(t, id, folder)
}

func (s *site) instanceAt(t *testing.T, id, folder string) *instance {
	t.Helper()
	ns, addr := s.place(t)
	i := &instance{t: t, site: s, ns: ns, folder: folder}
	i.peer = engine.Peer{ID: id, Name: strings.ToLower(id) + ".example", Addr: addr, Port: port}
	i.config = engine.Config{Name: i.peer.Name, Addr: addr, Port: port, Replication: secret, Memory: 256}
	i.supervise()
	i.open()
	i.configure()
	i.certify("writer.example")
	return i
}

func (i *instance) supervise() {
	i.t.Helper()
	o := supervisortest.Options(i.folder, i.site.install.UID, i.site.install.GID)
	o.Namespace = i.ns.Name
	var err error
	if i.client, err = supervisor.Start(patient(i.t), o); err != nil {
		i.t.Fatal(err)
	}
}

// open opens the server's folder as a process does that has just begun.
func (i *instance) open() {
	i.t.Helper()
	client, err := supervisor.Open(patient(i.t), i.folder)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { client.Close() })
	i.client = client
	i.Server, err = postgres.New().Open(engine.Spec{ID: i.peer.ID, Folder: i.folder, Installation: i.site.install}, client)
	if err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { i.Close() })
}

func (i *instance) configure(members ...*instance) engine.Change {
	i.t.Helper()
	for _, m := range members {
		i.config.Members = append(i.config.Members, m.peer)
	}
	change, err := i.Configure(patient(i.t), i.config)
	if err != nil {
		i.t.Fatal(err)
	}
	return change
}

func (i *instance) certify(names ...string) {
	i.t.Helper()
	c, err := i.site.authority.Certify(append([]string{i.peer.Name}, names...), []netip.Addr{i.peer.Addr}, time.Now())
	if err != nil {
		i.t.Fatal(err)
	}
	if err := i.SetCertificate(patient(i.t), engine.Certificate{Chain: c.Certificate, Key: c.Key, Authorities: i.site.authority.Bundle()}); err != nil {
		i.t.Fatal(err)
	}
}

func (i *instance) must(err error) {
	i.t.Helper()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(i.folder, engine.PartLog, supervisor.LogName))
		log = log[max(len(log)-4000, 0):]
		i.t.Fatalf("%s: %v\nits log:\n%s", i.peer.ID, err, log)
	}
}

// begin makes a database and has the server write.
func (i *instance) begin() {
	i.t.Helper()
	ctx := patient(i.t)
	i.must(i.Init(ctx))
	i.must(i.Start(ctx, engine.Role{Writer: true}))
	i.must(i.SetUsers(ctx, users(i.t, password)))
}

func users(t *testing.T, password string) engine.Users {
	t.Helper()
	v, err := postgres.New().Verifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Users{Master: "boss", Verifier: v, Database: "shop", Replication: secret}
}

func (i *instance) probe() engine.State {
	i.t.Helper()
	return i.probeWithin(testnet.Patience)
}

func (i *instance) probeWithin(patience time.Duration) engine.State {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := i.Probe(ctx)
	i.must(err)
	return s
}

// until probes until a state is as it should be. Each time there is little time, so that
// one who hangs is found; one who is slow is asked again.
func (i *instance) until(what string, is func(engine.State) bool) engine.State {
	i.t.Helper()
	for ctx := patient(i.t); ; time.Sleep(5 * time.Millisecond) {
		s := i.probeWithin(2 * time.Second)
		if is(s) {
			return s
		}
		if ctx.Err() != nil {
			i.must(fmt.Errorf("it does not become %s: %+v", what, s))
		}
	}
}

// psql runs statements as the master does, from a place in the network, by a name whose
// address is given, and gives what they print.
func (i *instance) psql(from *testnet.NS, host, sql string, more ...string) (string, error) {
	i.t.Helper()
	root := filepath.Join(i.t.TempDir(), "root.pem")
	if err := os.WriteFile(root, i.site.authority.Bundle(), 0o600); err != nil {
		i.t.Fatal(err)
	}
	var out bytes.Buffer
	args := []string{fmt.Sprintf("host=%s hostaddr=%s port=%d dbname=shop user=boss sslmode=verify-full sslrootcert=%s %s",
		host, i.peer.Addr, port, root, strings.Join(more, " ")), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql}
	cmd := exec.Command("psql", args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "PGPASSWORD=" + password, "HOME=/nonexistent", "PGCONNECT_TIMEOUT=60"}
	p, err := child.StartWithin(from.Run, cmd)
	if err != nil {
		i.t.Fatal(err)
	}
	status, err := p.Wait(testnet.Patience)
	if err == nil && status != 0 {
		err = fmt.Errorf("psql ends with %d: %s", status, out.String())
	}
	return strings.TrimSpace(out.String()), err
}

func (i *instance) sql(sql string) string {
	i.t.Helper()
	said, err := i.psql(i.site.clients, "writer.example", sql)
	if err != nil {
		i.t.Fatalf("%s: %v", i.peer.ID, err)
	}
	return said
}

func (i *instance) wantSQL(sql, want string) {
	i.t.Helper()
	if got := i.sql(sql); got != want {
		i.t.Errorf("%s: %s gives %q, want %q", i.peer.ID, sql, got, want)
	}
}

// patience is how long a clean stop may take.
const patience = testnet.Patience

// sqlAs is sql with another password of the master.
func (i *instance) sqlAs(password, sql string) {
	i.t.Helper()
	if _, err := i.psql(i.site.clients, "writer.example", sql, "password='"+password+"'"); err != nil {
		i.t.Fatal(err)
	}
}

// killServer kills the server's first process from outside, as a crash does.
func killServer(t *testing.T, i *instance) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		text, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(text, fmt.Appendf(nil, "PPid:\t%d\n", i.client.PID)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		if err == nil {
			err = unix.Kill(pid, unix.SIGKILL)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("it has no process")
}
