// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// secluded is a VPC with a client, and a server in a namespace of our own.
type secluded struct {
	*scenario
	sandbox desired.Sandbox
	server  desired.Workload
}

const (
	serverID        = "db-ABCDEFGHIJKLMNOPQRSTUVWX01"
	serverInterface = "eni-0cccccccccccccccc"
	serverAddress   = "10.0.1.20:5432"
)

func newSecluded(t *testing.T) *secluded {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		testnet.Unable(t, "this test uses the program ip of iproute2")
	}
	s := base(t)
	s.entries = map[string][]desired.Entry{provider: append(s.common(provider, prefix("240.0.0.0/26"), netip.Prefix{}, "10.0.0.0/16", "0.0.0.0/0"),
		s.workload(provider, s.client, addr("10.0.1.1"), prefix("10.0.1.10/24")),
		desired.Address{VPC: provider, Addr: addr("10.0.1.10"), Class: "c-open"},
		desired.Address{VPC: provider, Addr: addr("10.0.1.20"), Class: "c-open"},
	)}
	x := &secluded{scenario: s, sandbox: desired.Sandbox{ID: serverID, VPC: provider}}
	x.server = desired.Workload{
		VPC: provider, ENI: serverInterface, MAC: "02:00:00:00:00:0c", Device: "eth0", Gateway: addr("10.0.1.1"),
		Addresses: []netip.Prefix{prefix("10.0.1.20/24")}, Namespace: desired.Namespace{Realm: x.sandbox.Key().Realm},
	}
	return x
}

func (x *secluded) name() string { return network.NamespaceName(x.instance, network.NameOf(x.realm())) }

func (x *secluded) realm() desired.Realm { return x.sandbox.Key().Realm }

// put puts both, the sandbox first.
func (x *secluded) put() {
	x.t.Helper()
	for _, failed := range []map[desired.Key]error{
		x.host.Apply(x.t.Context(), x.realm(), []desired.Entry{x.sandbox}, nil),
		x.host.Apply(x.t.Context(), provider, append(slices.Clone(x.entries[provider]), x.server), nil),
	} {
		for key, err := range failed {
			x.t.Errorf("put %s: %v", key, err)
		}
	}
}

// whole reports whether all is there as it should be.
func (x *secluded) whole() bool {
	x.t.Helper()
	return x.dump(provider) == desired.Text(append(slices.Clone(x.entries[provider]), x.server)) &&
		x.dump(string(x.realm())) == desired.Text([]desired.Entry{x.sandbox})
}

// restart has another process look after the host; meanwhile something happens.
func (x *secluded) restart(meanwhile func()) {
	x.t.Helper()
	x.host.Close()
	meanwhile()
	next, err := dataplane.New(dataplane.Config{Instance: x.instance})
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { next.Close() })
	x.host = next
}

// inode tells the namespace that has the name from others.
func (x *secluded) inode() uint64 {
	x.t.Helper()
	ns, err := network.OpenNamespace(x.name())
	if err != nil {
		x.t.Fatal(err)
	}
	defer ns.Close()
	inode, err := network.Inode(ns)
	if err != nil {
		x.t.Fatal(err)
	}
	return inode
}

// serves starts a server in the sandbox, and gives the client's end of a connection with it.
func (x *secluded) serves() net.Conn {
	x.t.Helper()
	ns, err := network.OpenNamespace(x.name())
	if err != nil {
		x.t.Fatal(err)
	}
	defer ns.Close()
	var l net.Listener
	if err := network.Inside(ns, func() (err error) {
		l, err = net.Listen("tcp4", serverAddress)
		return err
	}); err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { l.Close() })
	go testnet.Answer(l)
	return x.connect()
}

func (x *secluded) connect() net.Conn {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), testnet.Patience)
	defer cancel()
	conn, err := x.client.Dial(ctx, "tcp4", serverAddress)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { conn.Close() })
	if saw, err := testnet.AskOn(conn); err != nil || netip.MustParseAddrPort(saw).Addr() != addr("10.0.1.10") {
		x.t.Fatalf("the server sees %s, %v, want the client", saw, err)
	}
	return conn
}

