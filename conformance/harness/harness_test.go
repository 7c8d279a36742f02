// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAbsent checks that a suite whose client is missing is no failure, and is
// said where make test shows it.
func TestAbsent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not-tested")
	t.Setenv(notTested, path)
	t.Setenv("CI", "true")
	if got := Absent("there is no client"); got != 0 {
		t.Errorf("a missing client has status %d", got)
	}
	if got := Unable("there is no root"); got == 0 {
		t.Error("a suite that cannot run has status 0 with CI set")
	}
	text, err := os.ReadFile(path)
	for _, why := range []string{"*** NOT TESTED: there is no client\n", "*** NOT TESTED: there is no root\n"} {
		if err != nil || !strings.Contains(string(text), why) {
			t.Errorf("%q is not in %q (%v)", why, text, err)
		}
	}
}
