// SPDX-License-Identifier: Apache-2.0

package keeper_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/vishvananda/netlink"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/keeper"
	"github.com/posternhq/postern/internal/engine/postgres"
	"github.com/posternhq/postern/internal/engine/supervisor"
	"github.com/posternhq/postern/internal/engine/supervisor/supervisortest"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/test/testnet"
)

func TestMain(m *testing.M) { supervisortest.Main(m) }

const (
	cluster    = "cluster-1"
	writerName = "writer.example"
	password   = "secret of the master"
)

// rig is a network with a database whose members have namespaces of their own. It has the
// rows, and leads a client to the writer.
type rig struct {
	t         *testing.T
	folder    string
	install   engine.Installation
	authority *authority.Authority
	hub       *testnet.NS
	clients   *testnet.NS
	spaces    map[string]*testnet.NS
	members   map[string]desired.DatabaseMember
	keeper    *keeper.Keeper
	stop      func()

	mu      sync.Mutex
	changed chan struct{}
	entry   desired.Database
	roles   keeper.Roles
	states  map[string]keeper.State
	events  []string
	// forgotten and made are what the rows know.
	forgotten, made bool
}

func newRig(t *testing.T, members ...string) *rig {
	t.Helper()
	testnet.Require(t)
	found, err := postgres.New().Discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		testnet.Unable(t, "PostgreSQL is not installed")
	}
	r := &rig{
		t: t, install: found[0], hub: testnet.New(t), spaces: map[string]*testnet.NS{}, members: map[string]desired.DatabaseMember{},
		changed: make(chan struct{}), states: map[string]keeper.State{},
	}
	if r.authority, _, err = authority.New("111122223333", "eu-central-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	r.must(r.hub.Run(func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge"}}
		return errors.Join(netlink.LinkAdd(bridge), netlink.LinkSetUp(bridge))
	}))
	r.clients = r.place(9)
	for i, id := range members {
		r.spaces[id] = r.place(10 + i)
		r.members[id] = desired.DatabaseMember{Database: cluster, ID: id, Name: id + ".example.", Addr: address(10 + i), Memory: 256}
	}
	r.folder = filepath.Join(t.TempDir(), "databases")
	for _, id := range members {
		supervisortest.Ends(t, filepath.Join(r.folder, id))
	}
	r.entry = desired.Database{
		ID: cluster, Engine: "aurora-postgresql", Version: r.install.Version, Port: 5432, Name: "shop", User: "boss", Secret: 1, Names: []string{writerName + "."},
	}
	r.begin()
	r.put()
	return r
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func address(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 1, byte(n)}) }

// place makes a namespace in the network.
func (r *rig) place(n int) *testnet.NS {
	r.t.Helper()
	ns := testnet.New(r.t)
	name := fmt.Sprint("port", n)
	r.must(r.hub.Run(func() error {
		bridge, err := netlink.LinkByName("bridge")
		if err != nil {
			return err
		}
		veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: bridge.Attrs().Index}, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns.FD())}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		near, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		return netlink.LinkSetUp(near)
	}))
	r.must(ns.Run(func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		at := &netlink.Addr{IPNet: &net.IPNet{IP: address(n).AsSlice(), Mask: net.CIDRMask(24, 32)}}
		return errors.Join(netlink.AddrAdd(eth, at), netlink.LinkSetUp(eth))
	}))
	return ns
}

// begin starts a keeper on what is on disk.
func (r *rig) begin() {
	r.t.Helper()
	k, err := keeper.New(keeper.Config{
		Folder: r.folder, Drivers: []engine.Driver{postgres.New()}, Ground: r, Control: r, Roles: r.take, Log: slog.New(slog.DiscardHandler),
	})
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.Run(ctx)
	}()
	r.keeper, r.stop = k, func() { cancel(); <-ended }
	r.t.Cleanup(func() { r.stop() })
}

// again starts another keeper, of which nothing has been heard yet.
func (r *rig) again() {
	r.t.Helper()
	r.change(func() { r.roles, r.states = keeper.Roles{}, map[string]keeper.State{} })
	r.begin()
}

// entries are what the rows say.
func (r *rig) entries() []desired.Entry {
	r.mu.Lock()
	entries := []desired.Entry{r.entry}
	r.mu.Unlock()
	for _, m := range r.members {
		entries = append(entries, m)
	}
	return entries
}

// put tells the keeper what the rows say.
func (r *rig) put() {
	r.t.Helper()
	entries := r.entries()
	for key, err := range r.keeper.Apply(r.t.Context(), desired.DatabaseRealm(cluster), entries, nil) {
		r.t.Fatalf("put %s: %v", key, err)
	}
}

