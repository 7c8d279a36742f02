// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLeftoversDoNotStopTheStateFile puts what an earlier process may have left
// behind in the way of the file.
func TestLeftoversDoNotStopTheStateFile(t *testing.T) {
	for name, leave := range map[string]func(path string) error{
		"half a file":              func(path string) error { return os.WriteFile(path+".new", []byte("ha"), 0o600) },
		"a folder":                 func(path string) error { return os.MkdirAll(filepath.Join(path+".new", "x"), 0o700) },
		"a folder under its name":  func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		"a file nobody may write":  func(path string) error { return os.WriteFile(path+".new", nil, 0) },
		"an older file under both": func(path string) error { return os.WriteFile(path, []byte("a longer text"), 0o600) },
		"a link that leads away":   func(path string) error { return os.Symlink("/nowhere/at/all", path+".new") },
	} {
		path := filepath.Join(t.TempDir(), "desired.txt")
		if err := leave(path); err != nil {
			t.Fatal(err)
		}
		if err := writeAtomically(path, "text"); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "text" {
			t.Errorf("%s: the file holds %q (%v)", name, got, err)
		}
		if _, err := os.Lstat(path + ".new"); !os.IsNotExist(err) {
			t.Errorf("%s: %s.new is left (%v)", name, path, err)
		}
	}
}
