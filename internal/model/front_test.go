// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Each transit target has addresses of its own in the front and in the relay, all of which are
// in the front's networks, and nothing else there has one.
func TestArrivalsAreKnownByTheirAddresses(t *testing.T) {
	rooms := []struct {
		arrives func(TransitTarget, bool) netip.Addr
		index   func(netip.Addr) (int, bool)
	}{{TransitTarget.FrontAddr, FrontIndex}, {TransitTarget.RelayAddr, RelayIndex}}
	for _, a := range []netip.Addr{
		{}, FrontRouter4, FrontHost4.Addr(), FrontHost6.Addr(), RelayHost4.Addr(), RelayHost6.Addr(), FrontPool4.Addr(), FrontPool6.Addr(), netip.MustParseAddr("10.0.0.1"),
	} {
		for _, room := range rooms {
			if index, ok := room.index(a); ok {
				t.Errorf("%s is of target %d", a, index)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		target := TransitTarget{Index: rapid.IntRange(0, TargetsPerHost-1).Draw(t, "index")}
		is4 := rapid.Bool().Draw(t, "is4")
		for i, room := range rooms {
			a := room.arrives(target, is4)
			if !FrontNetwork4.Contains(a) && !FrontNetwork6.Contains(a) {
				t.Errorf("%s is outside", a)
			}
			if is4 {
				a = netip.AddrFrom16(a.As16()) // as sockets of both families have it
			}
			if got, ok := room.index(a); !ok || got != target.Index {
				t.Errorf("%s is of target %d, %v; want %d", a, got, ok, target.Index)
			}
			if _, ok := rooms[1-i].index(a); ok {
				t.Errorf("%s is in both rooms", a)
			}
		}
	})
}
