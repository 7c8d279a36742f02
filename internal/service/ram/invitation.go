// SPDX-License-Identifier: Apache-2.0

package ram

import (
	"context"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// pending gives the invitation of an account to a share that can still be answered, nil when
// there is none.
func pending(tx *table.Txn, s model.Ref, receiver string, now time.Time) *model.ShareInvitation {
	for i := range state.ShareInvitationsByShare.Rows(tx, s) {
		if i.Receiver == receiver && i.StateAt(now) == model.InvitationPending {
			return i
		}
	}
	return nil
}

// received yields the invitations that the caller has got to shares that are still there.
func received(tx *table.Txn, who access.View) []*model.ShareInvitation {
	rows := slices.Collect(state.ShareInvitationsByReceiver.Rows(tx, who.Own("")))
	return slices.DeleteFunc(rows, func(i *model.ShareInvitation) bool {
		s, ok := state.ResourceShares.Get(tx, i.Account, i.Region, i.Share)
		return !ok || s.Deleting()
	})
}

// invitation finds one that the caller has got.
func invitation(tx *table.Txn, who access.View, arn string) (*model.ShareInvitation, error) {
	ref, err := parse(typeInvitation, arn)
	if err != nil {
		return nil, err
	}
	for _, i := range received(tx, who) {
		if i.ARN() == arn && i.ID == ref.ID {
			return i, nil
		}
	}
	return nil, problem("ResourceShareInvitationArnNotFoundException", "ResourceShareInvitation %s could not be found.", arn)
}

// GetResourceShareInvitations lists the invitations that the caller has got, also answered
// ones for a while.
func (a *API) GetResourceShareInvitations(ctx context.Context, in *shape.GetResourceShareInvitationsInput) (*shape.GetResourceShareInvitationsOutput, error) {
	who, now := access.From(ctx), a.Now()
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	for _, arn := range in.ResourceShareInvitationArns {
		if _, err := invitation(tx, who, arn); err != nil {
			return nil, err
		}
	}
	for _, arn := range in.ResourceShareArns {
		if _, err := parse(typeShare, arn); err != nil {
			return nil, err
		}
	}
	rows := slices.DeleteFunc(received(tx, who), func(i *model.ShareInvitation) bool {
		return !anyOf(in.ResourceShareInvitationArns, i.ARN()) || !anyOf(in.ResourceShareArns, model.ShareARN(i.ShareRef()))
	})
	chosen := [][]string{in.ResourceShareInvitationArns, in.ResourceShareArns}
	page, next, err := paginate(who, "GetResourceShareInvitations", chosen, in.NextToken, in.MaxResults, rows, (*model.ShareInvitation).ARN)
	if err != nil {
		return nil, err
	}
	out := collect(slices.Values(page), func(i *model.ShareInvitation) shape.ResourceShareInvitation { return *showInvitation(i, now) })
	return &shape.GetResourceShareInvitationsOutput{ResourceShareInvitations: out, NextToken: next}, nil
}

func showInvitation(i *model.ShareInvitation, now time.Time) *shape.ResourceShareInvitation {
	return &shape.ResourceShareInvitation{
		ResourceShareInvitationArn: new(i.ARN()), ResourceShareName: &i.ShareName, ResourceShareArn: new(model.ShareARN(i.ShareRef())),
		SenderAccountId: &i.Account, ReceiverAccountId: &i.Receiver, InvitationTimestamp: &i.CreatedAt, Status: new(string(i.StateAt(now))),
	}
}

// AcceptResourceShareInvitation takes what is offered: whoever reads after the reply sees it.
func (a *API) AcceptResourceShareInvitation(ctx context.Context, in *shape.AcceptResourceShareInvitationInput) (*shape.AcceptResourceShareInvitationOutput, error) {
	i, err := a.answer(ctx, "AcceptResourceShareInvitation", in.ClientToken, *in.ResourceShareInvitationArn, model.InvitationAccepted)
	if err != nil {
		return nil, err
	}
	return &shape.AcceptResourceShareInvitationOutput{ResourceShareInvitation: i, ClientToken: in.ClientToken}, nil
}

// RejectResourceShareInvitation turns an offer down. The account is no principal of the share
// any more, and can be invited again.
func (a *API) RejectResourceShareInvitation(ctx context.Context, in *shape.RejectResourceShareInvitationInput) (*shape.RejectResourceShareInvitationOutput, error) {
	i, err := a.answer(ctx, "RejectResourceShareInvitation", in.ClientToken, *in.ResourceShareInvitationArn, model.InvitationRejected)
	if err != nil {
		return nil, err
	}
	return &shape.RejectResourceShareInvitationOutput{ResourceShareInvitation: i, ClientToken: in.ClientToken}, nil
}

// answer notes the answer to an invitation; the same request with the same token gets what
// it got before.
func (a *API) answer(ctx context.Context, operation string, token *string, arn string, answer model.InvitationState) (*shape.ResourceShareInvitation, error) {
	who, now := access.From(ctx), a.Now()
	once := a.Idempotent(who, operation, token, arn)
	var out *shape.ResourceShareInvitation
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		i, err := invitation(tx, who, arn)
		if err != nil {
			return err
		}
		before, err := once.Result(tx)
		switch {
		case err != nil:
			return err
		case before == "":
			if err := unanswered(i, now); err != nil {
				return err
			}
			i = i.Clone()
			i.State, i.AnsweredAt = answer, now
			state.ShareInvitations.Put(tx, i)
			settle(tx, i, now)
			once.Record(tx, i.ID)
		}
		out = showInvitation(i, now)
		return nil
	})
	return out, asFault(err)
}

