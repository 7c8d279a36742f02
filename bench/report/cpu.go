// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// CPUSeconds is how long the machine's processors have worked since it started
// (proc_stat(5)); its unit is a hundredth of a second.
func CPUSeconds() (float64, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, fmt.Errorf("read /proc/stat: first line is %q", line)
	}
	var ticks uint64
	for i, f := range fields[1:8] {
		if i == 3 || i == 4 {
			continue // idle, and idle while a disk works
		}
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read /proc/stat: %w", err)
		}
		ticks += n
	}
	return float64(ticks) / 100, nil
}
