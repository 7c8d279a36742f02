// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Shares ends what is shared: invitations expire, what deleted shares had goes, and they
// and invitations are not shown any more after a while. Services go by the time and by the
// share, and do not wait for it.
type Shares struct{}

// Name implements Maker.
func (Shares) Name() string { return "end of invitations and resource shares" }

// Ask implements Maker.
func (m Shares) Ask(tx *table.Txn, now time.Time) Answer {
	var a Answer
	for i := range state.ShareInvitationsByNext.Rows(tx) {
		if !a.due(i.NextAt(), now) {
			break
		}
		a.Changes = append(a.Changes, Change{"invitation " + i.ID, still(state.ShareInvitations, i, func(tx *table.Txn, i *model.ShareInvitation) { past(tx, i, now) })})
	}
	for s := range state.ResourceSharesByGone.Rows(tx) {
		if len(a.Changes) >= atOnce {
			break
		}
		m.deleted(tx, s, now, &a)
	}
	return a
}

// past makes of an invitation what is due: the account that has not accepted in time is no
// principal of the share any more, and what was answered long ago is forgotten.
func past(tx *table.Txn, i *model.ShareInvitation, now time.Time) {
	switch {
	case now.Before(i.NextAt()):
	case i.State != model.InvitationPending:
		state.ShareInvitations.Delete(tx, i.Account, i.Region, i.ID)
	default:
		i = i.Clone()
		i.State, i.AnsweredAt = model.InvitationExpired, i.ExpiresAt
		state.ShareInvitations.Put(tx, i)
		for other := range state.ShareInvitationsByShare.Rows(tx, i.ShareRef()) {
			if other.ID != i.ID && other.Receiver == i.Receiver && other.StateAt(now) == model.InvitationPending {
				return // was invited again
			}
		}
		id := model.SharePrincipalID(i.Share, i.Receiver)
		if p, ok := state.ShareAssociations.Get(tx, i.Account, i.Region, id); ok && p.Invited {
			state.ShareAssociations.Delete(tx, i.Account, i.Region, id)
		}
	}
}

// deleted takes away what a deleted share has, and the share itself when it has been shown
// for long enough and has nothing any more.
func (Shares) deleted(tx *table.Txn, s *model.ResourceShare, now time.Time, a *Answer) {
	had := len(a.Changes)
	for row := range state.ShareAssociationsByShare.Rows(tx, s.Ref()) {
		account, region, id := row.RowKey()
		a.Changes = append(a.Changes, Change{"resource share " + s.ID, func(tx *table.Txn) error {
			state.ShareAssociations.Delete(tx, account, region, id)
			return nil
		}})
	}
	for i := range state.ShareInvitationsByShare.Rows(tx, s.Ref()) {
		a.Changes = append(a.Changes, Change{"resource share " + s.ID, func(tx *table.Txn) error {
			state.ShareInvitations.Delete(tx, i.Account, i.Region, i.ID)
			return nil
		}})
	}
	if len(a.Changes) == had && a.due(s.ShownUntil(), now) {
		a.Changes = append(a.Changes, Change{"resource share " + s.ID, func(tx *table.Txn) error {
			state.ResourceShares.Delete(tx, s.Account, s.Region, s.ID)
			return nil
		}})
	}
}
