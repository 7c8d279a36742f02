// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/posternhq/postern/internal/agent"
)

// A store of this process is being read for some seconds, which is no reason to go by the
// copy on disk; one elsewhere is away when it does not answer soon.
func TestTheCopyOnDiskIsForStoresThatAreAway(t *testing.T) {
	for _, c := range []struct {
		name     string
		external bool
		after    time.Duration
		goes     bool
	}{
		{"external, soon", true, time.Second, false},
		{"external, later", true, 5 * time.Second, true},
		{"embedded, while it is read", false, 10 * time.Second, false},
		{"embedded, that does not come", false, time.Minute, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				p := &plane{
					log: slog.New(slog.NewTextHandler(&log, nil)), told: make(chan struct{}), served: make(chan struct{}),
					agent: agent.New(agent.Config{StateFile: t.TempDir() + "/desired.txt"}),
				}
				ctx, cancel := context.WithCancel(t.Context())
				var ended sync.WaitGroup
				ended.Go(func() { p.recall(ctx, c.external) })
				time.Sleep(c.after)
				synctest.Wait()
				if went := strings.Contains(log.String(), "the store is awaited"); went != c.goes {
					t.Errorf("it goes by the copy: %v, want %v; the log says:\n%s", went, c.goes, log.String())
				}
				cancel()
				ended.Wait()
			})
		})
	}
}
