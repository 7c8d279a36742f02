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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// land is a VPC with four workloads, each in a subnet of its own: two hosts, and two
// appliances that have an address of the outside on their loopback devices and pass on
// what is for others.
type land struct {
	testing.TB
	host     *dataplane.Host
	instance string
	ns       map[string]*testnet.NS
	entries  map[desired.Key]desired.Entry
	// faraway is the address that both appliances have, here the one of the first host.
	faraway, server string
	network         string
	all             netip.Prefix
}

var hostsOf = []string{"a", "b", "m", "n"}

func eniOf(name string) string {
	return fmt.Sprint("eni-0", 1+slices.Index(hostsOf, name), "000000000000000")
}

func newLand(t testing.TB, v6 bool) *land {
	h, instance := newHost(t)
	l := &land{TB: t, host: h, instance: instance, ns: map[string]*testnet.NS{}, entries: map[desired.Key]desired.Entry{},
		network: "tcp4", faraway: "198.51.100.1", server: "10.0.2.10", all: prefix("0.0.0.0/0")}
	router := desired.Router{VPC: consumer, Networks: []netip.Prefix{prefix("10.0.0.0/16")}, Source4: prefix("240.0.0.0/26")}
	if v6 {
		l.network, l.faraway, l.server, l.all = "tcp6", "2001:db8:ffff::1", "2001:db8:0:2::10", prefix("::/0")
		router.Networks, router.Source4, router.Source6 = []netip.Prefix{prefix("2001:db8::/56")}, netip.Prefix{}, prefix("fd70:6f73:7400:1::/64")
	}
	any := []desired.Rule{{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: l.all}}
	open := desired.Class{VPC: consumer, Name: "c-open", In: any, Out: any}
	put := []desired.Entry{router, open}
	var own []netip.Addr
	for i, name := range hostsOf {
		l.ns[name] = testnet.New(t)
		w := desired.Workload{
			VPC: consumer, ENI: eniOf(name), MAC: fmt.Sprintf("02:00:00:00:00:%02x", i+1), Device: "eth0", Namespace: l.ns[name].Desired(),
			Unchecked: name == "m" || name == "n",
		}
		address := prefix(fmt.Sprintf("10.0.%d.10/24", i+1))
		if v6 {
			address = prefix(fmt.Sprintf("2001:db8:0:%d::10/128", i+1))
		} else {
			w.Gateway = addr(fmt.Sprintf("10.0.%d.1", i+1))
			router.Gateways = append(router.Gateways, w.Gateway)
		}
		w.Addresses = []netip.Prefix{address}
		put = append(put, w, desired.Address{VPC: consumer, Addr: address.Addr(), Class: open.Name})
		own = append(own, address.Addr())
		if w.Unchecked {
			put = append(put, desired.Through{VPC: consumer, ENI: w.ENI, Class: open.Name})
		}
	}
	put[0] = router
	l.put(put...)
	for i, name := range hostsOf {
		if name == "m" || name == "n" {
			l.run(name, "ip", "address", "add", l.faraway, "dev", "lo")
			l.run(name, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0")
		}
		_ = own[i]
		served, err := l.ns[name].Serve(l.network, ":7")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { served.Close() })
	}
	return l
}

func eachLand(t *testing.T, test func(l *land)) {
	for name, v6 := range map[string]bool{"IPv4": false, "IPv6": true} {
		t.Run(name, func(t *testing.T) { test(newLand(t, v6)) })
	}
}

// put puts entries, each in the order of making, and keeps what is wanted.
func (l *land) put(list ...desired.Entry) {
	l.Helper()
	for key, err := range l.host.Apply(context.Background(), consumer, list, nil) {
		l.Errorf("put %s: %v", key, err)
	}
	for _, e := range list {
		l.entries[e.Key()] = e
	}
}

func (l *land) del(list ...desired.Entry) {
	l.Helper()
	for key, err := range l.host.Apply(context.Background(), consumer, nil, list) {
		l.Errorf("delete %s: %v", key, err)
	}
	for _, e := range list {
		delete(l.entries, e.Key())
	}
}

func (l *land) table(number int, routes ...string) desired.Table {
	t := desired.Table{VPC: consumer, Number: number}
	for i := 0; i < len(routes); i += 2 {
		t.Routes = append(t.Routes, desired.TableRoute{Prefix: prefix(routes[i]), To: routes[i+1]})
	}
	return t
}

func (l *land) steer(from string, table uint32) desired.Steer {
	return desired.Steer{VPC: consumer, From: from, Table: table}
}

