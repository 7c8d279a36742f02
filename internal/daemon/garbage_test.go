// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"runtime/debug"
	"testing"
)

// share reads how much garbage there may be, in percent.
func share() int {
	p := debug.SetGCPercent(100)
	debug.SetGCPercent(p)
	return p
}

// A start keeps less garbage than usual until it is over, and not where the operator
// has said how much there may be.
func TestAStartCollectsMoreOften(t *testing.T) {
	t.Setenv("GOGC", "")
	usual := share()
	asUsual := collectOften()
	t.Cleanup(asUsual)
	if got := share(); got >= usual {
		t.Errorf("%d %% of garbage while starting, usually %d", got, usual)
	}
	asUsual()
	asUsual()
	if got := share(); got != usual {
		t.Errorf("%d %% of garbage after the start, usually %d", got, usual)
	}
	t.Setenv("GOGC", "77")
	collectOften()
	if got := share(); got != usual {
		t.Errorf("%d %% of garbage although the environment says how much", got)
	}
}
