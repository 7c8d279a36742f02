// SPDX-License-Identifier: Apache-2.0

package load_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/posternhq/postern/bench/load"
	"github.com/posternhq/postern/test/testnet"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == load.Argument {
		os.Exit(load.Main())
	}
	os.Exit(m.Run())
}

// short is how long each load goes on, and long how long it may take a machine
// that is busy with other things until anything comes through.
const (
	short = 50 * time.Millisecond
	long  = 2 * time.Minute
)

var (
	server  = netip.MustParseAddrPort("127.0.0.1:7000")
	proxy   = netip.MustParseAddrPort("127.0.0.1:7100")
	nothing = netip.MustParseAddrPort("127.0.0.1:7200")
)

// start starts an agent that goes with the test.
func start(t *testing.T, ns *testnet.NS) *load.Agent {
	t.Helper()
	a, err := load.Start(t.Context(), ns, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestEveryLoadWorksStraightAndThroughTheProxy(t *testing.T) {
	ns := testnet.New(t)
	answering, between, client := start(t, ns), start(t, ns), start(t, ns)
	if err := answering.Serve(server); err != nil {
		t.Fatal(err)
	}
	if err := between.Forward(proxy, server); err != nil {
		t.Fatal(err)
	}
	for _, target := range []netip.AddrPort{server, proxy} {
		for name, run := range map[string]func(netip.AddrPort, int, time.Duration) (load.Result, error){
			"upload": client.Upload, "download": client.Download, "request": client.Request, "connect": client.Connect,
		} {
			r, err := run(target, 3, short)
			for d := short; err != nil && d < long; d *= 4 {
				r, err = run(target, 3, d)
			}
			if err != nil {
				t.Errorf("%s at %v: %v", name, target, err)
				continue
			}
			if r.Seconds < short.Seconds() || r.Bytes+r.Count == 0 || r.Failed != 0 {
				t.Errorf("%s at %v did %+v", name, target, r)
			}
			if r.Count > 0 && (r.P50 <= 0 || r.P99 < r.P50) {
				t.Errorf("%s at %v took %v and %v ms", name, target, r.P50, r.P99)
			}
		}
	}
}

func TestIdleConnectionsAreHeldAndReleased(t *testing.T) {
	ns := testnet.New(t)
	answering, client := start(t, ns), start(t, ns)
	if err := answering.Serve(server); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := client.Hold(server, 100); err != nil {
			t.Fatal(err)
		}
		r, err := client.Request(server, 2, time.Second)
		for d := time.Second; err != nil && d < long; d *= 4 {
			r, err = client.Request(server, 2, d)
		}
		if err != nil || r.Count == 0 {
			t.Errorf("requests beside idle connections: %+v, %v", r, err)
		}
		if err := client.Release(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALoadWithoutAServerIsAnError(t *testing.T) {
	client := start(t, testnet.New(t))
	for name, run := range map[string]func(netip.AddrPort, int, time.Duration) (load.Result, error){
		"upload": client.Upload, "request": client.Request, "connect": client.Connect,
	} {
		if r, err := run(nothing, 2, short); err == nil {
			t.Errorf("%s did %+v", name, r)
		}
	}
	if err := client.Hold(nothing, 2); err == nil {
		t.Error("connections to nobody are held")
	}
}

func TestAnAgentThatIsGoneIsAnError(t *testing.T) {
	client := start(t, testnet.New(t))
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Request(server, 1, short); err == nil {
		t.Error("a closed agent answers")
	}
}
