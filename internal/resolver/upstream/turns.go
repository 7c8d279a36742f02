// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/netip"
	"slices"
)

// turns gives out the places that the questions of a VPC have under way. Whose clients
// have the fewest are next, and no client has more than three of four: questions that
// nobody answers must not keep those of other clients waiting. An interface may have a
// block of addresses, so those of a block have seven of eight at most together, and a
// block that has fewer goes first. The lock of the Forwarder is held by whoever calls its
// methods.
type turns struct {
	places  int
	total   int
	taken   map[netip.Addr]int
	blocks  map[netip.Prefix]int
	waiting []*turn // the one that came first in front
}

// Group is the block of addresses that an interface is given at once, to use them as it
// likes: 80 bits of IPv6, 28 of IPv4 (EC2's prefix delegation). Neighbours may be in one
// block, and one interface may have several.
func Group(client netip.Addr) netip.Prefix {
	bits := 28
	if client.Is6() {
		bits = 80
	}
	block, _ := client.WithZone("").Prefix(bits) // an invalid address has the zero one
	return block
}

func (t *turns) count(client netip.Addr, n int) {
	t.total += n
	addTo(t.taken, client, n)
	addTo(t.blocks, Group(client), n)
}

func addTo[K comparable](m map[K]int, k K, n int) {
	if m[k] += n; m[k] == 0 {
		delete(m, k)
	}
}

// before reports whether a client is to have a place rather than another one.
func (t *turns) before(a, b netip.Addr) bool {
	if x, y := t.blocks[Group(a)], t.blocks[Group(b)]; x != y {
		return x < y
	}
	return t.taken[a] < t.taken[b]
}

// may reports whether a client may have another place.
func (t *turns) may(client netip.Addr) bool {
	return t.taken[client] < max(t.places-t.places/4, 1) && t.blocks[Group(client)] < max(t.places-t.places/8, 1)
}

// turn is a place that was asked for. Its channel is closed when it is there.
type turn struct {
	client netip.Addr
	come   chan struct{}
}

// enter asks for a place, which leave gives back, or ends waiting for.
func (t *turns) enter(client netip.Addr) *turn {
	n := &turn{client: client, come: make(chan struct{})}
	t.waiting = append(t.waiting, n)
	t.next()
	return n
}

// join notes that another client waits for the same: the one with fewer places counts.
func (t *turns) join(n *turn, client netip.Addr) {
	if t.before(client, n.client) && slices.Contains(t.waiting, n) {
		n.client = client
		t.next()
	}
}

func (t *turns) leave(n *turn) {
	if at := slices.Index(t.waiting, n); at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
		return
	}
	t.count(n.client, -1)
	t.next()
}

// next gives places to those who wait, as long as there are any.
func (t *turns) next() {
	for t.total < t.places {
		first := -1
		for i, n := range t.waiting {
			if t.may(n.client) && (first < 0 || t.before(n.client, t.waiting[first].client)) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		n := t.waiting[first]
		t.waiting = slices.Delete(t.waiting, first, first+1)
		t.count(n.client, 1)
		close(n.come)
	}
}
