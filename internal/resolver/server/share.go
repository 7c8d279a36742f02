// SPDX-License-Identifier: Apache-2.0

package server

import "net/netip"

// share counts what a VPC takes of the server, and each of its clients.
type share struct {
	vpc     string
	sockets int
	total   use
	clients map[netip.Addr]use
}

type use struct{ questions, streams int }

// shareOf gives the share of a VPC, with a socket more. The server's lock is held.
func (s *Server) shareOf(vpc string) *share {
	h := s.vpcs[vpc]
	if h == nil {
		h = &share{vpc: vpc, clients: map[netip.Addr]use{}}
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
	c := h.clients[client]
	if s.closed || h.total.questions+more.questions > s.limits.Questions || h.total.streams+more.streams > s.limits.Streams ||
		c.questions+more.questions > s.limits.ClientQuestions || c.streams+more.streams > s.limits.ClientStreams {
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

func (h *share) add(client netip.Addr, u use) {
	c := h.clients[client]
	c.questions, c.streams = c.questions+u.questions, c.streams+u.streams
	h.total.questions, h.total.streams = h.total.questions+u.questions, h.total.streams+u.streams
	if c == (use{}) {
		delete(h.clients, client)
	} else {
		h.clients[client] = c
	}
}
