// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/control/plan"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// Gone notes that the process which an interface was attached for has ended: the
// attachment goes, and the interface with it if it was made for it. It is written as
// soon as it can be, for as long as that takes. An interface that is attached
// elsewhere by now stays.
//
// It does not wait. The host has acknowledged nothing of the attachment's end before,
// so the attachment's row is still there, or will be when the tables are where the
// host was.
func (c *Controller) Gone(g desired.Gone) { c.endings.put(g, struct{}{}) }

// end writes who is gone, each by itself, and gives those that it could not.
func (c *Controller) end(ctx context.Context, gone map[desired.Gone]struct{}) (map[desired.Gone]struct{}, error) {
	left := map[desired.Gone]struct{}{}
	var errs []error
	for g := range gone {
		if err := c.endOne(ctx, g); err != nil {
			left[g] = struct{}{}
			errs = append(errs, fmt.Errorf("note that the workload of %s on %s ended: %w", g.ENI, g.Host, err))
		}
	}
	return left, errors.Join(errs...)
}

// endOne ends the attachments that a host speaks of: as a rule one.
func (c *Controller) endOne(ctx context.Context, g desired.Gone) error {
	tx := c.cfg.DB.Snapshot()
	if tx.Revision() < g.Revision {
		return fmt.Errorf("the host knows revision %d, the tables are at %d", g.Revision, tx.Revision())
	}
	var errs []error
	for a := range state.AttachmentsByHost.Rows(tx, g.Host) {
		if ended(a, g) {
			_, err := c.cfg.DB.Update(ctx, func(tx *table.Txn) error {
				if now, ok := state.Attachments.Get(tx, a.Account, a.Region, a.Interface); ok && ended(now, g) {
					now = now.Clone()
					now.Delete(c.cfg.Now())
					state.Attachments.Put(tx, now)
					alloc.Unpublish(tx, now.Meta().Ref(), now.DeletedAt)
				}
				return nil
			})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// ended reports whether an attachment is one that a host speaks of, and is not
// removed already.
func ended(a *model.Attachment, g desired.Gone) bool {
	return a.Interface == g.ENI && a.ID == g.Attachment && plan.Namespace(a) == g.Namespace && a.DeletedAt.IsZero()
}
