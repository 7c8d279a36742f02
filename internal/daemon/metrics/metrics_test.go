// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/express"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/internal/store/etcdstore"
)

// everything gives sources that have something to say of all.
func everything(routers int) Sources {
	return Sources{
		State: func() State {
			return State{
				StoreRevision: 9, SetAside: 1, Store: &etcdstore.Usage{Size: 4, InUse: 3, Quota: 8, Free: 100},
				Report: reconcile.Report{Revision: 8, Counts: reconcile.Counts{Wanted: 5, Done: 4, Failed: 1}, Repairs: map[desired.Kind]int64{desired.KindRoute: 2}},
			}
		},
		Kernel: func(context.Context) (k Kernel, err error) {
			for i := range routers {
				k.Routers = append(k.Routers, dataplane.RouterUse{VPC: fmt.Sprint("vpc-", i), Connections: int64(i), Limit: 1000, Lost: 1})
				k.NATs = append(k.NATs, dataplane.NATUse{ID: fmt.Sprint("nat-", i), NATUse: nft.NATUse{Connections: i}})
				k.Shares = append(k.Shares, dataplane.Share{VPC: fmt.Sprint("vpc-", i), Of: "client", Used: int64(i), Limit: 10, Refused: 1})
			}
			k.Lane = &express.Counters{Traffic: express.Traffic{Packets: 7, Bytes: 70}, Learned: 6, NoRoom: 5}
			return k, nil
		},
	}
}

// The names, the help and the kinds are what Prometheus expects of them.
func TestMetricsAreWellFormed(t *testing.T) {
	m := New("v1", everything(2))
	m.Request(server.Observation{Service: "ec2", Operation: "CreateVpc", Took: time.Millisecond})
	m.Request(server.Observation{Code: "AuthFailure"})
	m.Programmed(time.Millisecond)
	families, err := m.Gatherer().Gather()
	if err != nil || len(families) < 25 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "postern_") {
			t.Errorf("%s does not begin with postern_", f.GetName())
		}
	}
}

// There is a bound on what a host with a great many routers tells.
func TestManyRoutersAreAddedUp(t *testing.T) {
	m := New("v1", everything(8000))
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if n := len(f.GetMetric()); n > routersMost+1 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
		if f.GetName() == "postern_router_connections" {
			for _, s := range f.GetMetric() {
				sum += s.GetGauge().GetValue()
			}
		}
	}
	if want := 8000.0 * 7999 / 2; sum != want {
		t.Errorf("connections of all routers: %v, want %v", sum, want)
	}
}

// A kernel that does not answer holds up no scrape for long, however many there
// are, and leaves nothing behind.
func TestScrapesWaitForNobody(t *testing.T) {
	sources := everything(1)
	answer := sources.Kernel
	hang := make(chan struct{})
	var asked atomic.Int64
	sources.Kernel = func(ctx context.Context) (Kernel, error) {
		n := asked.Add(1)
		if n == 1 {
			return answer(ctx)
		}
		<-hang
		return Kernel{}, errors.New("too late")
	}
	m := New("v1", sources)
	scrape := func() string {
		answer := httptest.NewRecorder()
		began := time.Now()
		m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if took := time.Since(began); took > scrapeAtMost || answer.Code != http.StatusOK {
			t.Errorf("a scrape took %v: status %d", took, answer.Code)
		}
		return answer.Body.String()
	}
	scrape()
	before := runtime.NumGoroutine()
	for range 3 {
		if text := scrape(); !strings.Contains(text, `postern_router_connections{vpc="vpc-0"} 0`) || !strings.Contains(text, "postern_settled_revision 8") {
			t.Errorf("a scrape while the kernel does not answer:\n%s", text)
		}
	}
	if n := runtime.NumGoroutine(); n > before+3 || asked.Load() != 2 {
		t.Errorf("%d goroutines after scrapes, %d before; the kernel was asked %d times", n, before, asked.Load())
	}
	close(hang)
}
