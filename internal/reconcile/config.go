// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Config sets up a Reconciler. The zero value of each field means its default.
type Config struct {
	// VerifyInterval is how often every realm is read back and compared with
	// what is wanted; realms take turns within it. Default 30 s.
	VerifyInterval time.Duration
	// RetryMin and RetryMax bound the delay before something that failed is
	// tried again. It starts with RetryMin and doubles. Defaults 10 ms and 5 s.
	RetryMin, RetryMax time.Duration
	// ApplyTimeout bounds one call of Effects. A call that does not heed it goes on,
	// since nothing can end it, and what is wanted in its realm is in error until it
	// returns. Default 60 s.
	ApplyTimeout time.Duration
	// Patience is how long a realm may keep the others waiting. One that takes
	// longer goes on alone, and they go on without it. Default 1 s.
	Patience time.Duration
	// Parallel is how many realms are worked on at the same time. Default 4.
	Parallel int
	// Found, if set, receives what is on the host before anything is done there, as far
	// as it could be read, once. It is called as Report is.
	Found func([]desired.Entry)
	// Report, if set, receives what changed, after each pass that changed
	// something. It is called from the goroutine of Run, one call at a time,
	// and must return soon: the loop waits for it.
	Report func(Report)
	// Logger receives what a person cares about. Default slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.VerifyInterval = cmp.Or(c.VerifyInterval, 30*time.Second)
	c.RetryMin = cmp.Or(c.RetryMin, 10*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, 5*time.Second)
	c.ApplyTimeout = cmp.Or(c.ApplyTimeout, time.Minute)
	c.Patience = cmp.Or(c.Patience, time.Second)
	c.Parallel = cmp.Or(c.Parallel, 4)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c
}

// delay is how long to wait after so many failures in a row.
func (c Config) delay(attempts int) time.Duration {
	d := c.RetryMin
	for i := 1; i < attempts && d < c.RetryMax; i++ {
		d *= 2
	}
	return min(d, c.RetryMax)
}
