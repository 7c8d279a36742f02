// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/fakedp"
)

// A value that is still to come holds back its realm and no other, until it is there
// and carried out. What came late for an entry that is gone brings it not back.
func TestUpdateSettlesWhatWasAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kernel, l := fakedp.New(), newLedger()
		var found []desired.Entry
		plain := desired.Router{VPC: "vpc-9"}
		kernel.Plant(plain)
		rec := reconcile.New(kernel, reconcile.Config{
			Report: l.add, Logger: slog.New(slog.DiscardHandler), Found: func(all []desired.Entry) { found = all },
		})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { rec.Run(ctx) })
		defer wg.Wait()
		defer cancel()
		synctest.Wait()
		if len(found) != 1 || !desired.Equal(found[0], plain) {
			t.Errorf("found %v, want the one router that there was", found)
		}

		gateway := netip.MustParseAddr("10.0.1.50")
		target := func(dest string) desired.Target {
			target := desired.Target{VPC: "vpc-a", Addr: netip.MustParseAddr("240.8.0.1"), Gateway: gateway}
			if dest != "" {
				target.Dest = netip.MustParseAddr(dest)
			}
			return target
		}
		is := func(e desired.Target, settled int64) {
			t.Helper()
			synctest.Wait()
			if found, _ := kernel.Dump(t.Context(), "vpc-a"); !desired.Equal(found[len(found)-1], e) {
				t.Errorf("the kernel has %v, want %s", found, e)
			}
			want := map[desired.Realm]int64{}
			if settled < l.last.Revision {
				want["vpc-a"] = settled
			}
			if !maps.Equal(l.last.Behind, want) {
				t.Errorf("as of %d behind are %v, want %v", l.last.Revision, l.last.Behind, want)
			}
		}
		apply := func(d desired.Delta, later ...desired.Key) {
			t.Helper()
			if err := rec.ApplyUntil(d, later); err != nil {
				t.Fatal(err)
			}
		}
		key := target("").Key()
		apply(desired.Delta{Full: true, Revision: 1, Put: []desired.Entry{
			desired.Router{VPC: "vpc-a"}, desired.Router{VPC: "vpc-b"}, desired.Pool{VPC: "vpc-a", Gateway: gateway}, target(""),
		}}, key)
		is(target(""), 0)
		apply(desired.Delta{Revision: 2, Put: []desired.Entry{desired.Member{VPC: "vpc-b", Group: "sg-1", Addr: gateway}}})
		is(target(""), 0)
		rec.Update([]desired.Entry{target("10.0.1.10")})
		is(target("10.0.1.10"), 2)

		// What changes again later is a matter of nobody's revision.
		rec.Update([]desired.Entry{target("10.0.1.11")})
		is(target("10.0.1.11"), 2)

		apply(desired.Delta{Revision: 3, Put: []desired.Entry{target("")}}, key)
		is(target(""), 2)
		apply(desired.Delta{Revision: 4, Delete: []desired.Key{key}})
		rec.Update([]desired.Entry{target("10.0.1.12")})
		synctest.Wait()
		if kernel.Text() != desired.Text([]desired.Entry{desired.Router{VPC: "vpc-a"}, desired.Router{VPC: "vpc-b"}, desired.Pool{VPC: "vpc-a", Gateway: gateway}, desired.Member{VPC: "vpc-b", Group: "sg-1", Addr: gateway}}) || len(l.last.Behind) > 0 {
			t.Errorf("behind %v; the kernel has\n%s", l.last.Behind, kernel.Text())
		}
	})
}
