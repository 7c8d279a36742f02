// SPDX-License-Identifier: Apache-2.0

package route53

import (
	"context"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/route53"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// newChange describes a change that a request is about to make.
func (a *API) newChange(who access.View, comment *string) *model.ZoneChange {
	return &model.ZoneChange{Account: who.Account, ID: a.newID("C"), Comment: service.Value(comment), SubmittedAt: a.Now().UTC().Truncate(time.Millisecond)}
}

// changeShape shows a change: it is in sync when every resolver that serves the zone is
// known to have it.
func changeShape(tx *table.Txn, c *model.ZoneChange) *shape.ChangeInfo {
	status := shape.ChangeStatusPending
	if state.InSync(tx, c) {
		status = shape.ChangeStatusInsync
	}
	return &shape.ChangeInfo{
		Id: new(changePrefix + c.ID), Status: &status, SubmittedAt: new(c.SubmittedAt), Comment: service.Optional(c.Comment),
	}
}

// GetChange tells whether a change has reached all resolvers.
func (a *API) GetChange(ctx context.Context, in *shape.GetChangeInput) (*shape.GetChangeOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	id := bareID(changePrefix, *in.Id)
	change, ok := view.Get(tx, access.From(ctx), state.ZoneChanges, id)
	if !ok {
		return nil, fault.Route53("NoSuchChange", "Could not find resource with ID: %s", id)
	}
	return &shape.GetChangeOutput{ChangeInfo: changeShape(tx, change)}, nil
}
