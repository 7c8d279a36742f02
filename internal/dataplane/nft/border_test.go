// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
)

func pass(protocol, from, to int, block string) desired.ACLRule {
	return desired.ACLRule{Allow: true, Rule: desired.Rule{Protocol: protocol, From: from, To: to, Peer: netip.MustParsePrefix(block)}}
}

func stop(protocol, from, to int, block string) desired.ACLRule {
	r := pass(protocol, from, to, block)
	r.Allow = false
	return r
}

// anything lets all pass.
var anything = []desired.ACLRule{pass(-1, -1, -1, "0.0.0.0/0"), pass(-1, -1, -1, "::/0")}

// but puts rules before anything.
func but(rules ...desired.ACLRule) []desired.ACLRule { return append(rules, anything...) }

// filter is the entries by which an ACL filters a subnet.
func filter(vpc, subnet string, in, out []desired.ACLRule, blocks ...string) []desired.Entry {
	f := desired.Filtered{VPC: vpc, Subnet: subnet, ACL: "acl-" + subnet}
	for _, b := range blocks {
		f.Prefixes = append(f.Prefixes, netip.MustParsePrefix(b))
	}
	return []desired.Entry{desired.ACL{VPC: vpc, Name: f.ACL, In: in, Out: out}, f}
}

// The subnets of the lab.
func first(in, out []desired.ACLRule) []desired.Entry {
	return filter("vpc-a", "subnet-1", in, out, "10.0.1.0/24", "2001:db8:0:1::/64")
}

func second(in, out []desired.ACLRule) []desired.Entry {
	return filter("vpc-a", "subnet-2", in, out, "10.0.2.0/24", "2001:db8:0:2::/64")
}

const far4, far6, near4 = "10.0.2.11:6000", "[2001:db8:0:2::11]:6000", "10.0.1.74:6000"

// TestPacketsBetweenSubnetsAreFiltered: both directions of both subnets are asked for each
// packet, and nothing of the kind holds within one.
func TestPacketsBetweenSubnetsAreFiltered(t *testing.T) {
	r := newRig(t)
	r.Far.Greet(6000)
	r.Near.Greet(6000)
	for _, c := range []struct {
		name   string
		put    []desired.Entry
		works  string
		silent string
	}{
		{"all is let pass", append(first(anything, anything), second(anything, anything)...), far4 + " " + far6 + " " + near4, ""},
		{"nothing is", first(nil, nil), near4, far4 + " " + far6},
		{"out of the first", first(anything, but(stop(6, 6000, 6000, "10.0.2.0/24"))), far6 + " " + near4, far4},
		{"into the second", second(but(stop(6, 5000, 7000, "10.0.0.0/16"), stop(6, 5999, 6001, "2001:db8::/32")), anything), near4, far4 + " " + far6},
		{"ports beside", second(but(stop(6, 0, 5999, "0.0.0.0/0"), stop(6, 6001, 65535, "0.0.0.0/0"), stop(17, 6000, 6000, "0.0.0.0/0")), anything), far4 + " " + far6, ""},
		{"the way back, out of the second", second(anything, but(stop(6, 1024, 65535, "10.0.1.0/24"))), far6, far4},
		{"the way back, into the first", first(but(stop(6, 1024, 65535, "::/0")), anything), far4 + " " + near4, far6},
		{"the first rule that matches", second(append([]desired.ACLRule{pass(6, 6000, 6000, "10.0.1.10/32"), stop(6, 6000, 6000, "10.0.1.0/24")}, anything...), anything), far4, ""},
		{"the rule before it", second(but(stop(6, 6000, 6000, "10.0.1.0/28"), pass(6, 6000, 6000, "10.0.1.10/32")), anything), far6, far4},
		{"the family that has no rule", first([]desired.ACLRule{pass(-1, -1, -1, "::/0")}, []desired.ACLRule{pass(-1, -1, -1, "::/0")}), far6 + " " + near4, far4},
	} {
		r.Put(r.TableA, c.put...)
		for address := range strings.FieldsSeq(c.works) {
			r.works(r.Client, address)
		}
		for address := range strings.FieldsSeq(c.silent) {
			r.silent(r.Client, address)
		}
		if t.Failed() {
			t.Fatalf("%s\n%s", c.name, r.A.Nft("list", "table", "inet", "postern"))
		}
		r.Remove(r.TableA, c.put...)
	}
	r.works(r.Client, far4)
}

