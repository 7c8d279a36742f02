// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"os"
	"runtime/debug"
	"sync"
)

// startGarbage is how much a start lets lie around before it collects, in percent of
// what it holds. A start reads each row, what the kernel has and what was wanted last,
// and holds most of that at the same time as what it makes of it: with Go's usual share
// on top, it is the time when a daemon needs most memory.
const startGarbage = 28

// collectOften keeps the garbage of a start small, unless the environment says with
// GOGC how much there may be. The caller calls asUsual, from any goroutine and any
// number of times, when the start is over: that collects, gives memory back to the
// system, and leaves the collector as it was.
func collectOften() (asUsual func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	usual := debug.SetGCPercent(startGarbage)
	return sync.OnceFunc(func() {
		debug.FreeOSMemory()
		debug.SetGCPercent(usual)
	})
}
