// SPDX-License-Identifier: Apache-2.0

package resolver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver"
	"github.com/posternhq/postern/internal/resolver/control"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// asProcess names the variable by which this test binary is the process under test.
const asProcess = "POSTERN_TEST_RESOLVER"

func TestMain(m *testing.M) {
	text := os.Getenv(asProcess)
	if text == "" {
		os.Exit(m.Run())
	}
	var c resolver.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	if err := resolver.Confine(c.Folder); err != nil {
		panic(err)
	}
	c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := resolver.Run(ctx, c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// rig is a data folder with a resolver, and a VPC's router.
type rig struct {
	t      *testing.T
	config resolver.Config
	client *control.Client
	router *testnet.NS
}

const vpc = "vpc-1"

func newRig(t *testing.T) *rig {
	testnet.Require(t)
	r := &rig{t: t, config: resolver.Config{Folder: t.TempDir(), Instance: "t" + testnet.RandomName(6), NoUpstream: true, Version: "1"}}
	r.client = control.NewClient(r.config.Folder)
	t.Cleanup(r.client.Close)
	r.router = r.makeRouter()
	t.Cleanup(func() { r.router.Close() })
	return r
}

func (r *rig) makeRouter() *testnet.NS {
	r.t.Helper()
	ns, err := testnet.Make(network.NamespaceName(r.config.Instance, vpc))
	if err != nil {
		r.t.Fatal(err)
	}
	return ns
}

// address gives the router the addresses of its resolver.
func (r *rig) address() {
	r.t.Helper()
	err := r.router.Run(func() error {
		lo, err := netlink.LinkByName("lo")
		for _, a := range desired.NewNameserver("", entry().Networks...).Addrs {
			if err == nil {
				err = netlink.AddrAdd(lo, &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}, Flags: syscall.IFA_F_NODAD})
			}
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.eventually(r.local)
}

// local says of the addresses whether the kernel takes packets to them for its own. It
// has an IPv6 address before its route of type local, which it makes later by itself: a
// question in between is lost.
func (r *rig) local() error {
	return r.router.Run(func() error {
		for _, a := range desired.NewNameserver("", entry().Networks...).Addrs {
			if routes, err := netlink.RouteGet(a.AsSlice()); err != nil || len(routes) != 1 || routes[0].Type != unix.RTN_LOCAL {
				return fmt.Errorf("%s is not there yet: %v, %v", a, routes, err)
			}
		}
		return nil
	})
}

// start starts a process, and waits until it is the one that serves.
func (r *rig) start() *child.Process {
	r.t.Helper()
	text, err := json.Marshal(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = child.Environment(asProcess + "=" + string(text))
	p, err := child.Start(cmd)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		p.Kill()
		if r.t.Failed() {
			r.t.Log(p.Output())
		}
	})
	r.eventually(func() error {
		s, err := r.client.Status(r.t.Context())
		if err == nil && s.PID != p.PID {
			err = fmt.Errorf("process %d serves, not %d: %s", s.PID, p.PID, p.Output())
		}
		return err
	})
	return p
}

func (r *rig) eventually(check func() error) {
	r.t.Helper()
	deadline := time.Now().Add(testnet.Patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func entry() desired.Resolver {
	return desired.Resolver{VPC: vpc, Networks: []netip.Prefix{netip.MustParsePrefix("fd00:1::/56"), netip.MustParsePrefix("10.7.0.0/16")}}
}

func (r *rig) put(realm desired.Realm, entries ...desired.Entry) {
	r.t.Helper()
	for k, err := range r.client.Apply(r.t.Context(), realm, entries, nil) {
		r.t.Fatalf("%s: %v", k, err)
	}
}

// serveZone has the VPC see a zone with one name.
func (r *rig) serveZone() {
	r.t.Helper()
	r.put(desired.Zone("Z1"), desired.NameZone{ID: "Z1", Name: "example.com.", Negative: 5}, record("10.0.0.1"))
	r.put(desired.Zone(vpc), entry(), desired.View{VPC: vpc, Zone: "Z1"})
}

func record(value string) desired.NameRecord {
	return desired.NameRecord{Zone: "Z1", Name: "db.example.com.", Type: "A", TTL: 60, Data: []string{value}}
}

// ask asks in the router, as a client does that does not repeat itself, and gives the
// code and the values of an answer.
func (r *rig) ask(proto, server, name string) (string, error) {
	conn, err := r.router.Dial(r.t.Context(), proto, net.JoinHostPort(server, "53"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	c := dns.Conn{Conn: conn}
	if err := c.WriteMsg(m); err != nil {
		return "", err
	}
	a, err := c.ReadMsg()
	if err != nil {
		return "", err
	}
	if a.Id != m.Id {
		return "", errors.New("an answer to another question")
	}
	parts := []string{dns.RcodeToString[a.Rcode]}
	for _, rr := range a.Answer {
		fields := strings.Fields(rr.String())
		parts = append(parts, fields[len(fields)-1])
	}
	return strings.Join(parts, " "), nil
}

func (r *rig) want(proto, server, name, want string) {
	r.t.Helper()
	if got, err := r.ask(proto, server, name); got != want {
		r.t.Errorf("%s of %s over %s: %q, %v; want %q", name, server, proto, got, err, want)
	}
}

var servers = []string{"169.254.169.253", "fd00:ec2::253", "10.7.0.2"}

// TestAnswersAtAllAddresses serves a VPC whose addresses come after the sockets.
func TestAnswersAtAllAddresses(t *testing.T) {
	r := newRig(t)
	r.start()
	r.serveZone()
	r.address()
	for _, server := range servers {
		for _, proto := range []string{"udp", "tcp"} {
			r.want(proto, server, "db.example.com.", "NOERROR 10.0.0.1")
			r.want(proto, server, "no.example.com.", "NXDOMAIN")
			r.want(proto, server, "elsewhere.test.", "REFUSED")
		}
	}
	r.put(desired.Zone("Z1"), record("10.0.0.2"))
	r.want("udp", servers[0], "db.example.com.", "NOERROR 10.0.0.2")
	a, err := r.client.Lookup(t.Context(), control.Question{Name: "db.example.com.", VPC: vpc})
	if err != nil || fmt.Sprint(a.Addrs) != "[10.0.0.2]" || a.TTL != time.Minute {
		t.Errorf("look-up: %+v, %v", a, err)
	}
	off := entry()
	off.Off = true
	r.put(desired.Zone(vpc), off)
	r.want("udp", servers[0], "db.example.com.", "REFUSED")
}

// TestServesFromDiskAfterAKill kills the process, without an agent to tell the next one
// anything, and with a torn end of what is on disk.
func TestServesFromDiskAfterAKill(t *testing.T) {
	r := newRig(t)
	r.address()
	p := r.start()
	r.serveZone()
	r.put(desired.Zone("Z1"), record("10.0.0.2"))
	p.Kill()
	<-p.Ended()
	if _, err := r.client.Status(t.Context()); !errors.Is(err, control.ErrNobody) {
		t.Errorf("after a kill: %v", err)
	}
	file, err := os.OpenFile(filepath.Join(r.config.Folder, resolver.JournalName), os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString("record zone:Z1 db.example.com./A ttl=60 data=6.6")
	}
	if err != nil {
		t.Fatal(err)
	}
	r.start()
	r.want("udp", servers[2], "db.example.com.", "NOERROR 10.0.0.2")
	there, err := r.client.Dump(t.Context(), desired.Zone(vpc))
	if err != nil || len(there) != 2 {
		t.Errorf("the VPC has %v, %v", there, err)
	}
}

// TestFollowsTheRouter has the router replaced by another one, and taken away.
func TestFollowsTheRouter(t *testing.T) {
	r := newRig(t)
	r.address()
	r.start()
	r.serveZone()
	if err := r.router.Close(); err != nil {
		t.Fatal(err)
	}
	r.router = r.makeRouter()
	r.address()
	r.eventually(func() error {
		if got, err := r.ask("udp", servers[0], "db.example.com."); got != "NOERROR 10.0.0.1" {
			return fmt.Errorf("in the new router: %q, %v", got, err)
		}
		return nil
	})
	for k, err := range r.client.Apply(t.Context(), desired.Zone(vpc), nil, []desired.Entry{entry()}) {
		t.Errorf("%s: %v", k, err)
	}
	if got, err := r.ask("udp", servers[0], "db.example.com."); err == nil {
		t.Errorf("a VPC without a resolver is answered %q", got)
	}
	r.router.Close()
	failed := r.client.Apply(t.Context(), desired.Zone(vpc), []desired.Entry{entry()}, nil)
	if err := failed[entry().Key()]; err == nil || !strings.Contains(err.Error(), "no router") {
		t.Errorf("a VPC without a router: %v", err)
	}
	if there, err := r.client.Dump(t.Context(), desired.Zone(vpc)); err != nil || slices.ContainsFunc(there, func(e desired.Entry) bool { return e.Key() == entry().Key() }) {
		t.Errorf("a VPC that is not served is there: %v, %v", there, err)
	}
	r.router = r.makeRouter()
	r.address()
	r.eventually(func() error {
		if got, err := r.ask("udp", servers[0], "db.example.com."); got != "NOERROR 10.0.0.1" {
			return fmt.Errorf("in the router that came: %q, %v", got, err)
		}
		return nil
	})
}

// TestTakeOverLosesNoQuestion has clients ask all the time, each question once, while one
// process after the other takes over and names change.
func TestTakeOverLosesNoQuestion(t *testing.T) {
	r := newRig(t)
	r.address()
	old := r.start()
	r.serveZone()
	var asked atomic.Int64
	var clients sync.WaitGroup
	done := make(chan struct{})
	for _, server := range servers {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if got, err := r.ask("udp", server, "db.example.com."); !strings.HasPrefix(got, "NOERROR 10.0.0.") {
					t.Errorf("question %d: %q, %v", asked.Load(), got, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	for i := range 4 {
		before := asked.Load()
		r.config.Version = fmt.Sprint(i + 2)
		next := r.start()
		if status, err := old.Wait(testnet.Patience); err != nil || status != 0 {
			t.Errorf("the process before ends with %d, %v: %s", status, err, old.Output())
		}
		r.put(desired.Zone("Z1"), record(fmt.Sprintf("10.0.0.%d", i+10)))
		r.want("tcp", servers[0], "db.example.com.", fmt.Sprintf("NOERROR 10.0.0.%d", i+10))
		r.eventually(func() error {
			if asked.Load() < before+100 {
				return errors.New("nobody asks")
			}
			return nil
		})
		old = next
	}
	close(done)
	clients.Wait()
	t.Logf("%d questions, each answered", asked.Load())
}

// TestLookUpsAskTheServersOfTheVPC has a VPC whose DHCP options name a server of its own,
// which is where only the router reaches it, and the resolver itself. Look-ups ask it as
// workloads would; the resolver does not, or they would ask each other.
func TestLookUpsAskTheServersOfTheVPC(t *testing.T) {
	r := newRig(t)
	r.address()
	serve(t, r.router, "127.0.0.9:53", "10.9.9.9")
	host := serve(t, nil, "127.0.0.1:0", "10.8.8.8")
	r.config.NoUpstream, r.config.Upstream = false, []netip.AddrPort{netip.MustParseAddrPort(host)}
	r.start()
	r.serveZone()
	look := func(name, vpc, want string) {
		t.Helper()
		a, err := r.client.Lookup(t.Context(), control.Question{Name: name, VPC: vpc})
		if err != nil || fmt.Sprint(a.Addrs) != "["+want+"]" {
			t.Errorf("look-up of %s in %q: %+v, %v, want %s", name, vpc, a, err, want)
		}
	}
	look("a.elsewhere.test.", vpc, "10.8.8.8")
	look("db.example.com.", vpc, "10.0.0.1")
	const mine, dead = "127.0.0.9", "127.0.0.8"
	for _, c := range []struct {
		servers       []string
		public, zoned string // what a look-up hears
	}{
		{[]string{mine}, "10.9.9.9", "10.9.9.9"},
		{[]string{dead, mine}, "10.9.9.9", "10.9.9.9"},
		{[]string{mine, servers[0]}, "10.9.9.9", "10.9.9.9"},
		{[]string{dead, servers[1]}, "10.8.8.8", "10.0.0.1"},
		{[]string{servers[1], mine}, "10.8.8.8", "10.0.0.1"},
		{nil, "10.8.8.8", "10.0.0.1"},
	} {
		e := entry()
		for _, text := range c.servers {
			e.Servers = append(e.Servers, netip.MustParseAddr(text))
		}
		r.put(desired.Zone(vpc), e)
		look("a.elsewhere.test.", vpc, c.public)
		look("db.example.com.", vpc, c.zoned)
		look("a.elsewhere.test.", "", "10.8.8.8")
		r.want("udp", servers[0], "a.elsewhere.test.", "NOERROR 10.8.8.8")
		r.want("tcp", servers[0], "db.example.com.", "NOERROR 10.0.0.1")
	}
	e := entry()
	e.Servers = []netip.Addr{netip.MustParseAddr(dead)}
	r.put(desired.Zone(vpc), e)
	if a, err := r.client.Lookup(t.Context(), control.Question{Name: "a.elsewhere.test.", VPC: vpc}); err == nil || !strings.Contains(err.Error(), dead+":53") {
		t.Errorf("a server that is not there: %+v, %v, want it to be named", a, err)
	}
}

// serve answers each question for an address with this one, in a namespace or in that of
// the test, and gives where.
func serve(t *testing.T, ns *testnet.NS, address, answer string) string {
	t.Helper()
	listen := net.ListenPacket
	if ns != nil {
		listen = ns.ListenPacket
	}
	conn, err := listen("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if rr, err := dns.NewRR(q.Question[0].Name + " 60 A " + answer); err == nil {
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	return conn.LocalAddr().String()
}

// TestTakeOverThatFailsChangesNothing asks for the sockets and goes away, at each step.
func TestTakeOverThatFailsChangesNothing(t *testing.T) {
	r := newRig(t)
	r.address()
	p := r.start()
	r.serveZone()
	for said := range 3 {
		conn, err := r.client.TakeOver(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range said { // confirms so many lots, of which there is one and an empty one
			if _, err := conn.Write([]byte("t")); err != nil {
				t.Fatal(err)
			}
		}
		conn.Close()
		r.put(desired.Zone("Z1"), record(fmt.Sprintf("10.0.1.%d", said+1)))
		r.want("udp", servers[1], "db.example.com.", fmt.Sprintf("NOERROR 10.0.1.%d", said+1))
	}
	if status, err := r.client.Status(t.Context()); err != nil || status.PID != p.PID {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestTakeOverWaitsForNobody takes over while a question waits for an upstream server
// that takes its time: names can be changed at once, nobody is left to wait at an address
// of the host that is given up, and the question is answered by the process that has read
// it.
func TestTakeOverWaitsForNobody(t *testing.T) {
	r := newRig(t)
	r.address()
	came, hold := make(chan struct{}, 16), make(chan struct{})
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		_ = (&dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			came <- struct{}{}
			<-hold
			_ = w.WriteMsg(new(dns.Msg).SetReply(q))
		})}).ActivateAndServe()
	}()
	r.config.NoUpstream, r.config.Upstream = false, []netip.AddrPort{netip.MustParseAddrPort(conn.LocalAddr().String())}
	former := freePort(t, "127.0.0.1")
	r.config.Listen, r.config.Domain = []netip.AddrPort{former}, "suffix.test"
	old := r.start()
	r.serveZone()
	answered := make(chan string, 1)
	go func() {
		got, err := r.ask("udp", servers[0], "slow.test.")
		answered <- fmt.Sprint(got, err)
	}()
	<-came
	r.config.Listen = []netip.AddrPort{freePort(t, "127.0.0.1")}
	r.start()
	if conn, err := net.Dial("tcp", former.String()); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("at an address that was given up there is %v, %v", conn, err)
	}
	r.put(desired.Zone("Z1"), record("10.0.0.99"))
	r.want("udp", servers[0], "db.example.com.", "NOERROR 10.0.0.99")
	close(hold)
	if got := <-answered; got != "NOERROR<nil>" && got != "SERVFAIL<nil>" { // that is when the machine is slow
		t.Errorf("the question that waited is answered %s", got)
	}
	if status, err := old.Wait(testnet.Patience); err != nil || status != 0 {
		t.Errorf("the process before ends with %d, %v: %s", status, err, old.Output())
	}
}
