// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/agent"
	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/fakedp"
)

// book is whoever looks names up: every name has its address, until it has none and
// nothing is known.
type book struct {
	mu   sync.Mutex
	addr string
	hold chan struct{} // while it is open no look-up returns
}

func (b *book) set(addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addr = addr
}

func (b *book) Lookup(ctx context.Context, _ follow.Question) (follow.Answer, error) {
	b.mu.Lock()
	addr, hold := b.addr, b.hold
	b.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	if addr == "" {
		return follow.Answer{}, errors.New("nobody answers")
	}
	return follow.Answer{Addrs: []netip.Addr{netip.MustParseAddr(addr)}, TTL: time.Second}, nil
}

var (
	db    = desired.Follow{VPC: "vpc-a", Addr: netip.MustParseAddr("240.8.0.1"), Name: "db.example.com.", Gateway: netip.MustParseAddr("10.0.1.50"), Floor: 1}
	names = []desired.Entry{desired.Router{VPC: "vpc-a"}, desired.Pool{VPC: "vpc-a", Gateway: db.Gateway}, db}
)

// leads waits until the kernel has a target that leads there.
func leads(t *testing.T, kernel *fakedp.Kernel, to string) {
	t.Helper()
	want := db.Target(nil)
	if to != "" {
		want = db.Target([]netip.Addr{netip.MustParseAddr(to)})
	}
	await(t, want.String(), func() bool { return strings.Contains(kernel.Text(), want.String()+"\n") })
}

// A name is followed while the server is away, and by an agent that never had one: the
// copy on disk and what is told of the state have the name, and only the kernel its
// address.
func TestNamesAreFollowedWithoutAServer(t *testing.T) {
	kernel, path, b := fakedp.New(), filepath.Join(t.TempDir(), "desired.txt"), &book{addr: "10.0.1.10"}
	config := agent.Config{
		Effects: kernel, StateFile: path, Debounce: time.Millisecond, Whose: agent.Whose{Host: "alpha", Instance: "k3v9x", Boot: "1"},
		Follow: follow.Config{Lookup: b},
	}
	c := newControl()
	config.Source, config.Sink = c, c
	a, stop := start(t, config)
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: names})
	leads(t, kernel, "10.0.1.10")
	if got, want := a.Desired(), desired.Records(names); got != want {
		t.Errorf("desired is\n%s, want\n%s", got, want)
	}
	wantFile(t, path, names...)
	b.set("10.0.1.11")
	leads(t, kernel, "10.0.1.11")
	wantFile(t, path, names...)
	stop()

	c = newControl()
	config.Source, config.Sink = c, c
	a, stop = start(t, config)
	if revision, err := a.Recall(t.Context()); revision != 1 || err != nil {
		t.Fatalf("recall: %d, %v", revision, err)
	}
	b.set("10.0.1.12")
	leads(t, kernel, "10.0.1.12")
	if o := a.Names(); len(o) != 1 || o[0].Name != db.Name || o[0].Addrs[0].Addr.String() != "10.0.1.12" {
		t.Errorf("followed are %+v", o)
	}
	stop()
}

// An agent that starts while nothing can be looked up leaves the kernel as it is: that is
// the last good answer.
func TestARestartLeavesNamesAsTheyAre(t *testing.T) {
	kernel, b := fakedp.New(), &book{}
	is := db.Target([]netip.Addr{netip.MustParseAddr("10.0.1.11"), netip.MustParseAddr("10.0.1.10")})
	for _, e := range append(names[:2:2], is) {
		kernel.Plant(e)
	}
	c := newControl()
	a, stop := start(t, agent.Config{Effects: kernel, Source: c, Sink: c, Follow: follow.Config{Lookup: b}})
	c.send(t, desired.Delta{Full: true, Revision: 1, Put: names})
	await(t, "a failed look-up", func() bool { return a.Names()[0].Trouble != "" })
	if found, err := a.Reconciler().Verify(t.Context()); found > 0 || err != nil {
		t.Errorf("verify: %d, %v", found, err)
	}
	for _, op := range kernel.Ops() {
		if op.Verb != "dump" {
			t.Errorf("done was %s", op)
		}
	}
	stop()
	if !strings.Contains(kernel.Text(), is.String()+"\n") {
		t.Errorf("the kernel has\n%s", kernel.Text())
	}
}

// A name is settled when its first look-up has ended and the kernel has what came of it,
// and what fails about it is told of the name.
func TestANameIsSettledWhenItIsFound(t *testing.T) {
	for _, addr := range []string{"10.0.1.10", ""} {
		b := &book{addr: addr, hold: make(chan struct{})}
		kernel, c := fakedp.New(), newControl()
		a, stop := start(t, agent.Config{Effects: kernel, Source: c, Sink: c, Follow: follow.Config{Lookup: b, Patience: time.Hour}})
		c.send(t, desired.Delta{Full: true, Revision: 1, Put: names[:2]})
		c.send(t, desired.Delta{Revision: 2, Put: names})
		leads(t, kernel, "")
		if r := a.Report(); r.Behind["vpc-a"] != 1 || r.Revision != 2 {
			t.Errorf("settled is %d, behind %v, want vpc-a behind at 1", r.Revision, r.Behind)
		}
		close(b.hold)
		await(t, "settlement", func() bool { return len(a.Report().Behind) == 0 })
		leads(t, kernel, addr)

		c.send(t, desired.Delta{Revision: 3, Delete: []desired.Key{names[1].Key()}})
		lost := db
		lost.Gateway = netip.MustParseAddr("10.0.1.60")
		c.send(t, desired.Delta{Revision: 4, Put: []desired.Entry{lost}})
		await(t, "an error", func() bool { return a.Report().Failed[db.Key()] != "" })
		stop()
	}
}
