// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"cmp"
	"net/netip"
	"slices"
)

// Forward says where new TCP connections to one port of a Target go: to another address
// and another port.
type Forward struct {
	Port uint16
	// To are dealt to the slots in turn, as the addresses of a Target are, and at most as
	// many as there are slots. With none, new connections are refused.
	To []netip.AddrPort
	// Cut says that connections that went elsewhere are cut, but those to Except. Without it
	// they live on, but those to Except are cut. The order of Except says nothing.
	Cut    bool
	Except []netip.AddrPort
}

// says reports whether a forward says anything that its absence does not.
func (f Forward) says() bool { return len(f.To) > 0 || f.Cut || len(f.Except) > 0 }

// Short says the same as a forward in the only way that is as short.
func (f Forward) Short() Forward {
	f.To, f.Except = shortest(f.To), slices.Compact(sorted(slices.Clone(f.Except), netip.AddrPort.Compare))
	return f
}

// forwards are those that say something, in the order of their ports, as short as they can
// be said.
func (t Target) forwards() []Forward {
	if len(t.Forwards) == 0 {
		return nil
	}
	list := make([]Forward, 0, len(t.Forwards))
	for _, f := range t.Forwards {
		if f.says() {
			list = append(list, f.Short())
		}
	}
	return sorted(list, func(a, b Forward) int { return cmp.Compare(a.Port, b.Port) })
}

// spellForwards spells a group of fields for each forward.
func (t *Target) spellForwards(s *Spelling) {
	if !s.reading {
		t.Forwards = t.forwards()
		for i := range t.Forwards {
			t.Forwards[i].spell(s)
		}
		return
	}
	for s.next("forward") {
		var f Forward
		f.spell(s)
		t.Forwards = append(t.Forwards, f)
	}
}

func (f *Forward) spell(s *Spelling) {
	spellCount(s, "forward", &f.Port)
	s.addrPorts("to", &f.To)
	s.Flag("cut", &f.Cut)
	s.addrPorts("except", &f.Except)
}

// Keeps reports whether a connection to a port of the target, which ended up somewhere,
// may go on.
func (t Target) Keeps(port uint16, at netip.AddrPort) bool {
	for _, f := range t.Forwards {
		if f.Port == port && f.says() {
			return slices.Contains(f.To, at) || slices.Contains(f.Except, at) == f.Cut
		}
	}
	return !t.Cut || slices.Contains(t.Dests(), at.Addr())
}

// cuts reports whether there are connections that the target does not keep.
func (t Target) cuts() bool {
	return t.Cut || slices.ContainsFunc(t.Forwards, func(f Forward) bool { return f.Cut || len(f.Except) > 0 })
}

// dealt gives what is dealt to each of the slots.
func dealt[T any](list []T) (slots [Slots]T) {
	for i := range slots {
		slots[i] = list[i%len(list)]
	}
	return slots
}

// shortest is the shortest list that is dealt to the slots in the same way.
func shortest[T comparable](list []T) []T {
	if len(list) < 2 {
		return list
	}
	slots := dealt(list)
	n := 1
	for !repeats(slots[:], n) {
		n++
	}
	return slices.Clone(slots[:n])
}

// repeats reports whether a list goes on with its first n again and again.
func repeats[T comparable](list []T, n int) bool {
	for i := n; i < len(list); i++ {
		if list[i] != list[i-n] {
			return false
		}
	}
	return true
}
