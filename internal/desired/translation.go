// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
)

// Endpoint translates one address of an endpoint in the consumer's VPC to a
// transit target, for the ports that the resource configuration has.
type Endpoint struct {
	VPC    string
	Addr   netip.Addr
	Target netip.Addr
	// Ports are admitted one by one; PortSet names a set of ranges admitted
	// as well. At least one of the two is given.
	Ports   []PortRange
	PortSet string
	// Owner is the identifier of the VPC endpoint, for people and records.
	Owner string
}

// Key implements Entry.
func (e Endpoint) Key() Key { return Key{KindEndpoint, e.VPC, e.Addr.String()} }

// String implements Entry. Owner is left out: the kernel does not keep it.
func (e Endpoint) String() string {
	return line(e.Key(), field{"target", addrText(e.Target)}, list("ports", e.Ports),
		field{"portset", e.PortSet})
}

// Slots is how many slots a target has that leads to several addresses. A new
// connection draws one of them.
const Slots = 16

// Target translates a transit target to the resource in the provider's VPC,
// leaving from the addresses of a gateway's network interface.
type Target struct {
	VPC  string
	Addr netip.Addr
	// Dest is where new connections go.
	Dest netip.Addr
	// Several is given instead of Dest when connections go to several addresses, at
	// most as many as there are slots. They are dealt to the slots in turn, so one
	// that is named twice gets twice as many connections as the others, and one that
	// changes leaves the slots of the others alone.
	Several []netip.Addr
	// Cut says that connections to addresses that the target leads to no more are
	// cut, and not left to go on: what was there is not what was asked for any more.
	Cut bool
	// Gateway names the Pool that connections leave from.
	Gateway netip.Addr
	// Onward says that Dest is an Endpoint of the same VPC, and that connections go
	// on to where that leads, if the gateway may send to it, if it admits the
	// gateway, and at its ports.
	Onward bool
}

// Key implements Entry.
func (t Target) Key() Key { return Key{KindTarget, t.VPC, t.Addr.String()} }

// String implements Entry.
func (t Target) String() string {
	yes := func(is bool) string {
		if is {
			return "yes"
		}
		return ""
	}
	return line(t.Key(), list("dest", t.Dests()), field{"gateway", addrText(t.Gateway)}, field{"cut", yes(t.Cut)}, field{"onward", yes(t.Onward)})
}

// Dests are the addresses that the target leads to, as they are dealt to the slots:
// the shortest list that fills them in the same way. An unset Dest is none.
func (t Target) Dests() []netip.Addr {
	switch {
	case len(t.Several) == 0 && t.Dest.IsValid():
		return []netip.Addr{t.Dest}
	case len(t.Several) < 2:
		return t.Several
	}
	var slots [Slots]netip.Addr
	for i := range slots {
		slots[i] = t.Several[i%len(t.Several)]
	}
	n := 1
	for !repeats(slots[:], n) {
		n++
	}
	return slices.Clone(slots[:n])
}

// repeats reports whether a list goes on with its first n again and again.
func repeats(list []netip.Addr, n int) bool {
	for i := n; i < len(list); i++ {
		if list[i] != list[i-n] {
			return false
		}
	}
	return true
}

// Pool is the set of source addresses of one network interface of a resource
// gateway, named by its first address. For IPv4 these are single addresses, at
// most 64; for IPv6 one prefix.
type Pool struct {
	VPC       string
	Gateway   netip.Addr
	Addresses []netip.Prefix
}

// Key implements Entry.
func (p Pool) Key() Key { return Key{KindPool, p.VPC, p.Gateway.String()} }

// String implements Entry.
func (p Pool) String() string { return line(p.Key(), list("addresses", p.Addresses)) }

// Allow lets connections from one consumer VPC's transit source reach one
// target: an active association. Taking it away cuts the connections under it.
type Allow struct {
	VPC    string
	Source netip.Prefix
	Target netip.Addr
}

// Key implements Entry.
func (a Allow) Key() Key {
	return Key{KindAllow, a.VPC, a.Source.String() + ">" + a.Target.String()}
}

// String implements Entry.
func (a Allow) String() string { return line(a.Key()) }

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
