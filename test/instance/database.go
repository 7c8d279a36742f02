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
	folder := filepath.Join(data, "databases", resource)
	paths, _ := filepath.Glob("/proc/[0-9]*") // the pattern is one
	parents := map[string]string{}
	supervisor := ""
	for _, p := range paths {
		line, _ := os.ReadFile(p + "/cmdline") // one that has ended has none
		if args := strings.Split(string(line), "\x00"); len(args) > 3 && args[1] == "supervise" && args[3] == folder {
			supervisor = filepath.Base(p)
		}
		stat, _ := os.ReadFile(p + "/stat")
		// proc(5): the number, the name in parentheses, the state, the parent.
		if _, rest, ok := strings.Cut(string(stat), " (postgres) "); ok {
			if fields := strings.Fields(rest); len(fields) > 1 {
				parents[filepath.Base(p)] = fields[1]
			}
		}
	}
	for child, parent := range parents {
		if supervisor != "" && parent == supervisor {
			pid, err := strconv.Atoi(child)
			if err != nil {
				return nil, err
			}
			return os.FindProcess(pid)
		}
	}
	return nil, fmt.Errorf("find the server of %s: no process has it", resource)
}
