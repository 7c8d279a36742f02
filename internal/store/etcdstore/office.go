// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/posternhq/postern/internal/store"
)

// officePrefix is where it is written that somebody has an office. The tables keep out
// of it.
const officePrefix = "/postern/office/"

// withdrawing bounds how long it may take to give a lease back that is of no use any more.
// It ends anyhow.
const withdrawing = time.Second

// Campaign implements store.Store. In a cluster who has an office has a key with a
// lease that is kept alive, so that somebody else is elected within holdSeconds after
// it has died. Nobody but this process uses an embedded server, and its elections need
// no etcd.
func (s *Store) Campaign(ctx context.Context, office string) (store.Tenure, error) {
	what := "be elected to " + office
	if err := s.begin(what); err != nil {
		return nil, err
	}
	s.end()
	if s.embedded != nil {
		return s.offices.Campaign(ctx, office)
	}
	lease, err := s.client.Grant(ctx, holdSeconds)
	if err != nil {
		return nil, failure(what, err)
	}
	t := &tenure{store: s, lease: lease.ID, ended: make(chan struct{})}
	alive, stop := context.WithCancel(s.client.Ctx())
	t.stop = stop
	go t.keep(alive)
	if err := t.take(ctx, officePrefix+office); err != nil {
		withdrawn, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawing)
		defer cancel()
		_ = t.Resign(withdrawn) // the lease ends by itself
		return nil, failure(what, err)
	}
	return t, nil
}

// tenure is that of a process in a cluster, or its candidacy.
type tenure struct {
	store *Store
	lease clientv3.LeaseID
	stop  context.CancelFunc
	ended chan struct{}
}

// keep renews the lease until it has ended, or the context.
func (t *tenure) keep(ctx context.Context) {
	defer close(t.ended)
	if alive, err := t.store.client.KeepAlive(ctx, t.lease); err == nil {
		for range alive {
		}
	}
}

// take waits until nobody has the key, and puts it with the lease.
func (t *tenure) take(ctx context.Context, key string) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for {
		free := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
		response, err := t.store.client.Txn(ctx).If(free).Then(clientv3.OpPut(key, "", clientv3.WithLease(t.lease))).Commit()
		if err != nil || response.Succeeded {
			return err
		}
		deletions := t.store.client.Watch(ctx, key, clientv3.WithRev(response.Header.Revision+1), clientv3.WithFilterPut())
		select {
		case news, open := <-deletions:
			if err := news.Err(); err != nil {
				return err
			} else if !open {
				return store.ErrClosed
			}
		case <-t.ended:
			return fmt.Errorf("the lease has ended: %w", context.DeadlineExceeded)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Ended implements store.Tenure.
func (t *tenure) Ended() <-chan struct{} { return t.ended }

// Resign implements store.Tenure: with the lease the key goes.
func (t *tenure) Resign(ctx context.Context) error {
	t.stop()
	<-t.ended
	if _, err := t.store.client.Revoke(ctx, t.lease); err != nil {
		return failure("give an office up", err)
	}
	return nil
}
