// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/shelf"
)

// front answers what comes to sockets.
type front interface {
	// Add takes a socket, whose descriptor is the front's from then on.
	Add(s server.Socket) error
	// Remove stops answering what comes to a descriptor that was added, and closes it.
	Remove(fd int)
}

// sites are where the VPCs are served: it opens sockets in their routers, and keeps them
// as long as the routers and the VPCs are what they were.
type sites struct {
	instance string
	front    front
	log      *slog.Logger
	shelf    *shelf.Shelf // nil when there is none

	mu     sync.Mutex
	wanted map[string]site
	open   map[string]*site
}

func newSites(instance string, front front, log *slog.Logger) *sites {
	return &sites{instance: instance, front: front, log: log, wanted: map[string]site{}, open: map[string]*site{}}
}

// want says where a VPC is to be served from now on, and opens it there. It returns why
// it is not open.
func (s *sites) want(r desired.Resolver) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := wantedSite(r)
	s.wanted[r.VPC] = w
	return s.tend(w)
}

// drop closes what a VPC has.
func (s *sites) drop(vpc string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.wanted, vpc)
	s.close(vpc)
}

// close closes what a VPC has open. The lock is held.
func (s *sites) close(vpc string) {
	if o := s.open[vpc]; o != nil {
		s.shut(o)
		delete(s.open, vpc)
	}
}

// tend sees to it that a VPC is served in its router as it is now. A router whose name
// is gone is still there, with what goes through it; one that has come in its place is
// another one. The lock is held.
func (s *sites) tend(w site) error {
	o := s.open[w.vpc]
	now := inodeOf(s.instance, w.vpc)
	if o != nil && o.problem == nil && o.same(w) && (now == 0 || now == o.inode) {
		return nil
	}
	if o != nil && o.problem != nil && now == 0 {
		return o.problem // there is still no router
	}
	before := error(nil)
	if o != nil {
		before = o.problem
	}
	s.close(w.vpc)
	o = &w
	s.open[w.vpc] = o
	if o.sockets, o.inode, o.problem = openSockets(s.instance, w.vpc, w.addrs); o.problem == nil {
		o.problem = s.give(o)
	}
	switch {
	case o.problem != nil && before == nil:
		s.log.Warn("a vpc has no resolver", "vpc", w.vpc, "error", o.problem)
	case o.problem == nil && before != nil:
		s.log.Info("a vpc has its resolver", "vpc", w.vpc)
	}
	return o.problem
}

// give has the front answer what comes to the sockets of a site. It keeps descriptors of
// its own, to hand them on.
func (s *sites) give(o *site) error {
	for i := range o.sockets {
		k := &o.sockets[i]
		if o.router == 0 && s.shelf != nil {
			o.router = cookieOf(k.fd)
		}
		if err := hand(s.front, k, server.Socket{Router: o.router}); err != nil {
			s.shut(o)
			return err
		}
	}
	if o.router != 0 {
		s.shelf.Open(o.router, ownOf(o.addrs))
	}
	return nil
}

// ownOf is the address of IPv4 that only this VPC's resolver has.
func ownOf(addrs []netip.Addr) netip.Addr {
	for _, a := range addrs {
		if a.Is4() && !a.IsLinkLocalUnicast() {
			return a
		}
	}
	return netip.Addr{}
}

// shut closes the sockets of a site, here and at the front.
func (s *sites) shut(o *site) {
	if o.router != 0 {
		s.shelf.Shut(o.router)
		o.router = 0
	}
	for _, k := range o.sockets {
		if k.front > 0 {
			s.front.Remove(k.front)
		}
	}
	closeAll(o.sockets)
	o.sockets = nil
}

// adopt takes sockets that another process has opened. Those that nobody wants are
// closed by the next look.
func (s *sites) adopt(list []socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range list {
		o := s.open[k.VPC]
		if o == nil {
			o = &site{vpc: k.VPC, inode: k.Inode}
			s.open[k.VPC] = o
		}
		o.sockets = append(o.sockets, k)
		if !k.Stream {
			o.addrs = append(o.addrs, k.Addr)
		}
	}
	for _, o := range s.open {
		o.problem = s.give(o)
	}
}

// look tends to all VPCs, and closes what none wants.
func (s *sites) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.wanted {
		_ = s.tend(w) // it is in problems
	}
	for vpc := range s.open {
		if _, ok := s.wanted[vpc]; !ok {
			s.close(vpc)
		}
	}
}

// replace says of all VPCs where they are to be served.
func (s *sites) replace(all []desired.Resolver) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.wanted)
	for _, r := range all {
		s.wanted[r.VPC] = wantedSite(r)
	}
}

// problems tells why VPCs are not served.
func (s *sites) problems() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := map[string]string{}
	for vpc := range s.wanted {
		switch o := s.open[vpc]; {
		case o == nil:
			list[vpc] = "its sockets are not open yet"
		case o.problem != nil:
			list[vpc] = o.problem.Error()
		}
	}
	return list
}

// count is how many VPCs are to be served.
func (s *sites) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.wanted)
}

// served reports whether a VPC's sockets are open.
func (s *sites) served(vpc string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[vpc]
	return o != nil && o.problem == nil
}

// sockets lists all that are open.
func (s *sites) sockets() (list []socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, vpc := range slices.Sorted(maps.Keys(s.open)) {
		list = append(list, s.open[vpc].sockets...)
	}
	return list
}
