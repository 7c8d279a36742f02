// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/testnet"
)

// delegation is a VPC with a workload that has a prefix and uses an address of
// it, and a neighbour whose group alone may come to it.
type delegation struct {
	*scenario
	holder, other desired.Workload
	neighbour     *testnet.NS
	inside        string // the address of the prefix that the holder uses
}

func delegated(t *testing.T) delegation {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		testnet.Unable(t, "this test uses the program ip of iproute2")
	}
	s := scenario4(t)
	d := delegation{scenario: s, neighbour: testnet.New(t), inside: "10.0.1.40"}
	d.holder = s.entry(provider, desired.KindWorkload).(desired.Workload)
	d.holder.Prefixes = []netip.Prefix{prefix("10.0.1.32/28")}
	d.other = s.workload(provider, d.neighbour, d.holder.Gateway, prefix("10.0.1.11/24"))
	d.other.ENI, d.other.MAC = "eni-0ddddddddddddddd4", "02:00:00:00:00:04"
	ssh := desired.Rule{Protocol: 6, From: 7000, To: 7000, Group: "sg-neighbours"}
	all := desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix("0.0.0.0/0")}
	s.entries[provider] = append(slices.DeleteFunc(s.entries[provider], func(e desired.Entry) bool { return e.Key() == d.holder.Key() }),
		desired.Class{VPC: provider, Name: "c-inner", In: []desired.Rule{ssh}, Out: []desired.Rule{all}}, d.holder, d.other,
		desired.Address{VPC: provider, Addr: addr("10.0.1.11"), Class: "c-open"},
		desired.Member{VPC: provider, Group: "sg-neighbours", Addr: addr("10.0.1.11")})
	for a := addr("10.0.1.32"); d.holder.Prefixes[0].Contains(a); a = a.Next() {
		s.entries[provider] = append(s.entries[provider], desired.Address{VPC: provider, Addr: a, Class: "c-inner"})
	}
	desired.Sort(s.entries[provider])
	s.apply()
	run(t, s.server.Name, "ip addr add 10.0.1.40/32 dev eth0")
	l, err := s.server.Serve("tcp4", d.inside+":7000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return d
}

// dial connects the neighbour with the holder at an address of the prefix, and
// hears whom that one sees.
func (d delegation) dial(port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 2*time.Second)
	defer cancel()
	conn, err := d.neighbour.Dial(ctx, "tcp4", net.JoinHostPort(d.inside, port))
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(20 * time.Second)) // of the whole test
	if _, err := testnet.AskOn(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// A workload is reached at each address of its prefix that it uses, by whom its
// groups admit, and may speak from them. The address that it has given itself
// stays.
func TestAWorkloadIsReachedInItsPrefix(t *testing.T) {
	d := delegated(t)
	conn, err := d.dial("7000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := testnet.Echo(conn, "hello"); err != nil {
		t.Error(err)
	}
	l, err := d.server.Serve("tcp4", d.inside+":7001")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if conn, err := d.dial("7001"); err == nil {
		conn.Close()
		t.Error("a port that its groups do not admit is open")
	}
	l, err = d.neighbour.Serve("tcp4", ":7002")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.inside)}}
	back, err := d.server.DialWith(ctx, from, "tcp4", "10.0.1.11:7002")
	if err != nil {
		t.Fatalf("from an address of the prefix: %v", err)
	}
	defer back.Close()
	if saw, err := testnet.AskOn(back); err != nil || !strings.HasPrefix(saw, d.inside+":") {
		t.Errorf("the neighbour saw %q, %v", saw, err)
	}
	d.apply()
	d.checkDump()
	if err := testnet.Echo(conn, "and again"); err != nil {
		t.Error(err)
	}
}

// A prefix that is taken away ends the connections of its addresses, and those
// only; its former holder is not reached there any more, whoever has it next is.
func TestAPrefixIsTakenAway(t *testing.T) {
	d := delegated(t)
	inside, err := d.dial("7000")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	d.serve()
	own, err := d.neighbour.Dial(t.Context(), "tcp4", d.direct)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if _, err := testnet.AskOn(own); err != nil {
		t.Fatal(err)
	}
	bare := d.holder
	bare.Prefixes = nil
	d.put(provider, []desired.Entry{bare})
	for _, found := range d.tracked(provider) {
		if strings.Contains(found, d.inside) {
			t.Errorf("the router still tracks %s", found)
		}
	}
	d.expectReset("the neighbour", inside)
	if err := testnet.Echo(own, "still here"); err != nil {
		t.Errorf("the connection of another address: %v", err)
	}
	if conn, err := d.dial("7000"); err == nil {
		conn.Close()
		t.Error("the former holder is reached")
	}
	third := testnet.New(t)
	next := d.workload(provider, third, d.holder.Gateway, prefix("10.0.1.12/24"))
	next.ENI, next.MAC, next.Prefixes = "eni-0eeeeeeeeeeeeeee5", "02:00:00:00:00:05", d.holder.Prefixes
	d.put(provider, []desired.Entry{next})
	run(t, third.Name, "ip addr add 10.0.1.40/32 dev lo")
	l, err := third.Serve("tcp4", d.inside+":7000")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := d.dial("7000")
	if err != nil {
		t.Fatalf("the next holder: %v", err)
	}
	conn.Close()
	d.remove(provider, next)
	if left := d.dump(provider); strings.Contains(left, "10.0.1.32/28") {
		t.Errorf("left: %s", left)
	}
}

// What is damaged of a prefix is seen and mended, and what the next process finds
// whole it leaves alone.
func TestAPrefixIsMended(t *testing.T) {
	d := delegated(t)
	d.checkDump()
	router := network.NamespaceName(d.instance, provider)
	device := "w0bbbbbbbbbbbbb"
	for _, line := range []string{
		"ip route del 10.0.1.32/28",
		"ip route replace 10.0.1.32/28 via 10.0.1.99 dev " + device + " onlink proto 78",
		"ip route add 10.0.1.64/28 via 10.0.1.10 dev " + device + " onlink proto 78",
		"ip neigh del 10.0.1.10 dev " + device,
	} {
		run(t, router, line)
		if rounds := d.repair(); rounds == 0 {
			t.Errorf("%s: the damage is not seen", line)
		}
		d.checkDump()
		conn, err := d.dial("7000")
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		conn.Close()
	}
	conn, err := d.dial("7000")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d.host.Close()
	d.adopt()
	d.checkDump()
	if err := testnet.Echo(conn, "still here"); err != nil {
		t.Error(err)
	}
}
