// SPDX-License-Identifier: Apache-2.0

package table

import "context"

// Condition says whether somebody may use a state, which it reads through the
// transaction; an error says no, and why. It must have no effect, and writes nothing.
type Condition interface {
	Check(*Txn) error
}

// ConditionKey is the key of contexts under which a Condition is found. A context type
// that carries several things may answer it itself, see WithCondition.
type ConditionKey struct{}

// WithCondition returns a context whose every Update and View begins by asking c: an Update
// whenever its function runs, in its transaction, so that what the condition has read must
// still be true when the change is committed; a View on the state that it gives. The
// condition's error is the result, as one of the function's. A condition that ctx has
// already is asked before.
func WithCondition(ctx context.Context, c Condition) context.Context {
	if before := conditionOf(ctx); before != nil {
		c = both{before, c}
	}
	return context.WithValue(ctx, ConditionKey{}, c)
}

func conditionOf(ctx context.Context) Condition {
	c, _ := ctx.Value(ConditionKey{}).(Condition)
	return c
}

type both [2]Condition

func (b both) Check(tx *Txn) error {
	if err := b[0].Check(tx); err != nil {
		return err
	}
	return b[1].Check(tx)
}

// ConditionFunc is a function as a Condition.
type ConditionFunc func(*Txn) error

// Check implements Condition.
func (f ConditionFunc) Check(tx *Txn) error { return f(tx) }
