// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// A desired.Table has two tables of the kernel in its router: one for the prefixes
// that come before what is local, and one for all others. Packets with the table's
// mark are asked of the first one, then of the main table without its default routes,
// and then of the second (rule.go).
//
// Each prefix has a sink there, which refuses (sink.go), and before it, with a smaller
// metric, the route to where it leads, if there is something: when an interface goes,
// its routes go with it, and what they were for is refused at once and by nobody's help.
const (
	beforeBase = 10000 // the kernel's table of the prefixes before what is local, plus the number
	behindBase = 20000

	wayMetric  = 10
	sinkMetric = 1000
	// guardMetric is that of sinks which every table has of its own.
	guardMetric = 2000
)

const markShift = 16

// TableMark is the mark of packets that take the routes of a table.
func TableMark(number int) uint32 { return uint32(number) << markShift }

// TableOf is the number of the table that packets of a mark take.
func TableOf(mark uint32) int { return int(mark >> markShift & desired.MaxTable) }

// guards are the prefixes that no table leads anywhere but what is local: the transit
// realm, what AWS forwards in no case, and what is on a link. The VPC's networks are
// guarded too, for the express lane: a packet does not come as far.
var guards = []netip.Prefix{
	model.Transit4, netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"),
	model.Transit6, netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"),
}

// step is a route of one of the kernel's tables of a Table, without the sink.
type step struct {
	prefix netip.Prefix
	metric int
	link   int
	via    netip.Addr
	kind   int // that of rtnetlink(7), when it is no unicast route: one that is not ours
}

// steps are routes by the number of the kernel's table.
type steps map[int]map[step]bool

func (h steps) add(table int, e step) {
	if h[table] == nil {
		h[table] = map[step]bool{}
	}
	h[table][e] = true
}

// place is where routes of a router lead to.
type place struct {
	lo, nowhere int
	networks    []netip.Prefix
	// ways gives the next hops of both families, by where a TableRoute leads to.
	ways map[string][]step
	// whose are the places by their devices.
	whose map[int]string
}

// places looks at where tables of the router lead, as far as that is needed for some.
func (r *Router) places(tables []desired.Table) (p place, err error) {
	p = place{ways: map[string][]step{}}
	lo, err := linkNamed(r.handle, "lo")
	if err != nil || lo == nil {
		return p, fmt.Errorf("find lo: %w", err)
	}
	p.lo = lo.Attrs().Index
	if sink, err := r.sinkLink(); err != nil {
		return p, err
	} else if sink != nil {
		p.nowhere = sink.Attrs().Index
	}
	err = r.strictly(func(h *netlink.Handle) error {
		here, err := routesOver(h, p.lo, p.nowhere)
		p.networks = networksOf(here, p.lo, p.nowhere)
		for _, t := range tables {
			for _, e := range t.Routes {
				if _, known := p.ways[e.To]; known || err != nil {
					continue
				}
				p.ways[e.To], err = r.waysOver(h, e.To)
			}
		}
		return err
	})
	return p, err
}

// networksOf are the networks of a router among its sinks.
func networksOf(list routes, lo, nowhere int) []netip.Prefix {
	return slices.DeleteFunc(list.sinks(lo, nowhere), func(n netip.Prefix) bool { return slices.Contains(realms, n) })
}

// waysOver finds the next hops of a place; none when it is not there, or does not take
// what is for others.
func (r *Router) waysOver(h *netlink.Handle, to string) ([]step, error) {
	switch to {
	case desired.Unreachable:
		return nil, nil
	case desired.Outside:
		l, err := r.exit()
		if err != nil || l == nil {
			return nil, err
		}
		return exitSteps(l.Attrs().Index), nil
	}
	l, err := r.owned("w", to, alias(r.instance, isWorkload, to))
	if err == nil && l == nil {
		if l, err = r.linkTo(to); err == nil && l != nil {
			return exitSteps(l.Attrs().Index), nil
		}
	}
	if err != nil || l == nil || !forwards(l) {
		return nil, err
	}
	list, err := routesOver(h, l.Attrs().Index)
	return list.stepsTo(l.Attrs().Index), err
}

