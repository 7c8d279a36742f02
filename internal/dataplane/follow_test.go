// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/agent"
	"github.com/posternhq/postern/internal/agent/follow"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
	"github.com/posternhq/postern/test/testnet"
)

// zone is a server of names on loopback, and whoever asks it.
type zone struct {
	at string

	mu    sync.Mutex
	addrs map[string][]netip.Addr
	dead  bool // it answers SERVFAIL
}

// nameTTL is the time that names have here, in seconds.
const nameTTL = 1

func newZone(t testing.TB) *zone {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{at: socket.LocalAddr().String(), addrs: map[string][]netip.Addr{}}
	ready := make(chan struct{})
	server := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(z.serve), NotifyStartedFunc: func() { close(ready) }}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.ActivateAndServe()
	}()
	<-ready
	t.Cleanup(func() { server.Shutdown(); <-ended })
	return z
}

func (z *zone) set(name string, addrs ...netip.Addr) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.addrs[name] = addrs
}

func (z *zone) die(dead bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.dead = dead
}

func (z *zone) serve(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	addrs := z.addrs[q.Question[0].Name]
	switch {
	case z.dead:
		m.Rcode = dns.RcodeServerFailure
	case addrs == nil:
		m.Rcode = dns.RcodeNameError
	}
	for _, a := range addrs {
		rr, err := dns.NewRR(fmt.Sprintf("%s %d %s %s", q.Question[0].Name, nameTTL, dns.TypeToString[q.Question[0].Qtype], a))
		if err == nil && !z.dead {
			m.Answer = append(m.Answer, rr)
		}
	}
	w.WriteMsg(m)
}

// Lookup implements follow.Lookup.
func (z *zone) Lookup(ctx context.Context, q follow.Question) (a follow.Answer, err error) {
	kind := dns.TypeA
	if q.IPv6 {
		kind = dns.TypeAAAA
	}
	m, _, err := new(dns.Client).ExchangeContext(ctx, new(dns.Msg).SetQuestion(q.Name, kind), z.at)
	switch {
	case err != nil:
		return a, err
	case m.Rcode == dns.RcodeNameError:
		return a, follow.ErrNone
	case m.Rcode != dns.RcodeSuccess:
		return a, errors.New(dns.RcodeToString[m.Rcode])
	}
	for _, rr := range m.Answer {
		a.TTL = time.Duration(rr.Header().Ttl) * time.Second
		switch rr := rr.(type) {
		case *dns.A:
			a.Addrs = append(a.Addrs, netip.AddrFrom4([4]byte(rr.A.To4())))
		case *dns.AAAA:
			a.Addrs = append(a.Addrs, netip.AddrFrom16([16]byte(rr.AAAA)))
		}
	}
	return a, nil
}

// told is both ends of an agent.
type told struct {
	deltas  chan desired.Delta
	reports chan reconcile.Report
}

func (t told) Deltas() <-chan desired.Delta { return t.deltas }
func (t told) Gone(desired.Gone)            {}
func (t told) Report(r reconcile.Report) {
	select {
	case t.reports <- r:
	default:
	}
}

// byName hands the scenario to an agent to which the target is a name.
func (s *scenario) byName(z *zone, name string) (*agent.Agent, told, desired.Follow) {
	s.t.Helper()
	target := s.entry(provider, desired.KindTarget).(desired.Target)
	f := desired.Follow{VPC: provider, Addr: target.Addr, Name: name, Floor: 1, Gateway: target.Gateway, Port: 5432}
	a, ends := s.agent(z, f, vpcs())
	return a, ends, f
}

// agent hands the scenario to an agent to which a target is a name.
func (s *scenario) agent(z *zone, f desired.Follow, vpcs []string) (*agent.Agent, told) {
	s.t.Helper()
	target := f.Target(nil).Key()
	all := []desired.Entry{f}
	for _, vpc := range vpcs {
		entries, err := s.host.Dump(s.t.Context(), desired.Realm(vpc))
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, slices.DeleteFunc(entries, func(e desired.Entry) bool { return e.Key() == target })...)
	}
	ends := told{make(chan desired.Delta), make(chan reconcile.Report, 100)}
	a := agent.New(agent.Config{
		Effects: s.host, Source: ends, Sink: ends, Logger: slog.New(slog.DiscardHandler), Follow: follow.Config{Lookup: z, Prober: s.host, Watcher: s.host},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { a.Run(ctx) })
	s.t.Cleanup(func() { cancel(); wg.Wait() })
	ends.deltas <- desired.Delta{Full: true, Revision: 1, Put: all}
	return a, ends
}

