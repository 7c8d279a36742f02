// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// BenchmarkTables is what a datagram costs on its way through a router, past the express
// lane, in processor time of who sends it: without tables, with one, with 200 of 50
// routes each, and with rules for these 200 in a row in the place of the tree.
func BenchmarkTables(b *testing.B) {
	const routes = 50
	l := newLand(b, false)
	near := l.faraway + "/32"
	with := func(tables int) func() {
		return func() {
			var put []desired.Entry
			for n := 1; n <= tables; n++ {
				put = append(put, l.manyRoutes(n, routes))
			}
			l.put(append(put, l.table(tables, near, eniOf("m")), l.steer(eniOf("a"), uint32(tables)))...)
		}
	}
	for _, c := range []struct {
		name, to string
		prepare  func()
	}{
		{"none", l.server, func() {}},
		{"one-local", l.server, with(1)},
		{"one", l.faraway, with(1)},
		{"200-local", l.server, with(200)},
		{"200", l.faraway, with(200)},
		{"200-list", l.faraway, func() { l.rulesInARow(200) }},
	} {
		c.prepare()
		b.Run(c.name, func(b *testing.B) { l.send(b, c.to) })
	}
}

// rulesInARow puts rules for as many tables one after the other in the place of the tree.
func (l *land) rulesInARow(tables int) {
	l.Helper()
	var batch strings.Builder
	for n := 1; n <= tables; n++ {
		for i, table := range []string{fmt.Sprint(10000 + n), "main suppress_prefixlength 0", fmt.Sprint(20000 + n)} {
			fmt.Fprintf(&batch, "rule add pref %d fwmark %#x lookup %s\n", 100+3*n+i, n<<16, table)
		}
	}
	err := l.inRouter(func() error {
		cmd := exec.Command("ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(batch.String())
		return cmd.Run()
	})
	if err != nil {
		l.Fatal(err)
	}
}

// send sends datagrams from the first host, and reports the processor time of each.
func (l *land) send(b *testing.B, to string) {
	sink, err := l.ns["m"].ListenPacket("udp4", ":9")
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	other, err := l.ns["b"].ListenPacket("udp4", ":9")
	if err != nil {
		b.Fatal(err)
	}
	defer other.Close()
	err = l.ns["a"].Run(func() error {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		conn, err := net.Dial("udp4", net.JoinHostPort(to, "9"))
		if err != nil {
			return err
		}
		defer conn.Close()
		raw, err := conn.(*net.UDPConn).SyscallConn()
		if err != nil {
			return err
		}
		var spent time.Duration
		err = raw.Control(func(fd uintptr) {
			before := threadTime()
			for range b.N {
				unix.Write(int(fd), []byte("x"))
			}
			spent = threadTime() - before
		})
		b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N), "cpu-ns/op")
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// threadTime is the processor time that the thread has had.
func threadTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
