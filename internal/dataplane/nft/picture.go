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
	desired.KindClass:   func(string) bool { return true },
	desired.KindPortSet: func(string) bool { return true },
	desired.KindPool:    func(id string) bool { return strings.Contains(id, ":") }, // of an IPv6 gateway
}

// picture is what the kernel has in one table.
type picture struct {
	parts  map[owner]*parts
	ids    *registry
	groups map[string]int // how many rules and members refer to a group
	sets   map[string]bool
	// onward are the targets that lead on through an endpoint, with its address.
	onward map[netip.Addr]netip.Addr
	// defaults are the elements that the skeleton itself declares and that were
	// found; chains are all chains with the texts of their rules.
	defaults map[element]bool
	chains   map[string][]string
}

func newPicture() *picture {
	return &picture{
		parts: map[owner]*parts{}, ids: newRegistry(), groups: map[string]int{},
		sets: map[string]bool{}, onward: map[netip.Addr]netip.Addr{}, defaults: map[element]bool{}, chains: map[string][]string{},
	}
}

// of returns the parts of o, which may be none.
func (p *picture) of(o owner) *parts {
	if found := p.parts[o]; found != nil {
		return found
	}
	return &parts{}
}

// put records that o now has these parts and no others.
func (p *picture) put(o owner, now *parts) {
	p.refer(o, p.of(o), -1)
	p.refer(o, now, +1)
	if now.empty() {
		delete(p.parts, o)
		p.ids.drop(o)
		return
	}
	p.parts[o] = now
}

// refer counts what the parts of o refer to, or ceases to.
func (p *picture) refer(o owner, of *parts, by int) {
	if a, err := netip.ParseAddr(o.id); err == nil && o.kind == desired.KindTarget {
		delete(p.onward, a)
		if dest := of.addr(setOnward + familyOf(a).suffix); by > 0 && dest.IsValid() {
			p.onward[a] = dest
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