// TestOtherProtocolsAreFiltered: ICMP by type and code, and UDP.
func TestOtherProtocolsAreFiltered(t *testing.T) {
	r := newRig(t)
	pings := func(name string, want bool, hosts ...string) {
		t.Helper()
		for _, host := range hosts {
			patience := lab.Patience
			if !want {
				patience = silence
			}
			if got := r.Client.Ping(host, patience); got != want {
				t.Errorf("%s: a ping to %s is answered: %v", name, host, got)
			}
		}
	}
	const four, six = "10.0.2.11", "2001:db8:0:2::11"
	pings("no ACL", true, four, six)
	r.Put(r.TableA, second(but(stop(1, 8, -1, "0.0.0.0/0"), stop(58, 1, -1, "::/0")), anything)...)
	pings("questions are stopped", false, four)
	pings("another type", true, six)
	r.Put(r.TableA, second(but(stop(1, 3, 0, "0.0.0.0/0"), stop(1, 8, 1, "0.0.0.0/0"), stop(58, -1, -1, "::/0")), anything)...)
	pings("another code", true, four)
	pings("all types are stopped", false, six)
	r.Put(r.TableA, second(anything, but(stop(1, 0, 0, "0.0.0.0/0"), stop(58, 129, 0, "::/0")))...)
	pings("answers are stopped", false, four, six)
	r.Put(r.TableA, second([]desired.ACLRule{pass(17, 1000, 2000, "0.0.0.0/0")}, anything)...)
	for port, want := range map[int]bool{999: false, 1000: true, 2000: true, 2001: false} {
		if got := arrives(t, r.Client, r.Far, four, port); got != want {
			t.Errorf("UDP to port %d arrives: %v", port, got)
		}
	}
}

// arrives reports whether a datagram comes to a port.
func arrives(t *testing.T, from, to *lab.Namespace, host string, port int) bool {
	t.Helper()
	packets, err := to.ListenPacket("udp", netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port)).String())
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	conn, err := from.Dial("udp", packets.LocalAddr().String(), nil, lab.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	packets.SetReadDeadline(time.Now().Add(silence))
	_, _, err = packets.ReadFrom(make([]byte, 16))
	return err == nil
}

// TestPacketsToEndpointsAreFiltered: a client and an endpoint in two subnets are filtered
// by both, before the packet is anything else than what the client sent, and the answer
// behind that.
func TestPacketsToEndpointsAreFiltered(t *testing.T) {
	const end4, end6 = "10.0.1.100:5432", "[2001:db8:0:1::100]:5432"
	r := newRig(t)
	for _, c := range []struct {
		name string
		put  []desired.Entry
		open bool
	}{
		{"all is let pass", append(first(anything, anything), second(anything, anything)...), true},
		{"out of the client's", second(anything, but(stop(6, 5432, 5432, "10.0.1.100/32"), stop(6, 5432, 5432, "2001:db8:0:1::100/128"))), false},
		{"into the endpoint's", first(but(stop(6, 5432, 5432, "10.0.2.11/32"), stop(6, 5432, 5432, "2001:db8:0:2::11/128")), anything), false},
		{"the way back, out of the endpoint's", first(anything, but(stop(6, 1024, 65535, "10.0.2.11/32"), stop(6, 1024, 65535, "2001:db8:0:2::/64"))), false},
		{"the way back, into the client's", second(but(stop(6, 1024, 65535, "10.0.1.100/32"), stop(6, 1024, 65535, "2001:db8:0:1::100/128")), anything), false},
	} {
		r.Put(r.TableA, c.put...)
		for _, address := range []string{end4, end6} {
			if c.open {
				r.works(r.Far, address)
			} else {
				r.silent(r.Far, address)
			}
			r.works(r.Client, address) // is in the endpoint's subnet
		}
		if t.Failed() {
			t.Fatalf("%s\n%s", c.name, r.A.Nft("list", "table", "inet", "postern"))
		}
		r.Remove(r.TableA, c.put...)
	}
}

