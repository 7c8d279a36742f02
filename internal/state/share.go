// SPDX-License-Identifier: Apache-2.0

package state

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Tables of what accounts share with each other.
var (
	// ResourceShares are shown for a while after their deletion.
	ResourceShares = tagged(RAM, table.Define[*model.ResourceShare]("resource-share"), "resource-share", "")
	// ResourceSharesByGone has those that were deleted, the first first.
	ResourceSharesByGone = table.NewTimeline(ResourceShares, "gone", (*model.ResourceShare).ShownUntil)
	// ResourceSharesByPermission finds those with a permission of their account.
	ResourceSharesByPermission = refer(ResourceShares, "permission", Holds, func(s *model.ResourceShare) (all []model.Ref) {
		for _, p := range s.Permissions {
			if !p.Managed {
				all = append(all, s.Sibling(p.Permission))
			}
		}
		return all
	}, to(Permissions))

	ShareAssociations        = table.Define[*model.ShareAssociation]("share-association")
	ShareAssociationsByShare = refer(ShareAssociations, "share", Follows, func(a *model.ShareAssociation) []model.Ref { return []model.Ref{a.ShareRef()} }, to(ResourceShares))
	// ShareAssociationsByResource finds the shares that a resource is in.
	ShareAssociationsByResource = refer(ShareAssociations, "resource", Outlives, func(a *model.ShareAssociation) []model.Ref {
		if a.Resource.IsZero() {
			return nil
		}
		return []model.Ref{a.Resource}
	}, to(ResourceConfigurations))
	// ShareAssociationsByPrincipal finds what is shared with an account or a part of an
	// organization, or offered to it.
	ShareAssociationsByPrincipal = byText(ShareAssociations, "principal", func(a *model.ShareAssociation) []string {
		if a.Principal == "" {
			return nil
		}
		return []string{a.Principal}
	})

	ShareInvitations = table.Define[*model.ShareInvitation]("share-invitation")
	// ShareInvitationsByShare finds those to a share, answered or not.
	ShareInvitationsByShare = refer(ShareInvitations, "share", Follows, func(i *model.ShareInvitation) []model.Ref { return []model.Ref{i.ShareRef()} }, to(ResourceShares))
	// ShareInvitationsByReceiver finds those that an account has got in a region.
	ShareInvitationsByReceiver = byRef(ShareInvitations, "receiver", func(i *model.ShareInvitation) []model.Ref {
		return []model.Ref{{Account: i.Receiver, Region: i.Region}}
	})
	// ShareInvitationsByNext has those first of which something becomes first.
	ShareInvitationsByNext = table.NewTimeline(ShareInvitations, "next", (*model.ShareInvitation).NextAt)

	Permissions = tagged(RAM, table.Define[*model.Permission]("permission"), "permission", "")
)
