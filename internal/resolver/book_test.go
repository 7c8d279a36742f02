// SPDX-License-Identifier: Apache-2.0

package resolver

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestADiskThatStandsStillIsSaid asks how the process is while something is written for
// long: it answers, or it would be taken for one that hangs.
func TestADiskThatStandsStillIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := openBook(filepath.Join(t.TempDir(), JournalName), "k3v9x", slog.New(slog.DiscardHandler))
		b.mu.Lock() // as whoever writes has it
		done := b.write()
		time.Sleep(slowDisk)
		if text := b.onDisk(); text != "" {
			t.Errorf("at first it says %q", text)
		}
		time.Sleep(time.Second)
		if text := b.onDisk(); !strings.Contains(text, "6s") {
			t.Errorf("then it says %q", text)
		}
		done()
		if text := b.onDisk(); text != "" {
			t.Errorf("afterwards it says %q", text)
		}
	})
}
