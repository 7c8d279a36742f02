// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"context"
	"fmt"
	"time"
)

// Poll asks until the answer is yes: quickly at first, so that it is late by no
// more than a tenth of what it took. It gives up after the timeout, with the
// context, and at an error.
func Poll(ctx context.Context, timeout time.Duration, what string, done func() (bool, error)) error {
	for begun := time.Now(); ; {
		ok, err := done()
		if ok {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		waited := time.Since(begun)
		if waited > timeout {
			return fmt.Errorf("wait for %s: not within %v", what, timeout)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-time.After(min(max(waited/10, time.Millisecond), 100*time.Millisecond)):
		}
	}
}