// TestPacketsOfGatewaysAreFiltered: a resource in another subnet than the gateway sees it
// filtered by both.
func TestPacketsOfGatewaysAreFiltered(t *testing.T) {
	gateways := func(in, out []desired.ACLRule) []desired.Entry {
		return filter("vpc-b", "subnet-g", in, out, "10.0.1.32/27", "2001:db8:0:1::40/122")
	}
	servers := func(in, out []desired.ACLRule) []desired.Entry {
		return filter("vpc-b", "subnet-s", in, out, "10.0.1.0/27", "2001:db8:0:1::/122")
	}
	both := func(in, out []desired.ACLRule) []desired.Entry {
		return filter("vpc-b", "subnet-b", in, out, "10.0.1.0/24", "2001:db8:0:1::/64")
	}
	r := newRig(t)
	for _, c := range []struct {
		name string
		put  []desired.Entry
		open bool
	}{
		{"all is let pass", append(gateways(anything, anything), servers(anything, anything)...), true},
		{"out of the gateway's", gateways(anything, but(stop(6, 5432, 5432, "10.0.1.10/32"), stop(6, 5432, 5432, "2001:db8:0:1::10/128"))), false},
		{"into the server's", servers(but(stop(6, 5432, 5432, "10.0.1.48/28"), stop(6, 5432, 5432, "2001:db8:0:1::50/128")), anything), false},
		{"the way back, out of the server's", servers(anything, but(stop(6, 1024, 65535, "10.0.1.48/28"), stop(6, 1024, 65535, "2001:db8:0:1::50/128"))), false},
		{"the way back, into the gateway's", gateways(but(stop(6, 1024, 65535, "10.0.1.10/32"), stop(6, 1024, 65535, "2001:db8:0:1::10/128")), anything), false},
		{"within one", both(nil, nil), true},
	} {
		r.Put(r.TableB, c.put...)
		for _, address := range []string{"10.0.1.100:5432", "[2001:db8:0:1::100]:5432"} {
			if c.open {
				r.works(r.Client, address)
			} else {
				r.silent(r.Client, address)
			}
		}
		if t.Failed() {
			t.Fatalf("%s\n%s", c.name, r.B.Nft("list", "table", "inet", "postern"))
		}
		r.Remove(r.TableB, c.put...)
	}
}

// TestAConnectionStopsWithARule: packets of one that is established are dropped in
// silence, and pass again when the rule goes.
func TestAConnectionStopsWithARule(t *testing.T) {
	r := newRig(t)
	accepted := r.Far.Accept(6000)
	r.Put(r.TableA, second(anything, anything)...)
	conn, err := r.Client.Dial("tcp", far4, nil, lab.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server := <-accepted
	defer server.Close()
	says := func(word string, patience time.Duration) (string, error) {
		if _, err := io.WriteString(conn, word); err != nil {
			t.Fatal(err)
		}
		server.SetReadDeadline(time.Now().Add(patience))
		buffer := make([]byte, 64)
		n, err := server.Read(buffer)
		return string(buffer[:n]), err
	}
	if got, err := says("a", lab.Patience); got != "a" {
		t.Fatal(got, err)
	}
	r.Put(r.TableA, second(but(stop(6, 6000, 6000, "10.0.1.0/24")), anything)...)
	if got, err := says("b", silence); err == nil {
		t.Fatalf("%q arrived", got)
	}
	r.Put(r.TableA, second(anything, anything)...)
	server.SetReadDeadline(time.Now().Add(lab.Patience))
	buffer := make([]byte, 64)
	if n, err := server.Read(buffer); string(buffer[:n]) != "b" {
		t.Fatalf("%q: %v", buffer[:n], err)
	}
}

// TestTheBorderIsThereWhileItIsNeeded: a router whose subnets are not filtered has nothing
// of it, a damaged one is mended, and it stays when the rules are loaded anew.
func TestTheBorderIsThereWhileItIsNeeded(t *testing.T) {
	r := newRig(t)
	r.Far.Greet(6000)
	before := r.A.Nft("list", "table", "inet", "postern")
	closed := second(nil, nil)
	a := desired.Router{VPC: "vpc-a", Source4: lab.SourceA4, Source6: lab.SourceA6}
	intact := func(want bool) {
		t.Helper()
		got, err := r.TableA.Loaded(t.Context(), a)
		if err != nil || got != want {
			t.Fatalf("intact: %v, %v; want %v", got, err, want)
		}
	}
	r.Put(r.TableA, closed...)
	intact(true)
	for _, damage := range []string{"flush chain inet postern border-forward", "delete chain inet postern border-prerouting", "flush chain inet postern border-leave"} {
		r.A.Nft(strings.Fields(damage)...)
		intact(false)
		if err := r.TableA.Load(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		intact(true)
		r.silent(r.Client, far4)
	}
	r.A.Nft("flush", "map", "inet", "postern", "border4")
	content, err := r.TableA.Dump(t.Context(), "vpc-a")
	if err != nil || !strings.Contains(desired.Text(content.Entries), "damaged") {
		t.Errorf("a subnet without its block: %v\n%s", err, desired.Text(content.Entries))
	}
	r.Put(r.TableA, closed...)
	r.silent(r.Client, far4)
	r.Remove(r.TableA, closed...)
	intact(true)
	r.works(r.Client, far4)
	if after := r.A.Nft("list", "table", "inet", "postern"); strings.Contains(after, "border") || strings.Count(after, "chain ") != strings.Count(before, "chain ") {
		t.Errorf("something is left:\n%s", after)
	}
}
