// SPDX-License-Identifier: Apache-2.0

// Package share tells what accounts let others use, by the rows of a transaction: so a
// change depends on the share that allowed it, and a share that is taken back meanwhile
// is not used.
package share

import (
	"iter"
	"strings"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy/permission"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// CreateEndpoint is the action that makes an endpoint for a resource configuration.
const CreateEndpoint = "ec2:CreateVpcEndpoint"

// SeeSubnet is the action that shows a subnet, and what belongs to it.
const SeeSubnet = "ec2:DescribeSubnets"

// ListEndpoints is the action that lists the endpoints which lead to a resource
// configuration. Whoever has one may do it, also when nothing is shared any more: what was
// made stays its own.
const ListEndpoints = "vpc-lattice:ListResourceEndpointAssociations"

// Shares is what is shared in the state of a transaction.
type Shares struct{ tx *table.Txn }

// In gives what is shared in the state of a transaction.
func In(tx *table.Txn) Shares { return Shares{tx} }

// Shared reports whether the owner of a resource lets an account do an action with it;
// an empty action asks whether it lets it do any. Nobody needs to be let do things with
// what is its own: that is not asked here.
func (s Shares) Shared(with, action string, r model.Ref) bool {
	switch {
	case with == "" || r.Account == "":
		return false
	case r.Account == permission.Owner:
		return r.Region == "" && strings.HasPrefix(action, "ram:")
	case strings.HasPrefix(r.ID, "rcfg-"), strings.HasPrefix(r.ID, subnetPrefix):
		return s.resource(with, action, r)
	case strings.HasPrefix(action, "rds:"):
		return s.snapshot(with, action, r)
	}
	return s.invitation(with, action, r) || s.share(with, action, r)
}

// resource asks the shares that a resource is in, and those of the group that it is a
// child of: who has a group has its children.
func (s Shares) resource(with, action string, r model.Ref) bool {
	for a := range state.ShareAssociationsByResource.Rows(s.tx, r) {
		if s.Has(a.ShareRef(), with) && s.reaches(a, with) && s.allows(a.ShareRef(), a.ResourceType, action) {
			return true
		}
	}
	if action == ListEndpoints && s.leads(with, r) {
		return true
	}
	if rc, ok := state.ResourceConfigurations.Get(s.tx, r.Account, r.Region, r.ID); ok && rc.Group != "" {
		return s.resource(with, action, rc.Sibling(rc.Group))
	}
	return false
}

const subnetPrefix = "subnet-"

// reaches reports whether what is of the type of a resource can be an account's: of some types
// nothing is shared outside of the organization, whatever was before.
func (s Shares) reaches(a *model.ShareAssociation, with string) bool {
	kind, ok := permission.Named(a.ResourceType)
	return ok && (!kind.Organization || !IsExternal(s.tx, a.Account, with))
}

// VPCNamed finds the VPC with an id among those of which an account has a subnet in a region
// from others.
func (s Shares) VPCNamed(account, region, id string) (model.Ref, bool) {
	for row := range s.With(account, region) {
		for a := range s.Resources(row.Ref()) {
			subnet, ok := state.Subnets.Get(s.tx, a.Resource.Account, a.Resource.Region, a.Resource.ID)
			if ok && subnet.VPC == id && s.Shared(account, "", a.Resource) {
				return subnet.Sibling(id), true
			}
		}
	}
	return model.Ref{}, false
}

// SubnetNamed finds the subnet with an id among those that an account has in a region from
// others.
func (s Shares) SubnetNamed(account, region, id string) (model.Ref, bool) {
	if !strings.HasPrefix(id, subnetPrefix) {
		return model.Ref{}, false
	}
	for row := range s.With(account, region) {
		for a := range s.Resources(row.Ref()) {
			if a.Resource.ID == id && s.Shared(account, "", a.Resource) {
				return a.Resource, true
			}
		}
	}
	return model.Ref{}, false
}

// leads reports whether an account has an endpoint for a resource configuration.
func (s Shares) leads(account string, r model.Ref) bool {
	for e := range state.VPCEndpointsByConfiguration.Rows(s.tx, r) {
		if e.Account == account {
			return true
		}
	}
	return false
}

// Has reports whether an account is one of a share's principals, or a part of one, and
// has what is in it.
func (s Shares) Has(share model.Ref, account string) bool {
	row, ok := state.ResourceShares.Get(s.tx, share.Account, share.Region, share.ID)
	if !ok || row.Deleting() || account == share.Account {
		return false
	}
	for _, principal := range PrincipalsOf(s.tx, account) {
		a, ok := state.ShareAssociations.Get(s.tx, share.Account, share.Region, model.SharePrincipalID(share.ID, principal))
		if ok && !a.Invited {
			return true
		}
	}
	return false
}

// allows reports whether the permission of a share for a type of resources has an action.
func (s Shares) allows(share model.Ref, resourceType, action string) bool {
	row, ok := state.ResourceShares.Get(s.tx, share.Account, share.Region, share.ID)
	if !ok {
		return false
	}
	p, ok := row.Permission(resourceType)
	switch {
	case !ok:
		return false
	case action == "":
		return true
	case p.Managed:
		m, ok := permission.ManagedNamed(p.Permission)
		return ok && m.Allows(p.Version, action)
	}
	own, ok := state.Permissions.Get(s.tx, row.Account, row.Region, p.Permission)
	if !ok {
		return false
	}
	kind, known := permission.Named(resourceType)
	version, there := own.Version(p.Version)
	if !known || !there {
		return false
	}
	t, err := permission.Parse(kind, version.Template)
	return err == nil && t.Allows(action)
}

// invitation lets the receiver answer an invitation, and see what it is about.
func (s Shares) invitation(with, action string, r model.Ref) bool {
	i, ok := state.ShareInvitations.Get(s.tx, r.Account, r.Region, r.ID)
	if !ok || i.Receiver != with {
		return false
	}
	switch action {
	case "", "ram:AcceptResourceShareInvitation", "ram:RejectResourceShareInvitation", "ram:ListPendingInvitationResources":
		return true
	}
	return false
}

// share lets those who have a share look at it, and leave it.
func (s Shares) share(with, action string, r model.Ref) bool {
	switch action {
	case "", "ram:DisassociateResourceShare", "ram:ListResourceSharePermissions":
		return s.Has(r, with)
	}
	return false
}

// With yields the shares of a region that an account has: those of which it is a
// principal, or a part of one. It may yield one twice.
func (s Shares) With(account, region string) iter.Seq[*model.ResourceShare] {
	return func(yield func(*model.ResourceShare) bool) {
		for _, principal := range PrincipalsOf(s.tx, account) {
			for a := range state.ShareAssociationsByPrincipal.Rows(s.tx, principal) {
				if a.Region != region || a.Invited || a.Account == account {
					continue
				}
				row, ok := state.ResourceShares.Get(s.tx, a.Account, a.Region, a.Share)
				if ok && !row.Deleting() && !yield(row) {
					return
				}
			}
		}
	}
}

// Resources yields what is in a share.
func (s Shares) Resources(share model.Ref) iter.Seq[*model.ShareAssociation] {
	return s.associations(share, func(a *model.ShareAssociation) bool { return a.Principal == "" })
}

// Principals yields who has a share, or is invited to.
func (s Shares) Principals(share model.Ref) iter.Seq[*model.ShareAssociation] {
	return s.associations(share, func(a *model.ShareAssociation) bool { return a.Principal != "" })
}

func (s Shares) associations(share model.Ref, is func(*model.ShareAssociation) bool) iter.Seq[*model.ShareAssociation] {
	return func(yield func(*model.ShareAssociation) bool) {
		for a := range state.ShareAssociationsByShare.Rows(s.tx, share) {
			if is(a) && !yield(a) {
				return
			}
		}
	}
}

// dropped is how many shares one transaction takes a resource out of.
const dropped = 16

// Drop takes a resource that is deleted out of the shares that it is in. Those that are too
// many for a transaction still have its name, which is no other resource's ever.
func Drop(tx *table.Txn, resource model.Ref) {
	left := dropped
	for a := range state.ShareAssociationsByResource.Rows(tx, resource) {
		if left--; left < 0 {
			return
		}
		account, region, id := a.RowKey()
		state.ShareAssociations.Delete(tx, account, region, id)
	}
}
