// SPDX-License-Identifier: Apache-2.0

package express

import (
	"fmt"
	"time"

	"github.com/cilium/ebpf"
)

// asking is struct asking of answers.h.
type asking struct {
	Term  uint32
	_     uint32
	Each  uint64
	Ahead uint64
}

// said is struct said of answers.h.
type said struct{ Answered, Bytes, Refused uint64 }

// Shelf is where the process that resolves names puts what the program may answer by
// itself: maps of answers.h, by their numbers in the kernel.
type Shelf struct {
	Sites, Sources, Answers uint32
	// Term is that of the process. What was put with another one does not count.
	Term uint32
}

// Questions says how many packets a second an interface of a workload may send to its
// VPC's resolver, and how many at once. The program counts them all, those too that it
// does not answer.
func (l *Lane) Questions(aSecond, atOnce int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := l.asking()
	if err != nil {
		return err
	}
	a.Each = uint64(time.Second) / uint64(max(1, aSecond))
	a.Ahead = a.Each * uint64(atOnce)
	return l.ask(a)
}

// Hand gives the shelf to a process, and makes void what others have put there: the
// caller lets it change nothing before.
func (l *Lane) Hand() (Shelf, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, err := l.asking()
	if err == nil {
		a.Term++
		err = l.ask(a)
	}
	if err != nil {
		return Shelf{}, err
	}
	s := Shelf{Term: a.Term}
	for name, id := range map[string]*uint32{"sites": &s.Sites, "sources": &s.Sources, "answers": &s.Answers} {
		info, err := l.maps[name].Info()
		if err != nil {
			return Shelf{}, fmt.Errorf("read map %s: %w", name, err)
		}
		number, _ := info.ID()
		*id = uint32(number)
	}
	return s, nil
}

func (l *Lane) asking() (a asking, err error) {
	if err = l.maps["asking"].Lookup(uint32(0), &a); err != nil {
		err = fmt.Errorf("read what the express lane answers by: %w", err)
	}
	return a, err
}

func (l *Lane) ask(a asking) error {
	if err := l.maps["asking"].Put(uint32(0), a); err != nil {
		return fmt.Errorf("tell the express lane what to answer by: %w", err)
	}
	return nil
}

// Names is what the lane did for the resolver of a VPC.
type Names struct {
	// Answered counts questions, and Bytes what their answers had, from the IP header on.
	Answered, Bytes uint64
	// Refused counts packets beyond the share of an interface, which were dropped.
	Refused uint64
}

// names adds up what each processor has said of a slot.
func (l *Lane) names(slot uint32) (n Names, err error) {
	each := make([]said, ebpf.MustPossibleCPU())
	if err := l.maps["said"].Lookup(slot, &each); err != nil {
		return n, fmt.Errorf("read what was answered: %w", err)
	}
	for _, v := range each {
		n.add(Names(v))
	}
	return n, nil
}

func (n *Names) add(o Names) {
	n.Answered, n.Bytes, n.Refused = n.Answered+o.Answered, n.Bytes+o.Bytes, n.Refused+o.Refused
}
