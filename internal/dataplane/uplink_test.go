// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// A new process finds all of it and changes nothing. A namespace that the operator
// deletes and makes again is missed, said to be, and joined again; when the edge goes
// nothing is left in it.
func TestAnUplinkThatGoesAndComesAgain(t *testing.T) {
	r := newOutsideRig(t, dataplane.Config{})
	r.serve(r.internet)
	r.start()
	r.checkDump("after a new start")
	r.sees("after a new start", r.one, webServer, publicOne)
	r.leads("after a new start", true)

	name := r.internet.Name
	run(t, name, "ip link del "+operatorDevice(t, name))
	r.leads("when its interface is lost", false)
	if there := r.dumped(); !strings.Contains(there, "damaged") {
		t.Errorf("an uplink that lost its interface is read back as\n%s", there)
	}
	r.put(r.realm(), r.edge)
	r.checkDump("after it was mended")
	r.sees("after it was mended", r.two, webServer, publicTwo)

	gone := r.edge
	gone.Device = "netns:not-" + name
	failed := r.host.Apply(t.Context(), r.realm(), []desired.Entry{gone}, nil)
	if err := failed[gone.Key()]; !errors.Is(err, network.ErrNamespaceGone) {
		t.Errorf("an uplink to a namespace that is not there: %v", failed)
	}
	r.sees("without an uplink", r.one, publicTwo, "refused") // nobody listens there
	r.apply()
	r.checkDump("after it came again")
	r.sees("after it came again", r.one, webServer, publicOne)

	here(t, "ip netns del "+name) // its sockets keep what has lost the name
	r.leads("without the name", false)
	ns, err := testnet.Make(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	r.leads("when the name is another's", false)
	if there := r.dumped(); !strings.Contains(there, "damaged") {
		t.Errorf("an uplink that leads elsewhere than its name is read back as\n%s", there)
	}
	r.put(r.realm(), r.edge)
	r.leads("when it was joined", true)
	r.checkDump("when it was joined")

	r.del(r.edge)
	r.leads("without an edge", false)
	if left := links(t, name); left != "" {
		t.Errorf("left in the operator's namespace: %s", left)
	}
}

// leads looks at the uplink as is done while nothing happens.
func (r *outsideRig) leads(when string, want bool) {
	r.t.Helper()
	got, err := r.host.Leads(r.edge.Name, r.edge.Device)
	if err != nil || got != want {
		r.t.Errorf("the uplink leads out %s: %t, %v, want %t", when, got, err, want)
	}
}

// What a process leaves that is killed after it has taken a public address away, and
// before it cut: the next one cuts it, in and out, and nothing else.
func TestConnectionsOfAPublicAddressThatWasLeftAreCut(t *testing.T) {
	r := newOutsideRig(t, dataplane.Config{})
	r.serve(r.internet)
	r.serve(r.one)
	r.serve(r.two)
	dial := func(from *testnet.NS, to string) net.Conn {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
		defer cancel()
		conn, err := from.Dial(ctx, "tcp", net.JoinHostPort(to, "80"))
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			_, err = testnet.AskOn(conn)
		}
		if err != nil {
			t.Fatalf("ask %s: %v", to, err)
		}
		return conn
	}
	kept := []net.Conn{
		dial(r.two, webServer), dial(r.internet, publicTwo), dial(r.two, publicTwo),
		dial(r.one, webServer6), dial(r.internet, "2001:db8:0:101::10"),
	}
	cut := []net.Conn{dial(r.one, webServer), dial(r.internet, publicOne), dial(r.two, publicOne)}

	r.host.Close()
	ns, err := network.OpenNamespace(network.NamespaceName(r.config.Instance, consumer))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	table, err := nft.Open(int(ns.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	gone := desired.Public{VPC: consumer, Addr: addr(publicOne), Private: addr("10.0.1.10")}
	if failed := table.Apply(t.Context(), nil, []desired.Entry{gone}); failed != nil {
		t.Fatal(failed)
	}
	r.start()
	for _, vpc := range vpcs() {
		r.put(desired.Realm(vpc)) // the first use of a router
	}
	for i, conn := range cut {
		conn.SetReadDeadline(time.Now().Add(testnet.Patience))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("connection %d of the address that was taken away reads %v, want a reset", i, err)
		}
	}
	for i, conn := range kept {
		if err := testnet.Echo(conn, "on"); err != nil {
			t.Errorf("connection %d that has nothing to do with it: %v", i, err)
		}
	}
}

func (r *outsideRig) dumped() string {
	r.t.Helper()
	there, err := r.host.Dump(r.t.Context(), r.realm())
	if err != nil {
		r.t.Fatal(err)
	}
	return desired.Text(there)
}

// operatorDevice is the name of what Postern has made in the operator's namespace.
func operatorDevice(t testing.TB, ns string) string {
	t.Helper()
	_, text, _ := strings.Cut(links(t, ns), " ")
	name, _, _ := strings.Cut(strings.TrimSpace(text), "@")
	return name
}

// An interface of the host that is given to Postern leads out, answers for the addresses
// of a pool that is on its link, and for no others, and is back under its name when the
// uplink goes. One that the host itself uses is refused. One that is unplugged is missed,
// and taken again when it is back; until then what leads out is refused.
func TestAnInterfaceOfTheHostIsAnUplink(t *testing.T) {
	r := newOutsideRig(t, dataplane.Config{})
	r.serve(r.internet)
	r.serve(r.one)
	device := "pt" + testnet.RandomName(10)
	plug := func() {
		t.Helper()
		here(t, "ip link add "+device+" type veth peer name eth9 netns "+r.internet.Name)
		for _, line := range []string{"ip link set eth9 up", "ip addr add 203.0.113.1/24 dev eth9"} {
			run(t, r.internet.Name, line)
		}
	}
	plug()
	t.Cleanup(func() { here(t, "ip link del "+device) })
	here(t, "ip addr add 192.0.2.1/24 dev "+device)
	if err := network.CheckInterface(device); err == nil || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("an interface that has an address may be taken: %v", err)
	}
	here(t, "ip addr flush dev "+device)
	if err := network.CheckInterface(device); err != nil {
		t.Error(err)
	}
	r.edge.Device, r.edge.Addresses, r.edge.Via = "dev:"+device, []netip.Prefix{prefix("203.0.113.2/24")}, []netip.Addr{addr("203.0.113.1")}
	r.put(r.realm(), r.edge)
	whole := func(when string) {
		t.Helper()
		r.leads(when, true)
		r.checkDump(when)
		r.sees("out by the interface "+when, r.one, webServer, publicOne)
		r.sees("in by the interface "+when, r.internet, publicOne, "203.0.113.1")
	}
	whole("at first")
	r.sees("an address of the pool that nobody has", r.internet, "203.0.113.20", "no route to host")
	r.start()
	whole("after a new start")

	run(t, r.internet.Name, "ip link del eth9")
	r.leads("when it is unplugged", false)
	if there := r.dumped(); !strings.Contains(there, "damaged") {
		t.Errorf("an uplink whose interface was unplugged is read back as\n%s", there)
	}
	failed := r.host.Apply(t.Context(), r.realm(), []desired.Entry{r.edge}, nil)
	if err := failed[r.edge.Key()]; !errors.Is(err, network.ErrNoInterface) {
		t.Errorf("an uplink whose interface is not there: %v", failed)
	}
	r.sees("out without the interface", r.one, webServer, "unreachable")
	plug()
	r.put(r.realm(), r.edge)
	whole("when it is plugged in again")
	r.del(r.edge)
	if err := network.CheckInterface(device); err != nil {
		t.Errorf("it is not given back: %v", err)
	}
}

// here runs a command in the namespace of the tests themselves, which stands for the
// host.
func here(t testing.TB, line string) {
	t.Helper()
	words := strings.Fields(line)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
}

// links lists the veths in a namespace.
func links(t testing.TB, ns string) string {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", ns, "ip", "-o", "link", "show", "type", "veth").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
