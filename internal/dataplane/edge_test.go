// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

const (
	webServer  = "198.51.100.10"
	webServer6 = "2001:db8:f::10"
	publicOne  = "203.0.113.17" // of the first VPC's workload
	publicTwo  = "203.0.113.18" // of the second's
)

// outsideRig is two VPCs with the same IPv4 addresses and a namespace that is the
// internet. The workloads of both have public addresses.
type outsideRig struct {
	t        testing.TB
	config   dataplane.Config
	host     *dataplane.Host
	internet *testnet.NS
	one, two *testnet.NS
	edge     desired.Edge
	entries  map[desired.Realm][]desired.Entry
}

func newOutsideRig(t testing.TB, config dataplane.Config) *outsideRig {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		testnet.Unable(t, "this test uses the program ip of iproute2")
	}
	h, instance := newHost(t)
	h.Close()
	config.Instance = instance
	r := &outsideRig{t: t, config: config, internet: testnet.New(t), one: testnet.New(t), two: testnet.New(t), entries: map[desired.Realm][]desired.Entry{}}
	r.edge = desired.Edge{
		Name: "wan", Device: "netns:" + r.internet.Name, Pool: []netip.Prefix{prefix("203.0.113.16/28")},
		Denied:  []netip.Prefix{prefix("10.0.0.0/8"), prefix("169.254.0.0/16"), prefix("198.51.101.0/24"), prefix("240.0.0.0/4"), prefix("fc00::/7")},
		Allowed: []netip.Prefix{prefix("198.51.101.7/32")},
	}
	for _, line := range []string{
		"ip link set lo up",
		"ip addr add " + webServer + "/32 dev lo", "ip addr add 198.51.101.6/32 dev lo", "ip addr add 198.51.101.7/32 dev lo", "ip addr add 10.9.9.9/32 dev lo",
		"ip addr add " + webServer6 + "/128 dev lo nodad",
	} {
		run(t, r.internet.Name, line)
	}
	r.vpc(consumer, r.one, "240.0.0.0/26", "fd70:6f73:7400:1::/64", "2001:db8:0:100::/56", "2001:db8:0:101::10", publicOne)
	r.vpc(provider, r.two, "240.0.0.64/26", "fd70:6f73:7400:2::/64", "2001:db8:0:200::/56", "2001:db8:0:201::10", publicTwo)
	r.start()
	r.apply()
	return r
}

func (r *outsideRig) realm() desired.Realm { return desired.EdgeRealm("wan") }

func (r *outsideRig) vpc(vpc string, ns *testnet.NS, source4, source6, block, own6, public string) {
	any4 := desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix("0.0.0.0/0")}
	any6 := desired.Rule{Protocol: desired.AllProtocols, From: -1, To: -1, Peer: prefix("::/0")}
	both := []desired.Rule{any4, any6}
	eni := "eni-0" + vpc[5:21]
	r.entries[desired.Realm(vpc)] = []desired.Entry{
		desired.Router{VPC: vpc, Networks: []netip.Prefix{prefix("10.0.0.0/16"), prefix(block)}, Gateways: []netip.Addr{addr("10.0.1.1")}, Source4: prefix(source4), Source6: prefix(source6)},
		desired.Class{VPC: vpc, Name: "c-open", In: both, Out: both},
		desired.Table{VPC: vpc, Number: 1, Routes: []desired.TableRoute{{Prefix: prefix("0.0.0.0/0"), To: desired.Outside}, {Prefix: prefix("::/0"), To: desired.Outside}}},
		desired.Address{VPC: vpc, Addr: addr("10.0.1.10"), Class: "c-open"},
		desired.Address{VPC: vpc, Addr: addr(own6), Class: "c-open"},
		desired.Steer{VPC: vpc, From: eni, Table: 1},
		desired.Workload{
			VPC: vpc, ENI: eni, MAC: "02:00:00:00:00:0" + vpc[20:21], Addresses: []netip.Prefix{prefix("10.0.1.10/24"), prefix(own6 + "/128")},
			Gateway: addr("10.0.1.1"), Device: "eth0", Namespace: ns.Desired(),
		},
		desired.Public{VPC: vpc, Addr: addr(public), Private: addr("10.0.1.10")},
		desired.Opened{VPC: vpc, Prefix: netip.PrefixFrom(addr(own6), 64).Masked()},
	}
	r.entries[r.realm()] = append(r.entries[r.realm()], desired.Exit{Uplink: "wan", VPC: vpc},
		desired.Issued{Uplink: "wan", Prefix: prefix(public + "/32"), VPC: vpc}, desired.Issued{Uplink: "wan", Prefix: prefix(block), VPC: vpc})
}

// start starts a host, as another process would.
func (r *outsideRig) start() {
	r.t.Helper()
	if r.host != nil {
		r.host.Close()
	}
	h, err := dataplane.New(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { h.Close() })
	r.host = h
}

func (r *outsideRig) put(realm desired.Realm, entries ...desired.Entry) {
	r.t.Helper()
	for key, err := range r.host.Apply(r.t.Context(), realm, entries, nil) {
		r.t.Errorf("put %s: %v", key, err)
	}
}

func (r *outsideRig) del(e desired.Entry) {
	r.t.Helper()
	for key, err := range r.host.Apply(r.t.Context(), e.Key().Realm, nil, []desired.Entry{e}) {
		r.t.Errorf("delete %s: %v", key, err)
	}
}

