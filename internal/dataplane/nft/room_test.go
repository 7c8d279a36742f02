// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/test/lab"
)

// TestARouterTakesLittleOfTheKernel: what has no connections takes no room for those that
// it might have, of which the kernel would look at all once a second. A router was 24 MiB.
func TestARouterTakesLittleOfTheKernel(t *testing.T) {
	const routers, most = 12, 4 << 10 // KiB each
	namespaces := make([]*lab.Namespace, routers)
	for i := range namespaces {
		namespaces[i] = lab.NewNamespace(t)
	}
	before := kernelRoom(t)
	for _, n := range namespaces {
		lab.OpenTable(t, n, router)
	}
	each := 0
	for range 100 { // the kernel gives it back in its own time
		if each = (kernelRoom(t) - before) / routers; each < most {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("a router takes %d KiB of the kernel", each)
}

// kernelRoom is how much memory the kernel has for itself, in KiB.
func kernelRoom(t *testing.T) (sum int) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		for _, name := range []string{"SUnreclaim:", "VmallocUsed:"} {
			if rest, ok := strings.CutPrefix(line, name); ok {
				var n int
				if _, err := fmt.Sscan(rest, &n); err != nil {
					t.Fatal(err)
				}
				sum += n
			}
		}
	}
	return sum
}

// TestSetsWithASizeAreKept: a router that an earlier version made, with room for all that
// its sets may have, goes on with what is in them.
func TestSetsWithASizeAreKept(t *testing.T) {
	n := lab.NewNamespace(t)
	n.Nft("add", "table", "inet", "postern")
	n.Nft("add", "set", "inet", "postern", "fullways4", "{ typeof ip saddr . ip daddr; flags dynamic,timeout; timeout 5m; size 65535; }")
	n.Nft("add", "element", "inet", "postern", "fullways4", "{ 192.0.2.1 . 192.0.2.2 }")
	n.Nft("add", "set", "inet", "postern", "fabric", "{ typeof meta l4proto; flags dynamic; size 255; }")
	n.Nft("add", "element", "inet", "postern", "fabric", "{ tcp ct count over 5 }")
	table := lab.OpenTable(t, n, router)
	reads(t, table, nil)
	for set, element := range map[string]string{"fullways4": "192.0.2.1 . 192.0.2.2", "fabric": "tcp ct count over 5"} {
		if text := n.Nft("list", "set", "inet", "postern", set); !strings.Contains(text, element) {
			t.Errorf("the element of %s is gone:\n%s", set, text)
		}
	}
}
