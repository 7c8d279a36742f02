// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// attempts bounds the repetitions of a call that met a transient error.
const attempts = 6

// transient are the errors that go away by themselves: a table changed while
// it was dumped, a signal came, or a lock or buffer of the kernel was taken.
var transient = []error{netlink.ErrDumpInterrupted, unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.ENOBUFS}

// retry repeats call while its error is transient, a few times and with a
// growing pause that stays below a tenth of a second in all.
func retry(call func() error) error {
	pause := time.Millisecond
	for i := 1; ; i++ {
		err := call()
		if err == nil || i == attempts || !isTransient(err) {
			return err
		}
		time.Sleep(pause)
		pause *= 2
	}
}

func isTransient(err error) bool {
	for _, t := range transient {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

// fetch is retry for calls that return something.
func fetch[T any](call func() (T, error)) (T, error) {
	var value T
	err := retry(func() (err error) {
		value, err = call()
		return err
	})
	return value, err
}

// openHandle opens an rtnetlink socket that belongs to the namespace.
func openHandle(ns *os.File) (*netlink.Handle, error) {
	var h *netlink.Handle
	err := Inside(ns, func() (err error) {
		h, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink socket in %s: %w", ns.Name(), err)
	}
	return h, nil
}

// linkNamed finds an interface by name; an absent one is nil without error.
func linkNamed(h *netlink.Handle, name string) (netlink.Link, error) {
	return found(fetch(func() (netlink.Link, error) { return h.LinkByName(name) }))
}

// linkAt finds an interface by index; an absent one is nil without error.
func linkAt(h *netlink.Handle, index int) (netlink.Link, error) {
	return found(fetch(func() (netlink.Link, error) { return h.LinkByIndex(index) }))
}

func found(link netlink.Link, err error) (netlink.Link, error) {
	if _, absent := errors.AsType[netlink.LinkNotFoundError](err); absent || errors.Is(err, unix.ENODEV) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return link, nil
}

// removeLink deletes an interface, and its peer with it.
func removeLink(h *netlink.Handle, link netlink.Link) error {
	err := retry(func() error { return h.LinkDel(link) })
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete interface %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// absent turns the errors that say "there is no such thing" into nil.
func absent(err error) error {
	for _, gone := range []error{unix.ESRCH, unix.ENOENT, unix.ENODEV, unix.EADDRNOTAVAIL} {
		if errors.Is(err, gone) {
			return nil
		}
	}
	return err
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return netlink.FAMILY_V4
	}
	return netlink.FAMILY_V6
}

func toIPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// toPrefix returns the invalid prefix for nil.
func toPrefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if !ok || bits == 0 {
		return netip.Prefix{}
	}
	if bits == 32 {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, ones)
}

func toAddr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
