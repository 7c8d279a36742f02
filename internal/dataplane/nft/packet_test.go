// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// silence is after which a connection attempt counts as dropped.
const silence = 250 * time.Millisecond

// rig adds what these tests say about connections.
type rig struct {
	*lab.Rig
	t testing.TB
}

func newRig(t testing.TB) rig {
	t.Helper()
	return rig{lab.NewRig(t), t}
}

func (r rig) works(from *lab.Namespace, address string, sources ...string) {
	r.t.Helper()
	seen, conn, err := lab.Greeting(from, address, nil)
	if err != nil {
		r.t.Errorf("connect to %s: %v", address, err)
		return
	}
	conn.Close()
	host, _, _ := strings.Cut(seen, " ")
	for _, source := range sources {
		if host == source {
			return
		}
	}
	if len(sources) > 0 {
		r.t.Errorf("connection to %s comes from %s, want one of %v", address, host, sources)
	}
}

func (r rig) refused(from *lab.Namespace, address string) {
	r.t.Helper()
	err := testnet.AtOnce(func() error {
		conn, err := from.Dial("tcp", address, nil, lab.Patience)
		if errors.Is(err, unix.ECONNREFUSED) {
			return nil
		}
		if err == nil {
			conn.Close()
		}
		return fmt.Errorf("%v, want a refusal", err)
	})
	if err != nil {
		r.t.Errorf("connect to %s: %v", address, err)
	}
}

func (r rig) silent(from *lab.Namespace, address string) {
	r.t.Helper()
	conn, err := from.Dial("tcp", address, nil, silence)
	if err == nil {
		conn.Close()
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		r.t.Errorf("connect to %s: %v, want silence", address, err)
	}
}

func TestConnectionsGoThroughOverlappingNetworks(t *testing.T) {
	r := newRig(t)
	pool := []string{"10.0.1.50", "10.0.1.51"}
	r.works(r.Client, "10.0.1.100:5432", pool...)
	r.works(r.Far, "10.0.1.100:5432", pool...)
	r.works(r.Client, "10.0.1.100:8005", pool...)
	r.works(r.Client, "10.0.1.100:9000", pool...)
	r.works(r.Client, "[2001:db8:0:1::100]:5432", "2001:db8:0:1::50")
	r.works(r.Far, "[2001:db8:0:1::100]:5432", "2001:db8:0:1::50")
	if t.Failed() {
		t.Log(r.A.Nft("list", "ruleset"), r.B.Nft("list", "ruleset"))
	}
}

func TestRefusalsAreFast(t *testing.T) {
	r := newRig(t)
	for _, host := range []string{"10.0.1.100", "[2001:db8:0:1::100]"} {
		r.refused(r.Client, host+":5433") // a port that the endpoint does not have
	}
	r.refused(r.Client, "10.0.1.100:8011")
	r.refused(r.Client, "10.0.1.200:5432") // nobody's address
	r.refused(r.Client, "[2001:db8:0:1::200]:5432")
	r.refused(r.Client, lab.Target4.String()+":5432") // the transit realm
	r.refused(r.Client, "["+lab.Target6.String()+"]:5432")
	r.refused(r.Client, "240.0.0.5:5432")
	r.refused(r.Client, "10.0.1.1:5432") // the router itself
	r.Remove(r.TableB, lab.Allow4, lab.Allow6)
	r.refused(r.Client, "10.0.1.100:5432")
	r.refused(r.Client, "[2001:db8:0:1::100]:5432")
	r.Put(r.TableB, lab.Allow4)
	r.works(r.Client, "10.0.1.100:5432")
}

