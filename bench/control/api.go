// SPDX-License-Identifier: Apache-2.0

package control

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/client"
)

// cell is one measurement of the API: some lanes for some time.
type cell struct {
	rate     float64 // requests a second
	p50, p99 float64 // ms
	// generator is the generator's part of the CPU time that generator and
	// server used together, in percent, busy what both used of the machine, and
	// machine what everybody did: the kernel works for routers, and there is a resolver.
	generator, busy, machine float64
}

// measure drives a server of some pid.
func measure(ctx context.Context, address string, pid, lanes int, next source) (c cell, err error) {
	serverBefore, err := cpuOf(pid)
	if err != nil {
		return c, err
	}
	ownBefore := ownCPU()
	allBefore, err := report.CPUSeconds()
	if err != nil {
		return c, err
	}
	took, elapsed, err := drive(ctx, address, lanes, next)
	if err != nil {
		return c, err
	}
	own := ownCPU() - ownBefore
	server, err := cpuOf(pid)
	if err != nil {
		return c, err
	}
	server -= serverBefore
	all, err := report.CPUSeconds()
	if err != nil {
		return c, err
	}
	c.machine = 100 * (all - allBefore) / elapsed.Seconds() / float64(cores())
	c.rate = float64(len(took)) / elapsed.Seconds()
	c.p50, c.p99 = report.Milliseconds(took)
	if both := own + server; both > 0 {
		c.generator = 100 * own.Seconds() / both.Seconds()
		c.busy = 100 * both.Seconds() / elapsed.Seconds() / float64(cores())
	}
	return c, nil
}

// describe is the request for the one endpoint of the crowd, signed by somebody.
func (w *world) describe(ctx context.Context, by *client.Client) ([]byte, error) {
	return signed(ctx, by, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{w.one}})
}

// answer is what the daemon answers to describe, as text.
func (w *world) answer(ctx context.Context) (string, error) {
	request, err := w.Client.NewRequest(ctx, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{w.one}})
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// create is the signed request for another endpoint of the consumer. The same
// bytes make a new one each time.
func (w *world) create(ctx context.Context) ([]byte, error) {
	return signed(ctx, w.Client, ec2.Service, "CreateVpcEndpoint", w.consumer.NewEndpoint(w.configurations[0], w.consumer.Group, ""))
}

// cpuOf is the CPU time that a process has used, by proc_pid_stat(5), which
// counts hundredths of seconds.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("read CPU time: /proc/%d/stat has %d fields after the name", pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time of %d: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil
}

// ownCPU is the CPU time of this process, see getrusage(2).
func ownCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err) // it cannot fail for oneself
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
