// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/desired"
)

// TestAdoptingManyRouters makes as many routers as POSTERN_TEST_ROUTERS says,
// opens them anew and reads them back, and logs how long that took.
func TestAdoptingManyRouters(t *testing.T) {
	count := 30
	if text := os.Getenv("POSTERN_TEST_ROUTERS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		count = n
	}
	h, instance := newHost(t)
	want := map[string]desired.Entry{}
	started := time.Now()
	for i := range count {
		r := desired.Router{
			VPC: fmt.Sprintf("vpc-%017x", i), Networks: []netip.Prefix{prefix("10.0.0.0/16")},
			Gateways: []netip.Addr{addr("10.0.1.1")},
			Source4:  netip.PrefixFrom(netip.AddrFrom4([4]byte{240, byte(i >> 10), byte(i >> 2), byte(i << 6)}), 26),
		}
		want[r.VPC] = r
		if failed := h.Apply(t.Context(), desired.Realm(r.VPC), []desired.Entry{r}, nil); failed != nil {
			t.Fatal(failed)
		}
	}
	made := time.Since(started)
	h.Close()

	started = time.Now()
	next, err := dataplane.New(dataplane.Config{Instance: instance})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	vpcs, err := next.Realms(t.Context())
	if err != nil || len(vpcs) != count {
		t.Fatalf("%d routers, %v; want %d", len(vpcs), err, count)
	}
	for _, vpc := range vpcs {
		got, err := next.Dump(t.Context(), vpc)
		if err != nil || desired.Text(got) != want[string(vpc)].String()+"\n" {
			t.Fatalf("%s: %v %v", vpc, got, err)
		}
	}
	t.Logf("%d routers: made in %v, adopted in %v", count, made, time.Since(started))
}
