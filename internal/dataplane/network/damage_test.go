// SPDX-License-Identifier: Apache-2.0

package network_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// site is two joined routers and a workload, to be damaged.
type site struct {
	t    testing.TB
	a, b *network.Router
	ns   *testnet.NS
}

func newSite(t testing.TB, rs *network.Routers) site {
	s := site{t, makeRouter(t, rs, plainRouter(vpcA)), makeRouter(t, rs, plainRouter(vpcB)), testnet.New(t)}
	t.Cleanup(func() { s.a.Release(); s.b.Release() })
	return s
}

// repair asks for everything again.
func (s site) repair() {
	s.t.Helper()
	err := errors.Join(s.a.Configure(plainRouter(vpcA)), s.a.Start(), network.Connect(s.a, s.b), s.a.Admit(vpcB, false),
		s.a.Send(netip.MustParsePrefix("240.8.0.1/32"), vpcB), s.a.Attach(plainWorkload(vpcA, s.ns)))
	if err != nil {
		s.t.Fatal(err)
	}
}

// sysctl, routeless, addressless and link are sorts of damage in router a.

func (s site) sysctl(path, value string) func() error {
	return func() error {
		return s.a.Inside(func() error { return os.WriteFile("/proc/sys/"+path, []byte(value), 0) })
	}
}

func (s site) routeless(p string) func() error {
	return s.inRouter(func() error {
		dst, err := netlink.ParseIPNet(p)
		return errors.Join(err, netlink.RouteDel(&netlink.Route{Dst: dst, Scope: netlink.SCOPE_NOWHERE}))
	})
}

func (s site) addressless(prefix, address string) func() error {
	return s.link(prefix, func(l netlink.Link) error {
		a, err := netlink.ParseAddr(address)
		return errors.Join(err, netlink.AddrDel(l, a))
	})
}

// link does something to the first interface whose name begins with a prefix.
func (s site) link(prefix string, do func(netlink.Link) error) func() error {
	return s.inRouter(func() error {
		links, err := netlink.LinkList()
		for _, l := range links {
			if strings.HasPrefix(l.Attrs().Name, prefix) {
				return do(l)
			}
		}
		return errors.Join(err, fmt.Errorf("no interface %s", prefix))
	})
}

func (s site) inRouter(do func() error) func() error {
	return func() error { return s.a.Inside(do) }
}

func (s site) inWorkload(do func() error) func() error {
	return func() error { return s.ns.Run(do) }
}

func unchecked(l netlink.Link) error {
	return os.WriteFile("/proc/sys/net/ipv4/conf/"+l.Attrs().Name+"/rp_filter", []byte("0"), 0)
}

func forgetNeighbours(l netlink.Link) error {
	list, err := netlink.NeighList(l.Attrs().Index, netlink.FAMILY_ALL)
	for _, n := range list {
		err = errors.Join(err, netlink.NeighDel(&n))
	}
	return err
}

