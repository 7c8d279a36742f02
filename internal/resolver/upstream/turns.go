// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/netip"
	"slices"
)

// turns gives out the places that the questions of a VPC have under way. Whose clients
// have the fewest are next, and no client has more than three of four: questions that
// nobody answers must not keep those of other clients waiting. The lock of the Forwarder
// is held by whoever calls its methods.
type turns struct {
	places  int
	total   int
	taken   map[netip.Addr]int
	waiting []*turn // the one that came first in front
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
	if t.taken[client] < t.taken[n.client] && slices.Contains(t.waiting, n) {
		n.client = client
		t.next()
	}
}

func (t *turns) leave(n *turn) {
	if at := slices.Index(t.waiting, n); at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
		return
	}
	t.total--
	if t.taken[n.client]--; t.taken[n.client] == 0 {
		delete(t.taken, n.client)
	}
	t.next()
}

// next gives places to those who wait, as long as there are any.
func (t *turns) next() {
	for t.total < t.places && len(t.waiting) > 0 {
		least := 0
		for i, n := range t.waiting {
			if t.taken[n.client] < t.taken[t.waiting[least].client] {
				least = i
			}
		}
		n := t.waiting[least]
		if t.taken[n.client] >= max(t.places-t.places/4, 1) {
			return
		}
		t.waiting = slices.Delete(t.waiting, least, least+1)
		t.total++
		t.taken[n.client]++
		close(n.come)
	}
}
