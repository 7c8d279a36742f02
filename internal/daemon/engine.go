// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/engine/mariadb"
	"github.com/posternhq/postern/internal/engine/postgres"
)

// drivers are those of the database engines that this program can run.
func drivers() []engine.Driver { return []engine.Driver{mariadb.New(), postgres.New()} }

// How long it may take to look for engines, and how long what was found is believed: an
// engine that somebody installs is found a little later, without a restart.
const (
	discoveryPatience = 10 * time.Second
	discoveryLife     = time.Minute
)

// engines remembers which database engines are installed.
type engines struct {
	drivers []engine.Driver
	log     *slog.Logger

	mu    sync.Mutex
	at    time.Time
	found []engine.Installation
}

// installed gives what was found lately, and looks when that was too long ago. A driver that
// cannot look is logged, and what it found before stays.
func (e *engines) installed() []engine.Installation {
	e.mu.Lock()
	defer e.mu.Unlock()
	if time.Since(e.at) < discoveryLife {
		return e.found
	}
	ctx, cancel := context.WithTimeout(context.Background(), discoveryPatience)
	defer cancel()
	var found []engine.Installation
	for _, d := range e.drivers {
		now, err := d.Discover(ctx)
		if err != nil {
			e.log.Warn("look for a database engine", "driver", d.Name(), "error", err)
			for _, before := range e.found {
				if before.Driver == d.Name() {
					now = append(now, before)
				}
			}
		}
		found = append(found, now...)
	}
	e.found, e.at = found, time.Now()
	return e.found
}
