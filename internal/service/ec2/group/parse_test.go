// SPDX-License-Identifier: Apache-2.0

package group

import (
	"testing"
)

func FuzzTraffic(f *testing.F) {
	f.Add("tcp", int32(80), int32(90))
	f.Add("58", int32(-1), int32(-1))
	f.Add("ALL", int32(0), int32(0))
	f.Add("058", int32(-1), int32(-1))
	f.Fuzz(func(t *testing.T, protocol string, from, to int32) {
		r, err := parseTraffic(protocol, &from, &to)
		if err != nil {
			return
		}
		again, err := parseTraffic(r.Protocol, new(int32(r.From)), new(int32(r.To)))
		if err != nil || !again.Same(r) {
			t.Errorf("%q %d-%d is taken as %s %d-%d, and that as %s %d-%d, %v",
				protocol, from, to, r.Protocol, r.From, r.To, again.Protocol, again.From, again.To, err)
		}
		if r.From < -1 || r.To > 65535 || (r.From > r.To && r.Protocol != "icmp" && r.Protocol != "icmpv6") {
			t.Errorf("%q %d-%d is taken as ports %d-%d", protocol, from, to, r.From, r.To)
		}
	})
}
