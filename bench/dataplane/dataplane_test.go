// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/bench/report"
	"github.com/posternhq/postern/test/testnet"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == load.Argument {
		os.Exit(load.Main())
	}
	os.Exit(m.Run())
}

// slowness is a ruleset that looks at packets from and to a server many times
// over.
func slowness(port, rules int) string {
	var b strings.Builder
	fmt.Fprintln(&b, "table ip slow {\n chain dawdle {")
	for range rules {
		fmt.Fprintln(&b, "  ip saddr 192.0.2.1 counter drop")
	}
	fmt.Fprintf(&b, " }\n chain forward {\n  type filter hook forward priority 0\n")
	for _, direction := range []string{"sport", "dport"} {
		fmt.Fprintf(&b, "  tcp %s %d-%d jump dawdle\n", direction, port, port+load.Ports-1)
	}
	fmt.Fprintln(&b, " }\n}")
	return b.String()
}

// labOf builds a lab that goes with the test.
func labOf(t *testing.T) *lab {
	t.Helper()
	testnet.Require(t)
	l, err := newLab(t.Context())
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestASlowDataPlaneShows slows one of three routed ways down: its ratios must
// show it, and those of the way that is as fast as the reference must not.
func TestASlowDataPlaneShows(t *testing.T) {
	l := labOf(t)
	err := l.b.Run(func() error {
		nft := exec.Command("nft", "-f", "-")
		nft.Stdin = strings.NewReader(slowness(haproxyBase, 3000))
		out, err := nft.CombinedOutput()
		if err != nil {
			return fmt.Errorf("nft: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	way := func(name string, port uint16) candidate {
		return candidate{name, l.clients[:1], []netip.AddrPort{netip.AddrPortFrom(server, port)}}
	}
	// What else runs on the machine may hit one way and not the next, or leave none
	// the time for a request: then the rounds are repeated, longer and with more of
	// them.
	var wrong []string
	for rounds, each := 5, 100*time.Millisecond; rounds <= 15; rounds, each = rounds+5, 4*each {
		r := runner{rounds: rounds, each: each, log: slog.New(slog.DiscardHandler), failed: map[string]int64{}}
		table := new(report.Section).Table("slowness", routing)
		trials := []trial{requests(atOnce), connections(1)}
		err := r.run(t.Context(), table, []candidate{way(routing, routingBase), way("slow", haproxyBase), way("same", copyBase)}, trials...)
		if err == nil {
			wrong = misjudged(table, trials)
		} else {
			wrong = []string{err.Error()}
		}
		if len(wrong) == 0 {
			return
		}
	}
	t.Error(strings.Join(wrong, "; "))
}

// misjudged says where a table does not show which way is slow.
func misjudged(table *report.Table, trials []trial) (wrong []string) {
	note := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, trial := range trials {
		rate := table.More(trial.name, "1/s")
		if got := rate.Ratio("slow", routing).Median; got > 0.7 {
			note("%s: the slow way has %.2f of the reference", trial.name, got)
		}
		if got := rate.Ratio("same", routing).Median; got < 0.6 || got > 1.6 {
			note("%s: the same way has %.2f of the reference", trial.name, got)
		}
		if got := table.Less(trial.name+": p50", "ms").Ratio("slow", routing).Median; got < 1.4 {
			note("%s: the slow way takes %.2f of the reference's time", trial.name, got)
		}
	}
	return wrong
}

// TestTheProxiesForward tries each proxy of the lab once.
func TestTheProxiesForward(t *testing.T) {
	l := labOf(t)
	const files = 4096
	ports := map[string]uint16{copying: copyBase}
	if err := l.copying(t.Context(), 2); err != nil {
		t.Error(err)
	}
	for name, proxy := range map[string]struct {
		start func() error
		port  uint16
	}{
		"haproxy": {func() error { return l.haproxy(t.Context(), files) }, haproxyBase},
		"nginx":   {func() error { return l.nginx(t.Context(), files) }, nginxBase},
	} {
		if _, err := exec.LookPath(name); err != nil {
			t.Logf("SKIPPED: %s is not installed", name)
			continue
		}
		if err := proxy.start(); err != nil {
			t.Error(err)
			continue
		}
		ports[name] = proxy.port
	}
	for name, port := range ports {
		c := candidate{name, l.clients, nil}
		for range l.clients {
			c.targets = append(c.targets, netip.AddrPortFrom(routerA, port))
		}
		for _, each := range []trial{upload(2), download(2), requests(2), connections(clientCount)} {
			r, err := each.run(c, 50*time.Millisecond)
			for d := 200 * time.Millisecond; err != nil && d < 2*time.Minute; d *= 4 { // others use the machine too
				r, err = each.run(c, d)
			}
			if err != nil || r.Bytes+r.Count == 0 || r.Failed > 0 {
				t.Errorf("%s through %s: %+v, %v", each.name, name, r, err)
			}
		}
	}
}

func TestProcessorTimeRises(t *testing.T) {
	before, err := report.CPUSeconds()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
	}
	after, err := report.CPUSeconds()
	if err != nil {
		t.Fatal(err)
	}
	if spent := after - before; spent < 0.05 {
		t.Errorf("a busy tenth of a second took %v s of processors", spent)
	}
}