// exit finds the router's link to the edge of its uplink; nil when there is none.
func (r *Router) exit() (netlink.Link, error) {
	list, err := fetch(r.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range list {
		if _, ok := parseAlias(l.Attrs().Alias, r.instance, isExit, 1); ok {
			return l, nil
		}
	}
	return nil, nil
}

func exitSteps(link int) []step {
	return []step{{link: link, via: nextHop4}, {link: link, via: nextHop6}}
}

// strictly opens a socket on which the kernel itself picks what is asked for out of its
// lists (NETLINK_GET_STRICT_CHK in netlink(7)). An older kernel gives all.
func (r *Router) strictly(do func(h *netlink.Handle) error) error {
	h, err := openHandle(r.ns)
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.SetStrictCheck(true); err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return fmt.Errorf("set up rtnetlink socket: %w", err)
	}
	return do(h)
}

// routesOver lists the routes of ours in the main table that leave by some interfaces.
func routesOver(h *netlink.Handle, links ...int) (list routes, err error) {
	for _, family := range ruleFamilies() {
		for _, link := range links {
			if link == 0 {
				continue
			}
			filter := &netlink.Route{Protocol: Protocol, Table: unix.RT_TABLE_MAIN, LinkIndex: link}
			found, err := fetch(func() ([]netlink.Route, error) {
				return h.RouteListFiltered(family, filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE|netlink.RT_FILTER_OIF)
			})
			if err != nil {
				return nil, fmt.Errorf("list routes over interface %d: %w", link, err)
			}
			for _, f := range found {
				if f.Protocol == Protocol && f.LinkIndex == link {
					list = append(list, route{toPrefix(f.Dst), f.LinkIndex, toAddr(f.Gw)})
				}
			}
		}
	}
	return list, nil
}

// places are all of them.
func (v view) places() place {
	p := place{lo: v.lo.Attrs().Index, nowhere: v.nowhere, ways: map[string][]step{}, whose: map[int]string{}}
	p.networks = networksOf(v.routes, p.lo, p.nowhere)
	for _, l := range v.links {
		index := l.Attrs().Index
		if eni, _, _, ok := v.readMark(l.Attrs().Alias); ok {
			p.whose[index] = eni
			if forwards(l) {
				p.ways[eni] = v.routes.stepsTo(index)
			}
		} else if _, ok := parseAlias(l.Attrs().Alias, v.instance, isExit, 1); ok {
			p.whose[index] = desired.Outside
			p.ways[desired.Outside] = exitSteps(index)
		} else if peer, ok := parseAlias(l.Attrs().Alias, v.instance, isLink, 1); ok {
			p.whose[index] = peer[0]
			p.ways[peer[0]] = exitSteps(index)
		}
	}
	return p
}

// stepsTo are the next hops of a workload, one for each family in which it has
// addresses: the first address that is routed to it.
func (all routes) stepsTo(index int) (list []step) {
	var first4, first6 netip.Addr
	for _, e := range all {
		if e.link != index {
			continue
		}
		switch a := e.prefix.Addr(); {
		case ofPrefix(e) && e.via.Is4():
			first4 = e.via // the primary address
		case ofPrefix(e):
		case a.Is4() && (!first4.IsValid() || a.Less(first4)):
			first4 = a
		case a.Is6() && a.IsLinkLocalUnicast():
			first6 = a
		}
	}
	for _, a := range []netip.Addr{first4, first6} {
		if a.IsValid() {
			list = append(list, step{link: index, via: a})
		}
	}
	return list
}

// wanted are the routes of a table.
func (p place) wanted(t desired.Table) steps {
	all := steps{}
	var has4, has6 bool
	for _, route := range t.Routes {
		table := behindBase + t.Number
		if p.local(route.Prefix) {
			table = beforeBase + t.Number
		}
		has4, has6 = has4 || route.Prefix.Addr().Is4(), has6 || route.Prefix.Addr().Is6()
		all.add(table, p.sink(route.Prefix, sinkMetric))
		for _, way := range p.ways[route.To] {
			if way.via.Is4() == route.Prefix.Addr().Is4() {
				all.add(table, step{prefix: route.Prefix, metric: wayMetric, link: way.link, via: way.via})
			}
		}
	}
	for _, guard := range slices.Concat(guards, p.networks) {
		if guard.Addr().Is4() && has4 || guard.Addr().Is6() && has6 {
			all.add(behindBase+t.Number, p.sink(guard, guardMetric))
		}
	}
	return all
}