func TestSecurityGroupsDropSilentlyAndOpenAtOnce(t *testing.T) {
	r := newRig(t)
	const endpoint, other = "10.0.1.100:5432", "[2001:db8:0:1::100]:5432"
	for _, c := range []struct {
		name         string
		open, closed desired.Class
	}{
		{"endpoint inbound", lab.Class("vpc-a", "c-end", lab.AnyRules, nil), lab.Class("vpc-a", "c-end", nil, nil)},
		{"client outbound", lab.Class("vpc-a", "c-work", lab.AnyRules, lab.AnyRules), lab.Class("vpc-a", "c-work", lab.AnyRules, nil)},
		{"gateway outbound", lab.Class("vpc-b", "c-gateway", nil, lab.AnyRules), lab.Class("vpc-b", "c-gateway", nil, nil)},
		{"server inbound", lab.Class("vpc-b", "c-server", lab.AnyRules, nil), lab.Class("vpc-b", "c-server", nil, nil)},
	} {
		table := r.TableA
		if c.open.VPC == "vpc-b" {
			table = r.TableB
		}
		_, live, err := lab.Greeting(r.Client, endpoint, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		r.Put(table, c.closed)
		r.silent(r.Client, endpoint)
		r.silent(r.Client, other)
		if !echoes(live) {
			t.Errorf("%s: closing it broke a connection that was open", c.name)
		}
		live.Close()
		r.Put(table, c.open)
		r.works(r.Client, endpoint)
		r.works(r.Client, other)
		if t.Failed() {
			t.Fatalf("with %s", c.name)
		}
	}
}

// echoes reports whether a connection to a greeter carries data both ways.
func echoes(conn net.Conn) bool {
	conn.SetDeadline(time.Now().Add(lab.Patience))
	if _, err := conn.Write([]byte("x")); err != nil {
		return false
	}
	var b [1]byte
	_, err := conn.Read(b[:])
	return err == nil && b[0] == 'x'
}

func TestRulesMatchPortsProtocolsAndGroups(t *testing.T) {
	r := newRig(t)
	const tcp, icmp, icmp6 = 6, 1, 58
	r.Far.Greet(80)
	r.Far.Greet(81)
	web := func(in ...desired.Rule) { r.t.Helper(); r.Put(r.TableA, lab.Class("vpc-a", "c-web", in, nil)) }
	web()
	r.Put(r.TableA, lab.Address("vpc-a", "10.0.2.11", "c-web"), lab.Address("vpc-a", "2001:db8:0:2::11", "c-web"))
	const web4, web6 = "10.0.2.11:80", "[2001:db8:0:2::11]:80"

	web(desired.Rule{Protocol: tcp, From: 80, To: 80, Peer: prefix("10.0.1.0/29")}, desired.Rule{Protocol: tcp, From: 80, To: 80, Peer: prefix("10.0.1.10/31")})
	r.works(r.Client, web4, "10.0.1.10")
	r.silent(r.Near, web4)
	r.silent(r.Client, web6)
	r.silent(r.Client, "10.0.2.11:81")

	web(desired.Rule{Protocol: tcp, From: 81, To: 90, Peer: prefix("0.0.0.0/0")}, desired.Rule{Protocol: tcp, From: 80, To: 80, Peer: prefix("2001:db8:0:1::/63")})
	r.works(r.Client, "10.0.2.11:81")
	r.silent(r.Client, web4)
	r.works(r.Client, web6, "2001:db8:0:1::10")

	web(desired.Rule{Protocol: tcp, From: 80, To: 80, Group: "sg-friends"})
	r.silent(r.Client, web4)
	friend4 := desired.Member{VPC: "vpc-a", Group: "sg-friends", Addr: addr("10.0.1.10")}
	friend6 := desired.Member{VPC: "vpc-a", Group: "sg-friends", Addr: addr("2001:db8:0:1::10")}
	r.Put(r.TableA, friend4, friend6)
	r.works(r.Client, web4)
	r.works(r.Client, web6)
	r.silent(r.Near, web4)
	r.Remove(r.TableA, friend4, friend6)
	r.silent(r.Client, web4)

	web(desired.Rule{Protocol: icmp, From: 8, To: 0, Peer: prefix("10.0.1.0/24")}, desired.Rule{Protocol: icmp6, From: -1, To: -1, Group: "sg-all"})
	r.Put(r.TableA, desired.Member{VPC: "vpc-a", Group: "sg-all", Addr: addr("2001:db8:0:1::10")})
	for host, want := range map[string]bool{"10.0.2.11": true, "2001:db8:0:2::11": true} {
		if got := r.Client.Ping(host, lab.Patience); got != want {
			t.Errorf("ping %s: %v, want %v", host, got, want)
		}
	}
	web(desired.Rule{Protocol: icmp, From: 13, To: -1, Peer: prefix("10.0.1.0/24")})
	if r.Near.Ping("10.0.2.11", silence) { // whom no earlier echo has let in
		t.Error("an echo request was admitted by a rule for another type")
	}
}

// What has no class and is no member by itself has and is what its prefix has
// and is; what has a class of its own has that one.
func TestPrefixesHaveClassesAndMembers(t *testing.T) {
	r := newRig(t)
	r.Far.Greet(80)
	const web, inside = "[2001:db8:0:2::11]:80", "2001:db8:0:1::"
	web6, here := addr("2001:db8:0:2::11"), desired.Address{VPC: "vpc-a", Addr: addr(inside), Bits: 80, Class: "c-work"}
	r.Remove(r.TableA, lab.Address("vpc-a", inside+"10", ""))
	r.silent(r.Client, web)
	r.Put(r.TableA, here)
	r.works(r.Client, web, inside+"10")
	r.Put(r.TableA, lab.Class("vpc-a", "c-shut", nil, nil), lab.Address("vpc-a", inside+"10", "c-shut"))
	r.silent(r.Client, web)
	r.Remove(r.TableA, lab.Address("vpc-a", inside+"10", ""))

	friends := lab.Class("vpc-a", "c-web", []desired.Rule{{Protocol: 6, From: 80, To: 80, Group: "sg-friends"}}, nil)
	member := desired.Member{VPC: "vpc-a", Group: "sg-friends", Addr: addr(inside), Bits: 80}
	r.Put(r.TableA, friends, desired.Address{VPC: "vpc-a", Addr: web6, Class: "c-web"})
	r.silent(r.Client, web)
	r.Put(r.TableA, member)
	r.works(r.Client, web, inside+"10")
	r.Put(r.TableA, lab.Class("vpc-a", "c-work", nil, []desired.Rule{{Protocol: 6, From: 80, To: 80, Group: "sg-web"}}))
	r.silent(r.Client, web)
	r.Put(r.TableA, desired.Member{VPC: "vpc-a", Group: "sg-web", Addr: addr("2001:db8:0:2::"), Bits: 80})
	r.works(r.Client, web, inside+"10")
	r.Remove(r.TableA, member)
	r.silent(r.Client, web)
	r.Put(r.TableA, member)
	r.Remove(r.TableA, here)
	r.silent(r.Client, web)
}

func TestWorkloadsOfOneNetworkTalkBothWays(t *testing.T) {
	r := newRig(t)
	r.Client.Greet(80)
	r.Far.Greet(80)
	r.works(r.Client, "10.0.2.11:80", "10.0.1.10")
	r.works(r.Far, "10.0.1.10:80", "10.0.2.11")
	r.works(r.Client, "[2001:db8:0:2::11]:80", "2001:db8:0:1::10")
	r.works(r.Far, "[2001:db8:0:1::10]:80", "2001:db8:0:2::11")
	r.refused(r.Client, "10.0.2.11:81")
	r.Remove(r.TableA, lab.Address("vpc-a", "10.0.2.11", ""))
	r.silent(r.Client, "10.0.2.11:80") // an address without a class is nobody's
	r.silent(r.Far, "10.0.1.10:80")
}

func TestSpoofedSourcesAreDropped(t *testing.T) {
	r := newRig(t)
	r.Far.Greet(80)
	r.Client.IP("addr add 10.0.1.74/32 dev eth0\naddr add 2001:db8:0:1::74/128 dev eth0 nodad")
	for _, c := range []struct{ from, to string }{
		{"10.0.1.74", "10.0.2.11:80"}, {"10.0.1.74", "10.0.1.100:5432"},
		{"2001:db8:0:1::74", "[2001:db8:0:2::11]:80"}, {"2001:db8:0:1::74", "[2001:db8:0:1::100]:5432"},
	} {
		conn, err := r.Client.Dial("tcp", c.to, &net.TCPAddr{IP: net.ParseIP(c.from)}, silence)
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("from %s to %s: %v, want silence", c.from, c.to, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

func TestClientsWithOneSourcePortShareAGateway(t *testing.T) {
	r := newRig(t)
	seen := map[string]bool{}
	for i, from := range []*lab.Namespace{r.Client, r.Near, r.Far} {
		text, conn, err := lab.Greeting(from, "10.0.1.100:5432", &net.TCPAddr{Port: 40000})
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		defer conn.Close()
		if !echoes(conn) || seen[text] {
			t.Errorf("client %d: seen as %s, among %v", i, text, seen)
		}
		seen[text] = true
	}
}

// TestADoorCanLeadToItsOwnRouter has an address lead to a workload of the same VPC, from where
// the connection is seen to come from the gateway. The groups of all three are asked.
func TestADoorCanLeadToItsOwnRouter(t *testing.T) {
	r := newRig(t)
	door, behind := netip.MustParseAddr("10.0.1.120"), netip.MustParseAddr("10.0.2.11")
	class := lab.Class("vpc-a", "c-balancer", lab.AnyRules, lab.AnyRules)
	r.Put(r.TableA, class, lab.Address("vpc-a", door.String(), class.Name),
		desired.Pool{VPC: "vpc-a", Gateway: door, Addresses: []netip.Prefix{netip.PrefixFrom(door, 32)}},
		desired.Target{VPC: "vpc-a", Addr: door, Dest: behind, Gateway: door},
		desired.Endpoint{VPC: "vpc-a", Addr: door, Target: door, Ports: []desired.PortRange{{From: 5432, To: 5432}}})
	r.Far.Greet(5432)
	r.works(r.Client, door.String()+":5432", door.String())
	r.works(r.Far, door.String()+":5432", door.String()) // to itself, as clients of a load balancer may be its targets
	r.refused(r.Client, door.String()+":5433")
	for _, c := range []struct{ in, out []desired.Rule }{{nil, lab.AnyRules}, {lab.AnyRules, nil}} {
		r.Put(r.TableA, lab.Class("vpc-a", class.Name, c.in, c.out))
		r.silent(r.Client, door.String()+":5432")
	}
	r.Put(r.TableA, class)
	r.Remove(r.TableA, desired.Target{VPC: "vpc-a", Addr: door})
	r.refused(r.Client, door.String()+":5432")
}
