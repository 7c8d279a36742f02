// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// module is that of the binary, also for the modules beside it.
const module = "github.com/posternhq/postern"

// built is the folder of the binary that this process built.
var built string

// Binary gives the path of the binary under test: POSTERN_BIN or, without it, one
// that is built from the module, once.
var Binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("POSTERN_BIN"); path != "" {
		return filepath.Abs(path)
	}
	folder, err := os.MkdirTemp("", "postern-test-bin-")
	if err != nil {
		return "", err
	}
	built = folder
	if err := Build(folder, "postern"); err != nil {
		return "", err
	}
	return filepath.Join(folder, "postern"), nil
})

// RemoveBinary takes away what Binary has built.
func RemoveBinary() error {
	if built == "" {
		return nil
	}
	return os.RemoveAll(built)
}

// Build builds programs of the module's cmd folder into a folder.
func Build(folder string, programs ...string) error {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("find module %s: %w", module, err)
	}
	args := []string{"build", "-buildvcs=false", "-o", folder + string(filepath.Separator)}
	for _, p := range programs {
		args = append(args, "./cmd/"+p)
	}
	build := exec.Command("go", args...)
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", strings.Join(programs, " and "), err, out)
	}
	return nil
}
