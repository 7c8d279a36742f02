// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// Holder is the workload that has an address: the one that the router sends the
// address's packets to, and takes packets from the address from.
type Holder struct {
	ENI       string
	Namespace desired.Namespace
	route     route // by which it has the address
}

// Standing is who has which addresses in a router, as its routes say.
type Standing struct {
	// Networks are the prefixes that the router is responsible for.
	Networks []netip.Prefix
	// Own are the router's own addresses.
	Own []netip.Addr
	// Holders gives the workload that has an address of the VPC. An address of a
	// workload whose interface is gone is nobody's.
	Holders map[netip.Addr]Holder
	// Hops gives the peer that a transit prefix is routed to.
	Hops map[netip.Prefix]string
}

// Standing reads who has which addresses.
func (r *Router) Standing() (Standing, error) {
	s, err := r.standing()
	if err != nil {
		err = fmt.Errorf("read who has which addresses in %s: %w", r.VPC, err)
	}
	return s, err
}

func (r *Router) standing() (s Standing, err error) {
	links, err := fetch(r.handle.LinkList)
	if err != nil {
		return s, fmt.Errorf("list interfaces: %w", err)
	}
	all, err := r.routes()
	if err != nil {
		return s, err
	}
	lo, nowhere := 0, 0
	workloads, peers := map[int]Holder{}, map[int]string{}
	for _, l := range links {
		index, mark := l.Attrs().Index, l.Attrs().Alias
		if l.Attrs().Flags&net.FlagLoopback != 0 {
			lo = index
			if s.Own, err = r.gateways(l); err != nil {
				return s, err
			}
		} else if mark == alias(r.instance, isSink, r.VPC) {
			nowhere = index
		} else if parts, ok := parseAlias(mark, r.instance, isLink, 1); ok {
			peers[index] = parts[0]
		} else if eni, _, ns, ok := r.readMark(mark); ok {
			workloads[index] = Holder{eni, ns, route{}}
		}
	}
	s.Networks = slices.DeleteFunc(all.sinks(lo, nowhere), func(p netip.Prefix) bool { return slices.Contains(realms, p) })
	s.Holders, s.Hops = map[netip.Addr]Holder{}, map[netip.Prefix]string{}
	for _, e := range all {
		if h, ok := workloads[e.link]; ok {
			h.route = e
			s.hold(h)
		} else if peer, ok := peers[e.link]; ok {
			s.Hops[e.prefix] = peer
		}
	}
	return s, nil
}

// hold notes who has the addresses of a route to a workload. An address of a
// prefix that is routed elsewhere by itself is had there.
func (s Standing) hold(h Holder) {
	p := h.route.prefix
	switch {
	case p.Addr().IsLinkLocalUnicast():
	case p.IsSingleIP():
		s.Holders[p.Addr()] = h
	case ofPrefix(h.route) && p.Addr().BitLen()-p.Bits() <= hostBits:
		for a := p.Addr(); p.Contains(a); a = a.Next() {
			if other, ok := s.Holders[a]; !ok || !other.route.prefix.IsSingleIP() {
				s.Holders[a] = h
			}
		}
	}
}

// Hop gives the peer that packets to a transit address are handed to.
func (s Standing) Hop(a netip.Addr) (peer string, ok bool) {
	for bits := a.BitLen(); bits > 0 && len(s.Hops) > 0; bits-- {
		p, err := a.Prefix(bits)
		if err != nil {
			return "", false
		}
		if peer, ok = s.Hops[p]; ok {
			return peer, true
		}
	}
	return "", false
}

// Vacate takes an address from the workload that has it: the router refuses what
// is sent to it, and drops what comes from it. With an address of a prefix goes
// the whole prefix.
func (r *Router) Vacate(a netip.Addr, from Holder) error {
	if err := r.unroute(from.route); err != nil {
		return fmt.Errorf("take %s from %s: %w", a, from.ENI, err)
	}
	return nil
}
