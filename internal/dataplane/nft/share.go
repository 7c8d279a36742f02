// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"cmp"
	"fmt"
	"strings"
)

// Shares bounds what one party may have of a router's connection tracking, in
// connections at a time, and of the VPC's resolver. New connections beyond it are
// refused with a reset. Zero means that of DefaultShares.
type Shares struct {
	// Client is for all that one workload's interface opens, whatever addresses
	// it has and wherever to.
	Client int
	// NAT is for what leaves by one NAT gateway's interface: connections of clients that
	// their own interfaces have counted already. The gateway itself bounds each of
	// them by Client.
	NAT int
	// Association is for what comes to one target from one other VPC.
	Association int
	// Fabric is for what comes to the VPC from all others. The rest is for the
	// VPC's own workloads.
	Fabric int
	// Outside is for what comes to the VPC over an uplink.
	Outside int
	// Ports is for what comes from one address of a gateway to one port of a
	// resource. TCP gives it 64,512 ports from 1024 up, and with few of them
	// left the kernel, which tries some at random, finds none.
	Ports int
	// Queries is for what one workload's interface sends to the VPC's resolver, in
	// packets a second. What is beyond is dropped.
	Queries int
}

const (
	// usualRoom is the kernel's nf_conntrack_max on a machine of some size.
	usualRoom = 262144
	// translatedPorts leaves some of a gateway address's ports free. It is the
	// figure of AWS for a NAT gateway's connections to one destination.
	translatedPorts = 55000
	// usualQueries is AWS's quota for an interface
	// (docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html).
	usualQueries = 1024
)

// Burst is how many packets an interface may send to the resolver at once, after it
// was silent: those of a quarter of a second.
func Burst(queries int) int { return max(1, queries/4) }

// DefaultShares divides the room of a router's connection tracking, which is
// the kernel's nf_conntrack_max: a fifth for a client, two for a NAT gateway, two for an association and
// three for all that comes over the fabric, and a fifth for what comes from outside; zero stands for the usual one. A client
// has no more than three quarters of the ports of a gateway's address, which others
// come from too: so much less that samples do not take the one for the other.
func DefaultShares(room int) Shares {
	if room <= 0 {
		room = usualRoom
	}
	return Shares{
		Client: max(1, min(room/5, 3*translatedPorts/4)),
		NAT:    max(1, 2*room/5), Association: max(1, 2*room/5), Fabric: max(1, 3*room/5), Outside: max(1, room/5), Ports: translatedPorts, Queries: usualQueries,
	}
}

// Or takes from other what s has no number for.
func (s Shares) Or(other Shares) Shares {
	return Shares{
		Client: cmp.Or(s.Client, other.Client), NAT: cmp.Or(s.NAT, other.NAT), Association: cmp.Or(s.Association, other.Association),
		Fabric: cmp.Or(s.Fabric, other.Fabric), Outside: cmp.Or(s.Outside, other.Outside), Ports: cmp.Or(s.Ports, other.Ports), Queries: cmp.Or(s.Queries, other.Queries),
	}
}

// Validate says which of the numbers cannot be a share.
func (s Shares) Validate() error {
	for _, of := range []struct {
		name string
		n    int
	}{{"client", s.Client}, {"nat", s.NAT}, {"association", s.Association}, {"fabric", s.Fabric}, {"outside", s.Outside}, {"ports", s.Ports}, {"queries", s.Queries}} {
		if of.n < 0 || of.n > 1<<30 {
			return fmt.Errorf("share of %s: %d is not a number of connections, or of packets a second", of.name, of.n)
		}
	}
	return nil
}

// longest bounds the list of connections that are counted for a share: the
// kernel looks up each of them when it adds one, for a third of a microsecond.
const longest = 512

// census is how a share is counted: one of OneIn of its connections is, and more
// than Over of them show that the share is used up.
type census struct{ OneIn, Over int }

// newCensus finds the way to count limit connections. Up to longest of them are
// counted exactly. Of more only a sample is, so that admitting one costs next to
// nothing however many there are: a share is about its limit then, give or take a
// tenth.
func newCensus(limit int) census {
	oneIn := 1
	for limit > longest*oneIn {
		oneIn *= 2
	}
	return census{OneIn: oneIn, Over: max(1, limit/oneIn) - 1}
}

// isCounting reports whether a set is one of the skeleton's whose elements
// packets add: they are nobody's entries.
func isCounting(set string) bool {
	for _, prefix := range []string{"full", "asked"} {
		set = strings.TrimPrefix(set, prefix)
	}
	switch set {
	case setQueries, "clients", "ways4", "ways6", "fabric", "outside", "ports4", "ports6":
		return true
	}
	return false
}
