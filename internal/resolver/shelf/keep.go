// SPDX-License-Identifier: Apache-2.0

package shelf

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

const (
	// longest names, and longest of what is behind the question of an answer, that there
	// is room for.
	longest = 132
	most    = 256
	// plain is how long an answer may be whoever asks (RFC 1035 §4.2.1): it does not
	// depend on the size that the question has.
	plain = 512
	// turned is how much records may have that come in turn.
	turned = 255

	headerSize = 12
)

// question is struct question of answers.h.
type question struct {
	Router  uint64
	Kind    [2]byte
	Options uint8
	Length  uint8
	Name    [longest]byte
}

const (
	extended = 1
	signed   = 2
)

// answer is struct answer of answers.h.
type answer struct {
	Term        uint32
	Turn        uint32
	From        [2]uint32
	Generations [2]uint64
	Flags       [2]byte
	Counts      [6]byte
	Length      uint16
	Count, Size uint16
	_           uint16
	Data        [most]byte
}

// Asked is a question in a router, as far as an answer depends on it.
type Asked struct {
	Router           uint64
	Name             []byte // in wire form and small letters
	Type             uint16
	Extended, Signed bool
}

// Told is the answer to a question, and what it was made of.
type Told struct {
	// Message is the answer, Question how long the question in it is. It is not kept.
	Message  []byte
	Question int
	// Sources are the realms: while they are the same, so is the answer.
	Sources [2]string
	// Turning is how many records at the beginning come in turn.
	Turning int
}

// Note is room for an answer while it is put on the shelf. It is reused.
type Note struct {
	question question
	answer   answer
}

// Keep puts an answer on the shelf, if there is one and room, and if what was answered
// from is still the same as when Version was asked.
func (s *Shelf) Keep(version uint64, n *Note, q Asked, a Told) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shelf == nil || s.shelf.full.Load() || !n.write(q, a) {
		return
	}
	n.answer.Term = s.shelf.term
	for i, name := range a.Sources {
		n.answer.From[i] = s.number(name)
		n.answer.Generations[i] = atomic.LoadUint64(&s.shelf.generations[n.answer.From[i]])
	}
	if s.Version() != version {
		return
	}
	err := s.shelf.answers.Update(unsafe.Pointer(&n.question), unsafe.Pointer(&n.answer), ebpf.UpdateAny)
	switch {
	case err == nil:
		s.kept.Add(1)
	case errors.Is(err, unix.E2BIG) && s.sweeping.CompareAndSwap(false, true):
		s.shelf.full.Store(true)
		go s.sweep()
	}
}

// write says what there is to keep, and reports whether there is room for it.
func (n *Note) write(q Asked, a Told) bool {
	data := a.Message[headerSize+a.Question:]
	if len(q.Name) > longest || len(data) > most || len(data) == 0 || len(a.Message) > plain || a.Message[2]&2 != 0 {
		return false
	}
	n.question = question{Router: q.Router, Kind: [2]byte{byte(q.Type >> 8), byte(q.Type)}, Length: uint8(len(q.Name))}
	copy(n.question.Name[:], q.Name)
	if q.Extended {
		n.question.Options |= extended
		if q.Signed {
			n.question.Options |= signed
		}
	}
	n.answer = answer{Length: uint16(len(data))}
	copy(n.answer.Data[:], data)
	copy(n.answer.Flags[:], a.Message[2:4])
	n.answer.Flags[0] &^= 1      // RD and CD are the question's own
	n.answer.Flags[1] &^= 1 << 4 //
	copy(n.answer.Counts[:], a.Message[6:headerSize])
	if a.Turning > 1 {
		records := int(data[10])<<8 | int(data[11])
		n.answer.Count, n.answer.Size = uint16(a.Turning), uint16(12+records)
		if all := a.Turning * (12 + records); all > turned || all > len(data) {
			return false
		}
	}
	return true
}

// sweep makes room: what does not hold goes, and when that is not much, all of the router
// that has most. So nobody loses what it has to one that asks for more.
func (s *Shelf) sweep() {
	defer s.sweeping.Store(false)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shelf == nil {
		return
	}
	o := s.shelf
	s.sweepers.Add(1)
	left := o.remove(func(q *question, a *answer) bool { return !o.holds(a) })
	total, first, room := 0, uint64(0), int(o.answers.MaxEntries())
	for router, n := range left {
		total += n
		if n > left[first] || n == left[first] && router < first {
			first = router
		}
	}
	if total > room-room/4 {
		o.remove(func(q *question, _ *answer) bool { return q.Router == first })
	}
	o.full.Store(false)
}

func (o *opened) holds(a *answer) bool {
	return a.Term == o.term && a.Generations[0] == atomic.LoadUint64(&o.generations[a.From[0]]) &&
		a.Generations[1] == atomic.LoadUint64(&o.generations[a.From[1]])
}

// remove takes answers away, and counts those that are left of each router, about.
func (o *opened) remove(which func(*question, *answer) bool) (left map[uint64]int) {
	const batch = 256
	left = map[uint64]int{}
	questions, list := make([]question, batch), make([]answer, batch)
	for cursor := new(ebpf.MapBatchCursor); ; {
		n, err := o.answers.BatchLookup(cursor, questions, list, nil)
		for i := range n {
			if which(&questions[i], &list[i]) {
				_ = o.answers.Delete(unsafe.Pointer(&questions[i])) // it may be gone
			} else {
				left[questions[i].Router]++
			}
		}
		if err != nil { // the end, or what cannot be read: then it fills up again
			return left
		}
	}
}
