// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Balance has a transit target lead, for each of some ports, to those members of a group
// that are healthy, now and later. Which these are only the host knows, which asks them from
// the gateway: it puts a Target of the same key in the router, as for a Follow.
type Balance struct {
	VPC string
	// Addr is the transit target. Its family is that of the members' addresses.
	Addr netip.Addr
	// Gateway names the Pool that connections and questions leave from.
	Gateway netip.Addr
	// Listeners are the ports, each once, and Groups what they lead to. The order of either
	// says nothing. A group that no listener names is not asked.
	Listeners []Listener
	Groups    []TargetGroup
}

// Listener has connections to a port go to a group.
type Listener struct {
	Port  uint16
	Group string
}

// TargetGroup is who takes the connections to a port.
type TargetGroup struct {
	// ID is that of the target group; observations name it.
	ID    string
	Check Check
	// Members are where its targets listen, Draining are those of whom new connections are
	// kept away because they are about to go. The order of either says nothing.
	Members, Draining []netip.AddrPort
	// CutUnhealthy says that connections to a member are cut when it becomes unhealthy, CutGone
	// that they are when it is in neither list any more. Without them they live on.
	CutUnhealthy, CutGone bool
}

// Check is how a member is asked whether it is healthy.
type Check struct {
	// Protocol is one of CheckTCP, CheckHTTP and CheckHTTPS.
	Protocol string
	// Port is where; zero is the member's own.
	Port uint16
	// Path is asked for over HTTP, and Codes are the statuses of a healthy answer, as numbers
	// and ranges ("200,202" or "200-399").
	Path, Codes string
	// Interval is how often, and Timeout how long an answer may take, in seconds.
	Interval, Timeout uint32
	// Healthy and Unhealthy are how many answers in a row make a member the one or the other.
	Healthy, Unhealthy uint32
}

// The protocols of checks: whether a connection is accepted, and what status HTTP gives. Of
// a certificate nothing is asked.
const (
	CheckTCP   = "tcp"
	CheckHTTP  = "http"
	CheckHTTPS = "https"
)

// KindBalance is the kind of Balance.
var KindBalance = ours(Description[Balance]{
	Name: "balance", Stage: StageTarget, Sort: Routers, Spell: (*Balance).spell, Turns: TurnsNothing[Balance],
	Ends: func(b Balance) []Connections { return []Connections{{Dest: b.Addr}} },
	Examples: []Balance{
		{
			VPC: "vpc-2", Addr: netip.MustParseAddr("240.8.0.1"), Gateway: netip.MustParseAddr("10.0.1.50"), Listeners: []Listener{{80, "tg-1"}, {443, "tg-1"}},
			Groups: []TargetGroup{{
				ID: "tg-1", Check: Check{CheckHTTP, 8081, "/health", "200-399", 30, 6, 5, 2}, Members: []netip.AddrPort{netip.MustParseAddrPort("10.0.1.60:8080")},
				Draining: []netip.AddrPort{netip.MustParseAddrPort("10.0.1.61:8080")}, CutUnhealthy: true, CutGone: true,
			}},
		},
		{VPC: "vpc-2", Addr: netip.MustParseAddr("fd50:5354:4f01::1"), Gateway: netip.MustParseAddr("2001:db8::50")},
	},
})

// Key implements Entry.
func (b Balance) Key() Key { return Key{Realm(b.VPC), KindBalance, b.Addr.String()} }

// String implements Entry.
func (b Balance) String() string {
	s := spell(make([]byte, 0, 3*usual), b.Key())
	b.spell(&s)
	return s.String()
}

func (b *Balance) spell(s *Spelling) {
	s.Realm(&b.VPC)
	s.IDAddr(&b.Addr)
	s.Addr("gateway", &b.Gateway)
	b.Listeners = sorted(b.Listeners, func(a, b Listener) int { return cmp.Compare(a.Port, b.Port) })
	spellList(s, "listeners", &b.Listeners, parseListener, func(text []byte, l Listener) []byte { return l.append(text) })
	if !s.reading {
		for _, g := range sorted(b.Groups, func(a, b TargetGroup) int { return strings.Compare(a.ID, b.ID) }) {
			g.spell(s)
		}
		return
	}
	for s.next("group") {
		var g TargetGroup
		g.spell(s)
		b.Groups = append(b.Groups, g)
	}
}

func (l Listener) append(b []byte) []byte {
	return appendName(fmt.Appendf(b, "%d=", l.Port), l.Group, ",")
}

func parseListener(text string) (l Listener, err error) {
	port, group, ok := strings.Cut(text, "=")
	if !ok {
		return l, fmt.Errorf("%q does not say where a port leads", text)
	}
	if _, err = fmt.Sscanf(port, "%d", &l.Port); err != nil {
		return l, fmt.Errorf("%q is not a port: %w", port, err)
	}
	l.Group, err = nameInList(group)
	return l, err
}

func (g *TargetGroup) spell(s *Spelling) {
	spellText(s, "group", &g.ID)
	g.Check.spell(s)
	g.Members, g.Draining = sorted(g.Members, netip.AddrPort.Compare), sorted(g.Draining, netip.AddrPort.Compare)
	s.addrPorts("members", &g.Members)
	s.addrPorts("draining", &g.Draining)
	s.Flag("cut-unhealthy", &g.CutUnhealthy)
	s.Flag("cut-gone", &g.CutGone)
}

func (c *Check) spell(s *Spelling) {
	s.Name("check", &c.Protocol)
	spellNumber(s, "port", &c.Port)
	s.Name("path", &c.Path)
	s.Name("codes", &c.Codes)
	s.number("interval", &c.Interval)
	s.number("timeout", &c.Timeout)
	s.number("healthy", &c.Healthy)
	s.number("unhealthy", &c.Unhealthy)
}

// Group finds a group; false when there is none of that id.
func (b Balance) Group(id string) (TargetGroup, bool) {
	i := slices.IndexFunc(b.Groups, func(g TargetGroup) bool { return g.ID == id })
	if i < 0 {
		return TargetGroup{}, false
	}
	return b.Groups[i], true
}

// Target is what the host puts in the router when these are its forwards. Connections to
// ports that have no listener any more are cut.
func (b Balance) Target(forwards []Forward) Target {
	t := Target{VPC: b.VPC, Addr: b.Addr, Gateway: b.Gateway, Cut: true, Forwards: forwards}
	t.Forwards = t.forwards()
	return t
}

// Carries reports whether an entry that a router has is what a Balance may have been turned
// into, whoever is healthy.
func (b Balance) Carries(e Entry) bool {
	t, ok := e.(Target)
	if !ok || !Equal(t, b.Target(t.Forwards)) {
		return false
	}
	return !slices.ContainsFunc(t.Forwards, func(f Forward) bool {
		i := slices.IndexFunc(b.Listeners, func(l Listener) bool { return l.Port == f.Port })
		if i < 0 {
			return true
		}
		g, _ := b.Group(b.Listeners[i].Group)
		return f.Cut != g.CutGone || slices.ContainsFunc(f.To, func(a netip.AddrPort) bool { return !slices.Contains(g.Members, a) })
	})
}
