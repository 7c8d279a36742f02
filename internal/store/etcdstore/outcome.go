// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"bytes"
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"

	"github.com/posternhq/postern/internal/store"
)

// outcome finds out what became of changes that a server has answered with "no
// space". They were made, if they were, after the revision before. The server
// says so of changes that it has refused, and also, once, of those that it was
// carrying out when it found that they lead beyond its quota
// (https://github.com/etcd-io/etcd/blob/v3.6.0/server/etcdserver/apply/quota.go).
// These have happened. The response is nil for those that have not.
func (s *Store) outcome(ctx context.Context, txn store.Txn, before int64) (*pb.TxnResponse, error) {
	request := &pb.TxnRequest{}
	for _, kv := range txn.Put {
		request.Success = append(request.Success, read(kv.Key))
	}
	for _, key := range txn.Delete {
		request.Success = append(request.Success, read(key))
	}
	found, err := s.txn(ctx, request)
	if err != nil {
		return nil, err
	}
	var rev int64
	for i, response := range found.Responses {
		keys, deleted := response.GetResponseRange().Kvs, i >= len(txn.Put)
		switch {
		case deleted && len(keys) == 0:
		case deleted || len(keys) == 0 || !bytes.Equal(keys[0].Value, txn.Put[i].Value):
			return nil, nil
		case rev != 0 && rev != keys[0].ModRevision:
			return nil, nil
		default:
			rev = keys[0].ModRevision
		}
	}
	if rev <= before { // the keys had these values already
		return nil, nil
	}
	return &pb.TxnResponse{Header: &pb.ResponseHeader{Revision: rev}, Succeeded: true}, nil
}

// lastChange is the last revision that a transaction has seen of what it compares.
func lastChange(txn store.Txn) (rev int64) {
	for _, c := range txn.Compare {
		rev = max(rev, c.ModRevision)
	}
	return rev
}

// unavailableError is an answer of etcd that says nothing of the outcome: it has
// no leader, or its disk or its peers did not answer in time; or it is that there was
// no answer, because no server is reached or none answered in time.
type unavailableError struct{ error }

// Unwrap gives etcd's error.
func (e *unavailableError) Unwrap() error { return e.error }

// Unavailable gives the words for clients.
func (e *unavailableError) Unavailable() string { return adviceLate }

func isUnavailable(err error) bool {
	var answer rpctypes.EtcdError
	return errors.As(err, &answer) && answer.Code() == codes.Unavailable
}
