// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// rawPort is an address and a port as the kernel has them in registers. The parts of a key
// are padded to four bytes.
func rawPort(a netip.Addr, port uint16) string {
	return string(append(binary.BigEndian.AppendUint16([]byte(raw(a)), port), 0, 0))
}

// portOf reads an address and a port from the beginning of a key or a value.
func (f family) portOf(text string) (netip.AddrPort, bool) {
	a, ok := f.keyAddr(text)
	if !ok || len(text) < int(f.size)+4 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16([]byte(text[f.size:]))), true
}

func encodeForwards(p *parts, t desired.Target) error {
	suffix := familyOf(t.Addr).suffix
	seen := map[uint16]bool{}
	for _, f := range t.Forwards {
		if len(f.To) > desired.Slots {
			return fmt.Errorf("port %d leads to %d addresses, more than %d", f.Port, len(f.To), desired.Slots)
		}
		if seen[f.Port] {
			return fmt.Errorf("port %d has two forwards", f.Port)
		}
		seen[f.Port] = true
		for _, at := range slices.Concat(f.To, f.Except) {
			if err := valid(t.Addr, at.Addr()); err != nil {
				return err
			}
		}
		key := rawPort(t.Addr, f.Port)
		for slot := range desired.Slots {
			if len(f.To) > 0 {
				to := f.To[slot%len(f.To)]
				p.add(element{set: setForward + suffix, key: key + mark(uint32(slot)), value: rawPort(to.Addr(), to.Port())})
			}
		}
		if f.Cut {
			p.add(element{set: setCutPort + suffix, key: key})
		}
		for i, at := range f.Except {
			if !slices.Contains(f.Except[:i], at) {
				p.add(element{set: setExcept + suffix, key: key + rawPort(at.Addr(), at.Port())})
			}
		}
	}
	return nil
}

// decodeForwards reads the forwards of a target, as short as they can be said.
func decodeForwards(target netip.Addr, p *parts) (list []desired.Forward) {
	family := familyOf(target)
	length := int(family.size) + 4
	ports := map[uint16]*desired.Forward{}
	for _, e := range p.elements {
		name, _ := splitName(e.set)
		at, ok := family.portOf(e.key)
		if name != setForward && name != setCutPort && name != setExcept || !ok {
			continue
		}
		f := ports[at.Port()]
		if f == nil {
			f = &desired.Forward{Port: at.Port()}
			ports[at.Port()] = f
		}
		switch name {
		case setCutPort:
			f.Cut = true
		case setExcept:
			except, _ := family.portOf(e.key[length:])
			f.Except = append(f.Except, except)
		case setForward:
			if f.To == nil {
				f.To = make([]netip.AddrPort, desired.Slots)
			}
			if slot := markOf(e.key[length:]); len(e.key) == length+4 && slot < desired.Slots {
				f.To[slot], _ = family.portOf(e.value)
			}
		}
	}
	for _, f := range slices.SortedFunc(maps.Values(ports), func(a, b *desired.Forward) int { return cmp.Compare(a.Port, b.Port) }) {
		list = append(list, f.Short())
	}
	return list
}
