// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"testing"

	"github.com/posternhq/postern/internal/model"
)

func FuzzBlock(f *testing.F) {
	for _, text := range []string{"10.0.0.0/16", "10.1.2.3/28", "239.0.0.0/16", "::ffff:10.0.0.0/112", "2001:db8::/56", "fd70:6f73:7400::/44", "fe80::%eth0/64", "::/44"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, rule := range []cidrRule{vpcBlock, vpcBlock6, subnetBlock, subnetBlock6} {
			p, err := rule.parse(text)
			if err != nil {
				continue
			}
			if p != p.Masked() || familyOf(p) != rule.family || p.Bits() < rule.largest || p.Bits() > rule.smallest {
				t.Errorf("%q is taken as %s", text, p)
			}
			if p.Overlaps(model.Transit4) || p.Overlaps(model.Transit6) || p.Addr().IsLoopback() || p.Addr().IsMulticast() || p.Addr().IsLinkLocalUnicast() {
				t.Errorf("%q is taken although it is no place for a network", text)
			}
		}
	})
}

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
