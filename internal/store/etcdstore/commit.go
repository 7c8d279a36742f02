// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/posternhq/postern/internal/store"
)

// requestOf makes a transaction one of etcd's, and tells how many bytes it changes. It
// does what the client's own Txn does, without copying values twice and with few pieces
// of memory: a transaction of many updates is some hundred operations.
func requestOf(txn store.Txn) (request *pb.TxnRequest, size int64) {
	request = &pb.TxnRequest{Success: make([]*pb.RequestOp, 0, len(txn.Put)+len(txn.Delete))}
	for _, c := range txn.Compare {
		request.Compare = append(request.Compare, compare(c.Key, c.ModRevision))
	}
	puts := make([]struct {
		op   pb.RequestOp
		kind pb.RequestOp_RequestPut
		put  pb.PutRequest
	}, len(txn.Put))
	for i, kv := range txn.Put {
		size += int64(len(kv.Key) + len(kv.Value))
		p := &puts[i]
		p.put.Key, p.put.Value = []byte(kv.Key), kv.Value
		p.kind.RequestPut, p.op.Request = &p.put, &p.kind
		request.Success = append(request.Success, &p.op)
	}
	for _, key := range txn.Delete {
		size += int64(len(key))
		request.Success = append(request.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
			RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key)},
		}})
	}
	return request, size
}

// compare demands the revision of a key.
func compare(key string, revision int64) *pb.Compare {
	return &pb.Compare{
		Key: []byte(key), Target: pb.Compare_MOD, Result: pb.Compare_EQUAL,
		TargetUnion: &pb.Compare_ModRevision{ModRevision: revision},
	}
}

// read asks for a key.
func read(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key)}}}
}

func (s *Store) txn(ctx context.Context, request *pb.TxnRequest) (*pb.TxnResponse, error) {
	response, err := s.kv.Txn(ctx, request)
	return response, clientv3.ContextError(ctx, err)
}

// commit asks etcd for a transaction. An embedded server is asked only when
// there is room for it; when it has reached its quota, it is made smaller and
// asked again.
func (s *Store) commit(ctx context.Context, txn store.Txn, request *pb.TxnRequest, size int64) (*pb.TxnResponse, error) {
	s.fence.guard(request)
	if s.embedded == nil {
		return s.txn(ctx, request)
	}
	if len(request.Success) > 0 {
		if err := s.room.admit(size); err != nil {
			return nil, err
		}
	}
	return unlessHalted(s.halt, func() (*pb.TxnResponse, error) {
		for {
			seen, before := s.room.heals.Load(), s.embedded.etcd.Server.KV().Rev()
			response, err := s.txn(ctx, request)
			if !errors.Is(err, rpctypes.ErrNoSpace) {
				return response, err
			}
			if response, err := s.outcome(ctx, txn, before); response != nil || err != nil {
				return response, err
			}
			if err := s.room.heal(ctx, s.client, seen); err != nil {
				return nil, err
			}
		}
	})
}
