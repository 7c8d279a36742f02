// SPDX-License-Identifier: Apache-2.0

package control

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/client"
)

// TestMain lets the test binary be the floor's process, as the benchmark's is.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == FloorCommand {
		if err := Floor(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestFloorAnswersWhoSignsWithItsKey(t *testing.T) {
	f, err := startFloor(t.Context(), floorSetup{AccessKeyID: "AKIA", Secret: "right", Answer: "<answer/>"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		secret  string
		refused bool
	}{{"right", false}, {"wrong", true}} {
		api := client.New("http://"+f.address, "us-east-1", "AKIA", c.secret)
		request, err := signed(t.Context(), api, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{})
		if err != nil {
			t.Fatal(err)
		}
		cell, err := measure(t.Context(), f.address, f.process.PID, 3, times(50, request))
		if refused := err != nil && strings.Contains(err.Error(), "403"); refused != c.refused {
			t.Errorf("with the %s key: error is %v", c.secret, err)
		}
		if err == nil && (cell.rate <= 0 || cell.p50 <= 0 || cell.p99 < cell.p50) {
			t.Errorf("measured %+v", cell)
		}
	}
}

func TestDriveSeesASlowServer(t *testing.T) {
	const delay, lanes, requests = 20 * time.Millisecond, 4, 20
	var most, now atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for n := now.Add(1); ; {
			if known := most.Load(); n <= known || most.CompareAndSwap(known, n) {
				break
			}
		}
		time.Sleep(delay)
		now.Add(-1)
		fmt.Fprintln(w, "done")
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	request := []byte("GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
	took, elapsed, err := drive(t.Context(), address, lanes, times(requests, request))
	if err != nil {
		t.Fatal(err)
	}
	if len(took) != requests || most.Load() > lanes {
		t.Errorf("%d requests, at most %d at once; want %d and at most %d", len(took), most.Load(), requests, lanes)
	}
	for _, d := range took {
		if d < delay {
			t.Errorf("a request took %s, less than the server's %s", d, delay)
		}
	}
	if least := delay * requests / lanes; elapsed < least {
		t.Errorf("all took %s, less than %s", elapsed, least)
	}
}

// What a slow server makes wait is slow, also what could not be sent meanwhile.
func TestAPacedRequestIsLateSinceItWasDue(t *testing.T) {
	const delay = 50 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay)
		fmt.Fprintln(w, "done")
	}))
	defer server.Close()
	// Four are due within 30 ms, and the only lane has the last one answered after 200.
	took, elapsed, err := drive(t.Context(), strings.TrimPrefix(server.URL, "http://"), 1,
		paced(100, 35*time.Millisecond, []byte("GET / HTTP/1.1\r\nHost: bench\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if len(took) != 4 || elapsed < 4*delay || took[3] < 4*delay-35*time.Millisecond {
		t.Errorf("took %s, all in %s", took, elapsed)
	}
	// A server that does not make them wait gets them as they are due.
	begun, next := time.Now(), paced(100, 35*time.Millisecond, []byte("request"))
	for request, due := next(); request != nil; request, due = next() {
		if time.Now().Before(due) {
			t.Errorf("a request comes %s before it is due", time.Until(due))
		}
	}
	if d := time.Since(begun); d < 30*time.Millisecond {
		t.Errorf("four requests in %s, the last is due after 30 ms", d)
	}
}

func TestMilestonesAreTheLinesOfTheLog(t *testing.T) {
	m := &milestones{at: map[string]time.Time{}}
	begun := time.Now()
	for _, part := range []string{"no json\n" + `{"msg":"re`, `ady","level":"INFO"}` + "\n", `{"msg":"host adop`} {
		if _, err := m.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if since := m.since(answersLine, begun); since <= 0 || since > time.Minute {
		t.Errorf("time since the start is %s", since)
	}
	if since := m.since(adoptedLine, begun); since != 0 {
		t.Errorf("time since the start of a line that has not come is %s", since)
	}
	if want := "no json\n" + `{"msg":"ready","level":"INFO"}`; m.tail() != want {
		t.Errorf("tail is %q, want %q", m.tail(), want)
	}
}
