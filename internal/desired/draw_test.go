// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"net/netip"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// draw draws values of entries.
type draw struct{ *rapid.T }

func (d draw) name() string {
	return rapid.StringMatching(`[a-zA-Z0-9 %@=,/:>._\-ä\t]{1,12}`).Draw(d.T, "name")
}

// text is a name that may be empty.
func (d draw) text() string { return rapid.SampledFrom([]string{"", d.name()}).Draw(d.T, "text") }

func (d draw) flag(what string) bool { return rapid.Bool().Draw(d.T, what) }

func (d draw) number(what string) uint32 {
	return rapid.SampledFrom([]uint32{0, rapid.Uint32().Draw(d.T, what)}).Draw(d.T, what+", or none")
}

func (d draw) count(what string) int64 { return rapid.Int64().Draw(d.T, what) }

// names are sorted.
func (d draw) names() []string {
	return sorted(listOf(d, 3, func() string { return d.text() }), strings.Compare)
}

func (d draw) memberAddrs() []MemberAddr {
	return sorted(listOf(d, 3, func() MemberAddr { return MemberAddr{d.text(), d.addr()} }), MemberAddr.Compare)
}

func (d draw) addr() netip.Addr {
	if rapid.Bool().Draw(d.T, "v6") {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Filter(func(b []byte) bool {
			return !netip.AddrFrom16([16]byte(b)).Is4In6()
		}).Draw(d.T, "addr")))
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(d.T, "addr")))
}

func (d draw) prefix() netip.Prefix {
	a := d.addr()
	return netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(d.T, "bits"))
}

func (d draw) scope() (netip.Addr, int) {
	a := d.addr()
	return a, rapid.SampledFrom([]int{0, 0, a.BitLen() / 2, a.BitLen()}).Draw(d.T, "bits")
}

func (d draw) addrs(most int) []netip.Addr {
	return listOf(d, most, func() netip.Addr { return d.addr() })
}

func (d draw) prefixes() []netip.Prefix {
	return listOf(d, 4, func() netip.Prefix { return d.prefix() })
}

func listOf[T any](d draw, most int, one func() T) (list []T) {
	for range rapid.IntRange(0, most).Draw(d.T, "count") {
		list = append(list, one())
	}
	return list
}

// somePorts are sorted, each once.
func (d draw) somePorts() []uint16 {
	return slices.Compact(sorted(listOf(d, 3, func() uint16 { return d.port() }), func(a, b uint16) int { return int(a) - int(b) }))
}

func (d draw) addrPorts() []netip.AddrPort {
	return listOf(d, 4, func() netip.AddrPort { return netip.AddrPortFrom(d.addr(), d.port()) })
}

func (d draw) sortedAddrPorts() []netip.AddrPort {
	return sorted(d.addrPorts(), netip.AddrPort.Compare)
}

func (d draw) check() Check {
	return Check{d.text(), d.port(), d.text(), d.text(), d.number("interval"), d.number("timeout"), d.number("healthy"), d.number("unhealthy")}
}

func (d draw) port() uint16 { return rapid.Uint16().Draw(d.T, "port") }

func (d draw) ports() []PortRange {
	return listOf(d, 4, func() PortRange { return PortRange{d.port(), d.port()} })
}

func (d draw) rules() []Rule {
	number := rapid.IntRange(-1, 65535)
	return listOf(d, 4, func() Rule {
		r := Rule{Protocol: AllProtocols, From: -1, To: -1}
		if rapid.Bool().Draw(d.T, "protocol") {
			r = Rule{Protocol: rapid.IntRange(0, 255).Draw(d.T, "protocol"), From: number.Draw(d.T, "from"), To: number.Draw(d.T, "to")}
		}
		if rapid.Bool().Draw(d.T, "by group") {
			r.Group = "sg-" + d.name()
		} else {
			r.Peer = d.prefix()
		}
		return r
	})
}

func (d draw) aclRules() (list []ACLRule) {
	for _, r := range d.rules() {
		if r.Group == "" {
			list = append(list, ACLRule{d.flag("allow"), r})
		}
	}
	return list
}

func (d draw) namespace() Namespace {
	n := Namespace{PID: int(rapid.Int32().Draw(d.T, "pid")), Inode: rapid.Uint64().Draw(d.T, "inode"), Identity: rapid.Uint64().Draw(d.T, "identity")}
	switch rapid.IntRange(0, 2).Draw(d.T, "named") {
	case 1:
		n.Name, n.PID = d.name(), 0
	case 2:
		n = Namespace{Realm: Realm(d.name())}
	}
	return n
}
