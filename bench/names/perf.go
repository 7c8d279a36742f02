// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// How many questions are under way, on how many sockets.
const (
	sockets     = 10
	outstanding = sockets * load.UnderWay
)

// candidate is a name server with a client that asks it, and an agent there.
type candidate struct {
	name   string
	client *testnet.NS
	agent  *load.Agent
	server string
}

// files are what is asked: all names in turn, and some by chance, as agents and as
// dnsperf read them.
type files struct{ all, chance, perf string }

// questionsFor writes what is asked of servers with n records. Which are asked is left
// to chance, the same in every run.
func questionsFor(folder string, n int) (f files, err error) {
	f = files{filepath.Join(folder, "all"), filepath.Join(folder, "chance"), filepath.Join(folder, "perf")}
	var all, some, perf bytes.Buffer
	for i := range n {
		fmt.Fprintln(&all, hostName(i))
	}
	chance := rand.New(rand.NewPCG(7, uint64(n)))
	for range max(n, 20_000) {
		name := hostName(chance.IntN(n))
		fmt.Fprintln(&some, name)
		fmt.Fprintln(&perf, name, "A")
	}
	for name, text := range map[string]*bytes.Buffer{f.all: &all, f.chance: &some, f.perf: &perf} {
		err = errors.Join(err, os.WriteFile(name, text.Bytes(), 0o600))
	}
	return f, err
}

// ask has the agent ask for a while, and gives the answers for each second that all
// processors of the machine worked: what it costs to ask is in it, alike for all.
func (c candidate) ask(file string, d time.Duration) (rate, perCPU float64, err error) {
	before, err := report.CPUSeconds()
	if err != nil {
		return 0, 0, err
	}
	r, err := c.agent.Inquire(netip.AddrPortFrom(netip.MustParseAddr(c.server), 53), file, sockets, d)
	if err != nil {
		return 0, 0, err
	}
	after, err := report.CPUSeconds()
	if err == nil && r.Failed > r.Count/100 {
		err = fmt.Errorf("%s answered %d questions with a record, and %d not", c.name, r.Count, r.Failed)
	}
	return float64(r.Count) / r.Seconds, float64(r.Count) / (after - before), err
}

// perf lets dnsperf ask for a while, as fast as it can, or so often a second, and gives
// the answers a second and, if so often, the 99th percentile in milliseconds. More
// than one question in a hundred without an answer, or with another one than a
// record, is an error: what is measured must be answers.
func (c candidate) perf(ctx context.Context, file string, d time.Duration, pace float64) (rate, p99 float64, err error) {
	args := []string{"-s", c.server, "-d", file, "-l", strconv.FormatFloat(d.Seconds(), 'f', 3, 64),
		"-c", strconv.Itoa(sockets), "-q", strconv.Itoa(outstanding), "-T", "1"}
	if pace > 0 {
		args = append(args, "-v", "-Q", strconv.Itoa(max(1, int(pace))))
	}
	out, err := os.CreateTemp(filepath.Dir(file), "said-") // a pipe would have this process take part
	if err != nil {
		return 0, 0, err
	}
	defer out.Close()
	cmd := exec.Command("dnsperf", args...)
	cmd.Stdout = out
	p, err := child.StartWithin(c.client.Run, cmd)
	if err != nil {
		return 0, 0, err
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	if status, err := p.Wait(d + soon); err != nil || status != 0 {
		return 0, 0, errors.Join(fmt.Errorf("dnsperf ended with %d: %s", status, p.Output()), err, ctx.Err())
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return 0, 0, err
	}
	r, err := readPerf(out)
	if err != nil {
		return 0, 0, fmt.Errorf("dnsperf of %s: %w", c.name, err)
	}
	if r.sent-r.good > r.sent/100 {
		return 0, 0, fmt.Errorf("%s answered %d of %d questions with a record", c.name, r.good, r.sent)
	}
	_, p99 = report.Milliseconds(r.took)
	return float64(r.good) / r.seconds, p99, nil
}

// perf is what dnsperf said.
type perf struct {
	sent, good int // questions, and answers with NOERROR
	seconds    float64
	took       []time.Duration // each answer, if it was asked to say so
}

// readPerf reads dnsperf's output.
func readPerf(from io.Reader) (p perf, err error) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		words := bytes.Fields(lines.Bytes())
		if len(words) < 3 {
			continue
		}
		switch last := string(words[len(words)-1]); {
		case words[0][0] == '>':
			s, err := strconv.ParseFloat(last, 64)
			if err == nil {
				p.took = append(p.took, time.Duration(s*float64(time.Second)))
			}
		case string(words[0])+" "+string(words[1]) == "Queries sent:":
			p.sent, err = strconv.Atoi(last)
		case string(words[0])+" "+string(words[1]) == "Response codes:":
			p.good, err = noError(words[2:])
		case string(words[0])+" "+string(words[1]) == "Run time":
			p.seconds, err = strconv.ParseFloat(last, 64)
		}
		if err != nil {
			return p, fmt.Errorf("read %q: %w", lines.Text(), err)
		}
	}
	if lines.Err() == nil && (p.sent == 0 || p.seconds == 0) {
		return p, errors.New("nothing was asked")
	}
	return p, lines.Err()
}

// noError is how many answers have the code NOERROR.
func noError(words [][]byte) (int, error) {
	at := slices.IndexFunc(words, func(w []byte) bool { return string(w) == "NOERROR" })
	if at < 0 || at+1 == len(words) {
		return 0, nil
	}
	return strconv.Atoi(string(words[at+1]))
}

// calm waits until a process does next to nothing any more after what it was told
// last, and not longer than a while.
func calm(ctx context.Context, pid int, atMost time.Duration) error {
	const look, idle = 250 * time.Millisecond, 10 * time.Millisecond
	before, err := cpuOf(pid)
	for end := time.Now().Add(atMost); err == nil && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
		var after time.Duration
		if after, err = cpuOf(pid); err == nil && after-before < idle {
			return nil
		}
		before = after
	}
	return err
}

// cpuOf is the CPU time that a process has used, by its clock, whose number is
// made as clock_getcpuclockid(3) makes it.
func cpuOf(pid int) (time.Duration, error) {
	const scheduled = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