func (s site) damages() map[string]func() error {
	return map[string]func() error{
		"forwarding off":       s.sysctl("net/ipv4/ip_forward", "0"),
		"IPv6 forwarding off":  s.sysctl("net/ipv6/conf/all/forwarding", "0"),
		"rp_filter of all on":  s.sysctl("net/ipv4/conf/all/rp_filter", "1"),
		"workload unchecked":   s.link("w", unchecked),
		"fabric unchecked":     s.link("f", unchecked),
		"route of a network":   s.routeless("10.0.0.0/16"),
		"route of the rest":    s.routeless("0.0.0.0/0"),
		"route of a target":    s.routeless("240.8.0.1/32"),
		"route of a workload":  s.routeless("10.0.1.10/32"),
		"workload veth":        s.link("w", netlink.LinkDel),
		"fabric veth":          s.link("f", netlink.LinkDel),
		"interface of nowhere": s.link("nowhere", netlink.LinkDel),
		"fabric down":          s.link("f", netlink.LinkSetDown),
		"workload end down":    s.link("w", netlink.LinkSetDown),
		"neighbours":           s.link("f", forgetNeighbours),
		"gateway address":      s.addressless("lo", "10.0.1.1/32"),
		"link local address":   s.addressless("w", "fe80::1/128"),
		"workload's neighbours": s.inWorkload(func() error {
			l, err := netlink.LinkByName("eth0")
			return errors.Join(err, forgetNeighbours(l))
		}),
		"workload's address with its subnet": s.inWorkload(func() error {
			l, err := netlink.LinkByName("eth0")
			alone, subnet := must[*netlink.Addr](s.t)(netlink.ParseAddr("10.0.1.10/32")), must[*netlink.Addr](s.t)(netlink.ParseAddr("10.0.1.10/24"))
			return errors.Join(err, netlink.AddrAdd(l, subnet), netlink.AddrDel(l, alone))
		}),
		"workload's subnet": s.inWorkload(func() error {
			dst, err := netlink.ParseIPNet("10.0.1.0/24")
			return errors.Join(err, netlink.RouteDel(&netlink.Route{Dst: dst}))
		}),
		"workload default route": s.inWorkload(func() error {
			dst, err := netlink.ParseIPNet("0.0.0.0/0")
			return errors.Join(err, netlink.RouteDel(&netlink.Route{Dst: dst}))
		}),
	}
}

func TestDamageShows(t *testing.T) {
	rs, _ := routers(t)
	s := newSite(t, rs)
	s.repair()
	whole := must[network.Content](t)(rs.Dump(s.a))
	compare := func() string {
		return cmp.Diff(whole, must[network.Content](t)(rs.Dump(s.a)), cmp.Comparer(samePrefix), cmp.Comparer(sameAddr))
	}
	for name, harm := range s.damages() {
		if err := harm(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if compare() == "" {
			t.Errorf("%s: the damage does not show", name)
		}
		s.repair()
		if diff := compare(); diff != "" {
			t.Errorf("%s: not repaired: %s", name, diff)
		}
	}
}

func samePrefix(a, b netip.Prefix) bool { return a == b }
func sameAddr(a, b netip.Addr) bool     { return a == b }

// A workload that takes its interface down has its reasons. When it brings it up
// again, addresses and routes are there again.
func TestAnInterfaceThatItsWorkloadTookDownStaysDown(t *testing.T) {
	rs, _ := routers(t)
	s := newSite(t, rs)
	s.repair()
	whole := must[network.Content](t)(rs.Dump(s.a))
	set := func(up bool) {
		t.Helper()
		err := s.inWorkload(func() error {
			l, err := netlink.LinkByName("eth0")
			if up {
				return errors.Join(err, netlink.LinkSetUp(l))
			}
			return errors.Join(err, netlink.LinkSetDown(l))
		})()
		if err != nil {
			t.Fatal(err)
		}
	}
	isUp := func() (up bool) {
		t.Helper()
		err := s.inWorkload(func() error {
			l, err := netlink.LinkByName("eth0")
			up = err == nil && l.Attrs().Flags&net.FlagUp != 0
			return err
		})()
		if err != nil {
			t.Fatal(err)
		}
		return up
	}
	compare := func() string {
		return cmp.Diff(whole, must[network.Content](t)(rs.Dump(s.a)), cmp.Comparer(samePrefix), cmp.Comparer(sameAddr))
	}
	set(false)
	if diff := compare(); diff != "" {
		t.Errorf("while the workload's end is down: %s", diff)
	}
	s.repair() // as for another change
	if isUp() {
		t.Error("the workload's end was brought up")
	}
	set(true)
	if compare() == "" {
		t.Error("what the kernel forgets of an interface that is down is not missed")
	}
	s.repair()
	if diff := compare(); diff != "" {
		t.Errorf("when it is up again: %s", diff)
	}
}