func (r *outsideRig) wanted(realm desired.Realm) []desired.Entry {
	list := slices.Clone(r.entries[realm])
	if realm == r.realm() {
		list = append(list, r.edge)
	}
	return list
}

func (r *outsideRig) apply() {
	r.t.Helper()
	for _, vpc := range vpcs() {
		r.put(desired.Realm(vpc), r.entries[desired.Realm(vpc)]...)
	}
	r.put(r.realm(), r.wanted(r.realm())...)
}

func (r *outsideRig) checkDump(when string) {
	r.t.Helper()
	for _, realm := range []desired.Realm{consumer, provider, r.realm()} {
		there, err := r.host.Dump(r.t.Context(), realm)
		if err != nil {
			r.t.Fatal(err)
		}
		if diff := cmp.Diff(desired.Text(r.wanted(realm)), desired.Text(there)); diff != "" {
			r.t.Errorf("%s: %s: %s", when, realm, diff)
		}
	}
}

// serve has a namespace tell who asks, by TCP on port 80.
func (r *outsideRig) serve(ns *testnet.NS) {
	r.t.Helper()
	for _, network := range []string{"tcp4", "tcp6"} {
		l, err := ns.Serve(network, ":80")
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { l.Close() })
	}
}

// saw is whom the server at an address sees when somebody asks, or the error.
func (r *outsideRig) saw(from *testnet.NS, to string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testnet.Patience)
	defer cancel()
	who, err := from.Ask(ctx, "tcp", net.JoinHostPort(to, "80"))
	if err != nil {
		for _, word := range []string{"refused", "no route to host", "unreachable", "permission denied", "timeout", "deadline"} {
			if strings.Contains(err.Error(), word) {
				return word
			}
		}
		return err.Error()
	}
	a, err := netip.ParseAddrPort(who)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.Addr().Unmap().String()
}

func (r *outsideRig) sees(what string, from *testnet.NS, to, want string) {
	r.t.Helper()
	if got := r.saw(from, to); got != want {
		r.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// Workloads reach the outside by their public addresses and are reached by them; two
// VPCs with the same addresses each by its own, also from each other and from
// themselves. What is denied, issued to nobody or without a public address is refused at
// once.
func TestPublicAddressesLeadOutAndIn(t *testing.T) {
	r := newOutsideRig(t, dataplane.Config{})
	r.serve(r.internet)
	r.serve(r.one)
	r.serve(r.two)
	r.checkDump("at first")
	for _, c := range []struct {
		what string
		from *testnet.NS
		to   string
		want string
	}{
		{"out of the first VPC", r.one, webServer, publicOne},
		{"out of the second VPC", r.two, webServer, publicTwo},
		{"out by IPv6", r.one, webServer6, "2001:db8:0:101::10"},
		{"in to the first VPC", r.internet, publicOne, webServer},
		{"in to the second VPC", r.internet, publicTwo, webServer},
		{"in by IPv6", r.internet, "2001:db8:0:201::10", webServer6},
		{"from VPC to VPC", r.one, publicTwo, publicOne},
		{"to itself by its public address", r.one, publicOne, publicOne},
		{"from VPC to VPC by IPv6", r.two, "2001:db8:0:101::10", "2001:db8:0:201::10"},
		{"what is denied", r.one, "198.51.101.6", "refused"},
		{"what is allowed of it", r.one, "198.51.101.7", publicOne},
		{"a private network outside", r.one, "10.9.9.9", "refused"},
		{"a public address that nobody has", r.one, "203.0.113.20", "no route to host"},
		{"the same from outside", r.internet, "203.0.113.20", "no route to host"},
		{"IPv6 that nobody has", r.internet, "2001:db8:0:101::99", "refused"},
		{"IPv6 of a subnet that is not open", r.internet, "2001:db8:0:102::10", "refused"},
	} {
		r.sees(c.what, c.from, c.to, c.want)
	}
	r.del(desired.Public{VPC: consumer, Addr: addr(publicOne)})
	r.sees("without a public address", r.one, webServer, "refused")
	r.sees("to one that is not there any more", r.internet, publicOne, "refused")
	r.del(desired.Opened{VPC: provider, Prefix: prefix("2001:db8:0:201::/64")})
	r.sees("in where it is closed", r.internet, "2001:db8:0:201::10", "refused")
	r.sees("out where it is closed", r.two, webServer6, "2001:db8:0:201::10")
}

// A public address that is put again as it was keeps its connections; given to another
// interface it does not.
func TestAPublicAddressThatStaysKeepsItsConnections(t *testing.T) {
	r := newOutsideRig(t, dataplane.Config{})
	l, err := r.internet.Serve("tcp4", webServer+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := r.one.Dial(t.Context(), "tcp4", webServer+":443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if saw, err := testnet.AskOn(conn); err != nil || !strings.HasPrefix(saw, publicOne+":") {
		t.Fatalf("the server saw %s, %v", saw, err)
	}
	public := desired.Public{VPC: consumer, Addr: addr(publicOne), Private: addr("10.0.1.10")}
	for _, again := range []bool{false, true} {
		if again {
			r.start()
		}
		r.put(consumer, public)
		if err := testnet.Echo(conn, "still"); err != nil {
			t.Fatalf("put again, by another process %v: %v", again, err)
		}
	}
	public.Private = addr("10.0.1.11")
	r.put(consumer, public)
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("another interface has it: %v, want a reset", err)
	}
}
