// SPDX-License-Identifier: Apache-2.0

package memstore_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Target{
		Open: func(t *testing.T) store.Store {
			s := memstore.New()
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s
		},
		Compact: func(ctx context.Context, s store.Store, rev int64) error {
			return s.(*memstore.Store).Compact(ctx, rev)
		},
	})
}
