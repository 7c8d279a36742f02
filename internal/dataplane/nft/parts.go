// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"cmp"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/desired"
)

// owner names the entry of this router that a part belongs to.
type owner struct {
	kind desired.Kind
	id   string
}

func ownerOf(k desired.Key) owner { return owner{k.Kind, k.ID} }

// element is one element of a set or map: bytes as the kernel has them in its
// registers. In a verdict map target is the chain that a packet goes to, or
// jumps to and may return from. A note says whose an element is of which the key does
// not tell; people see it as a comment.
type element struct {
	set    string
	key    string
	value  string
	target string
	note   string
	jump   bool
	// end is behind the last key of an interval that begins at key. As it is read, what
	// ends an interval is an element of its own.
	end  string
	ends bool
}

func (e element) compare(o element) int {
	order := cmp.Or(strings.Compare(e.set, o.set), strings.Compare(e.key, o.key))
	if order == 0 && e.ends != o.ends {
		return map[bool]int{true: -1, false: 1}[e.ends]
	}
	return order
}

// parts is what the kernel has of one entry, or should have: elements in
// order, and the texts of chains.
type parts struct {
	elements []element
	chains   []chain
}

func (p *parts) add(e ...element) { p.elements = append(p.elements, e...) }

// sort puts the parts into the order that comparing counts on.
func (p *parts) sort() {
	slices.SortFunc(p.elements, element.compare)
	slices.SortFunc(p.chains, func(a, b chain) int { return strings.Compare(a.name, b.name) })
}

func (p *parts) empty() bool { return len(p.elements) == 0 && len(p.chains) == 0 }

// equal reports whether two sorted lots of parts are the same. Chains are the
// same when their rules' texts are.
func (p *parts) equal(o *parts) bool {
	return slices.Equal(p.elements, o.elements) && slices.EqualFunc(p.chains, o.chains, sameChain)
}

func sameChain(a, b chain) bool {
	return a.name == b.name && slices.Equal(a.texts(), b.texts())
}

// without returns the elements of the sorted list a that are not in b.
func without(a, b []element) []element {
	var rest []element
	for _, e := range a {
		i, found := slices.BinarySearchFunc(b, e, element.compare)
		if !found || b[i] != e {
			rest = append(rest, e)
		}
	}
	return rest
}

// chainNamed finds a chain.
func (p *parts) chainNamed(name string) (chain, bool) {
	for _, c := range p.chains {
		if c.name == name {
			return c, true
		}
	}
	return chain{}, false
}

// pack gives an owner's id and elements as one text, which is a fraction of their
// memory. Names of the kernel have less than 256 bytes, keys and values at most 64.
func pack(id string, elements []element) string {
	text := append(make([]byte, 0, 256), id...)
	for _, e := range elements {
		for _, part := range [...]string{e.set, e.key, e.value, e.target, e.note, e.end} {
			text = append(append(text, byte(len(part))), part...)
		}
		jump := byte(0)
		if e.jump {
			jump = 1
		}
		text = append(text, jump)
	}
	return string(text)
}

// unpack reads the elements that pack made a text of. They are parts of it.
func unpack(text string) (elements []element) {
	if text != "" {
		elements = make([]element, 0, 4) // as many as an endpoint with two ports has
	}
	for len(text) > 0 {
		var parts [6]string
		for i := range parts {
			end := 1 + int(text[0])
			parts[i], text = text[1:end], text[end:]
		}
		elements = append(elements, element{set: parts[0], key: parts[1], value: parts[2], target: parts[3], note: parts[4], end: parts[5], jump: text[0] == 1})
		text = text[1:]
	}
	return elements
}
