// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"strings"
	"testing"
)

// What is wrong with the flags about the outside is said with what would be right.
func TestFlagsOfTheOutside(t *testing.T) {
	const dev = "wan=dev:eth1,address=203.0.113.2/24,via=203.0.113.1"
	for _, c := range []struct {
		uplink, pool, allow, says string
	}{
		{"wan=netns:internet", "203.0.113.0/24,198.51.100.0/28", "10.1.0.0/16", ""},
		{"", "203.0.113.0/24", "", ""},
		{dev, "203.0.113.16/28", "", ""},
		{dev + ",address=2001:db8::2/64,via=fe80::1", "", "", ""},
		{"internet", "", "", "want NAME=netns:NAMESPACE, or NAME=dev:"},
		{"wan=eth1", "", "", "want NAME=netns:NAMESPACE, or NAME=dev:"},
		{"WAN=netns:x", "", "", "at most 20 lower-case letters"},
		{"wan=netns:../x", "", "", "is not the name of a network namespace"},
		{"wan=netns:x,via=10.0.0.1", "", "", "a namespace has no via=10.0.0.1"},
		{"wan=dev:eth1", "", "", "want address= and via="},
		{"wan=dev:eth1,address=203.0.113.2/24", "", "", "want both an address and a via of IPv4"},
		{"wan=dev:eth1,address=203.0.113.2,via=203.0.113.1", "", "", "with the length of its network"},
		{"wan=dev:eth1,address=203.0.113.2/24,via=198.51.100.1", "", "", "is not in 203.0.113.0/24"},
		{"wan=dev:eth1,address=203.0.113.2/24,via=203.0.113.2", "", "", "is its own address"},
		{dev + ",address=203.0.113.3/24", "", "", "want one address and one via of IPv4"},
		{dev, "203.0.113.0/24", "", "it contains 203.0.113.2"},
		{"", "203.0.113.7/24", "", "want 203.0.113.0/24"},
		{"", "2001:db8::/32", "", "want IPv4"},
		{"", "127.0.0.0/8", "", "nobody can have addresses of 127.0.0.0/8"},
		{"", "203.0.113.0/24,203.0.113.128/25", "", "it overlaps 203.0.113.0/24"},
		{"", "203.0.113.1", "", "want a prefix"},
		{"", "", "10.0.0.0/8", "there is no --uplink"},
		{"wan=netns:x", "", "240.0.0.0/8", "what VPCs are joined by"},
		{"wan=netns:x lan=netns:y", "", "", "--uplink: 2 are given"},
	} {
		list := func(text string) []string {
			if text == "" {
				return nil
			}
			return strings.Split(text, ",")
		}
		o, err := ParseOutside(strings.Fields(c.uplink), list(c.pool), list(c.allow))
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%+v: %v", c, err)
		case c.says == "" && o.Uplink.There() != (c.uplink != ""):
			t.Errorf("%+v: %+v", c, o)
		}
	}
}
