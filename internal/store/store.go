// SPDX-License-Identifier: Apache-2.0

// Package store is the contract of the one place where Postern keeps its state:
// a flat key-value map whose every change has a revision, with transactions
// that compare and with watches that lose nothing.
//
// Package etcdstore is the implementation that Postern runs on, package
// memstore the one for tests, and package storetest the suite that both must
// pass. Typed rows, indexes and retries are the business of package table; this
// package knows nothing of what the keys mean.
package store

import (
	"context"
	"errors"
	"iter"
)

var (
	// ErrCompacted ends a watch whose starting revision is no longer in the
	// store's history. The caller must list the keys again and watch from there.
	ErrCompacted = errors.New("revision is compacted")
	// ErrTooLarge refuses a transaction with more comparisons or changes, or
	// more bytes, than the store takes at once. Nothing was changed.
	ErrTooLarge error = tooLargeError{}
	// ErrClosed refuses work on a store that was closed.
	ErrClosed = errors.New("store is closed")
	// ErrFull refuses a change because there is no room for it. Nothing was
	// changed; reads go on, and changes as soon as there is room. The error is a
	// *FullError.
	ErrFull = errors.New("store is full")
	// ErrFrozen refuses everything: the store, which no other process uses,
	// could not write and has stopped. What it has acknowledged stays true and
	// on disk; whether a Commit on its way was carried out is not known.
	ErrFrozen = errors.New("store has stopped")
)

// tooLargeError is ErrTooLarge.
type tooLargeError struct{}

// Error gives the operator's words.
func (tooLargeError) Error() string { return "transaction is too large" }

// Excessive gives the clients' words: the same request will not do later either.
func (tooLargeError) Excessive() string {
	return "The request is for more than this installation can do at once, and nothing was changed. Ask for fewer items in one request, " +
		"such as addresses, prefixes, subnets, groups, rules or tags; or have the operator let the etcd cluster take larger transactions."
}

// FullError is ErrFull with its cause.
type FullError struct {
	// Cause is for the operator: what is full, and what to do.
	Cause string
	// Advice is for clients, who are not to learn about folders and sizes.
	Advice string
}

// Error gives the operator's words.
func (e *FullError) Error() string { return e.Cause }

// Is makes the error one that is ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// Unavailable gives the clients' words: a request that fails for this reason may
// be repeated later.
func (e *FullError) Unavailable() string { return e.Advice }

// KeyValue is one key of the store. A Value belongs to whoever received it from
// the store or handed it in, and must not be changed by either afterwards.
type KeyValue struct {
	Key   string
	Value []byte
	// ModRevision is the revision of the last change of the key. It is ignored
	// in a Txn.
	ModRevision int64
}

// Compare demands that a key was last changed at ModRevision; zero demands that
// the key is absent.
type Compare struct {
	Key         string
	ModRevision int64
}

// Txn is one atomic change: when all comparisons hold, all puts and deletes are
// done at one new revision. No key may occur twice in Put and Delete together.
// Deleting an absent key is no error and no change. A Txn without changes only
// checks its comparisons, at the current revision of the store.
type Txn struct {
	Compare []Compare
	Put     []KeyValue
	Delete  []string
}

// Event is one changed key. Value is nil when Deleted.
type Event struct {
	Key     string
	Value   []byte
	Deleted bool
}

// Batch is everything below a watched prefix that changed at revision Rev.
type Batch struct {
	Rev    int64
	Events []Event
}

// Store is a revisioned key-value store. Revisions start at 1 (an empty store)
// and grow by one with each committed change. All methods may be called
// concurrently. All reads are linearizable: they see every commit that returned
// before they were called, whoever made it.
//
// An error that wraps a context's error says that the store did not answer in
// time; after a Commit the outcome is then unknown.
type Store interface {
	// Get returns one key; false says that it is absent.
	Get(ctx context.Context, key string) (KeyValue, bool, error)
	// Range returns all keys that start with prefix, in key order, as they were
	// at the returned revision.
	Range(ctx context.Context, prefix string) ([]KeyValue, int64, error)
	// Revision returns the current revision of the whole store.
	Revision(ctx context.Context) (int64, error)
	// Commit applies txn when all its comparisons hold. It returns the revision
	// of the change, or, when ok is false or there was nothing to change, the
	// revision at which the comparisons were made.
	Commit(ctx context.Context, txn Txn) (rev int64, ok bool, err error)
	// MaxOps is how many comparisons, and how many changes, a transaction can
	// have for sure. The store may take more.
	MaxOps() int
	// Watch yields all changes of keys that start with prefix, from revision
	// fromRev (at least 1) on: one Batch for each revision, in order, none missing.
	// It waits for more until the loop is left or an error is yielded, which is
	// always the last thing: ErrCompacted, the error of the context, or that of
	// the connection, after which a watch from the revision after the last
	// received one misses nothing.
	Watch(ctx context.Context, prefix string, fromRev int64) iter.Seq2[Batch, error]
	// Campaign waits until the caller is elected to an office, which one at a time
	// has among all processes that use the store. A candidate whose context ends has
	// withdrawn.
	Campaign(ctx context.Context, office string) (Tenure, error)
	// Close ends all watches and releases what the store holds.
	Close() error
}
