// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// Names of the skeleton's maps and sets; those that exist per family end in its
// suffix.
const (
	setClass    = "class"
	setClassIn  = "classin"
	setClassOut = "classout"
	setDoor     = "door"
	setDoors    = "doors"
	setPort     = "port"
	setEndpoint = "endpoint"
	setAllow    = "allow"
	setTarget   = "target"
	setSlot     = "slot"
	setCut      = "cut"
	setForward  = "forward"
	setCutPort  = "cutport"
	setExcept   = "except"
	setOnward   = "onward"
	setGateway  = "gateway"
	setPool4    = "pool4"
	setPool6    = "pool6"
	setPools    = "pools"
	setPoolMark = "poolmark4"
	setMember   = "member"
	setNames    = "names"
	setQueries  = "queries"
	setSteer    = "steer"
	setSteerIf  = "steerif"
	setSteerOut = "steerout"
	setProbers  = "probers"
	setPassing  = "passing"
	setPublic   = "public4"
	setPrivate  = "private4"
	setKnown    = "known4"
	setOpened   = "opened" // and the length of its prefixes
)

const (
	// poolSlots is the number of client groups that a pool's addresses are
	// dealt to: the addresses of a transit source.
	poolSlots = 1 << (32 - source4Bits)
	// plainDoor is the number of the door of endpoints without a port set.
	plainDoor = 1
)

// numbers gives the owners that verdict maps number (classes, port sets, IPv6
// pools) their numbers, and the other way round.
type numbers interface {
	number(o owner) (uint32, bool)
}

func memberSet(f family, group string) string { return setMember + f.suffix + "-" + group }

// mark is a number as the kernel has it in a register.
func mark(n uint32) string {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], n)
	return string(b[:])
}

func markOf(value string) uint32 {
	if len(value) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32([]byte(value))
}

func raw(a netip.Addr) string {
	switch {
	case a.Is4():
		b := a.As4()
		return string(b[:])
	case a.Is6():
		b := a.As16()
		return string(b[:])
	}
	return ""
}

func number4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// codec says what the kernel has of entries of one kind, and reads it back.
type codec struct {
	encode func(p *parts, e desired.Entry, ids numbers) error
	decode func(vpc string, o owner, p *parts, ids names) desired.Entry
}

// codecOf makes the codec of a kind whose entries are of type E.
func codecOf[E desired.Entry](encode func(*parts, E, numbers) error, decode func(string, owner, *parts, names) desired.Entry) codec {
	return codec{
		encode: func(p *parts, e desired.Entry, ids numbers) error {
			v, ok := e.(E)
			if !ok {
				return fmt.Errorf("a value of type %T cannot be put", e)
			}
			return encode(p, v, ids)
		},
		decode: decode,
	}
}

// codecs are those of all kinds whose entries live in the table.
var codecs = map[desired.Kind]codec{
	desired.KindClass:    codecOf(encodeClass, decodeClass),
	desired.KindPortSet:  codecOf(encodePortSet, decodePortSet),
	desired.KindPool:     codecOf(encodePool, decodePool),
	desired.KindMember:   codecOf(encodeMember, decodeMember),
	desired.KindAddress:  codecOf(encodeAddress, decodeAddress),
	desired.KindTarget:   codecOf(encodeTarget, decodeTarget),
	desired.KindAllow:    codecOf(encodeAllow, decodeAllows),
	desired.KindEndpoint: codecOf(encodeEndpoint, decodeEndpoint),

	desired.KindACL:      codecOf(encodeACL, decodeACL),
	desired.KindFiltered: codecOf(encodeFiltered, decodeFiltered),

	desired.KindPeering: codecOf(encodePeering, decodePeering),

	desired.KindPublic: codecOf(encodePublic, decodePublic),
	desired.KindOpened: codecOf(encodeOpened, decodeOpened),

	desired.KindNameserver: codecOf(encodeNameserver, decodeNameserver),

	desired.KindSteer:   codecOf(encodeSteer, decodeSteer),
	desired.KindThrough: codecOf(encodeThrough, decodeThrough),
}