// local reports whether a prefix lies in the networks of the VPC.
func (p place) local(prefix netip.Prefix) bool {
	return slices.ContainsFunc(p.networks, func(n netip.Prefix) bool { return n.Bits() <= prefix.Bits() && n.Contains(prefix.Addr()) })
}

func (p place) sink(prefix netip.Prefix, metric int) step {
	if prefix.Addr().Is6() {
		return step{prefix: prefix, metric: metric, link: p.nowhere}
	}
	return step{prefix: prefix, metric: metric, link: p.lo}
}

// Lead makes the router's routes of a table what it wants, and the rules by which
// packets come to it.
func (r *Router) Lead(t desired.Table) error {
	err := r.lead(t)
	if err != nil {
		return fmt.Errorf("write table %d of %s: %w", t.Number, r.VPC, err)
	}
	return nil
}

func (r *Router) lead(t desired.Table) error {
	if t.Number < 1 || t.Number > desired.MaxTable {
		return fmt.Errorf("its number is none between 1 and %d", desired.MaxTable)
	}
	for i, route := range t.Routes {
		if !route.Prefix.IsValid() || route.Prefix != route.Prefix.Masked() {
			return fmt.Errorf("%s is not a prefix", route.Prefix)
		}
		if slices.ContainsFunc(t.Routes[:i], func(o desired.TableRoute) bool { return o.Prefix == route.Prefix }) {
			return fmt.Errorf("it has two routes of %s", route.Prefix)
		}
	}
	if r.tables == nil {
		r.tables = map[int]desired.Table{}
	}
	r.tables[t.Number] = t
	if err := r.writeTables(t); err != nil {
		return err
	}
	return r.setRules()
}

// Unlead takes a table away.
func (r *Router) Unlead(number int) error {
	delete(r.tables, number)
	err := r.setRules(number) // first: what is on its way to a table finds it whole
	if err == nil {
		err = r.writeTables(desired.Table{VPC: r.VPC, Number: number})
	}
	if err != nil {
		return fmt.Errorf("delete table %d of %s: %w", number, r.VPC, err)
	}
	return nil
}

// Follow makes the tables lead to a place that has come, or come again: a network
// interface, a peer or desired.Outside.
func (r *Router) Follow(to string) error {
	var there []desired.Table
	for _, number := range slices.Sorted(maps.Keys(r.tables)) {
		if slices.ContainsFunc(r.tables[number].Routes, func(e desired.TableRoute) bool { return e.To == to }) {
			there = append(there, r.tables[number])
		}
	}
	if len(there) == 0 {
		return nil
	}
	if err := r.writeTables(there...); err != nil {
		return fmt.Errorf("lead tables of %s to %s: %w", r.VPC, to, err)
	}
	return nil
}

// rewriteTables writes all tables again: what is local has changed.
func (r *Router) rewriteTables() error {
	if len(r.tables) == 0 {
		return nil
	}
	return r.writeTables(slices.Collect(maps.Values(r.tables))...)
}

