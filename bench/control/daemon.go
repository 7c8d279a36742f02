// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/client"
	postern "github.com/posternhq/postern/internal/daemon"
)

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second
)

// The lines of the daemon's log that tell how far its start is.
const (
	answersLine = "ready"
	adoptedLine = "host adopted"
)

// daemon is a `postern up` with a data folder of its own, over several lives.
type daemon struct {
	binary string
	data   postern.Folder
	flags  []string

	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	api     *client.Client
	running postern.Running
	keys    postern.Credentials
}

// newDaemon prepares a daemon with quotas that the largest crowd fits into.
func newDaemon(binary, folder string) *daemon {
	return &daemon{binary: binary, data: postern.Folder(folder), flags: []string{
		"--quota", "endpoints-per-vpc=5000", "--quota", "interfaces-per-region=100000", "--quota", "configurations-per-region=5000",
	}}
}

// start is how long a daemon took until it was of use.
type start struct {
	answers time.Duration // until the API answered
	adopted time.Duration // until the kernel was known to be as wanted
}

// start starts the process and waits until it answers and has adopted the host.
func (d *daemon) start(ctx context.Context) (took start, err error) {
	log := &milestones{at: map[string]time.Time{}, reached: make(chan struct{}, 1)}
	d.cmd = exec.Command(d.binary, append([]string{"up", "--data", string(d.data), "--listen", "127.0.0.1:0", "--log-format", "json"}, d.flags...)...)
	d.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true} // an interrupt at the keyboard is the benchmark's
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		return took, err
	}
	begun := time.Now()
	if err := d.cmd.Start(); err != nil {
		return took, fmt.Errorf("start %s: %w", d.binary, err)
	}
	d.ended = make(chan struct{})
	go func() {
		defer close(d.ended)
		log.read(stderr)
		_ = d.cmd.Wait() // how it ended is in ProcessState
	}()
	limit := time.NewTimer(startTimeout)
	defer limit.Stop()
	for !log.has(answersLine, adoptedLine) {
		select {
		case <-log.reached:
		case <-d.ended:
			return took, fmt.Errorf("%s ended early: %v\n%s", d.binary, d.cmd.ProcessState, log.tail())
		case <-limit.C:
			return took, fmt.Errorf("%s has not started within %s\n%s", d.binary, startTimeout, log.tail())
		case <-ctx.Done():
			return took, ctx.Err()
		}
	}
	took = start{log.since(answersLine, begun), log.since(adoptedLine, begun)}
	return took, d.connect()
}

// connect reads where the daemon is and with which key it can be used.
func (d *daemon) connect() (err error) {
	if d.running, err = d.data.Running(); err != nil {
		return err
	}
	if d.keys, err = d.data.Credentials(); err != nil {
		return err
	}
	d.api = client.New(d.running.Endpoint, d.running.Region, d.keys.AccessKeyID, d.keys.SecretAccessKey)
	return nil
}

// address is host and port of the API.
func (d *daemon) address() string { return strings.TrimPrefix(d.running.Endpoint, "http://") }

// stop ends the process and leaves the kernel as it is.
func (d *daemon) stop() error {
	if d.cmd == nil || d.cmd.Process == nil || d.ended == nil {
		return nil
	}
	d.wake()
	_ = d.cmd.Process.Signal(unix.SIGTERM) // it may have ended already
	select {
	case <-d.ended:
		return nil
	case <-time.After(stopTimeout):
	}
	_ = d.cmd.Process.Kill()
	<-d.ended
	return fmt.Errorf("%s did not end within %s of SIGTERM", d.binary, stopTimeout)
}

// remove stops the daemon and takes all that it made, and its folder, away.
func (d *daemon) remove() error {
	err := d.stop()
	out, cleanErr := exec.Command(d.binary, "clean", "--data", string(d.data)).CombinedOutput()
	if cleanErr != nil {
		return errors.Join(err, fmt.Errorf("clean up: %w\n%s", cleanErr, out)) // the folder stays: it names what to clean
	}
	return errors.Join(err, os.RemoveAll(string(d.data)))
}

// rest makes the daemon stand still while another one is measured, and wake
// lets it go on. What it has programmed works meanwhile.
func (d *daemon) rest() { _ = d.cmd.Process.Signal(unix.SIGSTOP) }
func (d *daemon) wake() { _ = d.cmd.Process.Signal(unix.SIGCONT) }

// memory gives what the process has resident now, and at most since its start,
// in MiB.
func (d *daemon) memory() (now, most float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
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

// milestones notes when the lines of a log came, and keeps the last ones.
type milestones struct {
	mu      sync.Mutex
	at      map[string]time.Time
	last    []string
	reached chan struct{}
}

const keptLines = 20

func (m *milestones) read(log io.Reader) {
	scanner := bufio.NewScanner(log)
	for scanner.Scan() {
		var line struct{ Msg string }
		_ = json.Unmarshal(bytes.TrimSpace(scanner.Bytes()), &line) // what is no JSON has no message
		m.mu.Lock()
		if _, seen := m.at[line.Msg]; !seen {
			m.at[line.Msg] = time.Now()
		}
		m.last = append(m.last, scanner.Text())
		m.last = m.last[max(0, len(m.last)-keptLines):]
		m.mu.Unlock()
		select {
		case m.reached <- struct{}{}:
		default:
		}
	}
	_, _ = io.Copy(io.Discard, log) // after a line that is too long: the writer must not block
}

func (m *milestones) has(lines ...string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := slices.Collect(maps.Keys(m.at))
	return !slices.ContainsFunc(lines, func(l string) bool { return !slices.Contains(known, l) })
}

func (m *milestones) since(line string, begun time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[line].Sub(begun)
}

func (m *milestones) tail() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.last, "\n")
}