// Kinds lists the kinds whose entries live in the table, in the order of making.
func Kinds() []desired.Kind {
	return slices.DeleteFunc(desired.Kinds(), func(k desired.Kind) bool { return codecs[k].encode == nil })
}

// encode says what the kernel should have of an entry.
func encode(e desired.Entry, ids numbers) (*parts, error) {
	c, ok := codecs[e.Key().Kind]
	if !ok {
		return nil, errNoTable
	}
	p := &parts{}
	if err := c.encode(p, e, ids); err != nil {
		return nil, err
	}
	p.sort()
	return p, nil
}

// errNoTable says that an entry is none of the table's.
var errNoTable = errors.New("entries of its kind do not live in nftables")

func encodeMember(p *parts, m desired.Member, _ numbers) error {
	f, err := familyIn(m.Addr, m.Bits)
	if err != nil {
		return err
	}
	p.add(element{set: memberSet(f, m.Group), key: raw(m.Addr)})
	return nil
}

func encodeClass(p *parts, c desired.Class, ids numbers) error {
	in, err := classChain(inPrefix, c.Name, c.In)
	if err != nil {
		return err
	}
	out, err := classChain(outPrefix, c.Name, c.Out)
	if err != nil {
		return err
	}
	n, _ := ids.number(ownerOf(c.Key()))
	p.add(element{set: setClassIn, key: mark(n), target: in.name, jump: true},
		element{set: setClassOut, key: mark(n), target: out.name, jump: true})
	p.chains = append(p.chains, in, out)
	return nil
}

func encodePortSet(p *parts, s desired.PortSet, ids numbers) error {
	c, err := portsChain(s)
	if err != nil {
		return err
	}
	n, _ := ids.number(ownerOf(s.Key()))
	p.add(element{set: setDoors, key: mark(n), target: c.name})
	p.chains = append(p.chains, c)
	return nil
}

func encodePool(p *parts, pool desired.Pool, ids numbers) error {
	if err := valid(pool.Gateway); err != nil {
		return err
	}
	if pool.Gateway.Is6() {
		if len(pool.Addresses) != 1 || !pool.Addresses[0].Addr().Is6() {
			return errors.New("an IPv6 pool is one IPv6 prefix")
		}
		n, _ := ids.number(ownerOf(pool.Key()))
		c := poolChain(pool.Gateway, pool.Addresses[0])
		p.add(element{set: setPools, key: mark(n), target: c.name}, element{set: setPool6, key: mark(n), value: raw(pool.Gateway)})
		p.chains = append(p.chains, c)
		return nil
	}
	if len(pool.Addresses) == 0 || len(pool.Addresses) > poolSlots {
		return fmt.Errorf("an IPv4 pool has 1 to %d addresses, not %d", poolSlots, len(pool.Addresses))
	}
	for i, a := range pool.Addresses {
		if !a.Addr().Is4() || !a.IsSingleIP() {
			return fmt.Errorf("%s is not a single IPv4 address", a)
		}
		for slot := i; slot < poolSlots; slot += len(pool.Addresses) {
			key := mark(number4(pool.Gateway)) + string([]byte{0, 0, 0, byte(slot)})
			p.add(element{set: setPool4, key: key, value: raw(a.Addr())},
				element{set: setPoolMark, key: key, value: mark(number4(a.Addr()))})
		}
	}
	return nil
}

func encodeAddress(p *parts, a desired.Address, ids numbers) error {
	f, err := familyIn(a.Addr, a.Bits)
	if err != nil {
		return err
	}
	n, ok := ids.number(owner{desired.KindClass, a.Class})
	if !ok {
		return fmt.Errorf("class %s is not there", a.Class)
	}
	p.add(element{set: setClass + f.suffix, key: raw(a.Addr), value: mark(n)})
	return nil
}

