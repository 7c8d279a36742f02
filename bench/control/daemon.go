// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/posternhq/postern/bench/postern"
	"github.com/posternhq/postern/test/instance"
)

// startTimeout bounds the start of a daemon until it has adopted the host.
const startTimeout = 2 * time.Minute

// The lines of the daemon's log that tell how far its start is.
const (
	answersLine = "ready"
	adoptedLine = "host adopted"
)

// daemon is a Postern whose starts are timed.
type daemon struct{ *postern.Postern }

// quotas are what the largest crowd fits into.
const quotas = "vpcs-per-region=5000;endpoints-per-vpc=5000;interfaces-per-region=100000;configurations-per-region=5000;children-per-group=100;interface-endpoints-per-vpc=100"

func newDaemon(binary string) (*daemon, error) {
	p, err := postern.New(binary, "--tls", "--tls-listen", "127.0.0.1:0", "--log-format", "json", "--quota", quotas)
	return &daemon{p}, err
}

// start is how long a daemon took until it was of use.
type start struct {
	answers time.Duration // until the API answered
	adopted time.Duration // until the kernel was known to be as wanted
}

// start starts the process and waits until it answers and has adopted the host.
func (d *daemon) start(ctx context.Context) (took start, err error) {
	log := &milestones{at: map[string]time.Time{}}
	d.Log = log
	begun := time.Now()
	if err := d.Up(ctx); err != nil {
		return took, fmt.Errorf("%w\n%s", err, log.tail())
	}
	err = instance.Poll(ctx, startTimeout, "adoption of the host", func() (bool, error) {
		took = start{log.since(answersLine, begun), log.since(adoptedLine, begun)}
		if !d.Runs() {
			return false, fmt.Errorf("%w\n%s", d.Process().Early(), log.tail())
		}
		return took.answers > 0 && took.adopted > 0, nil
	})
	return took, err
}

// address is host and port of the API.
func (d *daemon) address() string { return strings.TrimPrefix(d.Access().URL, "http://") }

// rest makes the daemon stand still while another one is measured, and wake
// lets it go on. What it has programmed works meanwhile.
func (d *daemon) rest() { d.Signal(syscall.SIGSTOP) }
func (d *daemon) wake() { d.Signal(syscall.SIGCONT) }

// close wakes the daemon and takes it away with all that it made.
func (d *daemon) close() error {
	if d.Runs() {
		d.wake()
	}
	return d.Close()
}

// memory gives what the process has resident now, and at most since its start,
// in MiB.
func (d *daemon) memory() (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID()))
	if err != nil {
		return 0, 0, fmt.Errorf("read memory of the daemon: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		switch {
		case strings.HasPrefix(line, "VmRSS:"):
			_, err = fmt.Sscanf(line, "VmRSS: %f kB", &kib)
			now = kib / 1024
		case strings.HasPrefix(line, "VmHWM:"):
			_, err = fmt.Sscanf(line, "VmHWM: %f kB", &kib)
			most = kib / 1024
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read memory of the daemon: %q: %w", line, err)
		}
	}
	return now, most, nil
}

// milestones is a log that notes when its lines first came, and keeps the last
// ones.
type milestones struct {
	mu   sync.Mutex
	part []byte // of a line that has not ended
	at   map[string]time.Time
	last []string
}

const keptLines = 20

// Write implements io.Writer.
func (m *milestones) Write(text []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.part = append(m.part, text...)
	for {
		line, rest, ended := bytes.Cut(m.part, []byte("\n"))
		if !ended {
			return len(text), nil
		}
		m.note(line)
		m.part = rest
	}
}

func (m *milestones) note(text []byte) {
	var line struct{ Msg string }
	_ = json.Unmarshal(text, &line) // what is no JSON has no message
	if _, seen := m.at[line.Msg]; !seen {
		m.at[line.Msg] = time.Now()
	}
	m.last = append(m.last, string(text))
	m.last = m.last[max(0, len(m.last)-keptLines):]
}

// since is how long after the beginning a line came; 0 before it has come.
func (m *milestones) since(line string, begun time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, seen := m.at[line]
	if !seen {
		return 0
	}
	return at.Sub(begun)
}

func (m *milestones) tail() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.last, "\n")
}
