// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// WorkloadMTU is the MTU of network interfaces within a VPC on AWS.
const WorkloadMTU = 9001

// routerLinkLocal is the router's address on every workload interface: the
// next hop of all IPv6 of a workload.
var routerLinkLocal = netip.MustParsePrefix("fe80::1/128")

// hasIPv6 reports whether the kernel has IPv6 at all.
var hasIPv6 = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/sys/net/ipv6")
	return err == nil
})

// inner is a workload's namespace while something is done in it. It is opened
// anew each time: an open descriptor would keep the namespace of a process
// that has ended.
type inner struct {
	ns     *os.File
	handle *netlink.Handle
	ours   *Router // when it is one of our own realms'
}

func (in inner) close() {
	if in.ours != nil {
		in.ours.Release()
		return
	}
	if in.handle != nil {
		in.handle.Close()
	}
	in.ns.Close()
}

// openInner opens the namespace that a workload was attached with.
// ErrNamespaceGone says that it is not there any more. One of our own realms is not
// gone: it comes again.
func (r *Router) openInner(n desired.Namespace) (in inner, err error) {
	if n.Realm != "" {
		return r.openOurs(n.Realm)
	}
	if in.ns, err = Find(n); err != nil {
		return in, err
	}
	if in.handle, err = openHandle(in.ns); err != nil {
		in.close()
	}
	return in, err
}

// Attach gives a workload its interface, or changes what differs of it.
func (r *Router) Attach(w desired.Workload) error {
	if err := r.attach(w); err != nil {
		return fmt.Errorf("attach %s to %s: %w", w.ENI, r.VPC, err)
	}
	return nil
}

func (r *Router) attach(w desired.Workload) error {
	in, err := r.openInner(w.Namespace)
	if err != nil {
		return err
	}
	defer in.close()
	if err := r.checkPlace(w, in); err != nil {
		return err
	}
	p, err := r.pairOf(w.ENI, in)
	if err != nil {
		return err
	}
	if p.near != nil && !p.fits(w) {
		if err := r.remove(p.near); err != nil {
			return err
		}
		p.near = nil
	}
	if p.near == nil {
		if p, err = r.makePair(w, in); err != nil {
			return err
		}
	}
	if err := p.mark(w); err != nil {
		return err
	}
	if err := p.complete(w); err != nil {
		return err
	}
	return r.Follow(w.ENI)
}

// checkPlace refuses namespaces that are not a workload's, and names for them
// that do not fit into a mark.
func (r *Router) checkPlace(w desired.Workload, in inner) error {
	if len(r.workloadMark(w)) > maxAlias {
		return fmt.Errorf("namespace name %q is too long", w.Namespace.Name)
	}
	if in.ours != nil {
		return nil
	}
	if err := checkPlace(in); err != nil {
		return fmt.Errorf("namespace %s: %w", w.Namespace, err)
	}
	return nil
}

// workloadMark is the alias of the router's end. It says what the kernel does
// not keep elsewhere: the namespace as it was named, and the gateway with the
// length of its subnet, whose routes are not there while the workload's end is
// down or has a default route of its own.
func (r *Router) workloadMark(w desired.Workload) string {
	gateway := "-"
	if w.Gateway.IsValid() && subnetOf(w).IsValid() {
		gateway = netip.PrefixFrom(w.Gateway, subnetOf(w).Bits()).String()
	}
	return alias(r.instance, isWorkload, w.ENI, gateway, w.Namespace.String())
}

// readMark takes the alias of a router's end apart. The gateway is invalid when
// the mark has none, or is one of a version that gave no length.
func (r *Router) readMark(text string) (eni string, gateway netip.Prefix, ns desired.Namespace, ok bool) {
	parts, ok := parseAlias(text, r.instance, isWorkload, 3)
	if !ok {
		return "", gateway, ns, false
	}
	gateway, _ = netip.ParsePrefix(parts[1])
	ns, err := desired.ParseNamespace(parts[2])
	if _, noLength := netip.ParseAddr(parts[1]); err != nil || noLength == nil {
		// Versions that gave no length, and some after them, did not escape names.
		ns, err = desired.ParseNamespace(strings.ReplaceAll(parts[2], "%", "%25"))
	}
	return parts[0], gateway, ns, err == nil
}