// check compares what is there with what is wanted.
func (l *land) check() {
	l.Helper()
	if diff := cmp.Diff(l.wanted(), l.text()); diff != "" {
		l.Error(diff)
	}
}

func (l *land) wanted() string {
	var want []desired.Entry
	for _, e := range l.entries {
		want = append(want, e)
	}
	desired.Sort(want)
	return desired.Text(want)
}

func (l *land) text() string {
	l.Helper()
	have, err := l.host.Dump(context.Background(), consumer)
	if err != nil {
		l.Fatal(err)
	}
	return desired.Text(have)
}

// run runs a program in a namespace: of a workload by its name, or of the router.
func (l *land) run(where string, command ...string) string {
	l.Helper()
	file := ""
	run := func() error {
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if file = string(out); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
		}
		return nil
	}
	var err error
	if ns := l.ns[where]; ns != nil {
		err = ns.Run(run)
	} else {
		err = l.inRouter(run)
	}
	if err != nil {
		l.Fatal(err)
	}
	return file
}

func (l *land) inRouter(do func() error) error {
	ns, err := network.OpenNamespace(network.NamespaceName(l.instance, consumer))
	if err != nil {
		return err
	}
	defer ns.Close()
	return network.Inside(ns, do)
}

func (l *land) dial(from, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.Context(), testnet.Patience)
	defer cancel()
	return l.ns[from].Dial(ctx, l.network, net.JoinHostPort(to, "7"))
}

// reaches asks who answers at an address: it is a workload that has received something.
func (l *land) reaches(from, to string) string {
	l.Helper()
	before := map[string]int{}
	for _, name := range hostsOf {
		before[name] = l.received(name)
	}
	ctx, cancel := context.WithTimeout(l.Context(), testnet.Patience)
	defer cancel()
	if _, err := l.ns[from].Ask(ctx, l.network, net.JoinHostPort(to, "7")); err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) {
			return "refused"
		}
		return err.Error()
	}
	var who []string
	for _, name := range hostsOf {
		if name != from && l.received(name) > before[name]+2 {
			who = append(who, name)
		}
	}
	return strings.Join(who, "+")
}

// received is how many packets of IP a workload has received that were for one receiver.
func (l *land) received(name string) (sum int) {
	l.Helper()
	err := l.ns[name].Run(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp6")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			switch fields := strings.Fields(line); fields[0] {
			case "Ip6InReceives", "Ip6InMcastPkts":
				n, _ := strconv.Atoi(fields[1])
				if fields[0] == "Ip6InMcastPkts" {
					n = -n
				}
				sum += n
			}
		}
		if text, err = os.ReadFile("/proc/thread-self/net/netstat"); err != nil {
			return err
		}
		var names []string
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); fields[0] == "IpExt:" && names == nil {
				names = fields
			} else if fields[0] == "IpExt:" {
				n, _ := strconv.Atoi(fields[slices.Index(names, "InNoECTPkts")])
				sum += n
			}
		}
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	return sum
}

func (l *land) expect(from, to, want string) {
	l.Helper()
	if got := l.reaches(from, to); got != want {
		l.Errorf("%s to %s: %s, want %s", from, to, got, want)
	}
}

// Each of two subnets has a table; both have another way to the same address. The longest
// prefix decides, and what has no route is refused at once.
func TestEachTableLeadsItsOwn(t *testing.T) {
	eachLand(t, func(l *land) {
		l.expect("a", l.faraway, "refused")
		near := netip.PrefixFrom(addr(l.faraway), addr(l.faraway).BitLen()).String()
		l.put(l.table(1, l.all.String(), eniOf("m")), l.table(4095, l.all.String(), desired.Unreachable, near, eniOf("n")),
			l.steer(eniOf("a"), 1), l.steer(eniOf("b"), 4095))
		l.check()
		l.expect("a", l.faraway, "m")
		l.expect("b", l.faraway, "n")
		l.expect("a", l.server, "b") // what is local comes first
		// A gateway of the outside that the router does not have refuses, as what is blackhole does.
		l.put(l.table(1, l.all.String(), desired.Outside, near, desired.Unreachable))
		l.expect("a", l.faraway, "refused")
		l.expect("b", l.faraway, "n")
		l.put(l.steer(eniOf("a"), 4095))
		l.expect("a", l.faraway, "n")
		l.check()
		l.del(l.steer(eniOf("a"), 0))
		l.expect("a", l.faraway, "refused")
		l.check()
		l.del(l.steer(eniOf("b"), 0), l.table(1), l.table(4095))
		l.check()
		l.nothingLeft()
	})
}

