// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// Content is what a router has, as the entries of this package's kinds. What
// is damaged is left out, or has the value that it really has.
type Content struct {
	// Sinks are the prefixes that the router is responsible for: the VPC's
	// networks and the transit sources together, sorted.
	Sinks []netip.Prefix
	// Gateways are the router's own addresses, sorted.
	Gateways []netip.Addr
	// Nameservers are the addresses of the VPC's resolver, sorted.
	Nameservers []netip.Addr
	// Running says that the router has its name, forwards, checks where packets come from,
	// answers ARP for its workloads, and is responsible for what is not routed
	// elsewhere.
	Running bool

	Links []desired.Link
	// Admitted are the peers whose own addresses may come over their links, see Admit.
	Admitted  []string
	Routes    []desired.Route
	Workloads []desired.Workload
	Tables    []desired.Table
}

// view is one reading of the kernel's lists of a router.
type view struct {
	*Router
	lo         netlink.Link
	links      []netlink.Link
	routes     routes
	steps      steps // of tables
	neighbours neighbours
	nowhere    int // the interface that IPv6 networks are routed to
	confs      map[confKey]netconf
	locals     map[int]bool // interfaces that have the router's link-local address
}

// Dump reads a router back. Links are reported by the router of their VPC
// field only, as they are applied.
func (rs *Routers) Dump(r *Router) (Content, error) {
	c, err := rs.dump(r)
	if err != nil {
		err = fmt.Errorf("read router %s: %w", r.VPC, err)
	}
	return c, err
}

func (rs *Routers) dump(r *Router) (c Content, err error) {
	v, err := r.look()
	if err != nil {
		return c, err
	}
	c.Sinks = v.routes.sinks(v.lo.Attrs().Index, v.nowhere)
	whole := v.takeRealms(&c)
	if c.Gateways, err = r.gateways(v.lo); err != nil {
		return c, err
	}
	if c.Nameservers, err = r.nameservers(v.lo); err != nil {
		return c, err
	}
	for _, l := range v.links {
		if parts, ok := parseAlias(l.Attrs().Alias, r.instance, isLink, 1); ok {
			c.Routes = append(c.Routes, v.sends(l, parts[0])...)
			if conf, there := v.confs[confKey{unix.AF_INET, l.Attrs().Index}]; there && conf.open {
				c.Admitted = append(c.Admitted, parts[0])
			}
			whole, err := rs.connected(r, parts[0])
			if err != nil {
				return c, err
			}
			if whole {
				c.Links = append(c.Links, desired.NewLink(r.VPC, parts[0]))
			}
		} else if w, ok, err := v.workload(l); err != nil {
			return c, err
		} else if ok {
			c.Workloads = append(c.Workloads, w)
		}
	}
	if c.Tables, err = v.readTables(); err != nil {
		return c, err
	}
	for _, t := range c.Tables {
		r.adoptTable(t)
	}
	c.Running = v.running() && whole && r.named()
	return c, err
}

// takeRealms takes the routes of whole families, which every router has, out
// of the sinks, and reports whether they were all there.
func (v view) takeRealms(c *Content) bool {
	all := c.Sinks
	c.Sinks = slices.DeleteFunc(slices.Clone(all), func(p netip.Prefix) bool { return slices.Contains(realms, p) })
	slices.SortFunc(c.Sinks, netip.Prefix.Compare)
	return !slices.ContainsFunc(realmsOf(c.Sinks), func(p netip.Prefix) bool { return !slices.Contains(all, p) })
}

