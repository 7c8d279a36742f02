// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/desired"
)

// The rules of an edge are those of what they say, whatever order its lists had: else an
// edge would be taken for damaged for ever.
func TestRulesOfAnEdgeAreThoseOfWhatTheySay(t *testing.T) {
	e := desired.Edge{Name: "wan", Device: "netns:x", Denied: []netip.Prefix{
		netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fd00::/64"),
	}, Allowed: []netip.Prefix{netip.MustParsePrefix("172.20.1.0/24"), netip.MustParsePrefix("172.20.0.0/24")}}
	made, err := EdgeRules(e, "wan0")
	if err != nil {
		t.Fatal(err)
	}
	said, ok := ParseEdge("wan", made.said)
	if !ok {
		t.Fatalf("nobody can read %q", made.said)
	}
	again, err := EdgeRules(said, "wan0")
	if err != nil || again.rules.marker != made.rules.marker || !slices.Equal(again.said, made.said) {
		t.Errorf("what they say makes others: %v, %v", again, err)
	}
}
