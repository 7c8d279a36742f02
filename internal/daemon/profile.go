// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"time"

	"golang.org/x/sys/unix"
)

// profileTime is how long a CPU profile is taken.
const profileTime = 10 * time.Second

// The files of a data folder that hold the last profiles, for go tool pprof.
const (
	cpuProfile  = "cpu.pprof"
	heapProfile = "heap.pprof"
)

// profileOnSignal writes profiles of the process into the data folder at each
// SIGUSR1, until the context ends: of the CPU for some seconds from then on, and
// of the heap at their end. Nothing is listened on for it, and only who may
// signal the process can ask.
func profileOnSignal(ctx context.Context, f Folder, log *slog.Logger) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGUSR1)
	defer signal.Stop(asked)
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
		}
		if err := f.profile(ctx); err != nil {
			log.Error("profiles not written", "error", err)
			continue
		}
		log.Info("profiles written", "cpu", f.path(cpuProfile), "heap", f.path(heapProfile))
	}
}

// profile takes both profiles; an end of the context only shortens it.
func (f Folder) profile(ctx context.Context) error {
	var cpu, heap bytes.Buffer
	if err := pprof.StartCPUProfile(&cpu); err != nil {
		return fmt.Errorf("profile the CPU: %w", err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(profileTime):
	}
	pprof.StopCPUProfile()
	if err := pprof.Lookup("heap").WriteTo(&heap, 0); err != nil {
		return fmt.Errorf("profile the heap: %w", err)
	}
	if err := f.write(cpuProfile, cpu.Bytes()); err != nil {
		return err
	}
	return f.write(heapProfile, heap.Bytes())
}