// settle gives the principal that an invitation was for what the answer makes of it.
func settle(tx *table.Txn, i *model.ShareInvitation, now time.Time) {
	row, ok := state.ShareAssociations.Get(tx, i.Account, i.Region, model.SharePrincipalID(i.Share, i.Receiver))
	if !ok || !row.Invited {
		return
	}
	if i.State != model.InvitationAccepted {
		account, region, id := row.RowKey()
		state.ShareAssociations.Delete(tx, account, region, id)
		return
	}
	row = row.Clone()
	row.Invited, row.UpdatedAt = false, now
	state.ShareAssociations.Put(tx, row)
}

// unanswered refuses to answer an invitation again, or too late.
func unanswered(i *model.ShareInvitation, now time.Time) error {
	switch i.StateAt(now) {
	case model.InvitationAccepted:
		return problem("ResourceShareInvitationAlreadyAcceptedException", "ResourceShareInvitation %s has been accepted already.", i.ARN())
	case model.InvitationRejected:
		return problem("ResourceShareInvitationAlreadyRejectedException", "ResourceShareInvitation %s has been rejected already.", i.ARN())
	case model.InvitationExpired:
		return problem("ResourceShareInvitationExpiredException", "ResourceShareInvitation %s has expired.", i.ARN())
	}
	return nil
}

// ListPendingInvitationResources tells what somebody gets who accepts an invitation.
func (a *API) ListPendingInvitationResources(ctx context.Context, in *shape.ListPendingInvitationResourcesInput) (*shape.ListPendingInvitationResourcesOutput, error) {
	who, now := access.From(ctx), a.Now()
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	i, err := invitation(tx, who, *in.ResourceShareInvitationArn)
	if err != nil {
		return nil, err
	}
	if state := i.StateAt(now); state != model.InvitationAccepted {
		if err := unanswered(i, now); err != nil {
			return nil, err
		}
	}
	var rows []shape.Resource
	if s, ok := state.ResourceShares.Get(tx, i.Account, i.Region, i.Share); ok && regional(in.ResourceRegionScope) {
		rows = collect(share.In(tx).Resources(s.Ref()), func(r *model.ShareAssociation) shape.Resource { return showResource(tx, s, r) })
	}
	page, next, err := paginate(who, "ListPendingInvitationResources", []*string{in.ResourceShareInvitationArn, in.ResourceRegionScope}, in.NextToken, in.MaxResults, rows, resourceKey)
	if err != nil {
		return nil, err
	}
	return &shape.ListPendingInvitationResourcesOutput{Resources: slices.Concat([]shape.Resource{}, page), NextToken: next}, nil
}
