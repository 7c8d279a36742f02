// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// meanwhile is a store that does something while its next commit is on its way.
type meanwhile struct {
	store.Store
	do func()
}

func (s *meanwhile) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	if do := s.do; do != nil {
		s.do = nil
		do()
	}
	return s.Store.Commit(ctx, txn)
}

// waiting is a context that says when somebody waits with it.
type waiting struct {
	context.Context
	say func()
}

func (w waiting) Done() <-chan struct{} {
	w.say()
	return w.Context.Done()
}

// TestCreationIsAnsweredAfterItsOwnCommit has an update come while an endpoint's creation is
// committed, and not end: the creation must not wait for it, nor for any other that came
// later. Many who create at the same time would have a second turn each, of which nothing
// comes.
func TestCreationIsAnsweredAfterItsOwnCommit(t *testing.T) {
	s := &meanwhile{Store: memstore.New()}
	n := ec2test.NewNetworkOn(t, s)
	p := n.AddProvider(t, "db", "IPV4", "10.0.1.10")
	in := n.EndpointInput(p, n.AddSubnet(t, n.Net, "a", "10.0.1.0/24", -1))

	release, queued := make(chan struct{}), make(chan struct{})
	var other sync.WaitGroup
	defer other.Wait()
	defer close(release)
	s.do = func() {
		ctx := waiting{t.Context(), sync.OnceFunc(func() { close(queued) })}
		other.Go(func() {
			if _, err := n.DB.Update(ctx, func(*table.Txn) error { <-release; return nil }); err != nil {
				t.Error(err)
			}
		})
		<-queued
	}
	answered := make(chan error, 1)
	go func() {
		_, err := n.API.CreateVpcEndpoint(n.Ctx, in)
		answered <- err
	}()
	select {
	case err := <-answered:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the creation waits for an update that came after it")
	}
}