// reaches waits until connections end up at each of these addresses and nowhere else.
func (s *scenario) reaches(what string, want ...netip.Addr) {
	s.t.Helper()
	const several = 24
	found := map[netip.Addr]int{}
	for begun := time.Now(); time.Since(begun) < testnet.Patience; {
		found = map[netip.Addr]int{}
		for range several {
			conn, a, err := s.reach()
			if err != nil {
				s.t.Fatalf("%s: %v", what, err)
			}
			conn.Close()
			found[a]++
			if !slices.Contains(want, a) {
				break
			}
		}
		if len(found) == len(want) && !slices.ContainsFunc(want, func(a netip.Addr) bool { return found[a] == 0 }) {
			return
		}
	}
	s.t.Errorf("%s: connections end up at %v, want %v", what, found, want)
}

// A client that goes to a name gets where the name is: after it has moved, while nobody
// answers for it, and past an address that does not answer. What was opened before lives
// on.
func TestConnectionsFollowAName(t *testing.T) {
	for family, make := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel() // most of it is waiting for look-ups
			testFollowing(make(t))
		})
	}
}

func testFollowing(s *scenario) {
	const name = "db.example.com."
	s.apply()
	all := s.spread(3)
	z := newZone(s.t)
	z.set(name, all[0])
	a, ends, f := s.byName(z, name)
	eventually(s.t, "a first answer", func() bool { return strings.Contains(s.dump(provider), f.Target(all[:1]).String()+"\n") })
	s.reaches("at first", all[0])
	old, _, err := s.reach()
	if err != nil {
		s.t.Fatal(err)
	}
	defer old.Close()

	z.set(name, all[1])
	moved := time.Now()
	s.reaches("moved", all[1])
	s.t.Logf("24 connections were at the new address %s after the name had moved; its time is %d s", time.Since(moved), nameTTL)
	s.echoed(old)

	z.die(true)
	eventually(s.t, "a failed look-up", func() bool { return a.Names()[0].Failures > 0 })
	s.reaches("nobody answers for the name", all[1])
	z.set(name, all[1], all[2])
	z.die(false)
	s.reaches("two addresses", all[1], all[2])

	class := s.entry(provider, desired.KindClass).(desired.Class)
	deaf := class
	deaf.Name, deaf.In = "c-deaf", nil
	ends.deltas <- desired.Delta{Revision: 2, Put: []desired.Entry{deaf, desired.Address{VPC: provider, Addr: all[1], Class: deaf.Name}}}
	eventually(s.t, "an address that does not answer", func() bool { return strings.Contains(s.dump(provider), f.Target(all[2:]).String()+"\n") })
	s.reaches("one does not answer", all[2])
	ends.deltas <- desired.Delta{Revision: 3, Put: []desired.Entry{desired.Address{VPC: provider, Addr: all[1], Class: class.Name}}}
	s.reaches("it answers again", all[1], all[2])
	s.echoed(old)

	// Another name in its place, which nobody has.
	f.Name = "gone.example.com."
	ends.deltas <- desired.Delta{Revision: 4, Put: []desired.Entry{f}}
	eventually(s.t, "a target that leads nowhere", func() bool { return strings.Contains(s.dump(provider), f.Target(nil).String()+"\n") })
	begun := time.Now()
	if _, _, err := s.reach(); err == nil || !strings.Contains(err.Error(), "refused") || time.Since(begun) > testnet.Patience/2 {
		s.t.Errorf("a name that is not there: %v after %s", err, time.Since(begun))
	}
	z.set(f.Name, all[0])
	s.heals(all[0])
	s.echoed(old)
}

// heals waits until connections get through again.
func (s *scenario) heals(to netip.Addr) {
	s.t.Helper()
	eventually(s.t, "a name that is there again", func() bool {
		conn, a, err := s.reach()
		if err != nil {
			return false
		}
		conn.Close()
		return a == to
	})
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for begun := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > testnet.Patience {
			t.Fatalf("not in time: %s", what)
		}
	}
}