// A server in a namespace of ours is reached at its address, also by the express lane. What
// goes on in it is not disturbed when it is looked at, when another process looks after it,
// and when what was damaged is repaired.
func TestAServerLivesInASandbox(t *testing.T) {
	x := newSecluded(t)
	if failed := x.host.Apply(t.Context(), provider, append(slices.Clone(x.entries[provider]), x.server), nil); failed[x.server.Key()] == nil || errors.Is(failed[x.server.Key()], dataplane.ErrNamespaceGone) {
		t.Errorf("its interface is there before it is: %v", failed)
	}
	x.put()
	if !x.whole() {
		t.Fatalf("there is\n%s%s", x.dump(provider), x.dump(string(x.realm())))
	}
	own := x.inode()
	conn := x.serves()
	goesOn := func(when string) {
		t.Helper()
		for range 10 {
			if err := testnet.Echo(conn, when); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
		}
	}
	goesOn("at first")
	router, device := network.NamespaceName(x.instance, provider), "w"+serverInterface[4:18]
	for _, damage := range []struct{ where, line string }{
		{x.name(), "ip link set lo down"}, {x.name(), "sysctl -qw net.ipv4.ip_forward=1"}, {x.name(), "sysctl -qw net.ipv6.conf.all.forwarding=1"},
		{x.name(), "ip link set eth0 down"}, {x.name(), "ip route del default"}, {x.name(), "ip neigh del 10.0.1.1 dev eth0"}, {router, "ip link set " + device + " down"},
	} {
		run(t, damage.where, damage.line)
		if x.whole() {
			t.Errorf("%s in %s is not seen", damage.line, damage.where)
		}
		x.put()
		if !x.whole() {
			t.Errorf("%s in %s is not repaired:\n%s%s", damage.line, damage.where, x.dump(provider), x.dump(string(x.realm())))
		}
		if damage.where == router {
			conn = x.connect() // the other one was cut: for a while the address was nobody's
		}
		goesOn("after " + damage.line)
	}
	x.restart(func() { goesOn("while nobody looks after it") })
	if !x.whole() {
		t.Errorf("after a restart there is\n%s%s", x.dump(provider), x.dump(string(x.realm())))
	}
	x.put()
	goesOn("after a restart")
	if x.inode() != own {
		t.Error("the sandbox is another one")
	}
	w := x.workload(provider, x.scenario.server, addr("10.0.1.1"), prefix("10.0.1.30/24"))
	w.ENI, w.Namespace = "eni-0eeeeeeeeeeeeeee", desired.Namespace{Name: x.name()}
	if failed := x.host.Apply(t.Context(), provider, []desired.Entry{w}, nil); !errors.Is(failed[w.Key()], network.ErrNotForWorkloads) {
		t.Errorf("a workload in the sandbox: %v", failed)
	}
}

