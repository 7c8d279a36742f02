// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// What ends a connection is said by the descriptions of kinds (desired.Ends and
// desired.Turns), and for workloads that get or lose addresses by moves. A connection
// has a right to go on for as long as all that it was opened by is there: whoever has
// its addresses, the endpoint, the target and the association that it goes
// through. What only admits new connections (rules, members of groups, ports,
// the addresses that a target leads to, if it does not say otherwise) is asked once,
// at the beginning. What lacks finds is the same, seen from the connection.
// docs/connections.md says it in the words of AWS.

// move is an address, as a prefix of its own, or a prefix that ceases to be a
// workload's, or becomes one's that did not have it: what was opened before has no
// right to it.
type move struct {
	prefix netip.Prefix
	from   network.Holder // the zero Holder when nobody has it
}

// moves compares who has addresses and prefixes with who is to have them. What is
// named in del and has come to another workload stays there. Of a prefix and an
// address in it only one can be had.
func moves(have map[netip.Prefix]network.Holder, put, del []desired.Workload) []move {
	var all []move
	noted := map[netip.Prefix]bool{}
	note := func(p netip.Prefix) {
		if !noted[p] {
			noted[p], all = true, append(all, move{p, have[p]})
		}
	}
	within := inside(have, put)
	other := func(p netip.Prefix, eni string) bool { return have[p].ENI != "" && have[p].ENI != eni }
	next := map[string][]netip.Prefix{}
	for _, w := range put {
		next[w.ENI] = w.All()
		for _, p := range next[w.ENI] {
			if !keeps(have[p], w) {
				note(p)
			}
			for _, overlapping := range append(within[p], model.PrefixOf(p.Addr())) {
				if other(overlapping, w.ENI) {
					note(overlapping)
				}
			}
		}
	}
	for _, w := range del {
		next[w.ENI] = nil
		for _, p := range w.All() {
			if h := have[p]; h.ENI == "" || h.ENI == w.ENI {
				note(p)
			}
		}
	}
	for p, h := range have {
		if will, concerned := next[h.ENI]; concerned && !slices.Contains(will, p) {
			note(p)
		}
	}
	return all
}

// inside gives the addresses that somebody has in the prefixes that workloads are
// to have.
func inside(have map[netip.Prefix]network.Holder, put []desired.Workload) map[netip.Prefix][]netip.Prefix {
	if !slices.ContainsFunc(put, func(w desired.Workload) bool { return len(w.Prefixes) > 0 }) {
		return nil
	}
	all := map[netip.Prefix][]netip.Prefix{}
	for p := range have {
		if around := model.PrefixOf(p.Addr()); around != p {
			all[around] = append(all[around], p)
		}
	}
	return all
}

// keeps reports whether the workload has an address or a prefix now, in the
// namespace that it is to be in.
func keeps(h network.Holder, w desired.Workload) bool {
	if h.ENI != w.ENI {
		return false
	}
	was, is := h.Namespace, w.Namespace
	switch {
	case was.Identity != 0 && is.Identity != 0:
		return was.Identity == is.Identity
	case was.Inode != 0 && is.Inode != 0:
		return was.Inode == is.Inode
	}
	return was == is
}

// foundation is what a router has that connections live by.
type foundation struct {
	network.Standing
	addrs   map[netip.Addr]bool           // of endpoints and gateways
	pools   []netip.Prefix                // of gateways, where they are more than one address
	targets map[netip.Addr]desired.Target // transit targets that lead somewhere
	doors   map[netip.Addr]netip.Addr     // where endpoints lead
	allowed map[netip.Addr][]netip.Prefix // who may come to a target
	hops    map[netip.Addr]bool           // what Hop has said
	public  map[netip.Addr]netip.Addr     // who has public addresses
}