// Detach takes a workload's interface away. Its namespace is not needed.
func (r *Router) Detach(eni string) error {
	near, err := r.owned("w", eni, alias(r.instance, isWorkload, eni))
	if err == nil && near != nil {
		err = r.remove(near)
	}
	if err != nil {
		return fmt.Errorf("detach %s from %s: %w", eni, r.VPC, err)
	}
	return nil
}

// pair is both ends of a workload's veth.
type pair struct {
	router *Router
	in     inner
	near   netlink.Link // in the router; nil when there is no pair
	far    netlink.Link // in the workload's namespace; nil when it is elsewhere
}

// pairOf finds the pair of a network interface.
func (r *Router) pairOf(eni string, in inner) (pair, error) {
	p := pair{router: r, in: in}
	near, err := r.owned("w", eni, alias(r.instance, isWorkload, eni))
	if err != nil || near == nil {
		return p, err
	}
	p.near = near
	far, err := linkAt(in.handle, near.Attrs().ParentIndex)
	if err != nil {
		return p, fmt.Errorf("find the workload's interface: %w", err)
	}
	if far != nil && paired(near, far) && far.Attrs().Alias == alias(r.instance, isDevice, eni) {
		p.far = far
	}
	return p, nil
}

// fits reports whether the pair can become what is wanted without being remade:
// its other end is in the workload's namespace.
func (p pair) fits(w desired.Workload) bool {
	return p.far != nil && p.far.Attrs().Name == w.Device && p.far.Attrs().HardwareAddr.String() == w.MAC
}

// mark writes the mark on the router's end, if it is another one.
func (p pair) mark(w desired.Workload) error {
	mark := p.router.workloadMark(w)
	if p.near.Attrs().Alias == mark {
		return nil
	}
	if err := retry(func() error { return p.router.handle.LinkSetAlias(p.near, mark) }); err != nil {
		return fmt.Errorf("set alias of %s: %w", p.near.Attrs().Name, err)
	}
	p.near.Attrs().Alias = mark
	return nil
}

// makePair makes both ends straight in their namespaces and marks them.
func (r *Router) makePair(w desired.Workload, in inner) (pair, error) {
	r.set.making.Lock()
	defer r.set.making.Unlock()
	p := pair{router: r, in: in}
	mac, err := net.ParseMAC(w.MAC)
	if err != nil {
		return p, err
	}
	if err := r.clearDevice(w, in); err != nil {
		return p, err
	}
	name, err := r.freeName("w", w.ENI)
	if err != nil {
		return p, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = name, WorkloadMTU, r.mac()
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: w.Device, PeerMTU: WorkloadMTU,
		PeerHardwareAddr: mac, PeerNamespace: netlink.NsFd(int(in.ns.Fd())),
	}
	if err := retry(func() error { return r.handle.LinkAdd(veth) }); err != nil {
		return p, fmt.Errorf("add veth %s with %s: %w", name, w.Device, err)
	}
	if p.near, err = r.handle.LinkByName(name); err != nil {
		return p, err
	}
	if p.far, err = in.handle.LinkByName(w.Device); err != nil {
		return p, err
	}
	if err := retry(func() error { return in.handle.LinkSetAlias(p.far, alias(r.instance, isDevice, w.ENI)) }); err != nil {
		return p, fmt.Errorf("set alias of %s: %w", w.Device, err)
	}
	return p, p.mark(w)
}

// clearDevice takes away what an earlier attachment of the same network
// interface has left: the other end may be in a router that is going away.
func (r *Router) clearDevice(w desired.Workload, in inner) error {
	old, err := linkNamed(in.handle, w.Device)
	if err != nil || old == nil {
		return err
	}
	if old.Attrs().Alias != alias(r.instance, isDevice, w.ENI) {
		return fmt.Errorf("namespace %s has an interface %s already: %w", w.Namespace, w.Device, unix.EEXIST)
	}
	return removeLink(in.handle, old)
}
