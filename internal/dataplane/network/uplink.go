// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/posternhq/postern/internal/desired"
)

// What an operator gives as an uplink begins with one of these.
const (
	uplinkNamespace = "netns:"
	uplinkInterface = "dev:"
)

// namespaceEnd is what the alias of the end in the operator's namespace says in the
// place of a device.
const namespaceEnd = "end"

// setUplink makes the way out of an edge what is wanted.
func (r *Router) setUplink(want desired.Edge) error {
	l, err := r.uplink()
	if err != nil {
		return err
	}
	if l != nil && r.givenAs(l) != want.Device {
		if err := r.removeUplink(l); err != nil {
			return err
		}
	}
	if given, ok := strings.CutPrefix(want.Device, uplinkNamespace); ok {
		err = r.joinNamespace(want, given)
	} else if given, ok := strings.CutPrefix(want.Device, uplinkInterface); ok {
		err = r.takeInterface(want, given)
	} else {
		err = fmt.Errorf("%q is neither a namespace nor an interface", want.Device)
	}
	if err != nil {
		return err
	}
	list, err := r.issues()
	for _, i := range list {
		err = errors.Join(err, r.announce(i.prefix))
	}
	return err
}

// uplink finds the interface of an edge that leads out; nil when there is none.
func (r *Router) uplink() (netlink.Link, error) {
	l, err := linkNamed(r.handle, UplinkDevice)
	if err != nil || l == nil || r.givenAs(l) == "" {
		return nil, err
	}
	return l, nil
}

// givenAs is what the operator named to have this interface; empty when it is none.
func (r *Router) givenAs(l netlink.Link) string {
	parts, ok := parseAlias(l.Attrs().Alias, r.instance, isUplink, 2)
	if !ok {
		return ""
	}
	return parts[1]
}

// removeUplink gives an interface back, or deletes a pair.
func (r *Router) removeUplink(l netlink.Link) error {
	if name, ok := strings.CutPrefix(r.givenAs(l), uplinkInterface); ok {
		return r.giveBack(l, name)
	}
	return r.remove(l)
}

func (r *Router) uplinkMAC(far bool) net.HardwareAddr {
	if far {
		return hardwareAddr("uplink", r.instance, r.VPC, namespaceEnd)
	}
	return hardwareAddr("uplink", r.instance, r.VPC)
}

// operator is the namespace of the operator's that an edge is joined to, and the end of
// the pair there, which is nil when there is none.
type operator struct {
	ns     *os.File
	handle *netlink.Handle
	link   netlink.Link
}

func (o *operator) close() {
	o.handle.Close()
	o.ns.Close()
}

// operatorDevice is the name of the interface in the operator's namespace.
func (r *Router) operatorDevice() string {
	return interfaceName("p", r.instance+"/"+r.VPC, true)
}

func (r *Router) openOperator(name string) (*operator, error) {
	ns, err := OpenNamespace(name)
	if err != nil {
		return nil, err
	}
	h, err := openHandle(ns)
	if err != nil {
		ns.Close()
		return nil, err
	}
	o := &operator{ns: ns, handle: h}
	l, err := linkNamed(h, r.operatorDevice())
	if err != nil {
		o.close()
		return nil, err
	}
	if l != nil && l.Attrs().Alias == alias(r.instance, isUplink, r.Realm().Name(), namespaceEnd) {
		o.link = l
	}
	return o, nil
}

// joinNamespace makes the pair between the edge and a namespace of the operator's, with
// routes on both sides. Nothing else there is touched.
func (r *Router) joinNamespace(want desired.Edge, name string) error {
	o, err := r.openOperator(name)
	if err != nil {
		if l, _ := r.uplink(); l != nil { // it leads into one that has lost its name
			err = errors.Join(err, r.remove(l))
		}
		return err
	}
	defer o.close()
	l, err := r.uplink()
	if err != nil {
		return err
	}
	if l == nil || o.link == nil || !paired(l, o.link) {
		if l != nil {
			if err := r.remove(l); err != nil {
				return err
			}
		}
		if o.link != nil {
			if err := removeLink(o.handle, o.link); err != nil {
				return err
			}
		}
		if l, err = r.makeUplink(o, want); err != nil {
			return err
		}
	}
	if hasIPv6() {
		device := o.link.Attrs().Name
		if err := Inside(o.ns, func() error { return setSysctls([]sysctl{{"net/ipv6/conf/" + device + "/disable_ipv6", "0"}}) }); err != nil {
			return err
		}
	}
	if err := raise(side{r.ns, r.handle, l}, side{o.ns, o.handle, o.link}); err != nil {
		return err
	}
	for _, hop := range (end{}).hops() {
		if err := r.setNeighbour(l.Attrs().Index, hop, r.uplinkMAC(true)); err != nil {
			return err
		}
		if err := setNeighbour(o.handle, o.link.Attrs().Index, hop, r.uplinkMAC(false)); err != nil {
			return err
		}
		if err := retry(func() error { return r.handle.RouteReplace(way(everywhere(hop), hop, l.Attrs().Index)) }); err != nil {
			return fmt.Errorf("add default route via %s: %w", hop, err)
		}
	}
	return errors.Join(r.routeBack(o, want.Pool), r.cover(l))
}

