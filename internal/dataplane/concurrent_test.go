// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// Many routers are made, joined, read and removed at once.
func TestCallsForSeveralRoutersAtOnce(t *testing.T) {
	h, _ := newHost(t)
	const count = 5
	routers := make([]desired.Router, count)
	for i := range routers {
		routers[i] = desired.Router{
			VPC: fmt.Sprintf("vpc-%016xa", i), Networks: []netip.Prefix{prefix("10.0.0.0/16")},
			Gateways: []netip.Addr{addr("10.0.1.1")},
			Source4:  netip.PrefixFrom(netip.AddrFrom4([4]byte{240, 0, byte(i), 0}), 26),
		}
	}
	apply := func(vpc string, put, del []desired.Entry) {
		for key, err := range h.Apply(t.Context(), desired.Realm(vpc), put, del) {
			t.Errorf("%s: %v", key, err)
		}
	}
	all := func(do func(i int)) {
		var wg sync.WaitGroup
		for i := range count {
			wg.Go(func() { do(i) })
		}
		wg.Wait()
	}
	for range 2 {
		all(func(i int) { apply(routers[i].VPC, []desired.Entry{routers[i]}, nil) })
		all(func(i int) {
			var links []desired.Entry
			for j := i + 1; j < count; j++ {
				links = append(links, desired.NewLink(routers[i].VPC, routers[j].VPC))
			}
			apply(routers[i].VPC, links, nil)
			if _, err := h.Dump(t.Context(), desired.Realm(routers[(i+1)%count].VPC)); err != nil {
				t.Error(err)
			}
		})
		all(func(i int) {
			got, err := h.Dump(t.Context(), desired.Realm(routers[i].VPC))
			if err != nil || len(got) != count-i {
				t.Errorf("%s has %d entries, %v; want %d", routers[i].VPC, len(got), err, count-i)
			}
		})
		all(func(i int) { apply(routers[i].VPC, nil, []desired.Entry{routers[i]}) })
	}
}

// What a router holds open goes with it.
func TestNothingStaysOpen(t *testing.T) {
	s := scenario4(t)
	open := func() int {
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(files)
	}
	before := open()
	for range 3 {
		s.apply()
		for _, vpc := range vpcs() {
			if failed := s.host.Apply(t.Context(), desired.Realm(vpc), nil, s.entries[vpc]); failed != nil {
				t.Error(failed)
			}
		}
	}
	// The runtime may have opened a few of its own.
	if after := open(); after > before+3 {
		t.Errorf("%d files open, before it was %d", after, before)
	}
}

// A workload can be named by a process, as a container is.
func TestAWorkloadOfAProcess(t *testing.T) {
	s := scenario4(t)
	s.apply()
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := testnet.Make("ptest-" + testnet.RandomName(10))
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Run(cmd.Start); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	w := s.workload(consumer, s.client, addr("10.0.1.1"), prefix("10.0.1.20/24"))
	w.ENI, w.MAC = "eni-0cccccccccccccccc", "02:00:00:00:00:0c"
	w.Namespace = desired.Namespace{PID: cmd.Process.Pid, Inode: ns.Desired().Inode}
	if err := ns.Close(); err != nil { // now only the process keeps it
		t.Fatal(err)
	}
	s.entries[consumer] = append(s.entries[consumer], w)
	s.put(consumer, s.entries[consumer])
	s.checkDump()
	stdin.Close()
	cmd.Wait()
	// The namespace goes a moment after the process; what is there of the
	// interface until then does not count.
	s.entries[consumer] = s.entries[consumer][:len(s.entries[consumer])-1]
	s.checkDump()
	if failed := s.host.Apply(t.Context(), consumer, nil, []desired.Entry{w}); failed != nil {
		t.Error(failed)
	}
}
