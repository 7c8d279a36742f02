// SPDX-License-Identifier: Apache-2.0

// Package enginetest gives tests of drivers a network, in which servers are below
// supervisors that do not outlive the test.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/authority"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/supervisor"
	"github.com/posternhq/postern/internal/engine/supervisor/supervisortest"
	"github.com/posternhq/postern/test/testnet"
)

// Secret is the password of replication.
const Secret = "replication's own: secret"

// Patience is how long a clean stop may take.
const Patience = testnet.Patience

// Patient gives a context that ends long after anything should have.
func Patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*testnet.Patience)
	t.Cleanup(cancel)
	return ctx
}

// installed gives the newest version on this machine.
func installed(t testing.TB, driver engine.Driver) engine.Installation {
	t.Helper()
	testnet.Require(t)
	found, err := driver.Discover(Patient(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		testnet.Unable(t, driver.Name()+" is not installed")
	}
	return found[0]
}

// Site is a network with a certificate authority, where servers can be.
type Site struct {
	Clients   *testnet.NS
	Install   engine.Installation
	Authority *authority.Authority

	driver engine.Driver
	port   uint16
	hub    *testnet.NS
	places int
}

// New makes a network for servers of a driver, which listen at a port.
func New(t *testing.T, driver engine.Driver, port uint16) *Site {
	s := &Site{Install: installed(t, driver), driver: driver, port: port, hub: testnet.New(t)}
	var err error
	if s.Authority, _, err = authority.New("123456789012", "eu-central-1", time.Now()); err != nil {
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
	s.Clients, _ = s.Place(t)
	return s
}

// Place makes a namespace in the network with the next address.
func (s *Site) Place(t *testing.T) (*testnet.NS, netip.Addr) {
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

// Instance is a server under test.
type Instance struct {
	engine.Server
	T      *testing.T
	Site   *Site
	NS     *testnet.NS
	Client *supervisor.Client
	Peer   engine.Peer
	Folder string
	Config engine.Config
}

// Instance makes a folder, a supervisor, settings and a certificate. There is no data yet.
func (s *Site) Instance(t *testing.T, id string) *Instance {
	t.Helper()
	return s.instanceAt(t, id, supervisortest.Folder(t, id))
}

// InstanceIn is Instance with a file system of its own, in memory.
func (s *Site) InstanceIn(t *testing.T, id, options string) *Instance {
	t.Helper()
	folder := filepath.Join(t.TempDir(), id)
	if err := errors.Join(os.MkdirAll(folder, 0o750), unix.Mount("disk", folder, "tmpfs", 0, options)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	supervisortest.Ends(t, folder) // before the folder is unmounted
	return s.instanceAt(t, id, folder)
}

func (s *Site) instanceAt(t *testing.T, id, folder string) *Instance {
	t.Helper()
	ns, addr := s.Place(t)
	i := &Instance{T: t, Site: s, NS: ns, Folder: folder}
	i.Peer = engine.Peer{ID: id, Name: strings.ToLower(id) + ".example", Addr: addr, Port: s.port}
	i.Config = engine.Config{Name: i.Peer.Name, Addr: addr, Port: s.port, Replication: Secret, Memory: 256}
	i.Supervise()
	i.Open()
	i.Configured()
	i.Certified("writer.example")
	return i
}

// Supervise starts the supervisor.
func (i *Instance) Supervise() {
	i.T.Helper()
	o := supervisortest.Options(i.Folder, i.Site.Install.UID, i.Site.Install.GID)
	o.Namespace = i.NS.Name
	var err error
	if i.Client, err = supervisor.Start(Patient(i.T), o); err != nil {
		i.T.Fatal(err)
	}
}

// Open opens the server's folder as a process does that has just begun.
func (i *Instance) Open() {
	i.T.Helper()
	client, err := supervisor.Open(Patient(i.T), i.Folder)
	if err != nil {
		i.T.Fatal(err)
	}
	i.T.Cleanup(func() { client.Close() })
	i.Client = client
	i.Server, err = i.Site.driver.Open(engine.Spec{ID: i.Peer.ID, Folder: i.Folder, Installation: i.Site.Install}, client)
	if err != nil {
		i.T.Fatal(err)
	}
	i.T.Cleanup(func() { i.Close() })
}

// Configured sets what Config says, with more members.
func (i *Instance) Configured(members ...engine.Peer) engine.Change {
	i.T.Helper()
	i.Config.Members = append(i.Config.Members, members...)
	change, err := i.Configure(Patient(i.T), i.Config)
	if err != nil {
		i.T.Fatal(err)
	}
	return change
}

// Certified gives the server a certificate for its own name and others.
func (i *Instance) Certified(names ...string) {
	i.T.Helper()
	c, err := i.Site.Authority.Certify(append([]string{i.Peer.Name}, names...), []netip.Addr{i.Peer.Addr}, time.Now())
	if err != nil {
		i.T.Fatal(err)
	}
	if err := i.SetCertificate(Patient(i.T), engine.Certificate{Chain: c.Certificate, Key: c.Key, Authorities: i.Site.Authority.Bundle()}); err != nil {
		i.T.Fatal(err)
	}
}

// Must ends the test at an error, with the last words of the server.
func (i *Instance) Must(err error) {
	i.T.Helper()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(i.Folder, engine.PartLog, supervisor.LogName))
		log = log[max(len(log)-4000, 0):]
		i.T.Fatalf("%s: %v\nits log:\n%s", i.Peer.ID, err, log)
	}
}

// Probed probes the server.
func (i *Instance) Probed() engine.State {
	i.T.Helper()
	return i.ProbedWithin(testnet.Patience)
}

// ProbedWithin probes the server, with so much time for its answer.
func (i *Instance) ProbedWithin(patience time.Duration) engine.State {
	i.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := i.Probe(ctx)
	i.Must(err)
	return s
}

// Until probes until a state is as it should be. Each time there is little time, so that
// one who hangs is found; one who is slow is asked again.
func (i *Instance) Until(what string, is func(engine.State) bool) engine.State {
	i.T.Helper()
	for ctx := Patient(i.T); ; time.Sleep(5 * time.Millisecond) {
		s := i.ProbedWithin(2 * time.Second)
		if is(s) {
			return s
		}
		if ctx.Err() != nil {
			i.Must(fmt.Errorf("it does not become %s: %+v", what, s))
		}
	}
}

// Crash kills the server's first process from outside, as a crash does.
func (i *Instance) Crash() {
	i.T.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		i.T.Fatal(err)
	}
	for _, p := range processes {
		text, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(text, fmt.Appendf(nil, "PPid:\t%d\n", i.Client.PID)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		if err == nil {
			err = unix.Kill(pid, unix.SIGKILL)
		}
		if err != nil {
			i.T.Fatal(err)
		}
		return
	}
	i.T.Fatal("it has no process")
}
