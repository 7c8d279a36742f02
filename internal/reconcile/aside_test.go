// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/fakedp"
)

// slowReader is a kernel whose readings of one router take a while, and end when they
// are asked to.
type slowReader struct {
	*fakedp.Kernel
	mu     sync.Mutex
	router desired.Realm
	takes  time.Duration
	whole  int // readings of it that came to their end
	ended  int // others
}

func (s *slowReader) Dump(ctx context.Context, realm desired.Realm) ([]desired.Entry, error) {
	s.mu.Lock()
	slow, takes := s.router == realm, s.takes
	s.mu.Unlock()
	if !slow {
		return s.Kernel.Dump(ctx, realm)
	}
	there, err := s.Kernel.Dump(ctx, realm)
	select {
	case <-time.After(takes):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.whole++
		return there, err
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended++
		return nil, ctx.Err()
	}
}

func (s *slowReader) readings() (whole, ended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole, s.ended
}

func withSlowReader(t *testing.T, play func(*testing.T, *slowReader, *reconcile.Reconciler, *ledger)) {
	synctest.Test(t, func(t *testing.T) {
		s, l := &slowReader{Kernel: fakedp.New(), takes: time.Second / 2}, newLedger()
		r := reconcile.New(s, reconcile.Config{Report: l.add, Logger: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		defer synctest.Wait()
		defer cancel()
		all := parse(t, threeRouters)
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: all})
		s.mu.Lock()
		s.router = "vpc-b"
		s.mu.Unlock()
		play(t, s, r, l)
	})
}

// Time stands still between a change and the look at what came of it: so it waits for
// nothing.
func TestAChangeDoesNotWaitForTheVerification(t *testing.T) {
	withSlowReader(t, func(t *testing.T, s *slowReader, r *reconcile.Reconciler, l *ledger) {
		time.Sleep(20*time.Second + 100*time.Millisecond) // vpc-b is being read
		synctest.Wait()
		apply(t, r, desired.Delta{Revision: 2, Put: parse(t, member(2, "vpc-a"))})
		if want := member(2, "vpc-a"); !strings.Contains(s.Text(), want) {
			t.Errorf("%s waits until another router is read", want)
		}
		if report := l.report(); report.Revision != 2 || len(report.Behind) != 0 {
			t.Errorf("report while another router is read: %+v", report)
		}
		if whole, ended := s.readings(); whole != 0 || ended != 0 {
			t.Errorf("%d readings came to their end and %d were ended by a change elsewhere", whole, ended)
		}
		apply(t, r, desired.Delta{Revision: 3, Put: parse(t, member(3, "vpc-b"))})
		if want := member(3, "vpc-b"); !strings.Contains(s.Text(), want) {
			t.Errorf("%s waits until its router is read", want)
		}
		if report := l.report(); report.Revision != 3 || len(report.Behind) != 0 {
			t.Errorf("report after a change in the router that was read: %+v", report)
		}
	})
}

// A router in which something changes all the time is verified all the same: a reading
// is ended once, and the next one is waited for.
func TestChangesDoNotKeepARouterFromBeingVerified(t *testing.T) {
	withSlowReader(t, func(t *testing.T, s *slowReader, r *reconcile.Reconciler, l *ledger) {
		lost := parse(t, threeRouters)[4] // of vpc-b
		s.Drop(lost.Key())
		for revision := range int64(200) {
			apply(t, r, desired.Delta{Revision: 2 + revision, Put: parse(t, member(2+revision, "vpc-b"))})
			time.Sleep(200 * time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		whole, ended := s.readings()
		if whole == 0 || ended == 0 {
			t.Errorf("%d readings came to their end and %d were ended, want some of both", whole, ended)
		}
		if !strings.Contains(s.Text(), lost.String()) {
			t.Errorf("%s is missing still", lost)
		}
		if got := r.Report().Repairs[lost.Key().Kind]; got != 1 {
			t.Errorf("%d repairs, want 1", got)
		}
		if report := l.report(); report.Revision != 201 || report.Done != report.Wanted {
			t.Errorf("report after all: %+v", report)
		}
	})
}

// Who asks for a verification gets one of everything, also of what is being read.
func TestAVerificationWaitsForTheReadingThatIsUnderWay(t *testing.T) {
	withSlowReader(t, func(t *testing.T, s *slowReader, r *reconcile.Reconciler, _ *ledger) {
		time.Sleep(20*time.Second + 100*time.Millisecond)
		synctest.Wait()
		lost := parse(t, threeRouters)[4]
		s.Drop(lost.Key())
		if found, err := r.Verify(t.Context()); found != 1 || err != nil {
			t.Errorf("verification finds %d differences and %v, want one", found, err)
		}
		if !strings.Contains(s.Text(), lost.String()) {
			t.Errorf("%s is missing after a verification", lost)
		}
	})
}
