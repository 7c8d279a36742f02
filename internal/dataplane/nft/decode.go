// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/desired"
)

// names gives the owner that a verdict map's number stands for.
type names interface {
	numbers
	name(k desired.Kind, n uint32) (string, bool)
}

// elementOwner says to which entry an element belongs. It is false for what
// the skeleton itself has in its maps and for what is not Postern's.
func elementOwner(e element) (owner, bool) {
	switch e.set {
	case setClassIn, setClassOut, setDoors, setPools, setBorderIn, setBorderOut, setPeerIn, setPeerOut:
		return chainOwner(e.target)
	case setPool6:
		a, ok := netip.AddrFromSlice([]byte(e.value))
		return owner{desired.KindPool, a.String()}, ok
	case setPool4, setPoolMark:
		if len(e.key) != 8 {
			return owner{}, false
		}
		b := binary.BigEndian.AppendUint32(nil, markOf(e.key))
		return owner{desired.KindPool, netip.AddrFrom4([4]byte(b)).String()}, true
	case setSteerIf, setSteerOut, setProbers:
		return owner{desired.KindSteer, e.note}, e.note != ""
	case setPublic, setPrivate, setKnown:
		return publicOwner(e)
	case setPassing:
		return owner{desired.KindThrough, e.note}, e.note != ""
	}
	if f, group, ok := memberGroup(e.set); ok {
		a, ok := f.keyAddr(e.key)
		return ownerOf(desired.Member{Group: group, Addr: a, Bits: f.bits}.Key()), ok
	}
	if o, ok := openedOwner(e); ok {
		return o, ok
	}
	name, f := splitName(e.set)
	a, ok := f.keyAddr(e.key)
	if !ok {
		return owner{}, false
	}
	switch name {
	case setClass:
		return ownerOf(desired.Address{Addr: a, Bits: f.bits}.Key()), true
	case setDoor, setPort, setEndpoint:
		return owner{desired.KindEndpoint, a.String()}, true
	case setTarget, setOnward, setGateway, setSlot, setCut, setForward, setCutPort, setExcept:
		return owner{desired.KindTarget, a.String()}, true
	case setSteer:
		return owner{desired.KindSteer, a.String()}, true
	case setNames:
		return ownerOf(desired.Nameserver{}.Key()), true
	case setAllow:
		allow, ok := decodeAllow(e)
		return ownerOf(allow.Key()), ok
	}
	return owner{}, false
}

// chainOwner says to which entry a chain belongs.
func chainOwner(name string) (owner, bool) {
	if gateway, ok := poolChainGateway(name); ok {
		return owner{desired.KindPool, gateway.String()}, true
	}
	for _, prefix := range []string{inPrefix, outPrefix} {
		if class, ok := strings.CutPrefix(name, prefix); ok {
			return owner{desired.KindClass, class}, true
		}
	}
	for _, prefix := range []string{aclInPrefix, aclOutPrefix} {
		if acl, ok := strings.CutPrefix(name, prefix); ok {
			return owner{desired.KindACL, acl}, true
		}
	}
	for _, prefix := range []string{fromPrefix, toPrefix} {
		if subnet, ok := strings.CutPrefix(name, prefix); ok {
			return owner{desired.KindFiltered, subnet}, true
		}
	}
	for _, prefix := range []string{peerInPrefix, peerOutPrefix} {
		if peer, ok := strings.CutPrefix(name, prefix); ok {
			return owner{desired.KindPeering, peer}, true
		}
	}
	if set, ok := strings.CutPrefix(name, portsPrefix); ok {
		return owner{desired.KindPortSet, set}, true
	}
	return owner{}, false
}

// memberGroup returns the family and the group of a set of members.
func memberGroup(set string) (family, string, bool) {
	for _, f := range families {
		if group, ok := strings.CutPrefix(set, memberSet(f, "")); ok {
			return f, group, true
		}
	}
	return family{}, "", false
}

// splitName takes the family from the end of a set's name. What has none is taken
// for one of IPv4.
func splitName(set string) (string, family) {
	for _, f := range families {
		if name, ok := strings.CutSuffix(set, f.suffix); ok {
			return name, f
		}
	}
	return set, family4
}

// keyAddr reads the address that a key begins with.
func (f family) keyAddr(key string) (netip.Addr, bool) {
	if len(key) < int(f.size) {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice([]byte(key[:f.size]))
}

// parseScope reads an address, or a prefix and its length, as keys of entries have
// them.
func parseScope(text string) (netip.Addr, int) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Addr(), p.Bits()
	}
	a, _ := netip.ParseAddr(text)
	return a, 0
}

// decode makes the entry of owner o from the parts that the kernel has of it.
// An entry that would not encode to just these parts is Damaged.
func decode(vpc string, o owner, p *parts, ids names) desired.Entry {
	e := codecs[o.kind].decode(vpc, o, p, ids)
	want, err := encode(e, ids)
	if err != nil || !want.equal(p) {
		return Damaged{e}
	}
	return e
}

func decodeClass(vpc string, o owner, p *parts, _ names) desired.Entry {
	in, _ := p.chainNamed(inPrefix + o.id)
	out, _ := p.chainNamed(outPrefix + o.id)
	return desired.Class{VPC: vpc, Name: o.id, In: classRules(in.texts()), Out: classRules(out.texts())}
}

func decodePortSet(vpc string, o owner, p *parts, _ names) desired.Entry {
	c, _ := p.chainNamed(portsPrefix + o.id)
	return desired.PortSet{VPC: vpc, Name: o.id, Ranges: portRanges(c.texts())}
}

