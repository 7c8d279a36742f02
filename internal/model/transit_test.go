// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func TestTransitPlacesNeverMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (host, vpc, target int) {
			return rapid.IntRange(0, MaxHosts-1).Draw(t, name+" host"),
				rapid.IntRange(0, SourcesPerHost-1).Draw(t, name+" vpc"),
				rapid.IntRange(0, TargetsPerHost-1).Draw(t, name+" target")
		}
		h1, v1, t1 := draw("first")
		h2, v2, t2 := draw("second")
		for _, s := range []struct {
			realm, source, other netip.Prefix
			target, otherTarget  netip.Addr
		}{
			{Transit4, TransitSource4(h1, v1), TransitSource4(h2, v2), TransitTarget4(h1, t1), TransitTarget4(h2, t2)},
			{Transit6, TransitSource6(h1, v1), TransitSource6(h2, v2), TransitTarget6(h1, t1), TransitTarget6(h2, t2)},
		} {
			if !s.realm.Contains(s.source.Addr()) || !s.realm.Contains(s.target) {
				t.Fatalf("%v or %v is outside %v", s.source, s.target, s.realm)
			}
			if s.source != s.source.Masked() {
				t.Fatalf("source %v has host bits", s.source)
			}
			if same := h1 == h2 && v1 == v2; s.source.Overlaps(s.other) != same {
				t.Fatalf("sources %v and %v", s.source, s.other)
			}
			if same := h1 == h2 && t1 == t2; (s.target == s.otherTarget) != same {
				t.Fatalf("targets %v and %v", s.target, s.otherTarget)
			}
			if s.source.Contains(s.otherTarget) {
				t.Fatalf("source %v contains target %v", s.source, s.otherTarget)
			}
		}
	})
}
