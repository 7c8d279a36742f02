// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// Holder is the workload that has an address or a prefix: the one that the router
// sends the packets to it to, and takes packets from it from.
type Holder struct {
	ENI       string
	Namespace desired.Namespace
	route     route // by which it has it
}

// Standing is who has which addresses in a router, as its routes say.
type Standing struct {
	// Networks are the prefixes that the router is responsible for.
	Networks []netip.Prefix
	// Own are the router's own addresses.
	Own []netip.Addr
	// Holders gives the workload that has an address of the VPC, which is a prefix
	// of its own here, or a prefix. What a workload had whose interface is gone is
	// nobody's.
	Holders map[netip.Prefix]Holder
	// blocks are those of Holders that are no delegated prefix's size, see model.PrefixOf.
	blocks []netip.Prefix
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
	s.Holders, s.Hops = map[netip.Prefix]Holder{}, map[netip.Prefix]string{}
	for _, e := range all {
		if h, ok := workloads[e.link]; ok && !e.prefix.Addr().IsLinkLocalUnicast() {
			h.route = e
			s.Holders[e.prefix] = h
			if !e.prefix.IsSingleIP() && e.prefix != model.PrefixOf(e.prefix.Addr()) {
				s.blocks = append(s.blocks, e.prefix)
			}
		} else if peer, ok := peers[e.link]; ok {
			s.Hops[e.prefix] = peer
		}
	}
	return s, nil
}

// Holder gives the workload that has an address, by itself, in a prefix or in a block.
func (s Standing) Holder(a netip.Addr) (Holder, bool) {
	h, ok := s.Holders[single(a)]
	if !ok {
		h, ok = s.Holders[model.PrefixOf(a)]
	}
	for i := 0; !ok && i < len(s.blocks); i++ {
		if s.blocks[i].Contains(a) {
			h, ok = s.Holders[s.blocks[i]]
		}
	}
	return h, ok
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

// Vacate takes an address or a prefix from the workload that has it: the router
// refuses what is sent to it, and drops what comes from it.
func (r *Router) Vacate(from Holder) error {
	if err := r.unroute(from.route); err != nil {
		return fmt.Errorf("take %s from %s: %w", from.route.prefix, from.ENI, err)
	}
	return nil
}
