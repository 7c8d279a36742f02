// SPDX-License-Identifier: Apache-2.0

// Package storetest is the suite that every store must pass: the contract of
// package store, order and completeness of watches, and linearizability of
// concurrent transactions, both of the store itself and of the tables on it.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/store"
)

// base is the prefix of the keys that the tests of the plain store use.
const base = "/storetest/"

// Target is a store under test.
type Target struct {
	// Open returns a store that holds no keys below /storetest/ and
	// /postern/v1/, and closes it at the end of the test.
	Open func(t *testing.T) store.Store
	// Compact makes the store forget its history before a revision.
	Compact func(ctx context.Context, s store.Store, rev int64) error
	// MaxOps is how many changes a transaction may have; zero for any number.
	MaxOps int
}

// Run runs the suite.
func Run(t *testing.T, target Target) {
	tests := []struct {
		name string
		run  func(*testing.T, Target)
	}{
		{"ReadAndWrite", testReadAndWrite},
		{"RangeIsOrderedAndBounded", testRange},
		{"CompareDecides", testCompare},
		{"DeleteOfTheAbsentIsNoChange", testDeleteAbsent},
		{"KeyChangedTwiceIsRefused", testChangedTwice},
		{"MaxOpsAreTaken", testMaxOps},
		{"TooLargeIsRefused", testTooLarge},
		{"ContextEndsOperations", testContext},
		{"ClosedStoreRefuses", testClosed},
		{"SnapshotAndRestore", testSnapshot},
		{"WatchYieldsWholeRevisions", testWatchWhole},
		{"WatchReplaysHistory", testWatchHistory},
		{"WatchEnds", testWatchEnds},
		{"CompactedWatch", testCompacted},
		{"WatchMissesNothing", testWatchComplete},
		{"OneAtATimeHasAnOffice", testOffice},
		{"CandidatesWithdraw", testOfficeWithdrawn},
		{"ConcurrentCounters", testCounters},
		{"TransactionsAreLinearizable", testLinearizable},
		{"TablesAreLinearizable", func(t *testing.T, target Target) { testTablesLinearizable(t, target, 3, 6) }},
		{"TablesWithGroupsAreLinearizable", func(t *testing.T, target Target) { testTablesLinearizable(t, target, 2, 10) }},
		{"TablesOfOneWriterAreLinearizable", func(t *testing.T, target Target) { testTablesLinearizable(t, target, 1, 10) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, target) })
	}
}

// deadline is a context that ends long after a test should have.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// put commits keys with values and returns the revision.
func put(t *testing.T, s store.Store, pairs ...string) int64 {
	t.Helper()
	var txn store.Txn
	for i := 0; i < len(pairs); i += 2 {
		txn.Put = append(txn.Put, store.KeyValue{Key: base + pairs[i], Value: []byte(pairs[i+1])})
	}
	return commit(t, s, txn)
}

// commit commits a transaction that must succeed.
func commit(t *testing.T, s store.Store, txn store.Txn) int64 {
	t.Helper()
	rev, ok, err := s.Commit(deadline(t), txn)
	if err != nil || !ok {
		t.Fatalf("commit: ok %v, %v", ok, err)
	}
	return rev
}

// values returns what the store holds below base.
func values(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	keys, _, err := s.Range(deadline(t), base)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, kv := range keys {
		out[kv.Key[len(base):]] = string(kv.Value)
	}
	return out
}

func revision(t *testing.T, s store.Store) int64 {
	t.Helper()
	rev, err := s.Revision(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error is %v, want %v", what, got, want)
	}
}
