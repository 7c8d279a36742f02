// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// holdPrefix is where the rights to a cluster are. The tables keep out of it.
const holdPrefix = "/postern/lease/host/"

// holdSeconds is how long a right outlives a process that does not renew it any
// more. The client renews it three times as often.
const holdSeconds = 10

var (
	// ErrHeld is the cause when another process has the right to a cluster. The
	// error is a *HeldError.
	ErrHeld = errors.New("in use by another host")
	// ErrNotHeld refuses a change while the right to the cluster is not, or not
	// for certain, this process's. Nothing was changed.
	ErrNotHeld = errors.New("the lease on this host has ended")
)

// Holder is who has the right to a cluster.
type Holder struct {
	// Host is the name of the host.
	Host string `json:"host"`
	// Folder tells data folders apart, on one machine since it was started: whoever
	// has locked the folder is the only process of this holder.
	Folder string `json:"folder"`
	// Instance is the mark of the data folder; it stays when the machine is
	// started anew.
	Instance string `json:"instance"`
	// PID is for people.
	PID int `json:"pid"`
}

// HeldError is ErrHeld with who it is.
type HeldError struct {
	Holder Holder
	// Left is how long the right lasts unless it is renewed.
	Left time.Duration
}

// Error says what to do.
func (e *HeldError) Error() string {
	return fmt.Sprintf("the cluster is in use by process %d of host %s (instance %s): one host can use a cluster, and one process of it. "+
		"Stop that one; if it has ended already, its lease ends within %v", e.Holder.PID, e.Holder.Host, e.Holder.Instance, e.Left.Round(time.Second))
}

// Is makes the error one that is ErrHeld.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Hold is the right to use a cluster: a key with a lease that is kept alive. Changes
// of the store are made only while the key is this process's.
type Hold struct {
	store *Store
	who   Holder
	log   *slog.Logger
	lease clientv3.LeaseID
	stop  context.CancelFunc
	ended chan struct{}
	lost  chan struct{}
	cause error // set before lost is closed
}

// noRevision is that of no key, not even of an absent one: no change is made.
const noRevision = -1

// fence is the key, and its revision, that each change of the store depends on.
type fence struct {
	key      string
	revision int64
}

// fenced is the part of a Store that knows the fence; nil where there is none.
type fenced struct{ atomic.Pointer[fence] }

// size is how many conditions the fence is.
func (f *fenced) size() int {
	if f.Load() == nil {
		return 0
	}
	return 1
}

// guard adds the fence to the conditions of a change, and asks, when a condition does
// not hold, whether it was the fence.
func (f *fenced) guard(request *pb.TxnRequest) {
	if at := f.Load(); at != nil {
		request.Compare = append(request.Compare, compare(at.key, at.revision))
		request.Failure = []*pb.RequestOp{read(at.key)}
	}
}

// refused reports whether the fence was what did not hold.
func (f *fenced) refused(response *pb.TxnResponse) error {
	at := f.Load()
	if at == nil || response.Succeeded || len(response.Responses) == 0 {
		return nil
	}
	kvs := response.Responses[0].GetResponseRange().Kvs
	if len(kvs) == 1 && kvs[0].ModRevision == at.revision {
		return nil
	}
	return ErrNotHeld
}

// Holds gives who has the right to the cluster besides a holder that may take its
// own over; nil when nobody has. The error of Hold is made of it.
func (s *Store) Holds(ctx context.Context, who Holder) (*HeldError, error) {
	held, _, err := s.holders(ctx, who)
	return held, err
}

// holders reads who has the right; the revision is that of the reading.
func (s *Store) holders(ctx context.Context, who Holder) (*HeldError, int64, error) {
	response, err := s.client.Get(ctx, holdPrefix, clientv3.WithPrefix())
	if err != nil {
		return nil, 0, failure("read who uses the cluster", err)
	}
	for _, kv := range response.Kvs {
		var h Holder
		if err := json.Unmarshal(kv.Value, &h); err != nil {
			return nil, 0, fmt.Errorf("read who uses the cluster: %s: %w", kv.Key, err)
		}
		if h.Host != who.Host || h.Folder != who.Folder {
			return &HeldError{Holder: h, Left: s.left(ctx, kv)}, response.Header.Revision, nil
		}
	}
	return nil, response.Header.Revision, nil
}

