// SPDX-License-Identifier: Apache-2.0

package alloc

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// operations is how many operations of a transaction associations are made of, so that it
// fits, with what else is in it, into the 128 that an external etcd takes by default.
const operations = 64

// PerCommit is how many associations of an endpoint with so many interfaces one transaction
// makes, marks or removes: each is a row, a claim on each interface, and what tells others
// of them.
func PerCommit(interfaces int) int { return max(1, operations/(2+2*interfaces)) }

// EndpointsPerCommit is how many endpoints with so many interfaces one transaction
// associates with something: besides, it changes their interfaces.
func EndpointsPerCommit(interfaces int) int { return operations / (2 + 7*interfaces) }

// Missing yields the children of its group with which an endpoint is to be associated
// and is not. An endpoint for a single resource has none, nor has one that is being
// deleted, or whose group is another account's and not shared any more: what it has stays.
func Missing(tx *table.Txn, e *model.VPCEndpoint) iter.Seq[*model.ResourceConfiguration] {
	return func(yield func(*model.ResourceConfiguration) bool) {
		if e.Deleting() {
			return
		}
		joined := map[model.Ref]bool{}
		for row := range state.EndpointAssociationsByEndpoint.Rows(tx, e.Ref()) {
			joined[row.Configuration] = true
		}
		for child := range state.ResourceConfigurationsByGroup.Rows(tx, e.Configuration) {
			if joined[child.Ref()] || child.Deleting() || !Wanted(e, child) {
				continue
			}
			if !Allowed(tx, e) {
				return
			}
			if !yield(child) {
				return
			}
		}
	}
}

// Allowed reports whether an endpoint may be associated with something new of its group: with
// another account's while that lets it.
func Allowed(tx *table.Txn, e *model.VPCEndpoint) bool {
	return e.Account == e.Configuration.Account || share.In(tx).Shared(e.Account, share.CreateEndpoint, e.Configuration)
}

// Wanted reports whether an endpoint for the group of a child is to be associated with it:
// it is, unless it was dissociated.
func Wanted(e *model.VPCEndpoint, child *model.ResourceConfiguration) bool {
	return e.Configuration == child.Sibling(child.Group) && !slices.Contains(e.Parted, child.ID)
}

// Join associates an endpoint for a group with a child, and gives the association an
// address of its own on each of the endpoint's interfaces. Where there is none to be had
// the association says so; to join again gives it what it lacks then, and else changes
// nothing. An association that is being deleted stays as it is.
func (a *Allocator) Join(tx *table.Txn, e *model.VPCEndpoint, child *model.ResourceConfiguration, now time.Time) error {
	row, joined := joint(tx, e, child)
	if joined && (row.Deleting() || row.Lack == "") {
		return nil
	}
	next := &model.EndpointAssociation{
		Meta:           model.Meta{Account: child.Account, Region: child.Region, ID: jointID("rea", e, child), CreatedAt: now, UpdatedAt: now},
		EndpointSideID: jointID("vpce-rsc-asc", e, child), Endpoint: e.Ref(), Configuration: child.Ref(), Group: child.Group,
	}
	if joined {
		next = row.Clone()
	}
	before := len(next.Addresses)
	if err := a.equip(tx, e, child, next); err != nil {
		return err
	}
	if !joined || len(next.Addresses) != before || next.Lack != row.Lack {
		state.EndpointAssociations.Put(tx, next)
	}
	return nil
}

// Roomier reports whether Join would give an association of a child an address that it
// lacks.
func Roomier(tx *table.Txn, e *model.VPCEndpoint, child *model.ResourceConfiguration) bool {
	row, joined := joint(tx, e, child)
	if !joined || row.Deleting() || row.Lack == "" || !e.Has(child.Is4()) {
		return false
	}
	for ni := range lacking(tx, e, row) {
		s, ok := state.SubnetOf(tx, ni)
		if ok && (!child.Is4() || Free4(tx, s) > 0) {
			return true
		}
	}
	return false
}

// Free4 is how many IPv4 addresses of a subnet nobody has.
func Free4(tx *table.Txn, s *model.Subnet) int {
	if !s.CIDR.IsValid() {
		return 0
	}
	usable := 1<<(32-s.CIDR.Bits()) - reservedFirst - reservedLast
	for c := range state.AddressClaimsBySubnet.Rows(tx, s.Ref()) {
		if c.Addr.Is4() {
			usable--
		}
	}
	return usable
}

// equip claims what an association has no address on yet, and notes what it lacks.
func (a *Allocator) equip(tx *table.Txn, e *model.VPCEndpoint, child *model.ResourceConfiguration, row *model.EndpointAssociation) error {
	row.Lack = ""
	if !e.Has(child.Is4()) {
		row.Lack = fmt.Sprintf("the resource is reached by %s, and the endpoint's addresses are %s", familyName(child.Is4()), e.IPAddressType)
		return nil
	}
	for ni := range lacking(tx, e, row) {
		s, ok := state.SubnetOf(tx, ni)
		if !ok {
			continue
		}
		ni = ni.Clone()
		addrs, err := a.Assign(tx, ni, s, one(child.Is4()), one(!child.Is4()))
		var full *ExhaustedError
		switch {
		case errors.As(err, &full):
			if row.Lack == "" {
				row.Lack = full.Error()
			}
			continue
		case err != nil:
			return err
		}
		state.NetworkInterfaces.Put(tx, ni)
		row.Addresses = append(row.Addresses, model.InterfaceAddress{Interface: ni.ID, Addr: addrs[0]})
	}
	return nil
}

// lacking yields the endpoint's interfaces on which an association has no address.
func lacking(tx *table.Txn, e *model.VPCEndpoint, row *model.EndpointAssociation) iter.Seq[*model.NetworkInterface] {
	return func(yield func(*model.NetworkInterface) bool) {
		for _, id := range e.Interfaces {
			has := slices.ContainsFunc(row.Addresses, func(own model.InterfaceAddress) bool { return own.Interface == id })
			ni, ok := state.NetworkInterfaces.Get(tx, e.Account, e.Region, id)
			if ok && !has && !yield(ni) {
				return
			}
		}
	}
}

// one wants an address of a family, if it is the one.
func one(is bool) Want {
	if is {
		return Want{Count: 1}
	}
	return Want{}
}

func familyName(is4 bool) string {
	if is4 {
		return "IPv4"
	}
	return "IPv6"
}

// joint gives the association of an endpoint and a child.
func joint(tx *table.Txn, e *model.VPCEndpoint, child *model.ResourceConfiguration) (*model.EndpointAssociation, bool) {
	return state.EndpointAssociations.Get(tx, child.Account, child.Region, jointID("rea", e, child))
}

// jointID makes the identifier of a kind of an association: always the same one, so
// whoever associates the two does it once.
func jointID(prefix string, e *model.VPCEndpoint, child *model.ResourceConfiguration) string {
	sum := sha256.Sum256([]byte(e.Ref().String() + " " + child.Ref().String()))
	return prefix + "-" + hex.EncodeToString(sum[:])[:17]
}

// Part dissociates an endpoint from a child of its group for good.
func Part(tx *table.Txn, row *model.EndpointAssociation) {
	ref := row.Endpoint
	e, ok := state.VPCEndpoints.Get(tx, ref.Account, ref.Region, ref.ID)
	if row.Group == "" || !ok || slices.Contains(e.Parted, row.Configuration.ID) {
		return
	}
	e = e.Clone()
	e.Parted = append(e.Parted, row.Configuration.ID)
	state.VPCEndpoints.Put(tx, e)
}