func (r *rig) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *rig) take(roles keeper.Roles) { r.change(func() { r.roles = roles }) }

// until waits for something to be so.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	limit := time.After(3 * testnet.Patience)
	for {
		r.mu.Lock()
		ok, changed := is(), r.changed
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-limit:
			r.t.Fatalf("it does not happen that %s: roles %+v, states %+v, events %q", what, r.roles, r.states, r.events)
		}
	}
}

// whole waits until all members serve, and gives the writer.
func (r *rig) whole() (writer string) {
	r.t.Helper()
	r.until("all members serve", func() bool {
		writer = r.roles.Writer
		for id := range r.members {
			if r.states[id].Phase != model.DatabaseAvailable {
				return false
			}
		}
		return writer != "" && len(r.roles.Readers) == len(r.members)-1
	})
	return writer
}

// Elect implements keeper.Control.
func (r *rig) Elect(_ context.Context, e keeper.Election) (epoch int64, err error) {
	r.change(func() {
		epoch = r.entry.Epoch
		switch {
		case epoch == e.Epoch+1 && r.entry.Writer == e.Writer:
		case epoch != e.Epoch:
			err = keeper.ErrEpoch
		default:
			epoch++
			r.entry.Epoch, r.entry.Writer = epoch, e.Writer
		}
	})
	return epoch, err
}

// Tell implements keeper.Control.
func (r *rig) Tell(_ context.Context, o keeper.Observation) error {
	r.change(func() {
		for _, s := range o.States {
			r.states[s.ID] = s
		}
		for _, e := range o.Events {
			r.events = append(r.events, e.Message)
		}
	})
	return nil
}

// Secrets implements keeper.Control.
func (r *rig) Secrets(context.Context, string) (keeper.Secrets, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return keeper.Secrets{Count: r.entry.Secret, Password: password}, nil
}

// Certify implements keeper.Control.
func (r *rig) Certify(_ context.Context, _ string, names []string, addrs []netip.Addr) (engine.Certificate, error) {
	c, err := r.authority.Certify(names, addrs, time.Now())
	return engine.Certificate{Chain: c.Certificate, Key: c.Key, Authorities: r.authority.Bundle()}, err
}

// Known implements keeper.Control.
func (r *rig) Known(_ context.Context, id string) (keeper.Known, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return keeper.Known{Row: !r.forgotten, Made: id == cluster && r.made}, nil
}

// Host implements keeper.Ground.
func (r *rig) Host(ctx context.Context, spec engine.Spec) (keeper.Host, error) {
	c, err := supervisor.Open(ctx, spec.Folder)
	if errors.Is(err, engine.ErrHost) {
		o := supervisortest.Options(spec.Folder, spec.UID, spec.GID)
		o.Namespace = r.spaces[spec.ID].Name
		c, err = supervisor.Start(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Release implements keeper.Ground.
func (r *rig) Release(ctx context.Context, spec engine.Spec) error {
	c, err := supervisor.Open(ctx, spec.Folder)
	if errors.Is(err, engine.ErrHost) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(c.End(ctx), c.Close())
}

// Slay implements keeper.Ground.
func (r *rig) Slay(ctx context.Context, spec engine.Spec) error {
	return supervisor.Slay(ctx, spec.Folder)
}

// Seal implements keeper.Ground: the link goes down.
func (r *rig) Seal(_ context.Context, id string) error { return r.link(id, netlink.LinkSetDown) }

// Unseal implements keeper.Ground.
func (r *rig) Unseal(_ context.Context, id string) error { return r.link(id, netlink.LinkSetUp) }

func (r *rig) link(id string, set func(netlink.Link) error) error {
	return r.spaces[id].Run(func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		return set(eth)
	})
}

// signal sends a signal to a member's first process.
func (r *rig) signal(id string, signal int) {
	r.t.Helper()
	c, err := supervisor.Open(r.t.Context(), filepath.Join(r.folder, id))
	r.must(err)
	r.must(errors.Join(c.Signal(r.t.Context(), signal), c.Close()))
}

// connect connects a client with a member by the writer's name.
func (r *rig) connect(ctx context.Context, id string) (*pgconn.PgConn, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.authority.Bundle())
	cfg, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=5432 user=boss password='%s' dbname=shop sslmode=require", r.members[id].Addr, password))
	if err != nil {
		return nil, err
	}
	cfg.TLSConfig = &tls.Config{RootCAs: roots, ServerName: writerName, MinVersion: tls.VersionTLS12}
	cfg.DialFunc = r.clients.Dial
	return pgconn.ConnectConfig(ctx, cfg)
}