func (s *Store) left(ctx context.Context, kv *mvccpb.KeyValue) time.Duration {
	ttl, err := s.client.TimeToLive(ctx, clientv3.LeaseID(kv.Lease))
	if err != nil {
		return holdSeconds * time.Second
	}
	return time.Duration(max(ttl.TTL, 0)+1) * time.Second
}

// Hold takes the right to the cluster for this process and keeps it until Release.
// It takes over at once what a process of the same holder had, which has ended. When
// another one has it the error is a *HeldError and nothing is changed.
func (s *Store) Hold(ctx context.Context, who Holder, log *slog.Logger) (*Hold, error) {
	h := &Hold{store: s, who: who, log: log, ended: make(chan struct{}), lost: make(chan struct{})}
	if err := h.take(ctx); err != nil {
		return nil, fmt.Errorf("use the cluster: %w", err)
	}
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(h.ended)
		h.keep(ctx)
	}()
	return h, nil
}

func (h *Hold) key() string { return holdPrefix + url.PathEscape(h.who.Host) }

// take puts the key with a new lease, provided that nobody else has the right.
func (h *Hold) take(ctx context.Context) error {
	held, revision, err := h.store.holders(ctx, h.who)
	switch {
	case err != nil:
		return err
	case held != nil:
		return held
	}
	client := h.store.client
	lease, err := client.Grant(ctx, holdSeconds)
	if err != nil {
		return failure("take a lease", err)
	}
	value, err := json.Marshal(h.who)
	if err != nil {
		return err
	}
	unchanged := clientv3.Compare(clientv3.ModRevision(holdPrefix).WithPrefix(), "<", revision+1)
	response, err := client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(h.key(), string(value), clientv3.WithLease(lease.ID))).
		Else(clientv3.OpGet(holdPrefix, clientv3.WithPrefix())).Commit()
	switch {
	case err != nil:
		return failure("take a lease", err)
	case !response.Succeeded:
		return h.beaten(response.Responses)
	}
	h.lease = lease.ID
	h.store.fence.Store(&fence{h.key(), response.Header.Revision})
	return nil
}

// beaten says who was faster.
func (h *Hold) beaten(responses []*pb.ResponseOp) error {
	for _, r := range responses {
		for _, kv := range r.GetResponseRange().Kvs {
			var who Holder
			if json.Unmarshal(kv.Value, &who) == nil {
				return &HeldError{Holder: who, Left: holdSeconds * time.Second}
			}
		}
	}
	return ErrHeld
}

// holdRetry is the pause before a lease that has ended is asked for again.
const holdRetry = 500 * time.Millisecond

// keep renews the lease. One that has ended, because the cluster could not be
// reached for long, is taken again, unless somebody else was faster.
func (h *Hold) keep(ctx context.Context) {
	for ctx.Err() == nil {
		if alive, err := h.store.client.KeepAlive(ctx, h.lease); err == nil {
			for range alive { // until it has ended, or the context
			}
		}
		for ctx.Err() == nil {
			err := h.take(ctx)
			if err == nil {
				h.log.Warn("the lease on this host had ended and was taken again", "host", h.who.Host)
				break
			}
			if errors.Is(err, ErrHeld) {
				h.store.fence.Store(&fence{h.key(), noRevision})
				h.cause = fmt.Errorf("use the cluster: %w", err)
				close(h.lost)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(holdRetry):
			}
		}
	}
}

// Lost is closed when another process has got the right; Err says which.
func (h *Hold) Lost() <-chan struct{} { return h.lost }

// Err is why the right was lost.
func (h *Hold) Err() error {
	select {
	case <-h.lost:
		return h.cause
	default:
		return nil
	}
}

// Release gives the right back, so that another process can have it at once. No
// change is made through the store from then on.
func (h *Hold) Release(ctx context.Context) error {
	h.stop()
	<-h.ended
	at := h.store.fence.Swap(&fence{h.key(), noRevision})
	if at == nil || at.revision == noRevision {
		return nil
	}
	if _, err := h.store.client.Revoke(ctx, h.lease); err != nil {
		return failure("give the lease back", err)
	}
	return nil
}
