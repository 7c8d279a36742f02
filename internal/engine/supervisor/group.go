// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A supervisor is in a control group of its own at the root of the hierarchy, where there
// is one of the second version: out of the group of the service that started it, with
// which it would be ended, and visible to people as what it is. Nothing depends on it: what
// ends all processes is the end of the first one of their namespace.
const groupPrefix = "postern-"

// groupName is the name of the group of an instance's server.
func groupName(mark, folder string) string {
	return groupPrefix + mark + "-" + filepath.Base(folder)
}

// groups is where the hierarchy is mounted, or empty.
func groups() string {
	for _, path := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(path, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return path
		}
	}
	return ""
}

// enterGroup puts a process into a group, which is made when it is not there.
func enterGroup(name string, pid int) error {
	root := groups()
	if root == "" {
		return nil
	}
	path := filepath.Join(root, name)
	for tries := 0; ; tries++ {
		if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make control group %s: %w", name, err)
		}
		err := os.WriteFile(filepath.Join(path, "cgroup.procs"), fmt.Append(nil, pid), 0)
		if errors.Is(err, fs.ErrNotExist) && tries < 10 {
			continue // whoever saw the one before end has removed it
		}
		if err != nil {
			return fmt.Errorf("put process %d into control group %s: %w", pid, name, err)
		}
		return nil
	}
}

// groupOf gives the path of the group that a supervisor is in, or nothing.
func groupOf(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		name, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/")
		if ok && strings.HasPrefix(name, groupPrefix) && !strings.Contains(name, "/") {
			return filepath.Join(groups(), name)
		}
	}
	return ""
}

// killGroup kills what is in a group, where the kernel can (cgroup.kill, since Linux 5.14).
func killGroup(path string) {
	if path != "" {
		_ = os.WriteFile(filepath.Join(path, "cgroup.kill"), []byte("1"), 0)
	}
}

// removeGroup removes a group whose processes have ended; the kernel may need a moment to
// notice. One that stays is found by the next supervisor, or by RemoveGroups.
func removeGroup(path string) {
	if path == "" {
		return
	}
	for range 100 {
		if err := os.Remove(path); !errors.Is(err, unix.EBUSY) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// RemoveGroups removes the empty groups of an instance, or of all when the mark is empty,
// and gives their names.
func RemoveGroups(mark string) (removed []string) {
	root := groups()
	if root == "" {
		return nil
	}
	pattern := groupPrefix + "*-db-*"
	if mark != "" {
		pattern = groupPrefix + mark + "-*"
	}
	found, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil {
		return nil // only if the mark were a pattern
	}
	for _, path := range found {
		if os.Remove(path) == nil {
			removed = append(removed, filepath.Base(path))
		}
	}
	return removed
}