// nothingLeft sees that a router that has no tables pays for none.
func (l *land) nothingLeft() {
	l.Helper()
	if rules := l.run("", "nft", "list", "chains"); strings.Contains(rules, "steer") {
		l.Errorf("a chain is left:\n%s", rules)
	}
	for _, family := range []string{"-4", "-6"} {
		if rules := l.run("", "ip", family, "rule"); strings.Contains(rules, "fwmark") || strings.Contains(rules, "30000") {
			l.Errorf("rules are left:\n%s", rules)
		}
		if routes := l.run("", "ip", family, "route", "show", "table", "all", "proto", "78"); strings.Contains(routes, "table 1") || strings.Contains(routes, "table 2") {
			l.Errorf("routes are left:\n%s", routes)
		}
	}
}

// An appliance stands between two subnets: what each sends to the other passes it, in
// both directions, and its own groups are asked about it.
func TestAnApplianceStandsBetweenSubnets(t *testing.T) {
	eachLand(t, func(l *land) {
		a, b := "10.0.1.0/24", "10.0.2.0/24"
		if l.network == "tcp6" {
			a, b = "2001:db8:0:1::/64", "2001:db8:0:2::/64"
		}
		l.expect("a", l.server, "b")
		l.put(l.table(3, b, eniOf("m")), l.table(5, a, eniOf("m")), l.steer(eniOf("a"), 3), l.steer(eniOf("b"), 5))
		l.check()
		l.expect("a", l.server, "b+m")
		l.expect("n", l.server, "b") // whose table is another one
		shut := desired.Class{VPC: consumer, Name: "c-shut", Out: l.entries[desired.Class{VPC: consumer, Name: "c-open"}.Key()].(desired.Class).Out}
		l.put(shut, desired.Through{VPC: consumer, ENI: eniOf("m"), Class: shut.Name})
		if conn, err := l.short("a", l.server); err == nil {
			conn.Close()
			l.Error("an appliance that lets nothing in passes it on")
		}
		l.put(desired.Through{VPC: consumer, ENI: eniOf("m"), Class: "c-open"})
		l.expect("a", l.server, "b+m")
		l.del(shut)

		// A workload that checks sources passes on nothing, and a route to it refuses.
		w := l.entries[desired.Workload{VPC: consumer, ENI: eniOf("m")}.Key()].(desired.Workload)
		w.Unchecked = false
		l.put(w)
		l.expect("a", l.server, "refused")
		w.Unchecked = true
		l.put(w)
		l.expect("a", l.server, "b+m")
		l.check()
	})
}

func (l *land) short(from, to string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(l.Context(), 500*time.Millisecond)
	defer cancel()
	return l.ns[from].Dial(ctx, l.network, net.JoinHostPort(to, "7"))
}

// Routes follow an interface that goes, comes and comes again, and refuse meanwhile, also
// where a shorter prefix leads elsewhere.
func TestRoutesFollowAnInterface(t *testing.T) {
	eachLand(t, func(l *land) {
		near := netip.PrefixFrom(addr(l.faraway), addr(l.faraway).BitLen()).String()
		l.put(l.table(2, near, eniOf("m"), l.all.String(), eniOf("n")), l.steer(eniOf("a"), 2))
		l.expect("a", l.faraway, "m")
		for range 2 {
			w := l.entries[desired.Workload{VPC: consumer, ENI: eniOf("m")}.Key()]
			l.del(w)
			l.expect("a", l.faraway, "refused")
			l.put(w)
			l.expect("a", l.faraway, "m")
			l.check()
		}
		// Somebody takes the interface away.
		l.run("m", "ip", "link", "delete", "eth0")
		l.expect("a", l.faraway, "refused")
		l.put(l.entries[desired.Workload{VPC: consumer, ENI: eniOf("m")}.Key()])
		l.expect("a", l.faraway, "m")
		l.check()
	})
}

// A connection in the express lane takes the table's way, the next one when the table
// changes, and is refused when nothing leads on.
func TestTheLaneFollowsTables(t *testing.T) {
	eachLand(t, func(l *land) {
		if c, err := l.host.ExpressLane(); err != nil || c == nil {
			testnet.Unable(t, "this kernel has no express lane")
		}
		l.put(l.table(1, l.all.String(), eniOf("m")), l.steer(eniOf("a"), 1))
		conn, err := l.dial("a", l.faraway)
		if err != nil {
			l.Fatal(err)
		}
		defer conn.Close()
		carried := func() int {
			l.Helper()
			before, _ := l.host.ExpressLane()
			conn.SetDeadline(time.Now().Add(testnet.Patience))
			if err := testnet.Echo(conn, "x"); err != nil {
				l.Fatal(err)
			}
			after, _ := l.host.ExpressLane()
			return int(after.Packets - before.Packets)
		}
		if _, err := testnet.AskOn(conn); err != nil {
			l.Fatal(err)
		}
		carried()
		if n := carried(); n < 2 {
			l.Errorf("%d packets took the lane", n)
		}
		l.put(l.table(1, l.all.String(), desired.Unreachable))
		conn.SetDeadline(time.Now().Add(testnet.Patience))
		if err := testnet.Echo(conn, "x"); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			l.Errorf("a connection that nothing leads on for: %v", err)
		}
	})
}