func decodeMember(vpc string, o owner, _ *parts, _ names) desired.Entry {
	group, scope, _ := strings.Cut(o.id, "/")
	a, bits := parseScope(scope)
	return desired.Member{VPC: vpc, Group: group, Addr: a, Bits: bits}
}

func decodeAddress(vpc string, o owner, p *parts, ids names) desired.Entry {
	a, bits := parseScope(o.id)
	f, _ := familyIn(a, bits)
	class := numbered(ids, desired.KindClass, markOf(p.value(setClass+f.suffix)))
	return desired.Address{VPC: vpc, Addr: a, Bits: bits, Class: class}
}

func decodeAllows(vpc string, _ owner, p *parts, _ names) desired.Entry {
	allow, _ := decodeAllow(p.elements[0])
	allow.VPC = vpc
	return allow
}

// numbered names what a number stands for, or says the number.
func numbered(ids names, k desired.Kind, n uint32) string {
	if name, ok := ids.name(k, n); ok {
		return name
	}
	return fmt.Sprintf("%s#%d", k, n)
}

// value returns the value of the only element of a set, or "".
func (p *parts) value(set string) string {
	for _, e := range p.elements {
		if e.set == set {
			return e.value
		}
	}
	return ""
}

func (p *parts) addr(set string) netip.Addr {
	a, _ := netip.AddrFromSlice([]byte(p.value(set)))
	return a
}

func decodePool(vpc string, o owner, p *parts, _ names) desired.Entry {
	gateway, _ := netip.ParseAddr(o.id)
	pool := desired.Pool{VPC: vpc, Gateway: gateway}
	if gateway.Is6() {
		c, _ := p.chainNamed(poolChainName(gateway))
		for _, text := range c.texts() {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				pool.Addresses = append(pool.Addresses, prefix)
			}
		}
		return pool
	}
	// Slots are dealt in turn, so that the first to come twice ends the list.
	for _, e := range p.elements {
		a, _ := netip.AddrFromSlice([]byte(e.value))
		if a.Is4() && e.set == setPool4 {
			prefix := netip.PrefixFrom(a, 32)
			if slices.Contains(pool.Addresses, prefix) {
				break
			}
			pool.Addresses = append(pool.Addresses, prefix)
		}
	}
	return pool
}

func decodeTarget(vpc string, o owner, p *parts, ids names) desired.Entry {
	a, _ := netip.ParseAddr(o.id)
	suffix := familyOf(a).suffix
	t := desired.Target{VPC: vpc, Addr: a, Dest: p.addr(setTarget + suffix)}
	if onward := p.addr(setOnward + suffix); onward.IsValid() {
		t.Dest, t.Onward = onward, true
	}
	var slots [desired.Slots]netip.Addr
	filled := false
	for _, e := range p.elements {
		slot := uint32(desired.Slots)
		switch {
		case e.set == setCut+suffix:
			t.Cut = true
		case e.set == setSlot+suffix && len(e.key) == len(raw(a))+4:
			slot = markOf(e.key[len(raw(a)):])
		}
		if slot < desired.Slots {
			slots[slot], _ = netip.AddrFromSlice([]byte(e.value))
			filled = true
		}
	}
	if !t.Dest.IsValid() && filled {
		t.Several = slots[:]
		t.Several = t.Dests()
	}
	t.Forwards = decodeForwards(a, p)
	if gateway := p.value(setGateway + suffix); gateway != "" {
		if n := markOf(gateway); a.Is4() {
			t.Gateway = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
		} else if name, ok := ids.name(desired.KindPool, n); ok {
			t.Gateway, _ = netip.ParseAddr(name)
		}
	}
	return t
}

func decodeAllow(e element) (desired.Allow, bool) {
	_, f := splitName(e.set)
	source, ok := f.keyAddr(e.key)
	if !ok {
		return desired.Allow{}, false
	}
	target, ok := netip.AddrFromSlice([]byte(e.key[len(e.key)/2:]))
	return desired.Allow{Source: netip.PrefixFrom(source, sourceBits(source)), Target: target}, ok
}

func decodeNameserver(vpc string, _ owner, p *parts, _ names) desired.Entry {
	n := desired.Nameserver{VPC: vpc}
	for _, e := range p.elements {
		if a, ok := netip.AddrFromSlice([]byte(e.key)); ok {
			n.Addrs = append(n.Addrs, a)
		}
	}
	return n
}

func decodeEndpoint(vpc string, o owner, p *parts, ids names) desired.Entry {
	a, _ := netip.ParseAddr(o.id)
	f := familyOf(a)
	e := desired.Endpoint{VPC: vpc, Addr: a, Target: p.addr(setEndpoint + f.suffix)}
	if !e.Target.IsValid() {
		e.Target = a
	}
	if door := p.value(setDoor + f.suffix); door != "" && markOf(door) != plainDoor {
		e.PortSet = numbered(ids, desired.KindPortSet, markOf(door))
	}
	for _, part := range p.elements {
		if part.set == setPort+f.suffix && len(part.key) == int(f.size)+4 {
			port := binary.BigEndian.Uint16([]byte(part.key[f.size:]))
			e.Ports = append(e.Ports, desired.PortRange{From: port, To: port})
		}
	}
	slices.SortFunc(e.Ports, func(a, b desired.PortRange) int { return cmp.Compare(a.From, b.From) })
	return e
}