// writeTables brings the kernel's routes of some tables to what is wanted: first all
// that is missing, then away with the rest.
func (r *Router) writeTables(tables ...desired.Table) error {
	if slices.ContainsFunc(tables, func(t desired.Table) bool {
		return slices.ContainsFunc(t.Routes, func(e desired.TableRoute) bool { return e.Prefix.Addr().Is6() })
	}) {
		if _, err := r.nowhere(true); err != nil {
			return err
		}
	}
	p, err := r.places(tables)
	if err != nil {
		return err
	}
	return r.strictly(func(h *netlink.Handle) error {
		for _, t := range tables {
			want := p.wanted(t)
			for _, table := range []int{behindBase + t.Number, beforeBase + t.Number} {
				if err := r.writeTable(h, table, want[table]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (r *Router) writeTable(h *netlink.Handle, table int, want map[step]bool) error {
	list, err := listSteps(h, table)
	if err != nil {
		return err
	}
	have := list[table]
	// Sinks first: there is nothing to fall through to.
	for _, e := range sortedSteps(want) {
		if !have[e] {
			if err := retry(func() error { return r.handle.RouteReplace(e.route(table)) }); err != nil {
				return fmt.Errorf("add route of %s: %w", e.prefix, err)
			}
		}
	}
	taken := map[step]bool{}
	for e := range want {
		taken[step{prefix: e.prefix, metric: e.metric}] = true
	}
	for _, e := range sortedSteps(have) {
		if want[e] || taken[step{prefix: e.prefix, metric: e.metric}] {
			continue // the one that replaced it has its place
		}
		if err := absent(retry(func() error { return r.handle.RouteDel(e.route(table)) })); err != nil {
			return fmt.Errorf("delete route of %s: %w", e.prefix, err)
		}
	}
	return nil
}

func sortedSteps(list map[step]bool) []step {
	return slices.SortedFunc(maps.Keys(list), func(a, b step) int {
		if a.metric != b.metric {
			return b.metric - a.metric
		}
		return a.prefix.Compare(b.prefix)
	})
}

func (e step) route(table int) *netlink.Route {
	r := &netlink.Route{Dst: toIPNet(e.prefix), LinkIndex: e.link, Table: table, Priority: e.metric, Protocol: Protocol, Family: familyOf(e.prefix.Addr())}
	switch {
	case e.kind != 0:
		r.Type = e.kind
	case e.via.IsValid():
		r.Gw, r.Flags = e.via.AsSlice(), int(netlink.FLAG_ONLINK)
	case e.prefix.Addr().Is4():
		r.Scope = netlink.SCOPE_LINK
	}
	return r
}

// listSteps lists the routes of ours in one of the kernel's tables of tables, or in all
// of them when it is zero.
func listSteps(h *netlink.Handle, table int) (steps, error) {
	list := steps{}
	for _, family := range ruleFamilies() {
		filter := &netlink.Route{Protocol: Protocol, Table: table}
		found, err := fetch(func() ([]netlink.Route, error) {
			return h.RouteListFiltered(family, filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
		})
		if err != nil && !errors.Is(err, unix.ENOENT) { // there is no such table yet
			return nil, fmt.Errorf("list routes of tables: %w", err)
		}
		for _, f := range found {
			list.take(f)
		}
	}
	return list, nil
}

// take adds a route, if it is one of tables.
func (list steps) take(f netlink.Route) {
	if f.Table > beforeBase && f.Table <= behindBase+desired.MaxTable {
		e := step{prefix: toPrefix(f.Dst), metric: f.Priority, link: f.LinkIndex, via: toAddr(f.Gw)}
		if f.Type != unix.RTN_UNICAST {
			e.kind = f.Type
		}
		list.add(f.Table, e)
	}
}

// readTables reads the router's tables back. What a table should have and has not is
// missing from it; one that is damaged otherwise has a route more.
func (v view) readTables() ([]desired.Table, error) {
	list := v.steps
	led, err := v.ledByRules(list)
	if err != nil {
		return nil, err
	}
	p := v.places()
	numbers := map[int]bool{}
	for table := range list {
		numbers[numberOf(table)] = true
	}
	for number := range led {
		numbers[number] = true
	}
	var tables []desired.Table
	for _, number := range slices.Sorted(maps.Keys(numbers)) {
		tables = append(tables, v.readTable(p, number, list, led[number]))
	}
	return tables, nil
}

// readTable reads one table: as it was wanted when it is just what that makes, or else
// as what there is.
func (v view) readTable(p place, number int, list steps, led bool) desired.Table {
	have := func(table int) map[step]bool { return list[table] }
	if t, ok := v.tables[number]; ok && led {
		want := p.wanted(t)
		if maps.Equal(want[beforeBase+number], have(beforeBase+number)) && maps.Equal(want[behindBase+number], have(behindBase+number)) {
			return t
		}
	}
	t := desired.Table{VPC: v.VPC, Number: number}
	leads := map[netip.Prefix]string{}
	for _, table := range []int{beforeBase + number, behindBase + number} {
		for e := range have(table) {
			if e.metric == sinkMetric && leads[e.prefix] == "" {
				leads[e.prefix] = desired.Unreachable
			}
			if e.metric == wayMetric {
				leads[e.prefix] = p.whose[e.link]
			}
		}
	}
	for prefix, to := range leads {
		t.Routes = append(t.Routes, desired.TableRoute{Prefix: prefix, To: to})
	}
	slices.SortFunc(t.Routes, func(a, b desired.TableRoute) int { return a.Prefix.Compare(b.Prefix) })
	want := p.wanted(t)
	whole := led && maps.Equal(want[beforeBase+number], have(beforeBase+number)) && maps.Equal(want[behindBase+number], have(behindBase+number))
	if !whole { // a text that nothing wanted has
		t.Routes = append(t.Routes, desired.TableRoute{Prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 128), To: "damaged"})
	}
	return t
}

// adoptTable keeps a table that was read for Follow, when nothing was wanted of it yet.
func (r *Router) adoptTable(t desired.Table) {
	if _, known := r.tables[t.Number]; known || slices.ContainsFunc(t.Routes, func(e desired.TableRoute) bool { return e.To == "damaged" }) {
		return
	}
	if r.tables == nil {
		r.tables = map[int]desired.Table{}
	}
	r.tables[t.Number] = t
}

// UncheckedGroup is the group of interfaces (ip-link(8)) in a router by which packets
// may come that are not from their workload.
const UncheckedGroup = 78

// NATGroup is the group of those of NAT gateways, whose clients have been counted one by
// one: it follows UncheckedGroup, so that the two are one range.
const NATGroup = UncheckedGroup + 1

// groupOf is the group of the router's end of a workload's interface.
func groupOf(unchecked bool, ns desired.Namespace) uint32 {
	switch {
	case !unchecked:
		return 0
	case ns.Realm != "" && ns.Realm.Sort() == desired.NATs:
		return NATGroup
	}
	return UncheckedGroup
}

// forwards reports whether packets may come by an interface that are not from its
// workload.
func forwards(l netlink.Link) bool {
	return l.Attrs().Group == UncheckedGroup || l.Attrs().Group == NATGroup
}

// WorkloadDevices are the names that the interface of a workload can have in its
// router.
func WorkloadDevices(eni string) []string {
	names := []string{interfaceName("w", eni, false), interfaceName("w", eni, true)}
	return slices.Compact(names)
}

// setChecked says whether packets from others may come by a router's end.
func (p pair) setChecked(w desired.Workload) error {
	name, group, filter := p.near.Attrs().Name, groupOf(w.Unchecked, w.Namespace), "1"
	if w.Unchecked {
		filter = "0"
	}
	if err := p.router.Inside(func() error { return setSysctls([]sysctl{{"net/ipv4/conf/" + name + "/rp_filter", filter}}) }); err != nil {
		return err
	}
	if p.near.Attrs().Group == group {
		return nil
	}
	if err := retry(func() error { return p.router.handle.LinkSetGroup(p.near, int(group)) }); err != nil {
		return fmt.Errorf("set group of %s: %w", name, err)
	}
	p.near.Attrs().Group = group
	return nil
}

// Devices gives the indexes of the interfaces that lead to workloads, by their
// network interfaces, and to the outside.
func (r *Router) Devices() (map[string]int, error) {
	list, err := fetch(r.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces of %s: %w", r.VPC, err)
	}
	there := map[string]int{}
	for _, l := range list {
		if eni, _, _, ok := r.readMark(l.Attrs().Alias); ok {
			there[eni] = l.Attrs().Index
		} else if _, ok := parseAlias(l.Attrs().Alias, r.instance, isExit, 1); ok {
			there[desired.Outside] = l.Attrs().Index
		}
	}
	return there, nil
}
