// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// probeEvery is the pause between two attempts of the probe, and so the
	// grain of what it measures.
	probeEvery = time.Millisecond
	// probeLimit bounds the first attempt that nobody answers: an answer on one machine
	// takes far less. On a busy one it may take more, so the next one has twice the time.
	probeLimit = 100 * time.Millisecond
	// probeFor bounds the probe.
	probeFor = 2 * time.Minute
)

// Helper is what the demo's own program does inside the consumer's network.
// "probe ADDRESS" asks a database again and again until it answers and says
// when that was; "time PROGRAM ARGUMENTS…" runs a program and says how long it
// took; "commit CONNECTION" lets eight clients write to a database until it is ended;
// what it does with pages is in web. The result is an exit status.
func Helper(out io.Writer, args []string) int {
	switch {
	case len(args) == 2 && args[0] == "probe":
		if err := probe(out, args[1]); err != nil {
			fmt.Fprintln(out, "probe:", err)
			return 1
		}
		return 0
	case len(args) >= 2 && args[0] == "time":
		return timed(out, args[1:])
	case len(args) == 2 && args[0] == "commit":
		if err := commit(out, args[1]); err != nil {
			fmt.Fprintln(out, "commit:", err)
			return 1
		}
		return 0
	}
	known, err := web(out, args)
	switch {
	case !known:
		fmt.Fprintln(out, "unknown helper")
		return 2
	case err != nil:
		fmt.Fprintf(out, "%s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// The lines by which helpers tell what they found. Times are of
// CLOCK_MONOTONIC, which all processes of a machine share.
const (
	tryingLine   = "trying"
	answeredLine = "answered at %d ns in attempt %d"
	tookLine     = "took %d ns"
)

func probe(out io.Writer, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), probeFor)
	defer cancel()
	limit := probeLimit
	for attempt := 1; ; attempt++ {
		err := askDatabase(ctx, address, limit)
		if err == nil {
			fmt.Fprintf(out, answeredLine+"\n", monotonic(), attempt)
			return nil
		}
		if attempt == 1 {
			fmt.Fprintln(out, tryingLine)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
			limit *= 2
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer in %d attempts, the last one: %w", attempt, err)
		case <-time.After(probeEvery):
		}
	}
}

func askDatabase(ctx context.Context, address string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	return askOne(conn)
}

// monotonic reads the clock that never jumps, in nanoseconds.
func monotonic() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // clock_gettime(2): only for a clock that does not exist
	}
	return now.Nano()
}

func timed(out io.Writer, command []string) int {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	start := monotonic()
	err := cmd.Run()
	fmt.Fprintf(out, tookLine+"\n", monotonic()-start)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		return exit.ExitCode()
	}
	fmt.Fprintln(out, err)
	return 1
}
