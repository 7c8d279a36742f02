// SPDX-License-Identifier: Apache-2.0

// Package etcdstore keeps Postern's state in etcd: in a server inside of this
// process (StartEmbedded) or in an external cluster (Open), through the same
// client and the same code.
package etcdstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/posternhq/postern/internal/store"
)

// page is how many keys are listed with one request. It bounds the size of an
// answer, some megabytes; but with each page etcd counts all the keys behind it,
// so that small pages make a listing slow.
const page = 10_000

// Store implements store.Store over an etcd client.
type Store struct {
	client *clientv3.Client
	kv     pb.KVClient // the same server, asked in its own words
	// open is held for reading by each operation, and for writing from Close
	// on: an operation that cannot get it finds the store closed.
	open     sync.RWMutex
	embedded *server // nil for an external cluster, as are room, halt and past
	room     *room
	halt     *halt
	past     *past
	once     sync.Once
	fence    fenced        // of a cluster that this process holds
	offices  store.Offices // within an embedded server's process
}

// Config says how to reach an external cluster.
type Config struct {
	// Endpoints are URLs of its members, such as https://10.0.0.1:2379.
	Endpoints []string
	// TLS is used for https endpoints; nil means the system's authorities and
	// no client certificate.
	TLS *tls.Config
	// Username and Password are for clusters with authentication.
	Username, Password string
	// Log gets the client's warnings; nil means none.
	Log *slog.Logger
}

// Open connects to an external etcd cluster and returns when a linearizable
// read was answered, or with the error of the context.
func Open(ctx context.Context, config Config) (*Store, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            config.Endpoints,
		TLS:                  config.TLS,
		Username:             config.Username,
		Password:             config.Password,
		DialTimeout:          5 * time.Second,
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: 5 * time.Second,
		PermitWithoutStream:  true,
		Logger:               zapLogger(config.Log),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd at %v: %w", config.Endpoints, err)
	}
	s := &Store{client: client, kv: clientv3.RetryKVClient(client)}
	if _, err := s.Revision(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to etcd at %v: %w", config.Endpoints, err), s.Close())
	}
	return s, nil
}

// Client returns the etcd client, for leases and elections. It is closed with
// the store. Keys of the tables must not be written through it.
func (s *Store) Client() *clientv3.Client { return s.client }

// begin keeps the store open until end; it fails when the store is closed.
func (s *Store) begin(operation string) error {
	if !s.open.TryRLock() {
		return fmt.Errorf("%s: %w", operation, store.ErrClosed)
	}
	return nil
}

func (s *Store) end() { s.open.RUnlock() }

// get asks etcd for keys.
func (s *Store) get(ctx context.Context, key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return unlessHalted(s.halt, func() (*clientv3.GetResponse, error) { return s.client.Get(ctx, key, options...) })
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.KeyValue, bool, error) {
	if err := s.begin("get " + key); err != nil {
		return store.KeyValue{}, false, err
	}
	defer s.end()
	response, err := s.get(ctx, key)
	if err != nil {
		return store.KeyValue{}, false, failure("get "+key, err)
	}
	if len(response.Kvs) == 0 {
		return store.KeyValue{}, false, nil
	}
	return keyValue(response.Kvs[0]), true, nil
}

// Range implements store.Store. It reads page after page at the revision of
// the first one.
func (s *Store) Range(ctx context.Context, prefix string) ([]store.KeyValue, int64, error) {
	if err := s.begin("range " + prefix); err != nil {
		return nil, 0, err
	}
	defer s.end()
	defer s.past.read()()
	from, to := prefix, clientv3.GetPrefixRangeEnd(prefix)
	if prefix == "" {
		from, to = "\x00", "\x00" // everything
	}
	var out []store.KeyValue
	var rev int64
	for {
		response, err := s.get(ctx, from, clientv3.WithRange(to), clientv3.WithLimit(page),
			clientv3.WithRev(rev))
		if err != nil {
			return nil, 0, failure("range "+prefix, err)
		}
		if rev == 0 {
			rev = response.Header.Revision
		}
		for _, kv := range response.Kvs {
			out = append(out, keyValue(kv))
		}
		if !response.More {
			s.listed(len(out))
			return out, rev, nil
		}
		from = out[len(out)-1].Key + "\x00"
	}
}

// manyKeys are those of a listing that reads much of the database.
const manyKeys = 1000

// listed goes on after a listing of so many keys.
func (s *Store) listed(keys int) {
	if s.embedded == nil || keys < manyKeys {
		return
	}
	if err := s.embedded.letGo(); err != nil {
		s.room.log.Warn("the store takes more memory than it needs", "error", err)
	}
}

