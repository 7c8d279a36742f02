// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/posternhq/postern/internal/desired"
)

// registry numbers the owners of chains. A number is made of the owner's name,
// so that a chain that was lost by accident comes back under the number by
// which elements still know it.
type registry struct {
	numbers map[owner]uint32
	names   map[numbered32]string
}

type numbered32 struct {
	kind   desired.Kind
	number uint32
}

func newRegistry() *registry {
	return &registry{map[owner]uint32{}, map[numbered32]string{}}
}

func (r *registry) number(o owner) (uint32, bool) {
	n, ok := r.numbers[o]
	return n, ok
}

func (r *registry) name(k desired.Kind, n uint32) (string, bool) {
	name, ok := r.names[numbered32{k, n}]
	return name, ok
}

func (r *registry) set(o owner, n uint32) {
	r.numbers[o] = n
	r.names[numbered32{o.kind, n}] = o.id
}

func (r *registry) drop(o owner) {
	if n, ok := r.numbers[o]; ok {
		delete(r.names, numbered32{o.kind, n})
		delete(r.numbers, o)
	}
}

// assign gives o a number if it has none.
func (r *registry) assign(o owner) {
	if _, ok := r.numbers[o]; ok {
		return
	}
	sum := sha256.Sum256([]byte(o.id))
	n := binary.BigEndian.Uint32(sum[:])
	for n <= plainDoor || r.taken(o.kind, n) {
		n++
	}
	r.set(o, n)
}

func (r *registry) taken(k desired.Kind, n uint32) bool {
	_, taken := r.names[numbered32{k, n}]
	return taken
}

// isNumbered reports whether a verdict map numbers o.
func (o owner) isNumbered() bool {
	numbered := numberedKinds[o.kind]
	return numbered != nil && numbered(o.id)
}

// numberedKinds says by ids which entries verdict maps number: those that have
// chains.
var numberedKinds = map[desired.Kind]func(id string) bool{
	desired.KindClass:    func(string) bool { return true },
	desired.KindPortSet:  func(string) bool { return true },
	desired.KindFiltered: func(string) bool { return true },
	desired.KindPool:     func(id string) bool { return strings.Contains(id, ":") }, // of an IPv6 gateway
}

// picture is what the kernel has in one table. There are as many owners as entries,
// most of them with two or three elements and no chain: so an owner's id and its
// elements are one piece of memory.
type picture struct {
	elements map[owner]string  // of each owner, packed
	own      map[owner][]chain // of those that have any
	ids      *registry
	kinds    map[desired.Kind]int // how many owners there are
	groups   map[string]int       // how many rules and members refer to a group
	sets     map[string]bool
	// onward are the targets that lead on through an endpoint, with its address.
	onward map[netip.Addr]netip.Addr
	// steers are the numbers of the tables that packets take, by whom they are from.
	steers map[string]int
	// peers are the blocks of those that the VPC is peered with.
	peers map[string][]netip.Prefix
	// defaults are the elements that the skeleton itself declares and that were
	// found; chains are all chains with the texts of their rules.
	defaults map[element]bool
	chains   map[string][]string
	// laid are the blocks that the rules were found to have; nil when nobody has looked.
	// To find out, the rules are rendered, which takes longer than most changes of elements.
	laid *blocks
}

func newPicture() *picture {
	return &picture{
		elements: map[owner]string{}, own: map[owner][]chain{}, ids: newRegistry(), kinds: map[desired.Kind]int{}, groups: map[string]int{},
		sets: map[string]bool{}, onward: map[netip.Addr]netip.Addr{}, steers: map[string]int{}, peers: map[string][]netip.Prefix{}, defaults: map[element]bool{}, chains: map[string][]string{},
	}
}

// of returns the parts of o, which may be none.
func (p *picture) of(o owner) *parts {
	return &parts{unpack(p.elements[o]), p.own[o]}
}

// owners yields all that have parts.
func (p *picture) owners(yield func(owner) bool) {
	for o := range p.elements {
		if !yield(o) {
			return
		}
	}
}

// put records that o now has these parts and no others, in the place of its old ones.
func (p *picture) put(c change) {
	p.refer(c.owner, c.old, -1)
	p.refer(c.owner, c.now, +1)
	if c.now.empty() {
		p.ids.drop(c.owner)
	}
	p.keep(c.owner, c.now)
}

// keep files parts under their owner. Of chains only the texts count from here on.
func (p *picture) keep(o owner, now *parts) {
	if _, was := p.elements[o]; was {
		p.kinds[o.kind]--
	}
	delete(p.elements, o)
	delete(p.own, o)
	if now.empty() {
		return
	}
	p.kinds[o.kind]++
	text := pack(o.id, now.elements)
	o.id = text[:len(o.id)]
	p.elements[o] = text[len(o.id):]
	for _, c := range now.chains {
		p.own[o] = append(p.own[o], c.bare())
	}
}

// refer counts what the parts of o refer to, or ceases to.
func (p *picture) refer(o owner, of *parts, by int) {
	if a, err := netip.ParseAddr(o.id); err == nil && o.kind == desired.KindTarget {
		delete(p.onward, a)
		if dest := of.addr(setOnward + familyOf(a).suffix); by > 0 && dest.IsValid() {
			p.onward[a] = dest
		}
	}
	if o.kind == desired.KindSteer {
		delete(p.steers, o.id)
		if s, ok := decodeSteer("", o, of, nil).(desired.Steer); ok && by > 0 && s.Table != 0 {
			p.steers[o.id] = int(s.Table)
		}
	}
	if o.kind == desired.KindPeering {
		delete(p.peers, o.id)
		if e, ok := decodePeering("", o, of, nil).(desired.Peering); ok && by > 0 && len(e.Theirs) > 0 {
			p.peers[o.id] = e.Theirs
		}
	}
	for _, group := range groupsOf(o, of) {
		if p.groups[group] += by; p.groups[group] == 0 {
			delete(p.groups, group)
		}
	}
}

// groupsOf lists the groups that parts refer to, each as often as they do.
func groupsOf(o owner, of *parts) []string {
	var groups []string
	switch o.kind {
	case desired.KindClass:
		for _, c := range of.chains {
			for _, r := range classRules(c.texts()) {
				if r.Group != "" {
					groups = append(groups, r.Group)
				}
			}
		}
	case desired.KindMember:
		for _, e := range of.elements {
			if _, group, ok := memberGroup(e.set); ok {
				groups = append(groups, group)
			}
		}
	}
	return groups
}
