// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSkeletonText(t *testing.T) {
	s, err := newSkeleton(netip.MustParsePrefix("240.0.0.64/26"), netip.MustParsePrefix("fd70:6f73:7400:1::/64"), DefaultShares(0), blocks{})
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/skeleton.golden.nft"
	if *update {
		if err := os.WriteFile(golden, []byte(s.text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), s.text); diff != "" {
		t.Errorf("the skeleton has changed; if it should, run with -update (-want +got):\n%s", diff)
	}
	if got, want := s.rules["refuse"], 3; got != want || s.rules[s.marker] != 0 {
		t.Errorf("rules are counted wrongly: %v", s.rules)
	}
}

func TestSkeletonNeedsItsSources(t *testing.T) {
	p := netip.MustParsePrefix
	for _, bad := range [][2]netip.Prefix{
		{p("240.0.0.64/27"), {}}, {p("240.0.0.65/26"), {}}, {p("fd00::/64"), {}}, {{}, p("fd00::/63")}, {{}, p("240.0.0.0/26")},
	} {
		if _, err := newSkeleton(bad[0], bad[1], DefaultShares(0), blocks{}); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
	s, err := newSkeleton(netip.Prefix{}, netip.Prefix{}, DefaultShares(0), blocks{})
	if err != nil || strings.Contains(s.text, "source4=") {
		t.Errorf("without sources: %v", err)
	}
	other, _ := newSkeleton(p("240.0.0.64/26"), netip.Prefix{}, DefaultShares(0), blocks{})
	if other.marker == s.marker {
		t.Error("different texts have one marker")
	}
}
