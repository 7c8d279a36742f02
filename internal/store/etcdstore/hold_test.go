// SPDX-License-Identifier: Apache-2.0

package etcdstore_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/test/cluster"
)

// user is a process that uses a cluster.
type user struct {
	*testing.T
	*etcdstore.Store
	hold *etcdstore.Hold
}

var (
	alpha    = etcdstore.Holder{Host: "alpha", Folder: "boot/1/1", Instance: "aaaaa", PID: 1}
	alphaTwo = etcdstore.Holder{Host: "alpha", Folder: "boot/1/2", Instance: "ccccc", PID: 3}
	beta     = etcdstore.Holder{Host: "beta", Folder: "boot/1/3", Instance: "bbbbb", PID: 2}
)

// join has a process of a holder begin to use a cluster.
func join(t *testing.T, endpoint string, who etcdstore.Holder) (*user, error) {
	t.Helper()
	s, err := etcdstore.Open(t.Context(), etcdstore.Config{Endpoints: []string{endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, s) })
	u := &user{T: t, Store: s}
	u.hold, err = s.Hold(t.Context(), who, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Cleanup(func() { u.release() })
	}
	return u, err
}

func (u *user) release() {
	u.Helper()
	if err := u.hold.Release(context.Background()); err != nil {
		u.Error(err)
	}
}

func (u *user) write(key string) error {
	_, ok, err := u.Commit(context.Background(), store.Txn{Put: []store.KeyValue{{Key: key, Value: []byte("x")}}})
	if err == nil && !ok {
		err = errors.New("conditions do not hold")
	}
	return err
}

// must joins without being refused.
func must(t *testing.T, endpoint string, who etcdstore.Holder) *user {
	t.Helper()
	u, err := join(t, endpoint, who)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOneHolderUsesACluster(t *testing.T) {
	endpoint := cluster.Start(t, 0)
	first := must(t, endpoint, alpha)
	if err := first.write("a"); err != nil {
		t.Errorf("the first one writes: %v", err)
	}
	for _, other := range []etcdstore.Holder{beta, alphaTwo} {
		var held *etcdstore.HeldError
		_, err := join(t, endpoint, other)
		if !errors.As(err, &held) || held.Holder != alpha || held.Left > 11*time.Second || !strings.Contains(err.Error(), "host alpha") {
			t.Errorf("%s of %s: %v", other.Instance, other.Host, err)
		}
	}
	first.release()
	if err := first.write("b"); !errors.Is(err, etcdstore.ErrNotHeld) {
		t.Errorf("after the lease was given back: %v, want ErrNotHeld", err)
	}
	second := must(t, endpoint, beta)
	if err := second.write("c"); err != nil {
		t.Errorf("the second one writes: %v", err)
	}
}

// Whoever holds the data folder takes over at once what a process there has left
// that was killed, and that one, were it there still, changes nothing any more.
func TestAHolderTakesItsOwnOver(t *testing.T) {
	endpoint := cluster.Start(t, 0)
	killed := must(t, endpoint, alpha)
	again := alpha
	again.PID = 7
	begun := time.Now()
	next := must(t, endpoint, again)
	if took := time.Since(begun); took > 9*time.Second {
		t.Errorf("taking over took %v", took)
	}
	if err := killed.write("a"); !errors.Is(err, etcdstore.ErrNotHeld) {
		t.Errorf("the one before writes: %v, want ErrNotHeld", err)
	}
	if err := next.write("b"); err != nil {
		t.Errorf("the next one writes: %v", err)
	}
	if _, _, err := killed.Get(t.Context(), "b"); err != nil {
		t.Errorf("the one before reads: %v", err)
	}
}

// A condition of the change itself that does not hold is told from a lease that has
// ended.
func TestConflictsAreNoLossOfTheLease(t *testing.T) {
	u := must(t, cluster.Start(t, 0), alpha)
	_, ok, err := u.Commit(t.Context(), store.Txn{
		Compare: []store.Compare{{Key: "a", ModRevision: 1000}}, Put: []store.KeyValue{{Key: "a"}},
	})
	if ok || err != nil {
		t.Errorf("a change whose condition does not hold: %v, %v", ok, err)
	}
}

// A lease that has ended, since the cluster was away, is taken again; when another
// one was faster, the holder is told.
func TestALeaseThatHasEndedIsTakenAgainOrLost(t *testing.T) {
	endpoint := cluster.Start(t, 0)
	u := must(t, endpoint, alpha)
	end := func() {
		t.Helper()
		leases, err := u.Client().Leases(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leases.Leases {
			if _, err := u.Client().Revoke(t.Context(), l.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	end()
	deadline := time.Now().Add(2 * time.Minute)
	for u.write("a") != nil {
		if time.Now().After(deadline) {
			t.Fatal("the lease is not taken again")
		}
		time.Sleep(10 * time.Millisecond)
	}
	// Another one that comes at the moment when the lease has ended.
	for {
		end()
		other, err := join(t, endpoint, beta)
		if err == nil {
			select {
			case <-u.hold.Lost():
			case <-time.After(2 * time.Minute):
				t.Fatal("the holder is not told that another one has the cluster")
			}
			if err := u.hold.Err(); !errors.Is(err, etcdstore.ErrHeld) || !strings.Contains(err.Error(), "host beta") {
				t.Errorf("told is %v", err)
			}
			if err := u.write("b"); !errors.Is(err, etcdstore.ErrNotHeld) {
				t.Errorf("and writes: %v", err)
			}
			if err := other.write("c"); err != nil {
				t.Errorf("the other one writes: %v", err)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the other one is never faster")
		}
	}
}