// A program that listens at all addresses of a sandbox is told to which one of its blocks a
// connection came. What is wrong with a block is seen and repaired, and one that is not
// wanted any more goes.
func TestASandboxHasBlocksOfItsOwn(t *testing.T) {
	x := newSecluded(t)
	block4, block6 := prefix("100.64.0.0/13"), prefix("fd00:64::/96")
	x.sandbox.Local = []netip.Prefix{block4, block6}
	x.server.Prefixes = x.sandbox.Local
	own := []netip.Addr{addr("100.64.0.7"), addr("100.71.255.255")}
	for _, a := range own {
		x.entries[provider] = append(x.entries[provider], desired.Address{VPC: provider, Addr: a, Class: "c-open"})
	}
	x.put()
	if !x.whole() {
		t.Fatalf("there is\n%s%s", x.dump(provider), x.dump(string(x.realm())))
	}
	ns, err := network.OpenNamespace(x.name())
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	var l net.Listener
	if err := network.Inside(ns, func() (err error) {
		l, err = net.Listen("tcp", ":443")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	reaches := func(when string) {
		t.Helper()
		for _, a := range own {
			ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
			defer cancel()
			conn, err := x.client.Dial(ctx, "tcp4", netip.AddrPortFrom(a, 443).String())
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			defer conn.Close()
			in, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if got := netip.MustParseAddrPort(in.LocalAddr().String()); got.Addr().Unmap() != a || got.Port() != 443 {
				t.Errorf("%s: a connection to %s came to %s", when, a, got)
			}
		}
	}
	reaches("at first")
	run(t, x.name(), "ip route del local "+block4.String()+" dev lo table local")
	if x.whole() {
		t.Error("a block that has gone is not missed")
	}
	x.put()
	reaches("when it was repaired")
	x.sandbox.Local, x.server.Prefixes = nil, nil
	x.put()
	if !x.whole() {
		t.Errorf("without blocks there is\n%s%s", x.dump(provider), x.dump(string(x.realm())))
	}
}

// Who takes the name of a sandbox away takes nothing else while Postern runs: it gives the
// name back. Of what happens when nobody looks Postern finds the interface only: the
// sandbox is another one then, and whatever was in the old one is cut off.
func TestASandboxWhoseNameIsTakenAway(t *testing.T) {
	x := newSecluded(t)
	x.put()
	own := x.inode()
	conn := x.serves()
	if err := network.DeleteNamespace(x.name()); err != nil {
		t.Fatal(err)
	}
	if x.whole() {
		t.Error("that the name is gone is not seen")
	}
	x.put()
	if !x.whole() || x.inode() != own {
		t.Errorf("the name is not given back:\n%s%s", x.dump(provider), x.dump(string(x.realm())))
	}
	if err := testnet.Echo(conn, "with its name again"); err != nil {
		t.Error(err)
	}
	x.restart(func() {
		if err := network.DeleteNamespace(x.name()); err != nil {
			t.Fatal(err)
		}
	})
	if x.whole() {
		t.Error("that the sandbox is gone is not seen")
	}
	x.put()
	if !x.whole() || x.inode() == own {
		t.Errorf("there is no other sandbox:\n%s%s", x.dump(provider), x.dump(string(x.realm())))
	}
	ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
	defer cancel()
	if again, err := x.client.Dial(ctx, "tcp4", serverAddress); err == nil {
		again.Close()
		t.Error("the server in the old sandbox is reached in the new one")
	}
	x.serves()
}

// A sandbox is taken away when nobody runs in it, whatever else is left there.
func TestASandboxIsTakenAway(t *testing.T) {
	x := newSecluded(t)
	x.put()
	x.serves()
	server := exec.Command("ip", "netns", "exec", x.name(), "cat")
	hold, err := server.StdinPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program in the sandbox", func() bool {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", server.Process.Pid))
		return err == nil && link == fmt.Sprintf("net:[%d]", x.inode())
	})
	if x.host.Apply(t.Context(), x.realm(), nil, []desired.Entry{x.sandbox}) == nil || !x.whole() {
		t.Errorf("it was taken away from who runs in it:\n%s", x.dump(string(x.realm())))
	}
	hold.Close()
	if err := server.Wait(); err != nil {
		t.Error(err)
	}
	for range 2 { // the second time there is nothing
		for realm, e := range map[desired.Realm]desired.Entry{provider: x.server, x.realm(): x.sandbox} {
			for key, err := range x.host.Apply(t.Context(), realm, nil, []desired.Entry{e}) {
				t.Errorf("delete %s: %v", key, err)
			}
		}
		if text := x.dump(string(x.realm())); text != "" {
			t.Errorf("there is still %s", text)
		}
		if got, want := x.dump(provider), desired.Text(x.entries[provider]); got != want {
			t.Errorf("of the VPC there is %s, want %s", got, want)
		}
	}
	if ns, err := network.OpenNamespace(x.name()); err == nil {
		ns.Close()
		t.Error("its namespace has its name still")
	}
}

// Nothing comes into a sandbox that is sealed, until it is not any more. Whoever tries is
// told so at once, and needs no timeout of its own to find out.
func TestSealedSandboxIsOutOfReach(t *testing.T) {
	x := newSecluded(t)
	x.put()
	before := x.serves()
	for range 2 {
		if err := x.host.Seal(serverID); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
	defer cancel()
	if late, err := x.client.Dial(ctx, "tcp4", serverAddress); !errors.Is(err, unix.ECONNREFUSED) {
		if err == nil {
			late.Close()
		}
		t.Errorf("who connects to a sealed sandbox is told %v, want that it is refused", err)
	}
	if _, err := testnet.AskOn(before); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("who is connected to a sealed sandbox is told %v, want a reset", err)
	}
	if !x.whole() {
		t.Error("a sealed sandbox is another one")
	}
	for range 2 {
		if err := x.host.Unseal(serverID); err != nil {
			t.Fatal(err)
		}
	}
	x.connect()
	if err := x.host.Seal("db-none"); err == nil {
		t.Error("what is not there is sealed")
	}
}
