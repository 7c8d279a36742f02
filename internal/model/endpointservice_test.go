// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// Each transit target has addresses of its own in the front, and nothing else has one.
func TestFrontAddressesAreOfTargets(t *testing.T) {
	for _, text := range []string{"100.128.0.0", "10.0.0.1", "fd70:6f73:7501:0:1::1", "::1", "100.63.255.255"} {
		if index, ok := FrontIndex(netip.MustParseAddr(text)); ok {
			t.Errorf("%s is of target %d", text, index)
		}
	}
	if _, ok := FrontIndex(netip.Addr{}); ok {
		t.Error("no address is of a target")
	}
	rapid.Check(t, func(t *rapid.T) {
		index, is4 := rapid.IntRange(0, 1<<19-1).Draw(t, "index"), rapid.Bool().Draw(t, "is4")
		addr := TransitTarget{Index: index}.FrontAddr(is4)
		if block := map[bool]netip.Prefix{true: FrontBlock4, false: FrontBlock6}[is4]; !block.Contains(addr) {
			t.Errorf("%s is not in %s", addr, block)
		}
		if is4 {
			addr = netip.AddrFrom16(addr.As16()) // as sockets of both families have it
		}
		if got, ok := FrontIndex(addr); !ok || got != index {
			t.Errorf("%s is of target %d, %v; want %d", addr, got, ok, index)
		}
	})
}

// What clients are configured with on AWS, with another domain.
func TestStandardNames(t *testing.T) {
	want := map[string]string{
		"ec2": "ec2.eu-west-1.example.", "iam": "iam.example.", "organizations": "organizations.us-east-1.example.", "sts": "sts.eu-west-1.example.",
	}
	for _, s := range OwnServices {
		if name, ok := want[s.Label]; ok && s.StandardName("eu-west-1", "example.") != name {
			t.Errorf("%s is called %s, want %s", s.Label, s.StandardName("eu-west-1", "example."), name)
		}
	}
}
