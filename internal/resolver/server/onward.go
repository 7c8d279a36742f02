// SPDX-License-Identifier: Apache-2.0

package server

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// Onward is a question that no zone of a VPC answers.
type Onward struct {
	VPC string
	// Client is who asked; invalid when nobody's packet did.
	Client netip.Addr
	// Servers are the VPC's own servers, to be asked in place of the host's, from the VPC's
	// router; none in most look-ups.
	Servers []netip.Addr
	// Name is in wire form and small letters. It belongs to the callee.
	Name []byte
	Type uint16
	// Unchecked and Signed are the bits CD and DO of the question.
	Unchecked, Signed bool
	// Fresh says that what is remembered of earlier answers does not count.
	Fresh bool
}

// Upstream answers what no zone has.
type Upstream interface {
	// Ask answers a question. It must not block: what is not known yet is said later, by
	// another goroutine. It calls done exactly once, also when nobody answers, with
	// the code wire.ServerFailure. The records that it gives stay as they are; their
	// TTL is what is left of it.
	Ask(question Onward, done func(wire.Reply))
}

// question is a packet that is being answered away from the thread that read it.
type question struct {
	server *Server
	ask    zone.Ask
	stream bool
	fresh  bool
	back   int // how often the upstream has led it back
	reply  func(message []byte)
}

// handle answers a packet, of which it keeps a copy. It calls reply at most once, now
// or later, and with nothing if the packet deserves no answer.
func (s *Server) handle(packet []byte, from Socket, client netip.Addr, reply func([]byte)) {
	s.answer(&question{server: s, stream: from.Stream, reply: reply}, packet, from, client)
}

func (s *Server) answer(q *question, packet []byte, from Socket, client netip.Addr) {
	reply := q.reply
	if from.Authority != nil && s.pace.take(client, true) != answered {
		reply(nil)
		return
	}
	q.ask.VPC, q.ask.Client = from.VPC, client
	q.ask.Answer.Authoritative = from.Authority != nil
	fate := q.ask.Question.Read(slices.Clone(packet))
	if fate == wire.Dropped {
		reply(nil)
		return
	}
	q.ask.Answer.Begin(nil, &q.ask.Question, q.stream)
	switch {
	case fate == wire.Faulty:
		reply(q.ask.Answer.End(q.ask.Question.Code))
	case from.Authority != nil:
		s.world.Load().Published(&q.ask, from.Authority)
		reply(q.ask.Answer.End(q.ask.Code))
	case s.world.Load().Answer(&q.ask) == zone.Answered:
		reply(q.ask.Answer.End(q.ask.Code))
	default:
		s.upstream.Ask(q.onward(), q.done)
	}
}

func (q *question) onward() Onward {
	a := &q.ask
	return Onward{
		VPC: a.VPC, Client: a.Client, Name: slices.Clone(a.Onward), Type: a.Question.Type,
		Unchecked: a.Question.Unchecked, Signed: a.Question.Signed, Fresh: q.fresh,
	}
}

// mostBack is how often a question may be led back from the upstream.
const mostBack = 8

// done finishes the answer with what the upstream said. When that leads to a name that
// the VPC has, what the VPC says of it counts and not what others do, as it would have if
// it had been asked for.
func (q *question) done(r wire.Reply) {
	world, a := q.server.world.Load(), &q.ask
	kept, name := cutBack(world, a, r)
	if name == nil {
		q.reply(Finish(a, r))
		return
	}
	q.back++
	verdict := zone.Answered
	switch {
	case !appendTo(a, kept):
		a.Code = wire.NoError // there is no room for more
	case q.back > mostBack:
		a.Endless()
	default:
		verdict = world.Resume(a, name)
	}
	if verdict == zone.Answered {
		q.reply(a.Answer.End(a.Code))
		return
	}
	q.server.upstream.Ask(q.onward(), q.done)
}

// cutBack gives how far an answer leads until it comes to a name that the VPC has, and
// that name; nil when it does not.
func cutBack(w *zone.World, a *zone.Ask, r wire.Reply) (kept []wire.Record, name []byte) {
	if a.Question.Type == wire.TypeCNAME {
		return nil, nil
	}
	owner := a.Onward
	for i, rec := range r.Answer {
		if rec.Type != wire.TypeCNAME || !bytes.Equal(rec.Name, owner) {
			continue
		}
		owner = bytes.ToLower(rec.Data) // a length is no letter
		if w.Has(a.VPC, owner) {
			return r.Answer[:i+1], owner
		}
	}
	return nil, nil
}

// Finish ends the answer to a question that a World had asked upstream with what came
// of that.
func Finish(a *zone.Ask, r wire.Reply) []byte {
	appendTo(a, r.Answer)
	for _, rec := range r.Authority {
		if rec.Type == wire.TypeSOA {
			a.Answer.AppendOf(rec.Name, wire.AppendRecord(nil, rec.Type, rec.TTL, rec.Data), true)
		}
	}
	if r.Code != wire.NoError && r.Code != wire.NameError && r.Code != wire.Refused {
		return a.Answer.End(wire.ServerFailure)
	}
	return a.Answer.End(r.Code)
}

// appendTo appends the upstream's records to an answer, and reports whether there was
// room for all.
func appendTo(a *zone.Ask, records []wire.Record) bool {
	owner, space := a.Onward, make([]byte, 0, 512)
	for _, rec := range records {
		space = wire.AppendRecord(space[:0], rec.Type, rec.TTL, rec.Data)
		if !bytes.Equal(rec.Name, owner) {
			if !a.Answer.AppendOf(rec.Name, space, false) {
				return false
			}
			continue
		}
		if !a.Answer.Append(space) {
			return false
		}
		if rec.Type == wire.TypeCNAME && a.Question.Type != wire.TypeCNAME {
			a.Answer.Owner(space)
			owner = bytes.ToLower(rec.Data)
		}
	}
	return true
}

// Resolve asks for a name as a client in a VPC does that is in no availability zone: the
// servers of its DHCP options, or else, or when these fail and it is one of them, the VPC's
// own resolver. With no VPC only the upstream is asked. It is asked anew: who goes by an answer for all its time
// must not get what is left of another one's. The name is in Route 53's form; the answer has the
// chain of CNAME records that led to it.
func (s *Server) Resolve(ctx context.Context, vpc, name string, kind uint16) (wire.Reply, error) {
	wired, err := wire.AppendName(nil, name)
	if err != nil {
		return wire.Reply{}, fmt.Errorf("resolve: %w", err)
	}
	came := make(chan wire.Reply, 1)
	inside := func() {
		packet := wire.AppendQuestion(nil, 0, wired, kind)
		s.answer(&question{server: s, stream: true, fresh: true, reply: func(message []byte) {
			r, err := wire.Unpack(message)
			if err != nil {
				r = wire.Reply{Code: wire.ServerFailure}
			}
			came <- r
		}}, packet, Socket{VPC: vpc, Stream: true}, netip.Addr{})
	}
	servers, itself := s.world.Load().Servers(vpc)
	if vpc != "" && len(servers) == 0 {
		inside()
	} else {
		s.upstream.Ask(Onward{VPC: vpc, Servers: servers, Name: bytes.ToLower(wired), Type: kind, Fresh: true}, func(r wire.Reply) {
			if vpc != "" && itself && r.Code != wire.NoError && r.Code != wire.NameError {
				inside()
				return
			}
			came <- r
		})
	}
	select {
	case r := <-came:
		return r, nil
	case <-ctx.Done():
		return wire.Reply{}, fmt.Errorf("resolve %q in %q: %w", name, vpc, ctx.Err())
	}
}
