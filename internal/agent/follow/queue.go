// SPDX-License-Identifier: Apache-2.0

package follow

import "container/heap"

// queue has names in the order in which they are due.
type queue []*name

// Len implements heap.Interface.
func (q queue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q queue) Less(i, j int) bool { return q[i].next.Before(q[j].next) }

// Swap implements heap.Interface.
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	n := x.(*name)
	n.place = len(*q)
	*q = append(*q, n)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	n := (*q)[last]
	(*q)[last] = nil
	*q, n.place = (*q)[:last], -1
	return n
}

// put has a name in its place.
func (q *queue) put(n *name) {
	if n.place >= 0 {
		heap.Fix(q, n.place)
		return
	}
	heap.Push(q, n)
}

// drop takes a name out.
func (q *queue) drop(n *name) {
	if n.place >= 0 {
		heap.Remove(q, n.place)
	}
}
