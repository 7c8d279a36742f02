// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Observation is how it stands with one name.
type Observation struct {
	Name string
	// VPC and Target are where connections come from that go to the name.
	VPC    string
	Target netip.Addr
	InVPC  bool
	// Addrs are the addresses of the last good answer.
	Addrs []ObservedAddr
	// Beyond is how many addresses of it are left out because there are too many.
	Beyond int
	// Answered is when the last good answer came. It is zero when there was none since
	// the start; what is in use then is what the kernel had.
	Answered time.Time
	// Asked and Next are when the name was last looked up, and will be.
	Asked, Next time.Time
	// Trouble is why the last look-up failed; Failures is how many in a row did.
	Trouble  string
	Failures int
	// Refused is why addresses of the last answer are not gone by.
	Refused string
	// Through is the endpoint of the VPC that connections go on through, if they do.
	Through string
}

// ObservedAddr is an address of a name.
type ObservedAddr struct {
	Addr netip.Addr
	// Used says that new connections go there.
	Used bool
	// Down is why it is taken to be down.
	Down string
}

// Observations tells of all names, sorted by name, VPC and target.
func (f *Follower) Observations() []Observation {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Observation, 0, len(f.names))
	for _, n := range f.names {
		all = append(all, n.observe())
	}
	slices.SortFunc(all, func(a, b Observation) int {
		for _, c := range []int{strings.Compare(a.Name, b.Name), strings.Compare(a.VPC, b.VPC)} {
			if c != 0 {
				return c
			}
		}
		return a.Target.Compare(b.Target)
	})
	return all
}

func (n *name) observe() Observation {
	o := Observation{
		Name: n.entry.Name, VPC: n.entry.VPC, Target: n.entry.Addr, InVPC: n.entry.InVPC, Beyond: n.beyond,
		Answered: n.answered, Asked: n.asked, Next: n.next, Trouble: n.trouble, Failures: max(n.failures, n.nones), Refused: n.refused,
	}
	if d, is := n.where().door(n.door); is && n.onward {
		o.Through = d.owner
	}
	for _, a := range n.set {
		o.Addrs = append(o.Addrs, ObservedAddr{a, slices.Contains(n.order, a), n.down[a]})
	}
	return o
}
