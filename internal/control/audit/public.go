// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// publicClaims wants public addresses to be claimed by who has them, by nobody else, and
// to be given to addresses that are there.
func (a *auditor) publicClaims() {
	had := map[netip.Addr]model.Ref{}
	have := func(object string, addr netip.Addr, owner model.Ref) {
		had[addr] = owner
		c, ok := state.PublicClaims.Get(a.tx, "", "", addr.String())
		switch {
		case !ok:
			a.wrong(object, "nothing claims its public address %s", addr)
		case c.Owner != owner:
			a.wrong(object, "its public address %s is claimed by %s", addr, c.Owner.ID)
		case c.Released():
			a.wrong(object, "its public address %s is claimed as given up", addr)
		}
	}
	for e := range state.ElasticAddresses.All(a.tx) {
		object := name(state.ElasticAddresses, e)
		have(object, e.Addr, e.Ref())
		a.associated(object, e)
	}
	for ni := range state.NetworkInterfaces.All(a.tx) {
		if ni.Public.IsValid() {
			have(name(state.NetworkInterfaces, ni), ni.Public, ni.Ref())
		}
	}
	for c := range state.PublicClaims.All(a.tx) {
		if !c.Released() && had[c.Addr] != c.Owner {
			a.wrong(name(state.PublicClaims, c), "it is a claim of %s, which does not have the address or does not exist", c.Owner.ID)
		}
	}
}

// associated wants an elastic address to be nobody's, or that of an address of an
// interface, which has no other.
func (a *auditor) associated(object string, e *model.ElasticAddress) {
	if (e.Association == "") != (e.Interface == "") || (e.Interface == "") == e.Private.IsValid() {
		a.wrong(object, "it has association %q with address %s of %q", e.Association, e.Private, e.Interface)
	}
	ni, ok := state.NetworkInterfaces.Get(a.tx, e.Account, e.Region, e.Interface)
	if !ok {
		return // references say so
	}
	if !slices.Contains(ni.Addresses, e.Private) {
		a.wrong(object, "%s does not have the address %s", ni.ID, e.Private)
	}
	if ni.Public.IsValid() && len(ni.Addresses) > 0 && ni.Addresses[0] == e.Private {
		a.wrong(object, "the address %s of %s has the public address %s too", e.Private, ni.ID, ni.Public)
	}
	for other := range state.ElasticAddressesByInterface.Rows(a.tx, ni.Ref()) {
		if other.ID < e.ID && other.Private == e.Private {
			a.wrong(object, "the address %s of %s has the elastic address %s too", e.Private, ni.ID, other.ID)
		}
	}
}
