// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// FormatVersion is the version of the form of Results as JSON. It rises when a
// reader of an older form would misread.
const FormatVersion = 1

// Results are those of a whole run. bench/README.md documents their JSON.
type Results struct {
	Version  int       `json:"version"`
	Began    time.Time `json:"began"`
	Seconds  float64   `json:"seconds"` // how long the run took
	Quick    bool      `json:"quick"`
	Rounds   int       `json:"rounds"`
	Machine  Machine   `json:"machine"`
	Sections []Section `json:"sections"`
	Verdicts []Verdict `json:"verdicts"` // of all targets, in the order of the tables
}

// Machine is what was measured on.
type Machine struct {
	Kernel    string `json:"kernel"`
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	MemoryMiB int    `json:"memory_mib"`
	Go        string `json:"go"`
}

// New returns empty results of this machine.
func New(s Settings, now time.Time) *Results {
	return &Results{Version: FormatVersion, Began: now.UTC().Truncate(time.Second), Quick: s.Quick, Rounds: s.Rounds, Machine: thisMachine()}
}

// Finish judges the targets and notes how long the run took.
func (r *Results) Finish(now time.Time) {
	r.Seconds = now.Sub(r.Began).Round(time.Second).Seconds()
	r.Verdicts = nil
	for _, s := range r.Sections {
		for _, t := range s.Tables {
			r.Verdicts = append(r.Verdicts, t.Verdicts()...)
		}
	}
}

// Save writes the results as JSON to a file and makes its folder if need be.
func (r *Results) Save(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("save results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("save results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("save results: %w", err)
	}
	return nil
}

// thisMachine leaves empty what the kernel does not tell.
func thisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryMiB = int(info.Totalram * uint64(info.Unit) >> 20)
	}
	text, _ := os.ReadFile("/proc/cpuinfo") // it has no model name on some machines
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
			break
		}
	}
	return m
}
