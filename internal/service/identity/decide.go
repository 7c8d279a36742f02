// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"fmt"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/table"
	"github.com/posternhq/postern/internal/token"
)

// Decide answers a request. The rule for an account itself needs no rows in what is its own;
// for all else it looks at a state that has every change which was committed before. An
// *access.Refused says that the caller is not known any more.
func (i *Identities) Decide(ctx context.Context, r *access.Request) (access.Decision, error) {
	tx := i.env.DB.Snapshot()
	free := unbound(i, tx, r)
	var d access.Decision
	var known bool
	if free {
		d, known = i.decide(tx, r)
	}
	if !free || d.Foreign {
		var err error
		if tx, err = i.env.DB.View(ctx); err != nil {
			return access.Decision{}, fmt.Errorf("decide: %w", err)
		}
		d, known = i.decide(tx, r)
	}
	if !known {
		return access.Decision{}, &access.Refused{Unknown: true}
	}
	if r.Revision = 0; d.Passes(r) {
		r.Revision = tx.Revision()
	}
	return d, nil
}

// unbound says that nothing bounds what the caller does in its account.
func unbound(i *Identities, tx *table.Txn, r *access.Request) bool {
	return r.Caller.Kind == policy.Root && r.Origin.Endpoint == (model.Ref{}) && !i.controlled(tx, r.Caller)
}

// decide answers a request by the rows of a transaction. False says that the caller is not
// known any more.
func (i *Identities) decide(tx *table.Txn, r *access.Request) (access.Decision, bool) {
	rules, ok := i.Rules(tx, r.Caller)
	if !ok {
		return access.Decision{}, false
	}
	i.passing(tx, &r.Origin, rules)
	d := access.Decide(r, rules)
	if r.Explained && !d.Passes(r) {
		d.Encoded = i.encode(r, &d)
	}
	return d, true
}

// encode seals the reasons of a denial; empty when they are too long.
func (i *Identities) encode(r *access.Request, d *access.Decision) string {
	text, err := r.Explain(d)
	if err != nil {
		panic(fmt.Sprintf("explain a denial: %v", err)) // it is made of strings
	}
	return token.SealRefusal(i.env.Seal, r.Caller.Account, text)
}

// Bind gives the context for the handler of a request that was decided about: it has the
// caller's view, and each transaction with it decides again.
func (i *Identities) Bind(ctx context.Context, r *access.Request) context.Context {
	b := &bound{Context: ctx, identities: i, view: access.View{Caller: *r.Caller}, asked: r.Asked, own: r.Caller.Kind == policy.Root && r.Origin.Endpoint == (model.Ref{}) && r.Own()}
	b.asked.Caller, b.asked.Asks = &b.view.Caller, append(b.room[:0], r.Asks...)
	return b
}

// bound is the context of a request's handler, and a condition of what it does. It has
// copies: handlers may outlive the request.
type bound struct {
	context.Context
	identities *Identities
	view       access.View
	asked      access.Asked
	room       [1]access.Ask // most requests have one
	// own says that rows have no say but in whether the caller is known, as long as nothing
	// bounds its account.
	own     bool
	notices []access.Notice
}

// Value implements context.Context.
func (b *bound) Value(key any) any {
	switch key {
	case access.ViewKey{}:
		return &b.view
	case access.NoticesKey{}:
		return &b.notices
	case table.ConditionKey{}:
		return b
	}
	return b.Context.Value(key)
}

// Check implements table.Condition. In the state that it was decided in, what the caller may
// do is as it was; an Update decides anew, since its commit depends on what is read then.
func (b *bound) Check(tx *table.Txn) error {
	i := b.identities
	if _, ok := i.known(tx, &b.view.Caller); !ok {
		return &access.Refused{Unknown: true}
	}
	if b.own && !i.controlled(tx, &b.view.Caller) {
		return nil
	}
	if b.asked.Revision != 0 && b.asked.Revision == tx.Revision() && !tx.Writable() {
		return nil
	}
	request := access.Request{Asked: b.asked}
	d, ok := i.decide(tx, &request)
	if !ok {
		return &access.Refused{Unknown: true}
	}
	if !d.Passes(&request) {
		return &access.Refused{Text: d.Text(&b.view.Caller)}
	}
	return nil
}
