// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

const (
	vpcA = "vpc-0aaaaaaaaaaaaaaa1"
	vpcB = "vpc-0bbbbbbbbbbbbbbb2"
	eni1 = "eni-01111111111111111"
)

func routers(t testing.TB) (*network.Routers, string) {
	t.Helper()
	testnet.Require(t)
	instance := "t" + testnet.RandomName(6)
	testnet.Abandon(t, "postern-"+instance+"-*")
	rs, err := network.NewRouters(instance, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		rs.Close()
		if _, err := network.Clean(context.Background(), instance); err != nil {
			t.Error(err)
		}
		left, err := filepath.Glob(filepath.Join(network.Directory, "postern-"+instance+"-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v %v", left, err)
		}
	})
	return rs, instance
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func makeRouter(t testing.TB, rs *network.Routers, want desired.Router) *network.Router {
	t.Helper()
	r := must[*network.Router](t)(rs.Make(want.VPC))
	if err := errors.Join(r.Configure(want), r.Start()); err != nil {
		t.Fatal(err)
	}
	return r
}

func plainRouter(vpc string) desired.Router {
	return desired.Router{
		VPC:      vpc,
		Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("2001:db8::/56")},
		Gateways: []netip.Addr{netip.MustParseAddr("10.0.1.1")},
		Source4:  netip.MustParsePrefix("240.0.0.0/26"),
		Source6:  netip.MustParsePrefix("fd70:6f73:7400:1::/64"),
	}
}

func plainWorkload(vpc string, ns *testnet.NS) desired.Workload {
	return desired.Workload{
		VPC: vpc, ENI: eni1, MAC: "02:00:00:00:00:01", Device: "eth0",
		Addresses: []netip.Prefix{
			netip.MustParsePrefix("10.0.1.10/24"), netip.MustParsePrefix("10.0.1.9/24"),
			netip.MustParsePrefix("2001:db8::a/128"), netip.MustParsePrefix("2001:db8::9/128"),
		},
		Gateway: netip.MustParseAddr("10.0.1.1"), Namespace: ns.Desired(),
	}
}

func TestDumpTellsWhatWasMade(t *testing.T) {
	rs, _ := routers(t)
	ns := testnet.New(t)
	a := makeRouter(t, rs, plainRouter(vpcA))
	defer a.Release()
	b := makeRouter(t, rs, plainRouter(vpcB))
	defer b.Release()
	route := desired.Route{VPC: vpcA, Prefix: netip.MustParsePrefix("240.8.0.1/32"), Peer: vpcB}
	route6 := desired.Route{VPC: vpcA, Prefix: netip.MustParsePrefix("fd70:6f73:7400:8000::1/128"), Peer: vpcB}
	w := plainWorkload(vpcA, ns)
	for range 2 { // the second time changes nothing
		err := errors.Join(network.Connect(a, b), a.Send(route.Prefix, vpcB), a.Send(route6.Prefix, vpcB), a.Attach(w))
		if err != nil {
			t.Fatal(err)
		}
		c := must[network.Content](t)(rs.Dump(a))
		if !c.Running {
			t.Error("a is not running")
		}
		got := desired.Text([]desired.Entry{c.Links[0], c.Routes[0], c.Routes[1], c.Workloads[0]})
		if diff := cmp.Diff(desired.Text([]desired.Entry{desired.NewLink(vpcA, vpcB), route, route6, w}), got); diff != "" {
			t.Error(diff)
		}
		want := []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("240.0.0.0/26"),
			netip.MustParsePrefix("2001:db8::/56"), netip.MustParsePrefix("fd70:6f73:7400:1::/64"),
		}
		if !slices.Equal(c.Sinks, want) || !slices.Equal(c.Gateways, plainRouter(vpcA).Gateways) {
			t.Errorf("sinks %v gateways %v", c.Sinks, c.Gateways)
		}
	}
	if c := must[network.Content](t)(rs.Dump(b)); len(c.Links)+len(c.Routes)+len(c.Workloads) != 0 {
		t.Errorf("the peer reports %+v", c)
	}
	err := errors.Join(a.Detach(eni1), a.Detach(eni1), a.Unsend(route.Prefix), a.Unsend(route6.Prefix), a.Unsend(route.Prefix), a.Disconnect(vpcB), a.Disconnect(vpcB))
	if err != nil {
		t.Fatal(err)
	}
	if c := must[network.Content](t)(rs.Dump(a)); len(c.Links)+len(c.Routes)+len(c.Workloads) != 0 {
		t.Errorf("after deleting all: %+v", c)
	}
}

