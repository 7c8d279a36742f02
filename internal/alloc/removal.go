// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// DeleteInterface removes a network interface and gives back its addresses, also
// those that it has given up before. The data plane has let go of them. Elastic addresses
// have nobody then.
func DeleteInterface(tx *table.Txn, ni *model.NetworkInterface) {
	for e := range state.ElasticAddressesByInterface.Rows(tx, ni.Ref()) {
		Disassociate(tx, e, e.UpdatedAt)
	}
	if ni.Public.IsValid() {
		state.PublicClaims.Delete(tx, "", "", ni.Public.String())
	}
	for _, c := range claims(tx, ni) {
		state.AddressClaims.Delete(tx, c.Account, c.Region, c.Ref().ID)
	}
	state.Statuses.Delete(tx, ni.Account, ni.Region, ni.ID)
	state.NetworkInterfaces.Delete(tx, ni.Account, ni.Region, ni.ID)
}

// Shed takes at least so many addresses from an interface that is about to be removed, if
// it has them besides one, and gives them back; so that what DeleteInterface has left to
// do fits into one transaction. It returns how many it were. The interface is one with
// fewer addresses then, and nothing is wrong with it if nobody removes it.
func Shed(tx *table.Txn, ni *model.NetworkInterface, least int) (freed int) {
	next := ni.Clone()
	free := func(addr netip.Addr) {
		if c, ok := state.ClaimOn(tx, ni, addr); ok && c.InterfaceRef() == ni.Ref() {
			dropClaim(tx, ni, addr)
		}
		follow(tx, ni.Ref(), addr, nil, ni.UpdatedAt)
		freed++
	}
	for c := range state.AddressClaimsByInterface.Rows(tx, ni.Ref()) {
		if freed < least {
			free(c.Addr)
		}
	}
	for n := len(next.Prefixes4); n > 0 && freed < least; n-- {
		for _, addr := range model.AddressesOf(next.Prefixes4[n-1]) {
			free(addr)
		}
		next.Prefixes4 = next.Prefixes4[:n-1]
	}
	for n := len(next.Prefixes6); n > 0 && freed < least; n-- {
		free(next.Prefixes6[n-1].Addr())
		next.Prefixes6 = next.Prefixes6[:n-1]
	}
	for _, of := range []*[]netip.Addr{&next.Addresses6, &next.Addresses} {
		for n := len(*of); n > 0 && len(next.All()) > 1 && freed < least; n-- {
			free((*of)[n-1])
			*of = (*of)[:n-1]
		}
	}
	if freed > 0 {
		state.NetworkInterfaces.Put(tx, next)
	}
	return freed
}

// dropClaim gives up the claim on an address of an interface.
func dropClaim(tx *table.Txn, ni *model.NetworkInterface, addr netip.Addr) {
	claim := ni.ClaimRef(addr)
	state.AddressClaims.Delete(tx, claim.Account, claim.Region, claim.ID)
}

// claims gives an interface's claims on addresses that it has or has given up.
func claims(tx *table.Txn, ni *model.NetworkInterface) (all []*model.AddressClaim) {
	addresses := append(ni.All(), ni.Delegated()...)
	for _, p := range append(slices.Clone(ni.Prefixes6), ni.Prefix6) {
		if p.IsValid() {
			addresses = append(addresses, p.Addr())
		}
	}
	for _, a := range addresses {
		if c, ok := state.ClaimOn(tx, ni, a); ok && c.InterfaceRef() == ni.Ref() && !c.Released() {
			all = append(all, c)
		}
	}
	return slices.AppendSeq(all, state.AddressClaimsByInterface.Rows(tx, ni.Ref()))
}

// DropReleased removes the claim with that id on an address that an interface has given
// up, when the data plane has let go of it. A claim that somebody has again stays.
func DropReleased(tx *table.Txn, claim model.Ref) {
	if c, ok := state.AddressClaims.Get(tx, claim.Account, claim.Region, claim.ID); ok && c.Released() {
		state.AddressClaims.Delete(tx, claim.Account, claim.Region, claim.ID)
	}
}

// DeleteOwned removes all interfaces of an endpoint or a gateway, as DeleteInterface
// does.
func DeleteOwned(tx *table.Txn, owner model.Ref) {
	for ni := range state.NetworkInterfacesByOwner.Rows(tx, owner) {
		DeleteInterface(tx, ni)
	}
}

// DeleteAssociation removes an association of an endpoint, and its own addresses from
// the endpoint's interfaces. The data plane has let go of them.
func DeleteAssociation(tx *table.Txn, a *model.EndpointAssociation) {
	for _, own := range a.Addresses {
		ref := a.Interface(own)
		ni, ok := state.NetworkInterfaces.Get(tx, ref.Account, ref.Region, ref.ID)
		if !ok {
			continue
		}
		ni = ni.Clone()
		is := func(addr netip.Addr) bool { return addr == own.Addr }
		ni.Addresses, ni.Addresses6 = slices.DeleteFunc(ni.Addresses, is), slices.DeleteFunc(ni.Addresses6, is)
		state.NetworkInterfaces.Put(tx, ni)
		if c, ok := state.ClaimOn(tx, ni, own.Addr); ok && c.InterfaceRef() == ni.Ref() {
			dropClaim(tx, ni, own.Addr)
		}
	}
	state.EndpointAssociations.Delete(tx, a.Account, a.Region, a.ID)
}