// What local routes lead past an appliance does not go on past it in the lane when a
// table puts one between.
func TestTheLaneLeavesForAnAppliance(t *testing.T) {
	eachLand(t, func(l *land) {
		a, b := "10.0.1.0/24", "10.0.2.0/24"
		if l.network == "tcp6" {
			a, b = "2001:db8:0:1::/64", "2001:db8:0:2::/64"
		}
		conn, err := l.dial("a", l.server)
		if err != nil {
			l.Fatal(err)
		}
		defer conn.Close()
		ask := func() (passed int) {
			l.Helper()
			before := l.received("m")
			conn.SetDeadline(time.Now().Add(testnet.Patience))
			if err := testnet.Echo(conn, "x"); err != nil {
				l.Fatal(err)
			}
			return l.received("m") - before
		}
		if _, err := testnet.AskOn(conn); err != nil {
			l.Fatal(err)
		}
		ask()
		if n := ask(); n > 0 {
			l.Errorf("%d packets pass the appliance before there is a route", n)
		}
		l.put(l.table(1, b, eniOf("m")), l.table(2, a, eniOf("m")), l.steer(eniOf("a"), 1), l.steer(eniOf("b"), 2))
		for range 3 {
			if n := ask(); n < 2 {
				l.Errorf("%d packets pass the appliance", n)
			}
		}
		l.del(l.steer(eniOf("a"), 0), l.steer(eniOf("b"), 0), l.table(1), l.table(2))
		if n := ask(); n > 0 {
			l.Errorf("%d packets pass the appliance when the routes are gone", n)
		}
	})
}

// Another host adopts tables, and what is damaged by hand is seen and put back.
func TestTablesAreAdoptedAndMended(t *testing.T) {
	eachLand(t, func(l *land) {
		near := netip.PrefixFrom(addr(l.faraway), addr(l.faraway).BitLen()).String()
		l.put(l.table(1, near, eniOf("m"), l.all.String(), desired.Outside), l.table(200, l.all.String(), eniOf("n")), l.steer(eniOf("a"), 1), l.steer(eniOf("b"), 200), l.steer(desired.Outside, 1))
		l.host.Close()
		l.expect("a", l.faraway, "m") // the kernel needs no host
		next, err := dataplane.New(dataplane.Config{Instance: l.instance})
		if err != nil {
			t.Fatal(err)
		}
		defer next.Close()
		l.host = next
		had := l.text()
		// Without an outside its route is what it is: one that refuses.
		if want := strings.ReplaceAll(l.wanted(), l.all.String()+"@outside", l.all.String()+"@unreachable"); had != want {
			t.Error(cmp.Diff(want, had))
		}
		l.mend()
		family := "-4"
		if l.network == "tcp6" {
			family = "-6"
		}
		for _, damage := range [][]string{
			{"ip", family, "rule", "del", "pref", "1000"},
			{"ip", family, "rule", "add", "pref", "1001", "proto", "78", "goto", "30000"},
			{"ip", family, "route", "del", near, "table", "20001", "metric", "10"},
			{"ip", family, "route", "add", "unreachable", "default", "table", "20200", "metric", "5", "proto", "78"},
			{"ip", family, "route", "flush", "table", "20200"},
			{"nft", "flush", "map", "inet", "postern", "steerif"},
			{"nft", "flush", "chain", "inet", "postern", "steer"},
		} {
			l.run("", damage...)
			if l.text() == l.wanted() {
				t.Errorf("%s is not seen", strings.Join(damage, " "))
			}
			l.mend()
			l.check()
			l.expect("a", l.faraway, "m")
			l.expect("b", l.faraway, "n")
		}
	})
}

// mend puts all that is wanted, as the reconciler does with what differs.
func (l *land) mend() {
	l.Helper()
	var all []desired.Entry
	for _, e := range l.entries {
		all = append(all, e)
	}
	l.put(all...)
}