func TestAttachChangesAddressesInPlace(t *testing.T) {
	rs, _ := routers(t)
	ns := testnet.New(t)
	a := makeRouter(t, rs, plainRouter(vpcA))
	defer a.Release()
	w := plainWorkload(vpcA, ns)
	p := netip.MustParsePrefix
	for _, addresses := range [][]netip.Prefix{
		w.Addresses,
		{p("10.0.1.10/24")},
		{p("10.0.1.10/24"), p("10.0.1.8/24"), p("10.0.1.12/24"), p("2001:db8::1/128")},
		{p("10.0.1.12/24"), p("10.0.1.10/24")}, // another primary address
		{p("2001:db8::1/128")},
	} {
		w.Addresses = addresses
		if addresses[0].Addr().Is6() {
			w.Gateway = netip.Addr{}
		}
		if err := a.Attach(w); err != nil {
			t.Fatal(err)
		}
		c := must[network.Content](t)(rs.Dump(a))
		if len(c.Workloads) != 1 || c.Workloads[0].String() != w.String() {
			t.Errorf("got %v\nwant %v", c.Workloads, w)
		}
	}
}

func TestAttachRefusesWhatIsNotAWorkload(t *testing.T) {
	rs, instance := routers(t)
	ns := testnet.New(t)
	a := makeRouter(t, rs, plainRouter(vpcA))
	defer a.Release()
	w := plainWorkload(vpcA, ns)
	for _, c := range []struct {
		name string
		ns   desired.Namespace
		gone bool
	}{
		{"no such name", desired.Namespace{Name: "ptest-none"}, true},
		{"no such process", desired.Namespace{PID: 1 << 22}, true},
		{"another inode", desired.Namespace{Name: ns.Name, Inode: 1}, true},
		{"a path", desired.Namespace{Name: "../" + ns.Name}, false},
		{"the host's", desired.Namespace{PID: os.Getpid()}, false},
		{"a router's", desired.Namespace{Name: network.NamespaceName(instance, vpcA)}, false},
	} {
		w.Namespace = c.ns
		err := a.Attach(w)
		if err == nil || errors.Is(err, network.ErrNamespaceGone) != c.gone {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if c := must[network.Content](t)(rs.Dump(a)); len(c.Workloads) != 0 {
		t.Errorf("workloads: %v", c.Workloads)
	}
}

func TestAttachLeavesOtherInterfacesAlone(t *testing.T) {
	rs, _ := routers(t)
	ns := testnet.New(t)
	a := makeRouter(t, rs, plainRouter(vpcA))
	defer a.Release()
	err := ns.Run(func() error {
		h := must[*netlink.Handle](t)(netlink.NewHandle())
		defer h.Close()
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth0"
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "other"}
		addr := must[*netlink.Addr](t)(netlink.ParseAddr("192.0.2.2/24"))
		err := errors.Join(h.LinkAdd(veth), h.AddrAdd(veth, addr), h.LinkSetUp(veth))
		return errors.Join(err, h.RouteAdd(&netlink.Route{Gw: []byte{192, 0, 2, 1}}))
	})
	if err != nil {
		t.Fatal(err)
	}
	before := describe(t, ns)
	w := plainWorkload(vpcA, ns)
	if err := a.Attach(w); err == nil {
		t.Error("attached under the name of an interface that is there")
	}
	w.Device = "eth1"
	if err := a.Attach(w); err != nil {
		t.Fatal(err)
	}
	if c := must[network.Content](t)(rs.Dump(a)); len(c.Workloads) != 1 || c.Workloads[0].String() != w.String() {
		t.Errorf("got %v\nwant %v", c.Workloads, w)
	}
	if err := a.Detach(eni1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, describe(t, ns)); diff != "" {
		t.Error(diff)
	}
}

// describe lists the interfaces, addresses and IPv4 routes of a namespace.
func describe(t testing.TB, ns *testnet.NS) (list []string) {
	t.Helper()
	err := ns.Run(func() error {
		h, err := netlink.NewHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		links, err := h.LinkList()
		for _, l := range links {
			addrs, _ := h.AddrList(l, netlink.FAMILY_V4)
			list = append(list, l.Attrs().Name)
			for _, a := range addrs {
				list = append(list, a.String())
			}
		}
		routes, err2 := h.RouteList(nil, netlink.FAMILY_V4)
		for _, r := range routes {
			list = append(list, r.String())
		}
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A router that somebody deletes with ip netns lives on while it is open, and
// gets its name back.
func TestARouterThatLostItsNameGetsItBack(t *testing.T) {
	rs, instance := routers(t)
	ns := testnet.New(t)
	a := makeRouter(t, rs, plainRouter(vpcA))
	defer a.Release()
	w := plainWorkload(vpcA, ns)
	if err := a.Attach(w); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := network.DeleteNamespace(network.NamespaceName(instance, vpcA)); err != nil {
			t.Fatal(err)
		}
		again := must[*network.Router](t)(rs.Open(vpcA))
		c := must[network.Content](t)(rs.Dump(again))
		again.Release()
		if c.Running || len(c.Workloads) != 1 || again.Inode() != a.Inode() {
			t.Errorf("without its name: running %v, %d workloads", c.Running, len(c.Workloads))
		}
		again = must[*network.Router](t)(rs.Make(vpcA))
		c = must[network.Content](t)(rs.Dump(again))
		again.Release()
		if !c.Running || len(c.Workloads) != 1 || again.Inode() != a.Inode() {
			t.Errorf("with its name again: running %v, %d workloads", c.Running, len(c.Workloads))
		}
	}
	if err := rs.Remove(vpcA); err != nil {
		t.Error(err)
	}
	if _, err := rs.Open(vpcA); !errors.Is(err, network.ErrNoRouter) {
		t.Errorf("open after removing: %v", err)
	}
}

func TestAnotherIdleTimeoutHoldsAfterARestart(t *testing.T) {
	rs, instance := routers(t)
	makeRouter(t, rs, plainRouter(vpcA)).Release()
	rs.Close()
	next := must[*network.Routers](t)(network.NewRouters(instance, time.Hour, nil))
	defer next.Close()
	a := must[*network.Router](t)(next.Open(vpcA))
	defer a.Release()
	for _, state := range []string{"established", "fin_wait", "close_wait"} {
		err := a.Inside(func() error {
			text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_" + state)
			if got := strings.TrimSpace(string(text)); got != "3600" {
				t.Errorf("timeout of %s is %s s, want 3600", state, got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// When nobody has the router open, it goes with its name.
func TestARouterTakenAwayIsRemade(t *testing.T) {
	rs, instance := routers(t)
	ns := testnet.New(t)
	a := makeRouter(t, rs, plainRouter(vpcA))
	w := plainWorkload(vpcA, ns)
	if err := a.Attach(w); err != nil {
		t.Fatal(err)
	}
	a.Release()
	rs.Close()
	if err := network.DeleteNamespace(network.NamespaceName(instance, vpcA)); err != nil {
		t.Fatal(err)
	}
	if _, err := rs.Open(vpcA); !errors.Is(err, network.ErrNoRouter) {
		t.Errorf("open: %v", err)
	}
	a = makeRouter(t, rs, plainRouter(vpcA))
	defer a.Release()
	if err := a.Attach(w); err != nil {
		t.Fatal(err)
	}
	if c := must[network.Content](t)(rs.Dump(a)); len(c.Workloads) != 1 {
		t.Error("workload is not there")
	}
}

func TestCleanLeavesTheUnmarked(t *testing.T) {
	rs, instance := routers(t)
	a := makeRouter(t, rs, plainRouter(vpcA))
	a.Release()
	strange, err := testnet.Make(network.NamespaceName(instance, vpcB))
	if err != nil {
		t.Fatal(err)
	}
	removed, err := network.Clean(context.Background(), instance)
	if want := []string{network.NamespaceName(instance, vpcA)}; err == nil || !slices.Equal(removed, want) {
		t.Errorf("removed %v, %v; want %v and an error", removed, err, want)
	}
	if _, err := network.OpenNamespace(strange.Name); err != nil {
		t.Errorf("the strange namespace: %v", err)
	}
	if err := strange.Close(); err != nil {
		t.Fatal(err)
	}
}
