// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ending is an attachment whose process or network namespace has ended. It names
// the attachment itself: one that the interface gets later, be it in a process of
// the same number, is another one.
type ending struct {
	row model.Ref // the attachment's, with the interface's id
	id  string    // eni-attach-…
	ns  desired.Namespace
}

// Gone notes that the process which an interface was attached for has ended, or
// that its namespace has: the attachment goes, and the interface with it if it was
// made for it. It is written as soon as it can be, for as long as that takes. An
// interface that is attached elsewhere by now stays.
//
// It does not wait. The host calls it before it lets go of the attachment, so the
// attachment's row is still there.
func (c *Controller) Gone(eni string, ns desired.Namespace) {
	for a := range state.AttachmentsByHost.Rows(c.cfg.DB.Snapshot(), c.cfg.Host.Name) {
		if a.Interface == eni && plan.Namespace(a) == ns && a.DeletedAt.IsZero() {
			e := ending{a.Meta().Ref(), a.ID, ns}
			c.endings.put(e, struct{}{})
		}
	}
}

// end writes endings, each by itself, and gives those that it could not.
func (c *Controller) end(ctx context.Context, endings map[ending]struct{}) (map[ending]struct{}, error) {
	left := map[ending]struct{}{}
	var errs []error
	for e := range endings {
		_, err := c.cfg.DB.Update(ctx, func(tx *table.Txn) error {
			a, ok := state.Attachments.Get(tx, e.row.Account, e.row.Region, e.row.ID)
			if !ok || a.ID != e.id || plan.Namespace(a) != e.ns || !a.DeletedAt.IsZero() {
				return nil
			}
			next := a.Clone()
			next.Delete(c.cfg.Now())
			state.Attachments.Put(tx, next)
			return nil
		})
		if err != nil {
			left[e] = struct{}{}
			errs = append(errs, fmt.Errorf("note that the workload of %s ended: %w", e.row.ID, err))
		}
	}
	return left, errors.Join(errs...)
}
