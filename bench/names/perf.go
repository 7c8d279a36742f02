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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/test/child"
	"github.com/posternhq/postern/test/testnet"
)

// How dnsperf asks.
const (
	sockets     = 10
	outstanding = 100
)

// candidate is a name server with a client that asks it.
type candidate struct {
	name   string
	client *testnet.NS
	server string
	pid    int
}

// load is what a name server was seen to do.
type load struct {
	rate float64 // answers a second
	// perCPU are answers for each second that all processors of the machine worked, and
	// perBoth for each of the CPU time of name server and dnsperf.
	perCPU, perBoth float64
	p99             float64 // ms; of a paced load only
}

// questionsFor writes what is asked of servers with n records: each line is one
// question, and which are asked is left to chance, the same in every run.
func questionsFor(n int) []byte {
	var text bytes.Buffer
	chance := rand.New(rand.NewPCG(7, uint64(n)))
	for range max(n, 20_000) {
		fmt.Fprintf(&text, "%s A\n", hostName(chance.IntN(n)))
	}
	return text.Bytes()
}

// ask lets dnsperf ask for a while, as fast as it can, or so often a second. More
// than one question in a hundred without an answer, or with another one than a
// record, is an error: what is measured must be answers.
func (c candidate) ask(ctx context.Context, file string, d time.Duration, pace float64) (load, error) {
	args := []string{"-s", c.server, "-d", file, "-l", strconv.FormatFloat(d.Seconds(), 'f', 3, 64),
		"-c", strconv.Itoa(sockets), "-q", strconv.Itoa(outstanding), "-T", "1"}
	if pace > 0 {
		args = append(args, "-v", "-Q", strconv.Itoa(max(1, int(pace))))
	}
	out, err := os.CreateTemp(filepath.Dir(file), "said-") // a pipe would have this process take part
	if err != nil {
		return load{}, err
	}
	defer out.Close()
	cmd := exec.Command("dnsperf", args...)
	cmd.Stdout = out
	before, err := c.spent()
	if err != nil {
		return load{}, err
	}
	p, err := child.StartWithin(c.client.Run, cmd)
	if err != nil {
		return load{}, err
	}
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	if status, err := p.Wait(d + soon); err != nil || status != 0 {
		return load{}, errors.Join(fmt.Errorf("dnsperf ended with %d: %s", status, p.Output()), err, ctx.Err())
	}
	after, err := c.spent()
	if err != nil {
		return load{}, err
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return load{}, err
	}
	r, err := readPerf(out)
	if err != nil {
		return load{}, fmt.Errorf("dnsperf of %s: %w", c.name, err)
	}
	if r.sent-r.good > r.sent/100 {
		return load{}, fmt.Errorf("%s answered %d of %d questions with a record", c.name, r.good, r.sent)
	}
	l := load{rate: float64(r.good) / r.seconds, perCPU: float64(r.good) / (after.machine - before.machine), perBoth: float64(r.good) / (after.both - before.both)}
	_, l.p99 = report.Milliseconds(r.took)
	return l, nil
}

// spent is the CPU time, in seconds, that was used so far.
type spent struct{ machine, both float64 }

// spent tells what the machine has used, and the name server with all that this process
// has started and that has ended: dnsperf, between two measurements.
func (c candidate) spent() (s spent, err error) {
	var ended unix.Rusage
	server, err := cpuOf(c.pid)
	if err == nil {
		err = unix.Getrusage(unix.RUSAGE_CHILDREN, &ended)
	}
	if err != nil {
		return s, err
	}
	s.both = server.Seconds() + float64(ended.Utime.Nano()+ended.Stime.Nano())/1e9
	s.machine, err = report.CPUSeconds()
	return s, err
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
