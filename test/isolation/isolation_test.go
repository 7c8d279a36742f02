// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/posternhq/postern/test/postern"
)

var (
	seeds = flag.Uint64("seeds", 2, "how many random worlds TestIsolation checks")
	first = flag.Uint64("seed", 1, "the first of them")
)

func TestMain(m *testing.M) { os.Exit(postern.Main(m)) }

// manyFindings is how many findings are printed of one check.
const manyFindings = 40

func report(t *testing.T, what string, tried int, findings []string, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d tried, %d differ", what, tried, len(findings))
	for i, f := range findings {
		if i == manyFindings {
			t.Errorf("and %d more", len(findings)-i)
			break
		}
		t.Error(f)
	}
}

func TestIsolation(t *testing.T) {
	for seed := *first; seed < *first+*seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			p := postern.Start(t)
			check(t, p, Make(p, nil, seed), seed)
		})
	}
}

// TestIsolationWithAnOutside is TestIsolation of worlds whose VPCs have route tables,
// gateways of all kinds and public addresses; the outside is a sender too.
func TestIsolationWithAnOutside(t *testing.T) {
	for seed := *first; seed < *first+*seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			internet := postern.NewInternet(t)
			p := postern.Start(t, internet.Flags()...)
			check(t, p, Make(p, internet, seed), seed)
		})
	}
}

// TestIsolationOfPeers is TestIsolation of worlds whose VPCs are peered, half as many. Names
// are none of theirs.
func TestIsolationOfPeers(t *testing.T) {
	for seed := *first; seed < *first+(*seeds+1)/2; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			p := postern.Start(t)
			w := MakePeers(p, seed)
			n := w.crossings()
			if t.Logf("%d connects to workloads of peers are answered", n); n == 0 {
				t.Error("nobody reaches a peer in this world")
			}
			packets(t, p, w, seed)
		})
	}
}

// check tries a world in all ways, and once more with other network ACLs.
func check(t *testing.T, p *postern.Postern, w *World, seed uint64) {
	t.Helper()
	asked, findings, err := w.Resolves()
	report(t, "names", asked, findings, err)
	packets(t, p, w, seed)
}

// packets is check without names.
func packets(t *testing.T, p *postern.Postern, w *World, seed uint64) {
	t.Helper()
	tried, findings, err := w.Connects()
	report(t, "connects", tried, findings, err)
	sent, findings, err := w.Strays()
	report(t, "strays", sent, findings, err)
	w.Change(p, seed)
	tried, findings, err = w.Connects()
	report(t, "connects by other network ACLs", tried, findings, err)
	sent, findings, err = w.Strays()
	report(t, "strays by other network ACLs", sent, findings, err)
}
