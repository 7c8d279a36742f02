// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// outsiderSize is how long an answer over UDP to an outsider may be, whatever it says:
// what passes every network in one piece, so that nobody depends on fragments
// (RFC 9715 §3.1).
const outsiderSize = 1232

// answerOutsiders answers a batch of questions from outside, which anybody can have sent
// in anybody's name: what is too much for a client gets nothing, or, for one question of
// two, an answer without records that says to come over TCP, where names cannot be
// forged.
func (w *worker) answerOutsiders(k *socket, n int) {
	world, p := w.server.world.Load(), &w.packets
	for i := range n {
		fate := w.ask.Question.Read(p.question(i))
		if fate == wire.Dropped {
			continue
		}
		verdict := w.server.pace.take(address(&p.names[i]), false)
		if verdict == dropped {
			continue
		}
		w.ask.Question.Size = min(w.ask.Question.Size, outsiderSize)
		w.ask.Answer.Begin(p.room(), &w.ask.Question, false)
		switch {
		case fate == wire.Faulty:
			w.ask.Code = w.ask.Question.Code
		case verdict == deferred:
			w.ask.Code = wire.NoError
			w.ask.Answer.Cut()
		default:
			world.Published(&w.ask, k.Authority)
		}
		p.add(i, len(w.ask.Answer.End(w.ask.Code)))
	}
	k.single = !p.send(k.FD, !k.single) || k.single
}

// Pace is how many questions a second are answered to an outsider, and to those beside
// it: an IPv4 address and its 256, an IPv6 network of 64 bits, which is one client's, and
// of 48. As many are answered at once after a silence.
type Pace struct{ Client, Neighbours int }

// The verdicts of a pace.
const (
	answered = iota
	deferred
	dropped
)

// paceRoom is how many clients, and groups of neighbours, are told apart. Those that fall
// on one place share what it has: however many there are, they take no more room.
const paceRoom = 1 << 14

// pace counts questions from outside, of UDP and TCP apart: who is forged over UDP is to
// have its answers over TCP. What is kept of each place is when what it has had would be
// used up, in nanoseconds (the generic cell rate algorithm). It may be used by several
// goroutines.
type pace struct {
	Pace
	seed  maphash.Seed
	begun time.Time

	mu     sync.Mutex
	places [][paceRoom]int64 // nil until somebody asks
	Outsiders
}

// Outsiders counts questions from outside.
type Outsiders struct{ Answered, Refused int64 }

func newPace(p Pace) *pace {
	return &pace{Pace: Pace{cmp.Or(p.Client, 2000), cmp.Or(p.Neighbours, 8000)}, seed: maphash.MakeSeed(), begun: time.Now()}
}

// take says what a client's next question gets.
func (p *pace) take(client netip.Addr, stream bool) (verdict int) {
	narrow, wide := 32, 24
	if client.Is6() {
		narrow, wide = 64, 48
	}
	now := int64(time.Since(p.begun))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places == nil {
		p.places = make([][paceRoom]int64, 2)
	}
	one, all := p.place(0, client, narrow, stream), p.place(1, client, wide, stream)
	if *one-now > int64(time.Second) || *all-now > int64(time.Second) {
		if p.Refused++; p.Refused%2 == 0 {
			return deferred
		}
		return dropped
	}
	p.Answered++
	*one = max(*one, now) + int64(time.Second)/int64(p.Client)
	*all = max(*all, now) + int64(time.Second)/int64(p.Neighbours)
	return answered
}

// place is what is kept of a client's network of so many bits.
func (p *pace) place(list int, client netip.Addr, bits int, stream bool) *int64 {
	network, _ := client.WithZone("").Prefix(bits) // an invalid address has the zero one
	hash := maphash.Comparable(p.seed, struct {
		netip.Prefix
		stream bool
	}{network, stream})
	return &p.places[list][hash%paceRoom]
}

// Outsiders tells how many questions came from outside since the start.
func (s *Server) Outsiders() Outsiders {
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	return s.pace.Outsiders
}