func encodeTarget(p *parts, t desired.Target, ids numbers) error {
	if t.Dest.IsValid() && len(t.Several) > 0 || len(t.Several) > desired.Slots {
		return fmt.Errorf("either one address or at most %d must be where it leads to", desired.Slots)
	}
	if t.Onward && (!t.Dest.IsValid() || t.Cut || len(t.Forwards) > 0) {
		return errors.New("a target that leads on has one address, and cuts what it leads on no more in any case")
	}
	dests := t.Dests()
	if err := valid(append([]netip.Addr{t.Addr, t.Gateway}, dests...)...); err != nil {
		return err
	}
	gateway, ok := uint32(0), true
	if t.Gateway.Is4() {
		gateway = number4(t.Gateway)
	} else if gateway, ok = ids.number(owner{desired.KindPool, t.Gateway.String()}); !ok {
		return fmt.Errorf("pool %s is not there", t.Gateway)
	}
	suffix := familyOf(t.Addr).suffix
	p.add(element{set: setGateway + suffix, key: raw(t.Addr), value: mark(gateway)})
	if t.Cut {
		p.add(element{set: setCut + suffix, key: raw(t.Addr)})
	}
	if t.Onward {
		p.add(element{set: setOnward + suffix, key: raw(t.Addr), value: raw(t.Dest)})
		return nil
	}
	if len(t.Forwards) > 0 {
		if len(dests) > 0 {
			return errors.New("a target that translates ports leads to no addresses besides")
		}
		return encodeForwards(p, t)
	}
	if len(dests) == 0 {
		return nil // it refuses
	}
	if len(dests) == 1 {
		p.add(element{set: setTarget + suffix, key: raw(t.Addr), value: raw(dests[0])})
		return nil
	}
	for slot := range desired.Slots {
		p.add(element{set: setSlot + suffix, key: slotKey(t.Addr, slot), value: raw(dests[slot%len(dests)])})
	}
	return nil
}

// slotKey is the key of a target's slot. The number is drawn by the kernel, which
// has it as a number of its own.
func slotKey(target netip.Addr, slot int) string { return raw(target) + mark(uint32(slot)) }

func encodeAllow(p *parts, a desired.Allow, _ numbers) error {
	source := a.Source.Addr()
	if err := valid(source, a.Target); err != nil {
		return err
	}
	if want := sourceBits(source); a.Source.Bits() != want || a.Source != a.Source.Masked() {
		return fmt.Errorf("source %s is not a /%d", a.Source, want)
	}
	p.add(element{set: setAllow + familyOf(source).suffix, key: raw(source) + raw(a.Target)})
	return nil
}

func sourceBits(a netip.Addr) int {
	if a.Is4() {
		return source4Bits
	}
	return source6Bits
}

func encodeNameserver(p *parts, n desired.Nameserver, _ numbers) error {
	if len(n.Addrs) == 0 {
		return errors.New("a resolver needs addresses")
	}
	for _, a := range n.Addrs {
		if err := valid(a); err != nil {
			return err
		}
		p.add(element{set: setNames + familyOf(a).suffix, key: raw(a)})
	}
	return nil
}

func encodeEndpoint(p *parts, e desired.Endpoint, ids numbers) error {
	if err := valid(e.Addr, e.Target); err != nil {
		return err
	}
	if len(e.Ports) == 0 && e.PortSet == "" {
		return errors.New("an endpoint needs ports")
	}
	door, ok := uint32(plainDoor), true
	if e.PortSet != "" {
		if door, ok = ids.number(owner{desired.KindPortSet, e.PortSet}); !ok {
			return fmt.Errorf("port set %s is not there", e.PortSet)
		}
	}
	suffix := familyOf(e.Addr).suffix
	p.add(element{set: setDoor + suffix, key: raw(e.Addr), value: mark(door)})
	if e.Target != e.Addr {
		p.add(element{set: setEndpoint + suffix, key: raw(e.Addr), value: raw(e.Target)})
	}
	for i, r := range e.Ports {
		if r.From != r.To || i > 0 && r.From <= e.Ports[i-1].From {
			return fmt.Errorf("port %s: single ports in rising order are wanted; ranges belong in a port set", r)
		}
		p.add(element{set: setPort + suffix, key: rawPort(e.Addr, r.From)})
	}
	return nil
}

// valid checks that addresses are set and of one family.
func valid(addrs ...netip.Addr) error {
	for _, a := range addrs {
		if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
			return fmt.Errorf("%q is not an address", a)
		}
		if a.Is4() != addrs[0].Is4() {
			return fmt.Errorf("%s and %s are of different families", addrs[0], a)
		}
	}
	return nil
}
