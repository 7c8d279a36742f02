// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/posternhq/postern/internal/desired"
)

// Lane is something that is put on every device of a router which leads to a
// workload, to another router or to the edge of an uplink, and on those of an edge. It knows a router by the cookie of its namespace.
type Lane interface {
	// Cover puts it on a device of the namespace that the handle belongs to, which is an
	// edge or tracks connections.
	Cover(h *netlink.Handle, cookie uint64, link netlink.Link, edge bool) error
	// Covers reports whether it is there.
	Covers(h *netlink.Handle, cookie uint64, link netlink.Link, edge bool) (bool, error)
	// Uncover is told of a device that is to go or is gone, by its index.
	Uncover(cookie uint64, device int) error
	// Devices lists the devices of a router that it was put on, by their indexes.
	Devices(cookie uint64) []int
	// Leave is told of a router that is gone.
	Leave(cookie uint64) error
}

// Cookie is the number by which the express lane knows the router's namespace.
func (r *Router) Cookie() uint64 { return r.cookie }

// isEdge reports whether the router is the edge of an uplink.
func (r *Router) isEdge() bool { return r.Realm().Sort() == desired.Edges }

// cover puts the lane on a device.
func (r *Router) cover(link netlink.Link) error {
	if r.set.lane == nil {
		return nil
	}
	return retry(func() error { return r.set.lane.Cover(r.handle, r.cookie, link, r.isEdge()) })
}

// covered reports whether a device has the lane, if there is one.
func (r *Router) covered(link netlink.Link) (bool, error) {
	if r.set.lane == nil {
		return true, nil
	}
	return fetch(func() (bool, error) { return r.set.lane.Covers(r.handle, r.cookie, link, r.isEdge()) })
}

// remove deletes an interface of the router, and its other end. Before, the lane
// is told of both: what it would hand on to them takes the slow path.
func (r *Router) remove(link netlink.Link) error {
	if r.set.lane != nil {
		err := r.set.lane.Uncover(r.cookie, link.Attrs().Index)
		if parts, ok := parseAlias(link.Attrs().Alias, r.instance, isLink, 1); ok {
			err = errors.Join(err, r.uncoverFar(parts[0]))
		}
		err = errors.Join(err, r.uncoverOther(link))
		if err != nil {
			return err
		}
	}
	return removeLink(r.handle, link)
}

// uncover tells the lane of an interface that is to go, if there is one.
func (r *Router) uncover(link netlink.Link) error {
	if r.set.lane == nil || link == nil {
		return nil
	}
	return r.set.lane.Uncover(r.cookie, link.Attrs().Index)
}

// uncoverFar tells the lane of the other end of a link with a peer.
func (r *Router) uncoverFar(peer string) error {
	other, err := r.set.Open(peer)
	if errors.Is(err, ErrNoRouter) {
		return nil
	}
	if err != nil {
		return err
	}
	defer other.Release()
	far, err := other.linkTo(r.VPC)
	if err != nil || far == nil {
		return err
	}
	return r.set.lane.Uncover(other.cookie, far.Attrs().Index)
}

// links lists the interfaces of the router. Those that are not there any more,
// because somebody else or their other end's namespace took them away, the lane
// is told of.
func (r *Router) links() ([]netlink.Link, error) {
	var covered []int
	if r.set.lane != nil {
		covered = r.set.lane.Devices(r.cookie) // before, so that new ones are not taken for old
	}
	list, err := fetch(r.handle.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	there := map[int]bool{}
	for _, l := range list {
		there[l.Attrs().Index] = true
	}
	for _, device := range covered {
		if !there[device] {
			if err := r.set.lane.Uncover(r.cookie, device); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// leave tells the lane that the router is gone.
func (r *Router) leave() error {
	if r.set.lane == nil {
		return nil
	}
	return r.set.lane.Leave(r.cookie)
}
