// SPDX-License-Identifier: Apache-2.0

package names

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/test/testnet"
)

// TestMain lets the test binary be an agent, as the benchmark's is.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == load.Argument {
		os.Exit(load.Main())
	}
	os.Exit(m.Run())
}

const said = `DNS Performance Testing Tool
[Status] Sending queries (to 10.0.0.2:53)
> NOERROR a.example.com A 0.000200
> NXDOMAIN b.example.com A 0.001000
> T b.example.com A
Statistics:

  Queries sent:         3
  Queries completed:    2 (66.67%)
  Queries lost:         1 (33.33%)

  Response codes:       NXDOMAIN 1 (50.00%), NOERROR 1 (50.00%)
  Run time (s):         0.500000
  Queries per second:   4.000000
`

func TestWhatDnsperfSays(t *testing.T) {
	p, err := readPerf(strings.NewReader(said))
	if err != nil {
		t.Fatal(err)
	}
	if p.sent != 3 || p.good != 1 || p.seconds != 0.5 {
		t.Errorf("read %+v", p)
	}
	if len(p.took) != 2 || p.took[0] != 200*time.Microsecond || p.took[1] != time.Millisecond {
		t.Errorf("answers took %v", p.took)
	}
	if _, err := readPerf(strings.NewReader("Statistics:\n")); err == nil {
		t.Error("what says nothing is read as a measurement")
	}
}

func TestCPUTimeIsTheProcesss(t *testing.T) {
	const spent = 30 * time.Millisecond
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	first, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for begun := used(); used()-begun < spent; {
	}
	last, err := cpuOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := last - first; grown < spent/2 {
		t.Errorf("grew by %s while the process used %s", grown, spent)
	}
	if _, err := cpuOf(1 << 22); err == nil {
		t.Error("a process that is not there has CPU time")
	}
}

// The peers have the records that they are compared with, and their measurement is of
// answers: whoever does not have what is asked for is not measured.
func TestPeersAreAskedForWhatTheyHave(t *testing.T) {
	testnet.Require(t)
	for _, name := range []string{unbound, dnsmasq, "dnsperf"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip("SKIPPED: " + err.Error())
		}
	}
	l, err := newLab()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if l.agent, err = l.asking(t.Context(), l.client); err != nil {
		t.Fatal(err)
	}
	const records = 250
	p, err := l.serve(t.Context(), records)
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	right, err := questionsFor(folder, records)
	if err != nil {
		t.Fatal(err)
	}
	wrong := files{chance: filepath.Join(folder, "wrong"), perf: filepath.Join(folder, "wrong-perf")}
	for file, text := range map[string]string{wrong.chance: hostName(records), wrong.perf: hostName(records) + " A\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range p.all {
		if rate, perCPU, err := c.ask(right.all, 0); err != nil || rate <= 0 || perCPU <= 0 {
			t.Errorf("%s: all names at %f questions a second, %f for a CPU second, %v", c.name, rate, perCPU, err)
		}
		if _, _, err := c.ask(wrong.chance, 50*time.Millisecond); err == nil {
			t.Errorf("%s was asked for names that it does not have", c.name)
		}
		rate, p99, err := c.perf(t.Context(), right.perf, 200*time.Millisecond, 500)
		if err != nil || rate <= 0 || rate > 750 || p99 <= 0 {
			t.Errorf("%s: measured %f, %f at 500 questions a second, %v", c.name, rate, p99, err)
		}
		if _, _, err := c.perf(t.Context(), wrong.perf, 100*time.Millisecond, 500); err == nil {
			t.Errorf("%s was measured with names that it does not have", c.name)
		}
		expectAddress(t, l, c.server, hostName(records-1), hostAddress(records-1))
		expectAddress(t, l, c.server, hostName(records), netip.Addr{})
	}
}

func expectAddress(t *testing.T, l *lab, server, name string, want netip.Addr) {
	t.Helper()
	a, err := newAsker(context.Background(), l.client, server)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if got, err := a.ask(name); err != nil || got != want {
		t.Errorf("%s says of %s %v, %v; want %v", server, name, got, err, want)
	}
}

func TestCrowdsFitIntoTheTimeOfThePart(t *testing.T) {
	for _, c := range []struct{ gone, least, most time.Duration }{
		{0, time.Minute, time.Minute},
		{crowdEnds - 25*time.Second, leastCrowd, 25 * time.Second},
		{time.Hour, leastCrowd, leastCrowd},
	} {
		b := &bench{scale: scale{crowding: time.Minute}, began: time.Now().Add(-c.gone)}
		if got := b.crowdTime(); got < c.least || got > c.most {
			t.Errorf("after %s VPCs are made for %s, want from %s to %s", c.gone, got, c.least, c.most)
		}
	}
}

func TestThousandsAreApart(t *testing.T) {
	for n, want := range map[int]string{7: "7", 999: "999", 1000: "1,000", 100_000: "100,000", 1_000_000: "1,000,000"} {
		if got := count(n); got != want {
			t.Errorf("%d is shown as %s, want %s", n, got, want)
		}
	}
}