func (r *Router) makeUplink(o *operator, want desired.Edge) (netlink.Link, error) {
	for _, in := range []struct {
		h    *netlink.Handle
		name string
	}{{r.handle, UplinkDevice}, {o.handle, r.operatorDevice()}} {
		l, err := linkNamed(in.h, in.name)
		if err != nil {
			return nil, err
		}
		if l != nil && (l.Attrs().Alias != "" || l.Type() != "veth") {
			return nil, fmt.Errorf("interface %s is not ours", in.name)
		}
		if l != nil { // what a crash has left
			if err := removeLink(in.h, l); err != nil {
				return nil, err
			}
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = UplinkDevice, LinkMTU, r.uplinkMAC(false)
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: r.operatorDevice(), PeerMTU: LinkMTU, PeerHardwareAddr: r.uplinkMAC(true), PeerNamespace: netlink.NsFd(o.ns.Fd()),
	}
	if err := retry(func() error { return r.handle.LinkAdd(veth) }); err != nil {
		return nil, fmt.Errorf("add veth %s: %w", UplinkDevice, err)
	}
	l, err := r.handle.LinkByName(UplinkDevice)
	if err != nil {
		return nil, err
	}
	if o.link, err = o.handle.LinkByName(r.operatorDevice()); err != nil {
		return nil, err
	}
	return l, errors.Join(
		setAlias(o.handle, o.link, alias(r.instance, isUplink, want.Name, namespaceEnd)),
		setAlias(r.handle, l, alias(r.instance, isUplink, want.Name, want.Device)),
	)
}

// routeBack makes the routes of ours in the operator's namespace those of the pool and
// of the blocks that are issued.
func (r *Router) routeBack(o *operator, pool []netip.Prefix) error {
	list, err := r.issues()
	if err != nil {
		return err
	}
	want := slices.Clone(pool)
	for _, i := range list {
		if i.prefix.Addr().Is6() {
			want = append(want, i.prefix)
		}
	}
	have, err := o.routes()
	if err != nil {
		return err
	}
	for _, p := range want {
		if slices.Contains(have, p) {
			continue
		}
		if err := retry(func() error { return o.handle.RouteReplace(peerRoute(p, o.link.Attrs().Index)) }); err != nil {
			return fmt.Errorf("add route of %s in the namespace of the uplink: %w", p, err)
		}
	}
	for _, p := range have {
		if slices.Contains(want, p) {
			continue
		}
		if err := absent(retry(func() error { return o.handle.RouteDel(peerRoute(p, o.link.Attrs().Index)) })); err != nil {
			return fmt.Errorf("delete route of %s in the namespace of the uplink: %w", p, err)
		}
	}
	return nil
}

// routes lists the prefixes that are routed to the edge.
func (o *operator) routes() (have []netip.Prefix, err error) {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := fetch(func() ([]netlink.Route, error) {
			filter := &netlink.Route{Protocol: Protocol, LinkIndex: o.link.Attrs().Index}
			return o.handle.RouteListFiltered(family, filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_OIF)
		})
		if err != nil {
			return nil, fmt.Errorf("list routes in the namespace of the uplink: %w", err)
		}
		for _, e := range list {
			have = append(have, toPrefix(e.Dst))
		}
	}
	return have, nil
}

// announce lets the outside know where a public address or block is: by a route in the
// operator's namespace, or by answering for an address that is on the link. Pools of
// IPv4 are routed as a whole.
func (r *Router) announce(p netip.Prefix) error {
	l, err := r.uplink()
	if err != nil || l == nil {
		return err // it is told when there is one
	}
	given := r.givenAs(l)
	if name, ok := strings.CutPrefix(given, uplinkNamespace); ok {
		if p.Addr().Is4() {
			return nil
		}
		return r.withOperator(name, func(o *operator) error {
			return retry(func() error { return o.handle.RouteReplace(peerRoute(p, o.link.Attrs().Index)) })
		})
	}
	onLink, err := r.onLink(l, p)
	if err != nil || !onLink {
		return err
	}
	return retry(func() error { return r.handle.NeighSet(proxied(l, p)) })
}