// founded collects it. Entries that are damaged count: they will be repaired. Of a
// target that is, it is not known where it led.
func founded(s network.Standing, entries []desired.Entry) foundation {
	f := foundation{
		Standing: s, addrs: map[netip.Addr]bool{}, targets: map[netip.Addr]desired.Target{}, doors: map[netip.Addr]netip.Addr{},
		allowed: map[netip.Addr][]netip.Prefix{}, hops: map[netip.Addr]bool{}, public: map[netip.Addr]netip.Addr{},
	}
	for _, a := range s.Own {
		f.addrs[a] = true
	}
	for _, e := range entries {
		d, damaged := e.(nft.Damaged)
		if damaged {
			e = d.Entry
		}
		switch e := e.(type) {
		case desired.Endpoint:
			f.addrs[e.Addr] = true
			f.doors[e.Addr] = e.Target
		case desired.Pool:
			for _, p := range e.Addresses {
				if p.IsSingleIP() {
					f.addrs[p.Addr()] = true
				} else {
					f.pools = append(f.pools, p)
				}
			}
		case desired.Target:
			if damaged {
				e.Cut, e.Forwards = false, nil
			}
			f.targets[e.Addr] = e
		case desired.Public:
			f.public[e.Addr] = e.Private
		case desired.Allow:
			f.allowed[e.Target] = append(f.allowed[e.Target], e.Source)
		}
	}
	return f
}

// lacks reports whether something that a connection lives by is not there. It
// finds what a process left that ended between taking something away and
// cutting.
func (f foundation) lacks(c flow.Flow) bool {
	for _, a := range [...]netip.AddrPort{c.Opener, c.Asked, c.Answerer, c.Known} {
		if !transit(a.Addr()) && !f.held(a.Addr()) {
			return true
		}
	}
	opener, answerer := c.Opener.Addr(), c.Answerer.Addr()
	if door := c.Asked.Addr(); f.doors[door] == door && door.IsValid() {
		t, there := f.targets[door]
		return !there || !t.Keeps(c.Asked.Port(), c.Answerer)
	}
	if f.unpublished(opener, c.Known.Addr()) || f.unpublished(answerer, c.Asked.Addr()) {
		return true
	}
	if transit(opener) && !f.admits(opener, c.Asked, c.Answerer) {
		return true
	}
	return transit(answerer) && !f.leads(answerer)
}

// unpublished reports whether somebody who has an address here goes by another one, of
// the outside, which is not his public one.
func (f foundation) unpublished(own, known netip.Addr) bool {
	return known != own && !transit(known) && !f.inside(known) && f.inside(own) && f.public[known] != own
}

// inside reports whether an address is of the router's networks.
func (f foundation) inside(a netip.Addr) bool {
	return slices.ContainsFunc(f.Networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// admits reports whether connections may come from a transit source to a target,
// and go on, if they do, to where they went.
func (f foundation) admits(opener netip.Addr, asked, answerer netip.AddrPort) bool {
	t, there := f.targets[asked.Addr()]
	admitted := func(p netip.Prefix) bool { return p.Contains(opener) }
	if !there || !slices.ContainsFunc(f.allowed[asked.Addr()], admitted) {
		return false
	}
	if transit(answerer.Addr()) {
		return t.Onward && f.doors[t.Dest] == answerer.Addr()
	}
	return t.Keeps(asked.Port(), answerer)
}

// held reports whether somebody has an address of the router's networks. Others
// are nobody's business here.
func (f foundation) held(a netip.Addr) bool {
	if _, ok := f.Holder(a); ok || f.addrs[a] {
		return true
	}
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	return slices.ContainsFunc(f.pools, contains) || !f.inside(a)
}

// leads reports whether a transit address is routed to a peer.
func (f foundation) leads(a netip.Addr) bool {
	known, asked := f.hops[a]
	if !asked {
		_, known = f.Hop(a)
		f.hops[a] = known
	}
	return known
}

func transit(a netip.Addr) bool { return model.Transit4.Contains(a) || model.Transit6.Contains(a) }
