// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/posternhq/postern/test/child"
)

// Arguments are those of a command of Postern with `--data` and the data folder,
// which go before a `--` among them.
func (i *Instance) Arguments(args ...string) []string {
	end := slices.Index(args, "--")
	if end < 0 {
		end = len(args)
	}
	return slices.Concat(args[:end], []string{"--data", i.Data}, args[end:])
}

// Command runs `postern ARGS --data DIR` to its end.
func (i *Instance) Command(args ...string) child.Result {
	return child.Exec(i.Environment, i.Binary, i.Arguments(args...)...)
}

// Mark is what names this Postern's kernel objects; empty before it has one.
func (i *Instance) Mark() (string, error) {
	text, err := os.ReadFile(filepath.Join(i.Data, "instance"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return strings.TrimSpace(string(text)), err
}

// Routers are the names of the namespaces of this Postern's VPC routers.
func (i *Instance) Routers() (names []string, err error) {
	mark, err := i.Mark()
	if err != nil || mark == "" {
		return nil, err
	}
	paths, err := filepath.Glob("/run/netns/postern-" + mark + "-*")
	for _, path := range paths {
		names = append(names, filepath.Base(path))
	}
	return names, err
}

// clean removes what is left in the kernel, and looks whether that was all.
func (i *Instance) clean() error {
	mark, err := i.Mark()
	if err != nil || mark == "" { // it never came that far
		return err
	}
	if r := i.Command("clean", "--databases"); r.Status != 0 {
		return fmt.Errorf("postern clean: status %d: %s", r.Status, r.Stderr)
	}
	left, err := i.Routers()
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("postern clean left namespaces behind: %v", left)
	}
	return err
}

// Verify wants nothing to be wrong in the state and in the kernel of the daemon
// that runs, but entries that it says to be in error. Namespaces of workloads may
// be gone.
func (i *Instance) Verify() error {
	r := i.Command("verify")
	if r.Status == 0 {
		return nil
	}
	var wrong []string
	for line := range strings.Lines(r.Stdout) {
		gone := strings.HasPrefix(line, "workload ") && strings.Contains(line, "does not have it") // with its namespace
		if !gone && !strings.Contains(line, "it is in error") && !strings.Contains(line, "things are wrong") {
			wrong = append(wrong, strings.TrimSpace(line))
		}
	}
	switch {
	case r.Stdout == "":
		return fmt.Errorf("postern verify: status %d: %s", r.Status, r.Stderr)
	case len(wrong) > 0:
		return fmt.Errorf("postern verify finds %d things wrong:\n%s", len(wrong), strings.Join(wrong, "\n"))
	}
	return nil
}