// Revision implements store.Store.
func (s *Store) Revision(ctx context.Context) (int64, error) {
	if err := s.begin("revision"); err != nil {
		return 0, err
	}
	defer s.end()
	response, err := s.get(ctx, "\x00", clientv3.WithCountOnly())
	if err != nil {
		return 0, failure("revision", err)
	}
	return response.Header.Revision, nil
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, txn store.Txn) (int64, bool, error) {
	if err := s.begin("commit"); err != nil {
		return 0, false, err
	}
	defer s.end()
	request, size := requestOf(txn)
	response, err := s.commit(ctx, txn, request, size)
	if errors.Is(err, rpctypes.ErrNoSpace) { // of a server of its own, which nobody here can make smaller
		if carriedOut, unknown := s.outcome(ctx, txn, lastChange(txn)); carriedOut != nil || unknown != nil {
			response, err = carriedOut, unknown
		}
	}
	if err != nil {
		what := fmt.Sprintf("commit %d comparisons and %d changes", len(txn.Compare), len(request.Success))
		return 0, false, failure(what, err)
	}
	if err := s.fence.refused(response); err != nil {
		return 0, false, fmt.Errorf("commit: %w", err)
	}
	s.forget(len(request.Success), response.Header.Revision)
	return response.Header.Revision, response.Succeeded, nil
}

// externalOps is how many operations a transaction may have in a cluster that was
// not told otherwise: the default of etcd's flag --max-txn-ops,
// https://etcd.io/docs/v3.6/op-guide/configuration/.
const externalOps = 128

// MaxOps implements store.Store.
func (s *Store) MaxOps() int {
	if s.embedded == nil {
		return externalOps - s.fence.size()
	}
	return maxTxnOps
}

// Watch implements store.Store. A server that has lost its leader ends the
// watch, so that nobody follows a member that is cut off without knowing.
func (s *Store) Watch(ctx context.Context, prefix string, fromRev int64) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
		defer cancel()
		responses := s.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(fromRev))
		for {
			var response clientv3.WatchResponse
			var open bool
			select {
			case response, open = <-responses:
			case <-s.Frozen():
				yield(store.Batch{}, fmt.Errorf("watch %s: %w", prefix, s.halt.err()))
				return
			}
			if !open {
				break
			}
			if err := response.Err(); err != nil {
				yield(store.Batch{}, failure("watch "+prefix, err))
				return
			}
			for batch := range batches(response.Events) {
				if !yield(batch, nil) {
					return
				}
			}
		}
		err := ctx.Err()
		if err == nil {
			err = store.ErrClosed
		}
		yield(store.Batch{}, fmt.Errorf("watch %s: %w", prefix, err))
	}
}

// batches splits the events of an answer by revision. An answer holds the
// events of a revision either all or not at all, since fragments are not asked for.
func batches(events []*clientv3.Event) iter.Seq[store.Batch] {
	return func(yield func(store.Batch) bool) {
		for len(events) > 0 {
			batch := store.Batch{Rev: events[0].Kv.ModRevision}
			for len(events) > 0 && events[0].Kv.ModRevision == batch.Rev {
				batch.Events = append(batch.Events, event(events[0]))
				events = events[1:]
			}
			if !yield(batch) {
				return
			}
		}
	}
}

func event(e *clientv3.Event) store.Event {
	out := store.Event{Key: string(e.Kv.Key), Deleted: e.Type == clientv3.EventTypeDelete}
	if !out.Deleted {
		out.Value = e.Kv.Value
	}
	return out
}

func keyValue(kv *mvccpb.KeyValue) store.KeyValue {
	return store.KeyValue{Key: string(kv.Key), Value: kv.Value, ModRevision: kv.ModRevision}
}

// failure says what was tried, and translates the errors that the contract names.
func failure(operation string, err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		err = fmt.Errorf("%w: %w", store.ErrCompacted, err)
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge):
		err = fmt.Errorf("%w: %w", store.ErrTooLarge, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		err = &store.FullError{Cause: "the etcd cluster has reached its quota: compact and defragment it or raise the quota, and disarm its alarm; until then nothing is changed, reading goes on", Advice: adviceQuota}
	case isUnavailable(err), status.Code(err) == codes.Unavailable:
		err = &unavailableError{err}
	case status.Code(err) == codes.ResourceExhausted:
		err = fmt.Errorf("%w: %w", store.ErrTooLarge, err)
	case status.Code(err) == codes.Canceled:
		err = fmt.Errorf("%w: %w", context.Canceled, err)
	case status.Code(err) == codes.DeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		err = &unavailableError{fmt.Errorf("%w: %w", context.DeadlineExceeded, err)}
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// Close implements store.Store. An embedded server is stopped when the
// operations on their way have ended, and its folder is released.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		s.offices.Close()
		if s.embedded == nil {
			err = s.client.Close()
			s.open.Lock()
			return
		}
		s.open.Lock()
		if s.halt.err() != nil {
			err = s.embedded.lock.Close()
			return
		}
		err = errors.Join(s.client.Close(), s.embedded.close())
	})
	if errors.Is(err, context.Canceled) {
		return nil // the client's way of saying that it was open until now
	}
	return err
}
