// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// Namespaces of ours that are no VPC's router, such as those of NAT gateways, are made,
// marked, adopted and removed as routers are, by names that no VPC can have: those that
// NameOf gives. What is in them is the affair of who has them made.

// NameOf is the name by which Routers knows the namespace of a realm: the identifier of
// the VPC whose router it is, or of the NAT gateway, or edge- and the name of an uplink, or
// sandbox- and the identifier of what the server in it is.
func NameOf(r desired.Realm) string {
	switch r.Sort() {
	case desired.Edges:
		return edgePrefix + r.Name()
	case desired.Sandboxes:
		return sandboxPrefix + r.Name()
	}
	return r.Name()
}

const (
	edgePrefix    = "edge-"
	sandboxPrefix = "sandbox-"
)

// realmOf is the realm whose namespace has a name.
func realmOf(name string) desired.Realm {
	if strings.HasPrefix(name, "nat-") {
		return desired.NATRealm(name)
	}
	if uplink, ok := strings.CutPrefix(name, edgePrefix); ok {
		return desired.EdgeRealm(uplink)
	}
	if id, ok := strings.CutPrefix(name, sandboxPrefix); ok {
		return desired.SandboxRealm(id)
	}
	return desired.Realm(name)
}

// Realms lists the realms that have a namespace of ours, in the order of their names.
func (rs *Routers) Realms() ([]desired.Realm, error) {
	all, err := marked(rs.instance)
	if err != nil {
		return nil, err
	}
	realms := make([]desired.Realm, len(all))
	for i, m := range all {
		realms[i] = realmOf(m.vpc)
	}
	return realms, nil
}

// Realm is the realm whose namespace it is.
func (r *Router) Realm() desired.Realm { return realmOf(r.VPC) }

// Up brings the namespace's loopback device up.
func (r *Router) Up() error {
	lo, err := linkNamed(r.handle, "lo")
	if err == nil && lo == nil {
		err = errors.New("there is none")
	}
	if err == nil {
		err = retry(func() error { return r.handle.LinkSetUp(lo) })
	}
	if err != nil {
		return fmt.Errorf("bring up lo in %s: %w", r.VPC, err)
	}
	return nil
}

// Whole reports whether a namespace that is no router's has its name, forwards and
// checks where packets come from.
func (r *Router) Whole() (bool, error) {
	links, err := r.links()
	if err != nil {
		return false, fmt.Errorf("read namespace of %s: %w", r.VPC, err)
	}
	confs, err := r.netconfs()
	if err != nil {
		return false, fmt.Errorf("read namespace of %s: %w", r.VPC, err)
	}
	for _, l := range links {
		c, there := confs[confKey{unix.AF_INET, l.Attrs().Index}]
		loopback := l.Attrs().Flags&net.FlagLoopback != 0
		if loopback && l.Attrs().Flags&net.FlagUp == 0 || !loopback && there && !c.forwarding {
			return false, nil
		}
	}
	all := confs[confKey{unix.AF_INET, confAll}]
	return r.named() && all.forwarding && all.strict, nil
}

// Received counts what has come in by the namespace's interfaces, without what it sends
// to itself, and also what the express lane has handed on to them.
func (r *Router) Received() (packets, bytes uint64, err error) {
	links, err := fetch(r.handle.LinkList)
	if err != nil {
		return 0, 0, fmt.Errorf("read what %s has received: %w", r.VPC, err)
	}
	for _, l := range links {
		if s := l.Attrs().Statistics; s != nil && l.Attrs().Flags&net.FlagLoopback == 0 {
			packets += s.RxPackets
			bytes += s.RxBytes
		}
	}
	return packets, bytes, nil
}

// errAway says that one of our own realms has no namespace, now.
var errAway = errors.New("it has no namespace on this host")

// openOurs opens the namespace of one of our own realms as that of a workload.
func (r *Router) openOurs(realm desired.Realm) (inner, error) {
	other, err := r.set.Open(NameOf(realm))
	if errors.Is(err, ErrNoRouter) {
		err = errAway
	}
	if err == nil && realm.Sort() == desired.Routers {
		other.Release()
		err = ErrNotForWorkloads
	}
	if err != nil {
		return inner{}, fmt.Errorf("open namespace of %s: %w", realm, err)
	}
	return inner{other.ns, other.handle, other}, nil
}

// passesOn reports whether what comes into the namespace of a realm leaves there, as it
// does in one of ours that is no server's.
func passesOn(realm desired.Realm) bool { return realm != "" && realm.Sort() != desired.Sandboxes }

// passesOn reports whether what comes in by the interface leaves by it.
func (in inner) passesOn() bool { return in.ours != nil && passesOn(in.ours.Realm()) }

// coverOther puts the lane on the other end of a workload's interface too, when what comes
// in there leaves there.
func (p pair) coverOther() error {
	if !p.in.passesOn() {
		return nil
	}
	return p.in.ours.cover(p.far)
}

// coveredOther reports whether the other end has the lane, if it should.
func (p pair) coveredOther() (bool, error) {
	if !p.in.passesOn() {
		return true, nil
	}
	return p.in.ours.covered(p.far)
}

// uncoverOther tells the lane of the other end of a workload's interface that is to
// go, when it is there too.
func (r *Router) uncoverOther(link netlink.Link) error {
	_, _, ns, ok := r.readMark(link.Attrs().Alias)
	if !ok || !passesOn(ns.Realm) {
		return nil
	}
	in, err := r.openOurs(ns.Realm)
	if errors.Is(err, errAway) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.close()
	return r.set.lane.Uncover(in.ours.cookie, link.Attrs().ParentIndex)
}