func (r *Router) look() (v view, err error) {
	v = view{Router: r, locals: map[int]bool{}}
	if v.links, err = r.links(); err != nil {
		return v, err
	}
	for _, l := range v.links {
		if l.Attrs().Flags&net.FlagLoopback != 0 {
			v.lo = l
		}
		if l.Attrs().Alias == alias(r.instance, isSink, r.VPC) {
			v.nowhere = l.Attrs().Index
		}
	}
	if v.routes, v.steps, err = r.everyRoute(); err != nil {
		return v, err
	}
	if v.neighbours, err = r.neighbours(0); err != nil {
		return v, err
	}
	if v.confs, err = r.netconfs(); err != nil {
		return v, err
	}
	addrs, err := fetch(func() ([]netlink.Addr, error) { return r.handle.AddrList(nil, netlink.FAMILY_V6) })
	if err != nil {
		return v, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addrs {
		if toPrefix(a.IPNet) == routerLinkLocal {
			v.locals[a.LinkIndex] = true
		}
	}
	return v, nil
}

// running reports whether the router forwards, checks sources that come over links, and
// answers ARP for its workloads.
func (v view) running() bool {
	all4 := v.confs[confKey{unix.AF_INET, confAll}]
	good := v.lo.Attrs().Flags&net.FlagUp != 0 && all4.forwarding && all4.open
	if hasIPv6() {
		good = good && v.confs[confKey{unix.AF_INET6, confAll}].forwarding
	}
	for _, l := range v.links {
		c, there := v.confs[confKey{unix.AF_INET, l.Attrs().Index}]
		if !there {
			continue // it may have gone since
		}
		if _, _, _, ok := v.readMark(l.Attrs().Alias); ok {
			good = good && c.forwarding && c.proxy
		}
		if _, ok := parseAlias(l.Attrs().Alias, v.instance, isLink, 1); ok {
			good = good && (c.strict || c.open)
		}
	}
	return good
}

// checks reports whether what comes from a workload is checked as it says by its group,
// which is one that its namespace can have.
func (v view) checks(l netlink.Link, ns desired.Namespace) bool {
	if l.Attrs().Group != groupOf(forwards(l), ns) {
		return false
	}
	c, there := v.confs[confKey{unix.AF_INET, l.Attrs().Index}]
	return !there || c.strict && !forwards(l) || c.open && forwards(l)
}

// sends lists the routes that go over a link.
func (v view) sends(l netlink.Link, peer string) (list []desired.Route) {
	for _, e := range v.routes {
		if e.link == l.Attrs().Index && (e.via == nextHop4 || e.via == nextHop6) {
			list = append(list, desired.Route{VPC: v.VPC, Prefix: e.prefix, Peer: peer})
		}
	}
	return list
}

// connected reports whether the link with a peer is one of this router's to
// report, and whole.
func (rs *Routers) connected(r *Router, peer string) (bool, error) {
	if peer < r.VPC {
		return false, nil
	}
	other, err := rs.Open(peer)
	if errors.Is(err, ErrNoRouter) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer other.Release()
	return Connected(r, other)
}

// workload reads a workload's interface at both ends; ok is false for an
// interface that is not one, or that cannot work: the other end is missing, the
// router's is down, or the namespace that it was attached with is gone. Whether
// its own end is up is for the workload to say, and while it is down there are no
// routes to be missed.
func (v view) workload(l netlink.Link) (w desired.Workload, ok bool, err error) {
	eni, gateway, ns, ok := v.readMark(l.Attrs().Alias)
	if !ok || l.Attrs().Flags&net.FlagUp == 0 || !v.checks(l, ns) {
		return w, false, nil
	}
	if covered, err := v.covered(l); err != nil || !covered {
		return w, false, err
	}
	in, err := v.openInner(ns)
	if errors.Is(err, ErrNamespaceGone) || errors.Is(err, errAway) {
		return w, false, nil
	}
	if err != nil {
		return w, false, err
	}
	defer in.close()
	p, err := v.pairOf(eni, in)
	if err != nil || p.far == nil || ns.Realm != "" && p.far.Attrs().Flags&net.FlagUp == 0 {
		return w, false, err
	}
	if covered, err := p.coveredOther(); err != nil || !covered {
		return w, false, err
	}
	far := p.far.Attrs()
	w = desired.Workload{VPC: v.VPC, ENI: eni, MAC: far.HardwareAddr.String(), Device: far.Name, Namespace: ns, Unchecked: forwards(l)}
	ways4, err := v.leads(p, gateway.Addr(), gateway.Masked())
	if err != nil {
		return w, false, err
	}
	if ways4 {
		w.Gateway = gateway.Addr()
	}
	list, err := globalAddresses(p.in.handle, p.far)
	if err != nil {
		return w, false, err
	}
	list = v.others(list, l.Attrs().Index)
	out6, err := v.leads6(p, list)
	if err != nil {
		return w, false, err
	}
	w.Addresses = v.addresses(p, list, gateway.Bits(), out6)
	w.Prefixes = v.prefixes(p, first4(w.Addresses).Addr(), out6)
	return w, true, nil
}

// reached reports whether the router sends to an address of the workload's.
func (v view) reached(p pair, a netip.Addr) bool {
	index := p.near.Attrs().Index
	return v.routes.has(single(a), index) && v.neighbours.has(index, a, p.far.Attrs().HardwareAddr)
}

// leads6 reports whether a workload that has IPv6, with these addresses or with a
// prefix, finds the way out, and the router to its link-local address.
func (v view) leads6(p pair, list []netip.Prefix) (bool, error) {
	index := p.near.Attrs().Index
	prefixed := func(e route) bool { return e.link == index && ofPrefix(e) && e.prefix.Addr().Is6() }
	if !v.locals[index] || !wants6(desired.Workload{Addresses: list}) && !slices.ContainsFunc(v.routes, prefixed) {
		return false, nil
	}
	leads, err := v.leads(p, routerLinkLocal.Addr(), netip.Prefix{})
	return leads && v.reached(p, linkLocal(p.far.Attrs().HardwareAddr)), err
}

// leads reports whether the workload knows the router as its neighbour of that
// address, has a default route, by way of it or made by others, and a route to
// its subnet if that is valid. An end that is down need not.
func (v view) leads(p pair, hop netip.Addr, subnet netip.Prefix) (bool, error) {
	if !hop.IsValid() || p.far.Attrs().Flags&net.FlagUp == 0 {
		return hop.IsValid(), nil
	}
	index := p.far.Attrs().Index
	known, err := permanent(p.in.handle, index)
	if err != nil || !known.has(index, hop, p.near.Attrs().HardwareAddr) {
		return false, err
	}
	if subnet.IsValid() {
		list, err := p.waysOf(familyOf(hop))
		if err != nil || !slices.ContainsFunc(list, func(r netlink.Route) bool {
			return toPrefix(r.Dst) == subnet && toAddr(r.Gw) == hop && r.LinkIndex == index
		}) {
			return false, err
		}
	}
	state, err := p.defaults(hop)
	return state != defaultMissing, err
}

// addresses returns those of the addresses of a workload's device to which packets
// find the way, and from which packets find the way out, those of IPv4 with the
// length of their subnet. One that is there with a prefix makes neighbours that it must
// not have. One of the VPC that is there in half, on the interface alone or with a
// route alone, has the length 0, which nothing that is wanted has: so it is seen,
// whether it is to come or to go.
func (v view) addresses(p pair, list []netip.Prefix, subnet int, out6 bool) (found []netip.Prefix) {
	for _, a := range list {
		switch whole := a.IsSingleIP() && (a.Addr().Is4() || out6) && v.reached(p, a.Addr()); {
		case whole && a.Addr().Is4() && subnet >= 0:
			found = append(found, netip.PrefixFrom(a.Addr(), subnet))
		case whole:
			found = append(found, a)
		case v.responsible(a.Addr()):
			found = append(found, netip.PrefixFrom(a.Addr(), 0))
		}
	}
	for _, e := range v.routes {
		here := func(a netip.Prefix) bool { return a.Addr() == e.prefix.Addr() }
		if e.link == p.near.Attrs().Index && !ofPrefix(e) && !slices.ContainsFunc(list, here) && v.responsible(e.prefix.Addr()) {
			found = append(found, netip.PrefixFrom(e.prefix.Addr(), 0))
		}
	}
	return found
}

// responsible reports whether an address is of the router's networks. Others are
// the workload's own affair.
func (v view) responsible(a netip.Addr) bool {
	return slices.ContainsFunc(v.routes.sinks(v.lo.Attrs().Index, v.nowhere), func(p netip.Prefix) bool {
		return p.Contains(a) && !slices.Contains(realms, p)
	})
}
