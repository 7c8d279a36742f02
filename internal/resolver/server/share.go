// SPDX-License-Identifier: Apache-2.0

package server

import (
	"net/netip"

	"github.com/posternhq/postern/internal/resolver/upstream"
)

// share counts what a VPC takes of the server, and each of its clients.
type share struct {
	vpc     string
	sockets int
	total   use
	clients map[netip.Addr]use
	groups  map[netip.Prefix]use
}

type use struct{ questions, streams int }

// shareOf gives the share of a VPC, with a socket more. The server's lock is held.
func (s *Server) shareOf(vpc string) *share {
	h := s.vpcs[vpc]
	if h == nil {
		h = &share{vpc: vpc, clients: map[netip.Addr]use{}, groups: map[netip.Prefix]use{}}
		s.vpcs[vpc] = h
	}
	h.sockets++
	return h
}

// leave takes away a socket of a share. The server's lock is held.
func (s *Server) leave(h *share) {
	if h.sockets--; h.sockets == 0 && s.vpcs[h.vpc] == h {
		delete(s.vpcs, h.vpc)
	}
}

// take counts what a client wants to have, unless that is too much.
func (s *Server) take(h *share, client netip.Addr, more use) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.limits
	if s.closed || h.total.beyond(more, l.Questions, l.Streams) || h.clients[client].beyond(more, l.ClientQuestions, l.ClientStreams) ||
		h.groups[upstream.Group(client)].beyond(more, groupOf(l.Questions), groupOf(l.Streams)) {
		return false
	}
	h.add(client, more)
	s.open++
	return true
}

// give gives back what was taken.
func (s *Server) give(h *share, client netip.Addr, less use) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.add(client, use{-less.questions, -less.streams})
	s.less()
}

// less counts one less of what is open. The server's lock is held.
func (s *Server) less() {
	if s.open--; s.open == 0 && s.draining {
		select {
		case <-s.idle:
		default:
			close(s.idle)
		}
	}
}

// groupOf is how much of what a VPC has the addresses of one group have together.
func groupOf(all int) int { return max(all/2, 1) }

// beyond reports whether something more is too much.
func (u use) beyond(more use, questions, streams int) bool {
	return u.questions+more.questions > questions || u.streams+more.streams > streams
}

func (u use) plus(more use) use { return use{u.questions + more.questions, u.streams + more.streams} }

func (h *share) add(client netip.Addr, u use) {
	h.total = h.total.plus(u)
	addTo(h.clients, client, u)
	addTo(h.groups, upstream.Group(client), u)
}

func addTo[K comparable](m map[K]use, k K, u use) {
	if u = m[k].plus(u); u == (use{}) {
		delete(m, k)
	} else {
		m[k] = u
	}
}
