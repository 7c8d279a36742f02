// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Main is what TestMain of a package of system tests calls: it runs the tests
// and takes away the binary that was built for them. Its result is for os.Exit.
func Main(m *testing.M) int {
	defer func() {
		if built != "" {
			os.RemoveAll(built)
		}
	}()
	return m.Run()
}

// built is the folder of the binary that this process built.
var built string

// binary gives the path of the binary under test: POSTERN_BIN, or one that is
// built from this module, once.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("POSTERN_BIN"); path != "" {
		return filepath.Abs(path)
	}
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	if built, err = os.MkdirTemp("", "postern-test-bin-"); err != nil {
		return "", err
	}
	path := filepath.Join(built, "postern")
	build := exec.Command("go", "build", "-o", path, "./cmd/postern")
	build.Dir = strings.TrimSpace(string(module))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the binary under test: %w\n%s", err, out)
	}
	return path, nil
})

// Binary is the path of the binary under test. The test ends when it cannot be
// built.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Passable lets all users search a folder and those above it, as far as they
// cannot.
func Passable(t testing.TB, dir string) {
	t.Helper()
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			if err := os.Chmod(dir, 0o711); err != nil {
				t.Fatal(err)
			}
		}
	}
}
