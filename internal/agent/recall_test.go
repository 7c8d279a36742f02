// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/agent"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/fakedp"
)

func inGroup(vpc string, n byte) desired.Entry {
	return desired.Member{VPC: vpc, Group: "sg-1", Addr: netip.AddrFrom4([4]byte{10, 0, 1, n})}
}

// await asks until the answer is yes.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// An agent that starts without a source repairs what the kernel lost of what the host
// was last told, and watches its processes. It removes and reports nothing, until the
// source has said what is wanted.
func TestAnAgentWithoutASourceGoesByItsCopy(t *testing.T) {
	kernel, path := fakedp.New(), filepath.Join(t.TempDir(), "desired.txt")
	config := agent.Config{Effects: kernel, StateFile: path, Debounce: time.Millisecond, Whose: agent.Whose{Host: "alpha", Instance: "k3v9x", Boot: "1"}}
	c := newControl()
	config.Source, config.Sink = c, c
	_, stop := start(t, config)
	ns, cmd := process(t)
	address := desired.Address{VPC: "vpc-a", Addr: netip.MustParseAddr("10.0.1.10"), Class: "c-1"}
	state := []desired.Entry{
		desired.Router{VPC: "vpc-a"}, desired.Class{VPC: "vpc-a", Name: "c-1"}, address, inGroup("vpc-a", 1), workload("eni-1", ns),
	}
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: state})
	await(t, "a copy", func() bool { _, err := agent.ReadCopy(path, desired.Kinds()...); return err == nil })
	c.send(t, desired.Delta{Revision: 2, Put: []desired.Entry{inGroup("vpc-a", 2)}, Delete: []desired.Key{inGroup("vpc-a", 1).Key()}})
	state = append(append(state[:3:3], state[4]), inGroup("vpc-a", 2))
	stop()

	kernel.Drop(inGroup("vpc-a", 2).Key())
	kernel.Plant(desired.Class{VPC: "vpc-a", Name: "c-1", In: []desired.Rule{{Protocol: 6, Group: "sg-9"}}})
	strays := []desired.Entry{inGroup("vpc-a", 3), desired.Router{VPC: "vpc-z"}}
	for _, e := range strays {
		kernel.Plant(e)
	}
	c = newControl()
	config.Source, config.Sink = c, c
	a, _ := start(t, config)
	if revision, err := a.Recall(t.Context()); revision != 2 || err != nil {
		t.Fatalf("recall: %d, %v", revision, err)
	}
	want := desired.Text(append(strays, state...))
	await(t, "repair by the copy", func() bool { return kernel.Text() == want })
	kernel.Drop(address.Key())
	await(t, "a state to verify", func() bool { _, err := a.Reconciler().Verify(t.Context()); return err == nil })
	if diff := cmp.Diff(want, kernel.Text()); diff != "" {
		t.Errorf("kernel after it was verified: %s", diff)
	}
	cmd.Process.Kill()
	c.wantGone(t, "eni-1")
	if len(c.settled) > 0 {
		t.Errorf("settled %d is reported, which nobody has asked for", <-c.settled)
	}

	// The source says what is wanted now: what others removed is not there again.
	c.send(t, desired.Delta{Full: true, Revision: 7, Put: state[:3]})
	if diff := cmp.Diff(desired.Text(state[:3]), kernel.Text()); diff != "" {
		t.Errorf("kernel after the source is back: %s", diff)
	}
	if r := a.Report(); r.Revision != 7 || r.Done != 3 || r.Counts.Failed != 0 {
		t.Errorf("report %+v", r)
	}
	if _, err := a.Recall(t.Context()); err == nil {
		await(t, "another delta", func() bool { c.send(t, desired.Delta{Revision: 8}); return true })
		if diff := cmp.Diff(desired.Text(state[:3]), kernel.Text()); diff != "" {
			t.Errorf("kernel after a copy was recalled too late: %s", diff)
		}
	}
}

// A copy of another host, another instance or an earlier start of the machine is
// refused.
func TestACopyOfOthersIsNotGoneBy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desired.txt")
	own := agent.Whose{Host: "alpha", Instance: "k3v9x", Boot: "1"}
	c := newControl()
	_, stop := start(t, agent.Config{Effects: fakedp.New(), Source: c, Sink: c, StateFile: path, Whose: own})
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: []desired.Entry{desired.Router{VPC: "vpc-a"}}})
	stop()
	for _, other := range []agent.Whose{{"beta", "k3v9x", "1"}, {"alpha", "zzzzz", "1"}, {"alpha", "k3v9x", "2"}} {
		kernel := fakedp.New()
		a, stop := start(t, agent.Config{Effects: kernel, Source: newControl(), Sink: c, StateFile: path, Whose: other})
		if _, err := a.Recall(t.Context()); err == nil || !strings.Contains(err.Error(), other.String()) || !strings.Contains(err.Error(), own.String()) {
			t.Errorf("%s goes by the copy of %s: %v", other, own, err)
		}
		stop()
		if got := kernel.Text(); got != "" {
			t.Errorf("made by the copy of others:\n%s", got)
		}
	}
}
