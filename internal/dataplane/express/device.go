// SPDX-License-Identifier: Apache-2.0

package express

import (
	"errors"
	"fmt"

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

func qdisc(device int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: device, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

// Cover puts the program on a device of a router, which h belongs to. A device
// that has it stays as it is.
func (l *Lane) Cover(h *netlink.Handle, device int) error {
	covered, err := l.Covers(h, device)
	if err != nil || covered {
		return err
	}
	if err := h.QdiscAdd(qdisc(device)); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact qdisc to device %d: %w", device, err)
	}
	err = h.FilterReplace(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: device, Parent: netlink.HANDLE_MIN_INGRESS, Handle: filterHandle,
			Priority: filterPriority, Protocol: unix.ETH_P_ALL,
		},
		Fd: l.program.FD(), Name: programName, DirectAction: true,
	})
	if err != nil {
		return fmt.Errorf("add the express lane to device %d: %w", device, err)
	}
	return nil
}

// Covers reports whether a device has the program.
func (l *Lane) Covers(h *netlink.Handle, device int) (bool, error) {
	link := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: device}}
	filters, err := h.FilterList(link, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return false, fmt.Errorf("list filters of device %d: %w", device, err)
	}
	for _, f := range filters {
		if b, ok := f.(*netlink.BpfFilter); ok && b.Id == int(l.id) && b.DirectAction {
			return true, nil
		}
	}
	return false, nil
}

// Recheck makes the program ask again about everything that it knows: a
// connection was cut, or the way to somewhere has changed.
func (l *Lane) Recheck() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var c control
	err := l.control.Lookup(uint32(0), &c)
	if err == nil {
		c.Generation++
		err = l.control.Put(uint32(0), c)
	}
	if err != nil {
		return fmt.Errorf("tell the express lane to look again: %w", err)
	}
	return nil
}
