// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/internal/desired"
)

// Holder is a party and the connections that it has.
type Holder struct {
	Name        string
	Connections int
}

// Held says who has most of a router's connections, for each kind of share.
type Held struct{ Client, NAT, Association, Fabric, Ports Holder }

// Attributes of linux/netfilter/nfnetlink_conntrack.h.
const (
	messageTracked = 1

	attrOriginal = 1
	attrReply    = 2

	attrTupleIP    = 1
	attrTupleProto = 2

	attrProtoSourcePort = 2
)

// Held lists all connections, which takes some microseconds for each. A client
// is known by its address there, not by its interface. Clients with one of the given
// addresses are NAT gateways, and known by the names that are given with them.
func (t *Table) Held(ctx context.Context, nats map[netip.Addr]string) (Held, error) {
	targets, err := t.targets(ctx)
	if err != nil {
		return Held{}, err
	}
	conn, err := nfnl.Dial(t.ns) // the table's own is for others meanwhile
	if err != nil {
		return Held{}, fmt.Errorf("connect to connection tracking: %w", err)
	}
	defer conn.Close()
	var c holders
	var b nfnl.Builder
	b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageTracked, 0, unix.AF_UNSPEC)
	err = conn.Dump(&b, func() { c = newHolders(targets, nats) }, func(_ uint8, attributes []byte) { c.add(attributes) })
	if err != nil {
		return Held{}, fmt.Errorf("list connections: %w", err)
	}
	return Held{Client: most(c.clients), NAT: most(c.gateways), Association: most(c.associations), Fabric: Holder{"all", c.fabric}, Ports: most(c.ports)}, nil
}

// targets are the transit targets that lead to the VPC.
func (t *Table) targets(ctx context.Context) (map[netip.Addr]bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.know(ctx); err != nil {
		return nil, err
	}
	found := map[netip.Addr]bool{}
	for o := range t.picture.owners {
		if a, err := netip.ParseAddr(o.id); err == nil && o.kind == desired.KindTarget {
			found[a] = true
		}
	}
	return found, nil
}

// holders counts connections by those who have them.
type holders struct {
	targets      map[netip.Addr]bool
	nats         map[netip.Addr]string
	clients      map[netip.Addr]int
	gateways     map[name]int
	associations map[way]int
	ports        map[sender]int
	fabric       int
}

type name string

func (n name) String() string { return string(n) }

type way struct {
	from netip.Prefix
	to   netip.Addr
}

func (w way) String() string { return fmt.Sprintf("%s to %s", w.from, w.to) }

type sender struct {
	from netip.Addr
	to   netip.AddrPort
}

func (s sender) String() string { return fmt.Sprintf("%s to %s", s.from, s.to) }

func newHolders(targets map[netip.Addr]bool, nats map[netip.Addr]string) holders {
	return holders{targets, nats, map[netip.Addr]int{}, map[name]int{}, map[way]int{}, map[sender]int{}, 0}
}

func (h *holders) add(attributes []byte) {
	from, to, _ := ends(nfnl.Attribute(attributes, attrOriginal))
	if !from.IsValid() || !to.IsValid() {
		return
	}
	if !h.targets[to] {
		if gateway, is := h.nats[from]; is {
			h.gateways[name(gateway)]++
		} else {
			h.clients[from]++
		}
		return
	}
	h.fabric++
	prefix, _ := from.Prefix(sourceBits(from))
	h.associations[way{prefix, to}]++
	resource, gateway, port := ends(nfnl.Attribute(attributes, attrReply))
	h.ports[sender{gateway, netip.AddrPortFrom(resource, port)}]++
}

// ends reads a tuple: from where, to where, and from which port.
func ends(tuple []byte) (from, to netip.Addr, port uint16) {
	for typ, value := range nfnl.Attributes(nfnl.Attribute(tuple, attrTupleIP)) {
		if typ%2 == 1 { // the addresses of IPv4 are 1 and 2, those of IPv6 3 and 4
			from, _ = netip.AddrFromSlice(value)
		} else {
			to, _ = netip.AddrFromSlice(value)
		}
	}
	if value := nfnl.Attribute(nfnl.Attribute(tuple, attrTupleProto), attrProtoSourcePort); len(value) == 2 {
		port = binary.BigEndian.Uint16(value)
	}
	return from, to, port
}

func most[K interface {
	comparable
	fmt.Stringer
}](counts map[K]int) (top Holder) {
	for of, n := range counts {
		if n > top.Connections || n == top.Connections && of.String() < top.Name {
			top = Holder{of.String(), n}
		}
	}
	return top
}
