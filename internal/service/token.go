// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// ErrTokenReused is the cause when a client token came back with other
// parameters. Services answer it with their own code: EC2 with
// IdempotentParameterMismatch, VPC Lattice with ConflictException.
var ErrTokenReused = errors.New("the client token was used before with other parameters")

// Once is a request that may be repeated and must have its effect once.
type Once struct {
	env         *Env
	who         access.View
	operation   string
	token       string
	fingerprint string
	now         time.Time
}

// Idempotent describes a request by its client token and its parameters, which
// must be encodable as JSON. With a nil or empty token each request is new.
// Make it before the transaction, ask Result first in it, and Record at its end.
func (e *Env) Idempotent(who access.View, operation string, token *string, parameters any) Once {
	o := Once{env: e, who: who, operation: operation, now: e.Now()}
	if token != nil && *token != "" {
		sum := digest(parameters)
		o.token, o.fingerprint = *token, hex.EncodeToString(sum[:])
	}
	return o
}

// Result gives what the same request had as its result before, usually the id
// of the resource that it made; empty when it is new. It fails with
// ErrTokenReused.
func (o Once) Result(tx *table.Txn) (string, error) {
	if o.token == "" {
		return "", nil
	}
	account, region, id := o.row().RowKey()
	row, ok := state.ClientTokens.Get(tx, account, region, id)
	switch {
	case !ok || row.Expired(o.now):
		return "", nil
	case row.Fingerprint != o.fingerprint:
		return "", ErrTokenReused
	}
	return row.Result, nil
}

// Record remembers the result of the request.
func (o Once) Record(tx *table.Txn, result string) {
	if o.token == "" {
		return
	}
	row := o.row()
	row.Fingerprint, row.Result, row.CreatedAt = o.fingerprint, result, o.now
	state.ClientTokens.Put(tx, row)
}

// Create carries out a creation in one transaction. A repeated request finds
// what it made before by its id, any other makes it and is remembered; show
// gives the answer from the same state. Errors come as find and build gave them,
// or as ErrTokenReused.
func Create[T table.Row, Out any](
	ctx context.Context, o Once,
	find func(tx *table.Txn, id string) (T, error),
	build func(tx *table.Txn) (T, error),
	show func(tx *table.Txn, made T) Out,
) (out Out, err error) {
	_, err = o.env.DB.Update(ctx, func(tx *table.Txn) error {
		id, err := o.Result(tx)
		if err != nil {
			return err
		}
		var made T
		if id != "" {
			made, err = find(tx, id)
		} else if made, err = build(tx); err == nil {
			_, _, id = made.RowKey()
			o.Record(tx, id)
		}
		if err == nil {
			out = show(tx, made)
		}
		return err
	})
	return out, err
}

func (o Once) row() *model.ClientToken {
	return &model.ClientToken{Account: o.who.Account, Region: o.who.Region, Operation: o.operation, Token: o.token}
}
