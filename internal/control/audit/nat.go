// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"

	"github.com/posternhq/postern/internal/state"
)

// natGateways wants a NAT gateway that is there to have an interface, with just its
// addresses, and the elastic ones of a public gateway to be theirs.
func (a *auditor) natGateways() {
	for g := range state.NATGateways.All(a.tx) {
		if g.Gone() {
			continue
		}
		object := name(state.NATGateways, g)
		ni, ok := state.NetworkInterfaces.Get(a.tx, g.Account, g.Region, g.Interface)
		if !ok || ni.Owner != g.ID {
			a.wrong(object, "its interface %s does not exist, or is not its own", g.Interface)
			continue
		}
		if len(ni.Addresses) != len(g.Addresses) {
			a.wrong(object, "it has %d addresses, and its interface %d", len(g.Addresses), len(ni.Addresses))
		}
		for _, addr := range g.Addresses {
			if !slices.Contains(ni.Addresses, addr.Private) {
				a.wrong(object, "it has address %s, which its interface %s does not have", addr.Private, ni.ID)
			}
			e, ok := state.ElasticAddresses.Get(a.tx, g.Account, g.Region, addr.Allocation)
			switch {
			case g.Private && addr.Allocation == "":
			case g.Private != (addr.Allocation == ""):
				a.wrong(object, "its address %s has the elastic address %q; only those of public ones have some", addr.Private, addr.Allocation)
			case !ok || e.Interface != ni.ID || e.Private != addr.Private:
				a.wrong(object, "its address %s has the elastic address %s, which does not exist or is not there", addr.Private, addr.Allocation)
			}
		}
	}
}
