// SPDX-License-Identifier: Apache-2.0

package child

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Knowing gives the command lines of the processes, other than this one, that
// know of a folder by their arguments or their environment: what is left of a
// program whose temporary folder was its own.
func Knowing(folder string) (lines []string) {
	paths, _ := filepath.Glob("/proc/[0-9]*") // the pattern is one
	for _, p := range paths {
		if filepath.Base(p) == fmt.Sprint(os.Getpid()) {
			continue
		}
		line, _ := os.ReadFile(p + "/cmdline") // one that has ended has none
		environment, _ := os.ReadFile(p + "/environ")
		if bytes.Contains(line, []byte(folder)) || bytes.Contains(environment, []byte(folder)) {
			lines = append(lines, strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " ")))
		}
	}
	return lines
}
