// SPDX-License-Identifier: Apache-2.0

package instance

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// DatabaseServer finds the process of a PostgreSQL server that an instance runs: the child
// of the supervisor that has the folder of the database instance, by its resource id, in the
// data folder.
func DatabaseServer(data, resource string) (*os.Process, error) {
	supervisor, err := DatabaseSupervisor(data, resource)
	if err != nil {
		return nil, err
	}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is one
	for _, p := range paths {
		stat, _ := os.ReadFile(p) // one that has ended has none
		// proc(5): the number, the name in parentheses, the state, the parent.
		if number, rest, ok := strings.Cut(string(stat), " (postgres) "); ok {
			if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(supervisor.Pid) {
				return found(number)
			}
		}
	}
	return nil, fmt.Errorf("find the server of %s: no process has it", resource)
}

// DatabaseSupervisor finds the process above a server: all of the database instance ends
// with it.
func DatabaseSupervisor(data, resource string) (*os.Process, error) {
	folder := filepath.Join(data, "databases", resource)
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range paths {
		line, _ := os.ReadFile(p)
		if args := strings.Split(string(line), "\x00"); len(args) > 3 && args[1] == "supervise" && args[3] == folder {
			return found(filepath.Base(filepath.Dir(p)))
		}
	}
	return nil, fmt.Errorf("find the supervisor of %s: no process has it", resource)
}

func found(number string) (*os.Process, error) {
	pid, err := strconv.Atoi(number)
	if err != nil {
		return nil, err
	}
	return os.FindProcess(pid)
}
