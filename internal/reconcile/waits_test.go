// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/fakedp"
)

// needed takes nothing away while somebody needs it.
type needed struct {
	*fakedp.Kernel
	ended atomic.Bool
}

// Apply implements reconcile.Effects.
func (n *needed) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	if len(del) > 0 && !n.ended.Load() {
		return map[desired.Key]error{del[0].Key(): fmt.Errorf("remove it: %w", desired.ErrWaits)}
	}
	return n.Kernel.Apply(ctx, realm, put, del)
}

// What waits for something else to end is tried until it has, and nobody is warned of it.
func TestWhatWaitsIsNoReasonToWarn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := &needed{Kernel: fakedp.New()}
		r := reconcile.New(n, reconcile.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		router := parse(t, "router vpc-a self")
		apply(t, r, desired.Delta{Full: true, Revision: 1, Put: router})
		apply(t, r, desired.Delta{Revision: 2, Delete: []desired.Key{router[0].Key()}})
		n.ended.Store(true)
		time.Sleep(time.Second) // of virtual time, until it is tried again
		synctest.Wait()
		if realms, err := n.Realms(ctx); err != nil || len(realms) > 0 {
			t.Errorf("there are still %v, %v", realms, err)
		}
		text := log.String()
		cancel()
		synctest.Wait()
		if !strings.Contains(text, "it waits") || strings.Contains(text, "WARN") {
			t.Errorf("the log says:\n%s", text)
		}
	})
}
