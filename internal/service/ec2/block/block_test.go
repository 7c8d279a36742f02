// SPDX-License-Identifier: Apache-2.0

package block

import (
	"testing"

	"github.com/posternhq/postern/internal/model"
)

func FuzzBlock(f *testing.F) {
	for _, text := range []string{"10.0.0.0/16", "10.1.2.3/28", "239.0.0.0/16", "::ffff:10.0.0.0/112", "2001:db8::/56", "fd70:6f73:7400::/44", "fe80::%eth0/64", "::/44"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, rule := range []Rule{VPC, VPC6, Subnet, Subnet6} {
			p, err := rule.Parse(text)
			if err != nil {
				continue
			}
			if p != p.Masked() || Family(p) != rule.family || p.Bits() < rule.largest || p.Bits() > rule.smallest {
				t.Errorf("%q is taken as %s", text, p)
			}
			if p.Overlaps(model.Transit4) || p.Overlaps(model.Transit6) || p.Addr().IsLoopback() || p.Addr().IsMulticast() || p.Addr().IsLinkLocalUnicast() {
				t.Errorf("%q is taken although it is no place for a network", text)
			}
		}
	})
}
