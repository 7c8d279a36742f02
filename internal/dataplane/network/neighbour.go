// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
)

// Neighbours are known in advance and permanent. So nobody waits for ARP, and
// nobody can answer in the place of another; and permanent entries do not count
// against net.ipv4.neigh.default.gc_thresh3, which all namespaces of a host
// share and which is 1024 by default.

type neighbour struct {
	link int
	addr netip.Addr
	mac  string
}

func (r *Router) setNeighbour(link int, a netip.Addr, mac net.HardwareAddr) error {
	return setNeighbour(r.handle, link, a, mac)
}

func setNeighbour(h *netlink.Handle, link int, a netip.Addr, mac net.HardwareAddr) error {
	n := &netlink.Neigh{LinkIndex: link, Family: familyOf(a), State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: mac}
	if err := retry(func() error { return h.NeighSet(n) }); err != nil {
		return fmt.Errorf("set neighbour %s: %w", a, err)
	}
	return nil
}

func (r *Router) deleteNeighbour(link int, a netip.Addr) error {
	n := &netlink.Neigh{LinkIndex: link, Family: familyOf(a), IP: a.AsSlice()}
	if err := absent(retry(func() error { return r.handle.NeighDel(n) })); err != nil {
		return fmt.Errorf("delete neighbour %s: %w", a, err)
	}
	return nil
}

type neighbours []neighbour

func (r *Router) neighbours(link int) (neighbours, error) { return permanent(r.handle, link) }

// permanent lists the permanent neighbours. A link of zero means those of all.
func permanent(h *netlink.Handle, link int) (neighbours, error) {
	found, err := fetch(func() ([]netlink.Neigh, error) { return h.NeighList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list neighbours: %w", err)
	}
	var list neighbours
	for _, n := range found {
		if n.State&netlink.NUD_PERMANENT != 0 {
			list = append(list, neighbour{n.LinkIndex, toAddr(n.IP), n.HardwareAddr.String()})
		}
	}
	return list, nil
}

func (list neighbours) has(link int, a netip.Addr, mac net.HardwareAddr) bool {
	return slices.Contains(list, neighbour{link, a, mac.String()})
}
