// SPDX-License-Identifier: Apache-2.0

package system

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/dataplane/names"
	"github.com/posternhq/postern/test/postern"
)

// Postern and the process that resolves names are killed in any order, at random moments,
// while a name changes and is asked for. No answer is wrong, or older than one before;
// when it is over each question is answered, and nothing is left of those that died.
func TestNamesSurviveKillsInAnyOrder(t *testing.T) {
	s := newPair(t, "--upstream", "none")
	const name, server = "db.chaos.test.", "169.254.169.253"
	postern.Call[ec2.ModifyVpcAttributeOutput](s.Postern, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &s.consumer.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	set := privateZone(s.Postern, s.consumer, "chaos.test")
	var latest atomic.Int64
	change := func() {
		n := latest.Add(1) // before anybody can be told of it
		set(name, netip.AddrFrom4([4]byte{10, 8, byte(n >> 8), byte(n)}))
	}
	value := func(n int64) string { return fmt.Sprintf("NOERROR 10.8.%d.%d", n>>8, n&255) }
	settled := func() {
		t.Helper()
		s.Await("the last value", func() (bool, error) {
			got, err := askNameFor(time.Second, s.client, server, name, dns.TypeA)
			return err == nil && got == value(latest.Load()), nil
		})
	}
	change()
	settled()
	done := make(chan struct{})
	var client sync.WaitGroup
	client.Go(func() {
		for newest := int64(1); ; {
			select {
			case <-done:
				return
			default:
			}
			got, err := askNameFor(200*time.Millisecond, s.client, server, name, dns.TypeA)
			if err != nil {
				continue // nobody is there just now
			}
			var a, b int64
			if _, err := fmt.Sscanf(got, "NOERROR 10.8.%d.%d", &a, &b); err != nil || a<<8+b < newest || a<<8+b > latest.Load() {
				t.Errorf("it is answered %q when %s to %s are right", got, value(newest), value(latest.Load()))
				return
			}
			newest = a<<8 + b
		}
	})
	kill := func() {
		for _, pid := range names.Processes(s.Data) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
	again := func() { s.Kill(); s.Up() }
	pair := func(first, second func()) func() { return func() { first(); second(); s.Up() } }
	ways := []func(){kill, again, pair(s.Kill, kill), pair(kill, s.Kill), func() { kill(); change(); kill() }}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	rounds := 0
	for begun := time.Now(); time.Since(begun) < 6*time.Second && !t.Failed(); rounds++ {
		change()
		time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond) // any moment is as good
		ways[random.IntN(len(ways))]()
	}
	change()
	settled()
	close(done)
	client.Wait()
	t.Logf("seed %d: %d rounds, %d changes", seed, rounds, latest.Load())
	for i := range 50 {
		if got, err := askName(s.client, server, name, dns.TypeA); got != value(latest.Load()) {
			t.Errorf("question %d afterwards: %q, %v", i, got, err)
		}
	}
	s.Verify()
	s.Await("one process alone", func() (bool, error) { return len(names.Processes(s.Data)) == 1, nil })
	pid := names.Processes(s.Data)[0]
	if owner, err := resolverPID(s.Postern); err != nil || owner != pid {
		t.Errorf("process %d serves, and %d, %v, has the lock", pid, owner, err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil || len(files) > 64 { // two VPCs of six sockets, twice
		t.Errorf("it has %d files open, %v", len(files), err)
	}
	if routers := s.Routers(); len(routers) != 2 {
		t.Errorf("there are the routers %s", strings.Join(routers, " "))
	}
}
