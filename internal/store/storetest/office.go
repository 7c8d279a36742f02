// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/store"
)

// testOffice has candidates for an office take turns: one at a time has it.
func testOffice(t *testing.T, target Target) {
	s := target.Open(t)
	const candidates = 4
	var mu sync.Mutex
	holders, most, terms := 0, 0, 0
	count := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		holders += by
		most = max(most, holders)
		if by > 0 {
			terms++
		}
	}
	var all sync.WaitGroup
	for range candidates {
		all.Go(func() {
			tenure, err := s.Campaign(deadline(t), "test")
			if err != nil {
				t.Error(err)
				return
			}
			count(1)
			if isClosed(tenure.Ended()) {
				t.Error("the tenure has ended when it begins")
			}
			count(-1)
			if err := tenure.Resign(deadline(t)); err != nil {
				t.Error(err)
			}
			if !isClosed(tenure.Ended()) {
				t.Error("the tenure has not ended after resigning")
			}
		})
	}
	all.Wait()
	if most != 1 || terms != candidates {
		t.Errorf("%d had the office at a time, and %d were elected; want 1 and %d", most, terms, candidates)
	}
}

// testOfficeWithdrawn ends the candidacy of one that waits, which keeps nobody from
// being elected later. Offices have nothing to do with each other.
func testOfficeWithdrawn(t *testing.T, target Target) {
	s := target.Open(t)
	elected := func(ctx context.Context, office string) store.Tenure {
		t.Helper()
		tenure, err := s.Campaign(ctx, office)
		if err != nil {
			t.Fatal(err)
		}
		return tenure
	}
	first, other := elected(deadline(t), "test"), elected(deadline(t), "another")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.Campaign(ctx, "test"); err == nil {
		t.Error("a second one has the office")
	} else {
		wantError(t, "a candidate whose time is over", err, context.DeadlineExceeded)
	}
	if isClosed(first.Ended()) {
		t.Error("a candidate has ended the tenure")
	}
	if err := first.Resign(deadline(t)); err != nil {
		t.Fatal(err)
	}
	last := elected(deadline(t), "test")
	for _, tenure := range []store.Tenure{last, other} {
		if err := tenure.Resign(deadline(t)); err != nil {
			t.Error(err)
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
