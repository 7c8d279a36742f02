// SPDX-License-Identifier: Apache-2.0

package etcdstore

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/posternhq/postern/internal/store"
)

// What etcd could not do in time is no fault of the request: clients are told to
// repeat it, and that it may have been carried out.
func TestLateAnswersAreTemporary(t *testing.T) {
	away := status.Error(codes.Unavailable, "connection error: desc = \"error reading server preface\"")
	for _, late := range []error{away, status.Error(codes.DeadlineExceeded, "latest balancer error"), context.DeadlineExceeded, rpctypes.ErrTimeout, rpctypes.ErrTimeoutDueToLeaderFail, rpctypes.ErrNoLeader, rpctypes.ErrLeaderChanged} {
		err := failure("commit", late)
		var temporary interface{ Unavailable() string }
		if !errors.As(err, &temporary) || !strings.Contains(temporary.Unavailable(), "not known") || !errors.Is(err, late) {
			t.Errorf("%v becomes %v", late, err)
		}
		if errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrFrozen) {
			t.Errorf("%v is told to have changed nothing: %v", late, err)
		}
	}
}
