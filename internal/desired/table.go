// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Where a TableRoute leads to that is no network interface and no VPC.
const (
	// Outside is the VPC's link to its uplink's edge. In a router without one such a
	// route refuses.
	Outside = "outside"
	// Unreachable refuses what is sent there, at once.
	Unreachable = "unreachable"
)

// MaxTable is the largest number of a Table.
const MaxTable = 1<<12 - 1

// Table is a route table of a VPC, as far as it has more than the local routes. It
// counts for the packets of what Steer entries name. The longest prefix decides, and
// what no prefix of the table has is refused.
type Table struct {
	VPC string
	// Number is between 1 and MaxTable, and that of no other table of the VPC.
	Number int
	// Routes have prefixes that differ. Their order says nothing. One whose prefix lies
	// in the VPC's networks comes before what is local there: before workloads and
	// all other addresses. All others come behind it.
	Routes []TableRoute
}

// TableRoute is a route of a Table.
type TableRoute struct {
	Prefix netip.Prefix
	// To is Outside, Unreachable, a VPC that there is a Link with, or the identifier of the
	// network interface of an attached workload. To a VPC without a link, and to an interface
	// that is not attached, or that is not Unchecked, a route refuses.
	To string
}

// KindTable is the kind of Table. Packets of connections that are there take the way
// that the table says when they come.
var KindTable = ours(Description[Table]{
	Name: "table", Stage: StageRoute, Sort: Routers, Spell: (*Table).spell, Ends: EndsNothing[Table], Turns: TurnsNothing[Table],
	Examples: []Table{
		{VPC: "vpc-1", Number: 1, Routes: []TableRoute{
			{netip.MustParsePrefix("0.0.0.0/0"), Outside}, {netip.MustParsePrefix("10.0.2.0/24"), "eni-1"}, {netip.MustParsePrefix("172.16.0.0/12"), "vpc-2"}, {netip.MustParsePrefix("192.168.0.0/16"), Unreachable},
		}},
		{VPC: "vpc-1", Number: MaxTable, Routes: []TableRoute{{netip.MustParsePrefix("::/0"), Outside}}},
	},
})

// Key implements Entry.
func (t Table) Key() Key { return Key{Realm(t.VPC), KindTable, strconv.Itoa(t.Number)} }

// String implements Entry.
func (t Table) String() string {
	s := spell(make([]byte, 0, usual), t.Key())
	t.spell(&s)
	return s.String()
}

func (t *Table) spell(s *Spelling) {
	s.Realm(&t.VPC)
	if id, reading := s.ID(); reading {
		var err error
		if t.Number, err = strconv.Atoi(id); err != nil || t.Number < 1 || t.Number > MaxTable {
			s.Fail(fmt.Errorf("%q is not the number of a table", id))
		}
	}
	t.Routes = sorted(t.Routes, func(a, b TableRoute) int { return a.Prefix.Compare(b.Prefix) })
	spellList(s, "routes", &t.Routes, parseTableRoute, appendTableRoute)
}

func appendTableRoute(b []byte, r TableRoute) []byte {
	return appendName(append(r.Prefix.AppendTo(b), '@'), r.To, ",")
}

func parseTableRoute(text string) (r TableRoute, err error) {
	prefix, to, ok := strings.Cut(text, "@")
	if !ok {
		return r, errors.New("a route has a prefix, an @ and where it leads to")
	}
	if r.Prefix, err = netip.ParsePrefix(prefix); err == nil {
		r.To, err = nameInList(to)
	}
	return r, err
}

// Steer has the packets of somebody take the routes of a table.
type Steer struct {
	VPC string
	// From is the network interface of a workload; a transit target, for what comes to
	// it from other VPCs and the answers that come from there; the address of a gateway,
	// for what the router asks in its name; that of an endpoint, for what is answered in its
	// name to peers; or Outside, for what comes from there.
	From string
	// Table is the number of the table. There need not be one: then only what is local
	// is reached.
	Table uint32
}

// KindSteer is the kind of Steer.
var KindSteer = ours(Description[Steer]{
	Name: "steer", Stage: StageAddress, Sort: Routers, Spell: (*Steer).spell, Ends: EndsNothing[Steer], Turns: TurnsNothing[Steer],
	Examples: []Steer{
		{VPC: "vpc-1", From: "eni-1", Table: 1}, {VPC: "vpc-1", From: "240.8.0.1", Table: 2}, {VPC: "vpc-1", From: "2001:db8:0:1::7", Table: 2}, {VPC: "vpc-1", From: Outside, Table: MaxTable},
	},
})

// Key implements Entry.
func (t Steer) Key() Key { return Key{Realm(t.VPC), KindSteer, t.From} }

// String implements Entry.
func (t Steer) String() string {
	s := spell(make([]byte, 0, usual), t.Key())
	t.spell(&s)
	return s.String()
}

func (t *Steer) spell(s *Spelling) {
	s.Realm(&t.VPC)
	s.IDName(&t.From)
	s.number("table", &t.Table)
}

// Through gives what passes the network interface of a workload the rules of a class,
// whatever addresses it has: what others send by way of the workload, or it sends for
// others.
type Through struct {
	VPC   string
	ENI   string
	Class string
}

// KindThrough is the kind of Through.
var KindThrough = ours(Description[Through]{
	Name: "through", Stage: StageAddress, Sort: Routers, Spell: (*Through).spell, Ends: EndsNothing[Through], Turns: TurnsNothing[Through],
	Examples: []Through{{VPC: "vpc-1", ENI: "eni-1", Class: "c-1"}},
})

// Key implements Entry.
func (t Through) Key() Key { return Key{Realm(t.VPC), KindThrough, t.ENI} }

// String implements Entry.
func (t Through) String() string {
	s := spell(make([]byte, 0, usual), t.Key())
	t.spell(&s)
	return s.String()
}

func (t *Through) spell(s *Spelling) {
	s.Realm(&t.VPC)
	s.IDName(&t.ENI)
	s.Name("class", &t.Class)
}
