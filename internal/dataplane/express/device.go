// SPDX-License-Identifier: Apache-2.0

package express

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The program hangs on a clsact qdisc (tc-bpf(8)), not on tcx: attaching to tcx
// waits for a grace period of RCU while it holds the lock of all network
// configuration, 10 to 25 ms for each device.
const (
	filterPriority = 1
	filterHandle   = 1
)

// place is where the program hangs on a device, and what it is told of that by the
// class of its filter.
type place struct{ parent, class uint32 }

// places are where a device has the program: what comes into a router, and into and out
// of an edge (edge.h).
func places(edge bool) []place {
	if edge {
		return []place{{netlink.HANDLE_MIN_INGRESS, 1}, {netlink.HANDLE_MIN_EGRESS, 2}}
	}
	return []place{{netlink.HANDLE_MIN_INGRESS, 0}}
}

func qdisc(device int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: device, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

// Cover puts the program on a device of a router, and lets packets be handed on
// from it and to it. The router is told by the handle and by the cookie of its
// namespace. The device is one end of a veth whose other end is in another
// namespace; any other is refused, because the kernel drops what is handed on to
// it (bpf_redirect_peer in bpf-helpers(7)). A device that has all that stays as it is.
// The devices of an edge, which knows no connections, have another part of the program.
func (l *Lane) Cover(h *netlink.Handle, cookie uint64, link netlink.Link, edge bool) error {
	address, ok := leads(link)
	if !ok {
		return fmt.Errorf("add the express lane to %s: a %s that does not lead to another namespace", link.Attrs().Name, link.Type())
	}
	device := link.Attrs().Index
	there, err := l.attached(h, device, edge)
	if err == nil && !there {
		err = l.attach(h, device, edge)
	}
	if err != nil {
		return err
	}
	if err := l.list(cookie, uint32(device), listing(link, address)); err != nil {
		return fmt.Errorf("list %s for the express lane: %w", link.Attrs().Name, err)
	}
	return nil
}

// listing is what the program is told of a device.
func listing(link netlink.Link, address mac) listed {
	value := listed{MAC: address}
	if strings.HasPrefix(link.Attrs().Name, "w") { // as the rules of the router tell
		value.Workload = 1
	}
	return value
}

// leads gives the hardware address of a veth that leads to another namespace.
func leads(link netlink.Link) (address mac, ok bool) {
	hardware := link.Attrs().HardwareAddr
	if link.Type() != "veth" || link.Attrs().NetNsID < 0 || len(hardware) != len(address) {
		return address, false
	}
	copy(address[:], hardware)
	return address, true
}

func (l *Lane) attach(h *netlink.Handle, device int, edge bool) error {
	if err := h.QdiscAdd(qdisc(device)); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact qdisc to device %d: %w", device, err)
	}
	for _, at := range places(edge) {
		err := h.FilterReplace(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: device, Parent: at.parent, Handle: filterHandle,
				Priority: filterPriority, Protocol: unix.ETH_P_ALL,
			},
			Fd: l.program.FD(), Name: programName, DirectAction: true, ClassId: at.class,
		})
		if err != nil {
			return fmt.Errorf("add the express lane to device %d: %w", device, err)
		}
	}
	return nil
}

// Covers reports whether a device has all that Cover gives.
func (l *Lane) Covers(h *netlink.Handle, cookie uint64, link netlink.Link, edge bool) (bool, error) {
	address, ok := leads(link)
	if !ok || !l.lists(cookie, uint32(link.Attrs().Index), listing(link, address)) {
		return false, nil
	}
	return l.attached(h, link.Attrs().Index, edge)
}

// lists reports whether a device is listed, or not for want of room or because its
// router is slow.
func (l *Lane) lists(cookie uint64, device uint32, value listed) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting, slow := l.slow[cookie]; slow {
		waiting[device] = value
		return true
	}
	address := value.MAC
	r := l.routers[cookie]
	if r != nil {
		r.seen = true
	}
	return l.full || r != nil && r.devices[device] == address
}

// attached reports whether a device has the program wherever it should.
func (l *Lane) attached(h *netlink.Handle, device int, edge bool) (bool, error) {
	link := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: device}}
	for _, at := range places(edge) {
		filters, err := h.FilterList(link, at.parent)
		if err != nil {
			return false, fmt.Errorf("list filters of device %d: %w", device, err)
		}
		if !slices.ContainsFunc(filters, func(f netlink.Filter) bool {
			b, ok := f.(*netlink.BpfFilter)
			return ok && b.Id == int(l.id) && b.DirectAction && b.ClassId == at.class
		}) {
			return false, nil
		}
	}
	return true, nil
}
