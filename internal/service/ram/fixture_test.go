// SPDX-License-Identifier: Apache-2.0

package ram_test

import (
	"context"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ram"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/service/vpclattice"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const owner, consumer, third = servicetest.Account, servicetest.OtherAccount, "777788889999"

// world is RAM with a clock, and with resource configurations of the owner: rcfg-1, rcfg-2,
// a group rcfg-9 with the child rcfg-3, and rcfg-4 of the consumer.
type world struct {
	*servicetest.World
	t   *testing.T
	api *ram.API
	now time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{World: servicetest.New(t), t: t, now: servicetest.Now}
	w.Now = func() time.Time { return w.now }
	w.api = &ram.API{Env: w.Env}
	w.put(func(tx *table.Txn) {
		put := func(account, id, kind, group string) {
			state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{
				Meta: model.Meta{Account: account, Region: servicetest.Region, ID: id}, Type: kind, Group: group, Name: id,
			})
		}
		put(owner, "rcfg-1", model.TypeSingle, "")
		put(owner, "rcfg-2", model.TypeSingle, "")
		put(owner, "rcfg-9", model.TypeGroup, "")
		put(owner, "rcfg-3", model.TypeChild, "rcfg-9")
		put(consumer, "rcfg-4", model.TypeSingle, "")
	})
	return w
}

func (w *world) put(fn func(tx *table.Txn)) {
	w.t.Helper()
	if _, err := w.DB.Update(w.t.Context(), func(tx *table.Txn) error { fn(tx); return nil }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) as(account string) context.Context {
	return servicetest.As(w.t, account, servicetest.Region)
}

func arnOf(account, id string) string {
	return model.ARN("vpc-lattice", servicetest.Region, account, "resourceconfiguration/"+id)
}

// share makes a share of the owner's.
func (w *world) share(principals []string, resources ...string) string {
	w.t.Helper()
	in := &shape.CreateResourceShareInput{Name: new("share"), Principals: principals}
	for _, id := range resources {
		in.ResourceArns = append(in.ResourceArns, arnOf(owner, id))
	}
	out, err := w.api.CreateResourceShare(w.as(owner), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.ResourceShare.ResourceShareArn
}

// invitations are those that an account has got.
func (w *world) invitations(account string) []shape.ResourceShareInvitation {
	w.t.Helper()
	out, err := w.api.GetResourceShareInvitations(w.as(account), &shape.GetResourceShareInvitationsInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.ResourceShareInvitations
}

// accept answers an invitation.
func (w *world) accept(account string, i shape.ResourceShareInvitation) error {
	_, err := w.api.AcceptResourceShareInvitation(w.as(account), &shape.AcceptResourceShareInvitationInput{ResourceShareInvitationArn: i.ResourceShareInvitationArn})
	return err
}

// has asks whether an account may know of a resource of the owner's, of the decision, of what
// it finds by the ARN, and of its list, which must agree.
func (w *world) has(account, id string) bool {
	w.t.Helper()
	ctx, tx := w.as(account), w.DB.Snapshot()
	who := access.From(ctx).Caller
	in := &lattice.GetResourceConfigurationInput{ResourceConfigurationIdentifier: new(arnOf(owner, id))}
	asks := access.Services["vpc-lattice"].Operations["GetResourceConfiguration"].Ask(nil, &who, in)
	decided := access.Decide(&access.Request{Asked: access.Asked{Caller: &who, Asks: asks}}, &access.Rules{Shares: share.In(tx)}).Allowed
	api := &vpclattice.API{Env: w.Env}
	_, err := api.GetResourceConfiguration(ctx, in)
	if found := err == nil; found != decided {
		w.t.Fatalf("%s with %s: the decision is %v, and reading it gives %v", account, id, decided, err)
	}
	out, err := api.ListResourceConfigurations(ctx, &lattice.ListResourceConfigurationsInput{})
	if err != nil {
		w.t.Fatal(err)
	}
	listed := false
	for _, item := range out.Items {
		listed = listed || *item.Arn == arnOf(owner, id)
	}
	if listed != decided && id != "rcfg-3" { // children are listed with their group
		w.t.Fatalf("%s with %s: the decision is %v, and it lists it: %v", account, id, decided, listed)
	}
	return decided
}

// refused wants an error with a code, and nothing to change.
func (w *world) refused(what, code string, call func() error) {
	w.t.Helper()
	before := w.Dump(w.t)
	err := call()
	if !fault.Is(err, code) {
		w.t.Errorf("%s: got %v, want %s", what, err, code)
	}
	for key, row := range w.Dump(w.t) {
		if before[key] != row {
			w.t.Errorf("%s changed %s", what, key)
		}
		delete(before, key)
	}
	for key := range before {
		w.t.Errorf("%s removed %s", what, key)
	}
}

func failure[Out any](_ *Out, err error) error { return err }