// silence is the opposite of announce.
func (r *Router) silence(p netip.Prefix) error {
	l, err := r.uplink()
	if err != nil || l == nil {
		return err
	}
	if name, ok := strings.CutPrefix(r.givenAs(l), uplinkNamespace); ok {
		if p.Addr().Is4() {
			return nil
		}
		return r.withOperator(name, func(o *operator) error {
			return absent(retry(func() error { return o.handle.RouteDel(peerRoute(p, o.link.Attrs().Index)) }))
		})
	}
	if !p.IsSingleIP() {
		return nil
	}
	return absent(retry(func() error { return r.handle.NeighDel(proxied(l, p)) }))
}

// announced reports whether the outside knows. It need not while there is no uplink.
func (r *Router) announced(p netip.Prefix) (known bool, err error) {
	l, err := r.uplink()
	if err != nil || l == nil {
		return err == nil, err
	}
	if name, ok := strings.CutPrefix(r.givenAs(l), uplinkNamespace); ok {
		known = true
		if p.Addr().Is6() {
			err = r.withOperator(name, func(o *operator) error {
				have, err := o.routes()
				known = slices.Contains(have, p)
				return err
			})
		}
		return known, err
	}
	onLink, err := r.onLink(l, p)
	if err != nil || !onLink {
		return err == nil, err
	}
	list, err := fetch(func() ([]netlink.Neigh, error) { return r.handle.NeighProxyList(l.Attrs().Index, familyOf(p.Addr())) })
	return slices.ContainsFunc(list, func(n netlink.Neigh) bool { return toAddr(n.IP) == p.Addr() }), err
}

// withOperator does something in the operator's namespace, if that is there and joined.
func (r *Router) withOperator(name string, do func(*operator) error) error {
	o, err := r.openOperator(name)
	if errors.Is(err, ErrNamespaceGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer o.close()
	if o.link == nil {
		return nil
	}
	return do(o)
}

func proxied(l netlink.Link, p netip.Prefix) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: l.Attrs().Index, Family: familyOf(p.Addr()), Flags: netlink.NTF_PROXY, IP: p.Addr().AsSlice()}
}

// onLink reports whether a prefix is an address that others on the link of the uplink
// look for there.
func (r *Router) onLink(l netlink.Link, p netip.Prefix) (bool, error) {
	if !p.IsSingleIP() {
		return false, nil
	}
	list, err := globalAddresses(r.handle, l)
	return slices.ContainsFunc(list, func(a netip.Prefix) bool { return a.Masked().Contains(p.Addr()) }), err
}

// uplinked reports whether the way out is there and as it is wanted.
func (r *Router) uplinked(want desired.Edge) (bool, error) {
	l, err := r.uplink()
	if err != nil {
		return false, err
	}
	if leads, err := r.leads(l, want.Device); err != nil || !leads {
		return false, err
	}
	name, namespace := strings.CutPrefix(want.Device, uplinkNamespace)
	hops := want.Via
	if namespace {
		hops = (end{}).hops()
	}
	for _, hop := range hops {
		leads, err := r.leadsOut(l, hop)
		if err != nil || !leads {
			return false, err
		}
	}
	if !namespace {
		have, err := globalAddresses(r.handle, l)
		slices.SortFunc(have, netip.Prefix.Compare)
		return slices.Equal(have, slices.SortedFunc(slices.Values(want.Addresses), netip.Prefix.Compare)), err
	}
	joined := false
	err = r.withOperator(name, func(o *operator) error {
		routes, err := o.routes()
		missing := func(p netip.Prefix) bool { return !slices.Contains(routes, p) }
		joined = paired(l, o.link) && o.link.Attrs().Flags&net.FlagUp != 0 && !slices.ContainsFunc(want.Pool, missing)
		return err
	})
	if err != nil || !joined {
		return false, err
	}
	return r.covered(l)
}

// leadsOut reports whether the default route of a family is over the uplink.
func (r *Router) leadsOut(l netlink.Link, hop netip.Addr) (bool, error) {
	all, err := r.routes()
	return slices.Contains(all, route{everywhere(hop), l.Attrs().Index, hop}), err
}
