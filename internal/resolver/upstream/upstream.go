// SPDX-License-Identifier: Apache-2.0

// Package upstream asks other servers for names that no zone of a resolver has, and
// remembers what they said.
//
// Nothing that comes from a server is believed without a look: an answer must come from
// where the question went, with its number and the question itself; of its records those
// are kept that the asked name leads to, and all else is dropped. Each VPC has a cache, a
// number of questions under way, and a queue of its own, so none takes another one's
// place.
package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// ErrNone says that there is no server to ask.
var ErrNone = errors.New("there is no upstream server")

// ErrBusy says that a VPC has too many questions waiting.
var ErrBusy = errors.New("too many questions of this VPC wait for upstream servers")

// Config sets up a Forwarder. Dial must be set.
type Config struct {
	// Servers gives the servers that are asked from the host's own namespace. It is
	// called for each question and must return at once.
	Servers func() []netip.AddrPort
	// Dial opens a socket to a server in the namespace of a VPC's router, or in the
	// host's for an empty name.
	Dial func(ctx context.Context, vpc, network string, to netip.AddrPort) (net.Conn, error)
	// Try is after what time another server is asked as well, Patience how long a question
	// may take in all. Defaults 1 s and 4.5 s: clients ask again after 5 s (resolv.conf(5)).
	Try, Patience time.Duration
	// Flights bounds the questions of a VPC that are under way, Waiting those that are
	// not answered yet. Defaults 64 and 1,024.
	Flights, Waiting int
	// Each and All bound, in bytes, what is remembered for one VPC and for all together.
	// Defaults 1 MiB and 48 MiB.
	Each, All int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Forwarder asks. Its methods may be called from many goroutines.
type Forwarder struct {
	cfg    Config
	mu     sync.Mutex
	vpcs   map[string]*client
	size   int // of all caches
	health map[peer]*health
	count  Counters
}

// Counters count since the Forwarder was made.
type Counters struct {
	// Asked are questions to it, Cached those answered from memory, Failed those that no
	// server answered, Refused those for which there was none or no room.
	Asked, Cached, Failed, Refused int64
}

// client is what one VPC has.
type client struct {
	vpc     string
	cache   cache
	flights map[key]*flight
	turns   turns
	waiting int
}

type key struct {
	name string // in wire form
	kind uint16
}

// flight is a question under way, with all who wait for it.
type flight struct {
	turn    *turn
	waiting []func(wire.Reply, error)
}

// New makes a Forwarder.
func New(cfg Config) *Forwarder {
	cfg.Try = cmp.Or(cfg.Try, time.Second)
	cfg.Patience = cmp.Or(cfg.Patience, 4500*time.Millisecond)
	cfg.Flights = cmp.Or(cfg.Flights, 64)
	cfg.Waiting = cmp.Or(cfg.Waiting, 1024)
	cfg.Each = cmp.Or(cfg.Each, 1<<20)
	cfg.All = cmp.Or(cfg.All, 48<<20)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Servers == nil {
		cfg.Servers = func() []netip.AddrPort { return nil }
	}
	return &Forwarder{cfg: cfg, vpcs: map[string]*client{}, health: map[peer]*health{}}
}

// Question is what is asked on behalf of a VPC.
type Question struct {
	VPC string
	// Client is who asks in the VPC. Each has its part of the questions under way.
	Client netip.Addr
	// Servers are the VPC's own, which are asked from its router; without any those of
	// the host are asked.
	Servers []netip.AddrPort
	// Name is in wire form and small letters.
	Name []byte
	Type uint16
	// Fresh says that the servers are to be asked whatever is remembered: who goes by an
	// answer for all its time must not get what is left of another one's.
	Fresh bool
}

// Ask asks and waits. The error says why there is no answer: ErrNone, ErrBusy, or what
// the servers did.
func (f *Forwarder) Ask(ctx context.Context, q Question) (wire.Reply, error) {
	type result struct {
		reply wire.Reply
		err   error
	}
	got := make(chan result, 1)
	f.Start(q, func(reply wire.Reply, err error) { got <- result{reply, err} })
	select {
	case r := <-got:
		return r.reply, r.err
	case <-ctx.Done():
		return wire.Reply{}, ctx.Err()
	}
}

// Start asks and does not wait: done is called once, by this call when the answer is
// known, and otherwise by another goroutine.
func (f *Forwarder) Start(q Question, done func(wire.Reply, error)) {
	if reply, err, known := f.begin(q, done); known {
		done(reply, err)
	}
}

// begin gives what is known, or sees to it that done is called.
func (f *Forwarder) begin(q Question, done func(wire.Reply, error)) (reply wire.Reply, err error, known bool) {
	servers, from := q.Servers, q.VPC
	if len(servers) == 0 {
		servers, from = f.cfg.Servers(), ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count.Asked++
	c := f.client(memory(q))
	k := key{string(q.Name), q.Type}
	if !q.Fresh {
		if reply, err, known = c.cache.get(k, f.cfg.Now()); known {
			f.count.Cached++
			return reply, err, true
		}
	}
	if len(servers) == 0 || c.waiting >= f.cfg.Waiting {
		f.count.Refused++
		if len(servers) == 0 {
			return reply, ErrNone, true
		}
		return reply, ErrBusy, true
	}
	c.waiting++
	fl := c.flights[k]
	if fl == nil {
		fl = &flight{turn: c.turns.enter(q.Client)}
		c.flights[k] = fl
		go f.fly(c, k, fl, from, servers)
	} else {
		c.turns.join(fl.turn, q.Client)
	}
	fl.waiting = append(fl.waiting, done)
	return reply, nil, false
}

// client gives what a VPC has. The lock is held.
func (f *Forwarder) client(vpc string) *client {
	c := f.vpcs[vpc]
	if c == nil {
		c = &client{vpc: vpc, flights: map[key]*flight{}, turns: turns{places: f.cfg.Flights, taken: map[netip.Addr]int{}, blocks: map[netip.Prefix]int{}}}
		f.vpcs[vpc] = c
	}
	return c
}

// Forget drops what is remembered for a VPC that is gone, or whose servers have changed.
func (f *Forwarder) Forget(vpc string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, of := range []string{vpc, vpc + ofServers} {
		if c := f.vpcs[of]; c != nil {
			f.size -= c.cache.size
			delete(f.vpcs, of)
		}
	}
}

// ofServers is behind the name of a VPC for what its own servers say, which is not for
// those who ask the host's.
const ofServers = " servers"

func memory(q Question) string {
	if len(q.Servers) > 0 {
		return q.VPC + ofServers
	}
	return q.VPC
}

// Counters tells what was counted.
func (f *Forwarder) Counters() Counters {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// fly asks the servers, remembers what they said, and tells those who wait.
func (f *Forwarder) fly(c *client, k key, fl *flight, from string, servers []netip.AddrPort) {
	ctx, cancel := context.WithTimeout(context.Background(), f.cfg.Patience)
	defer cancel()
	var reply wire.Reply
	var err error
	select {
	case <-fl.turn.come:
		reply, err = f.tour(ctx, from, k, servers)
	case <-ctx.Done():
		err = ErrBusy
	}
	for _, done := range f.land(c, k, fl, reply, err) {
		done(reply, err)
	}
}

// land notes how a question ended, and gives those who wait for it.
func (f *Forwarder) land(c *client, k key, fl *flight, reply wire.Reply, err error) []func(wire.Reply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(c.flights, k)
	c.turns.leave(fl.turn)
	c.waiting -= len(fl.waiting)
	if err != nil {
		f.count.Failed++
	}
	if f.vpcs[c.vpc] == c && !errors.Is(err, ErrBusy) {
		f.size += c.cache.put(k, reply, err, f.cfg.Now(), f.cfg.Each)
		f.shrink(c)
	}
	return fl.waiting
}

// shrink keeps all caches together within their bound: first who has more than its part
// gives, and otherwise who has most. The lock is held.
func (f *Forwarder) shrink(c *client) {
	for f.size > f.cfg.All {
		if c.cache.size <= f.cfg.All/len(f.vpcs) {
			for _, o := range f.vpcs {
				if o.cache.size > c.cache.size {
					c = o
				}
			}
		}
		f.size -= c.cache.evict()
	}
}

// said is what came of asking a server once.
type said struct {
	turn  int
	to    netip.AddrPort
	reply wire.Reply
	err   error
}

// tour asks one server after the other, those that answered last first, and all once
// more when time is left. One that is slow is still listened to while the next one is
// asked: else a server that takes longer than a try would never be heard.
func (f *Forwarder) tour(ctx context.Context, from string, k key, servers []netip.AddrPort) (wire.Reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := map[netip.AddrPort]error{}
	came := make(chan said, rounds*len(servers))
	turn := 0
	for range rounds {
		for _, to := range f.order(from, servers) {
			turn++
			go func(turn int) {
				reply, err := f.try(ctx, from, to, k)
				came <- said{turn, to, reply, err}
			}(turn)
			if reply, ok := f.listen(ctx, from, said{turn: turn, to: to}, came, errs); ok {
				return reply, nil
			}
			if ctx.Err() != nil {
				return wire.Reply{}, failure(errs, servers)
			}
		}
		if !slices.ContainsFunc(servers, func(s netip.AddrPort) bool { return errors.Is(errs[s], errTime) }) {
			break // what they said they would say again
		}
	}
	return wire.Reply{}, failure(errs, servers)
}

// rounds is how often each server is asked at most.
const rounds = 3

// listen waits for an answer, of whichever server, until the one that was asked last has
// failed or had its time. What failed is noted.
func (f *Forwarder) listen(ctx context.Context, from string, last said, came <-chan said, errs map[netip.AddrPort]error) (wire.Reply, bool) {
	try := time.NewTimer(f.cfg.Try)
	defer try.Stop()
	for {
		var s said
		select {
		case s = <-came:
		case <-try.C:
			s = last
			s.err = errTime
		case <-ctx.Done():
			s = last
			s.err = errTime
		}
		f.learn(peer{from, s.to}, s.err)
		if s.err == nil {
			return s.reply, true
		}
		errs[s.to] = s.err
		if s.turn == last.turn {
			return wire.Reply{}, false
		}
	}
}

func failure(errs map[netip.AddrPort]error, servers []netip.AddrPort) error {
	var all []error
	for _, s := range servers {
		if err := errs[s]; err != nil {
			all = append(all, fmt.Errorf("upstream server %s: %w", s, err))
		}
	}
	return errors.Join(all...)
}

// errTime says that a server did not answer in time.
var errTime = errors.New("it does not answer")

// errFailed says that a server has no answer for a name. It can have one for others.
var errFailed = errors.New("it answers SERVFAIL")

// try asks one server, over UDP and then over TCP when the answer was cut.
func (f *Forwarder) try(ctx context.Context, from string, to netip.AddrPort, k key) (wire.Reply, error) {
	for _, network := range []string{"udp", "tcp"} {
		m, err := f.exchange(ctx, from, network, to, k)
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)):
			return wire.Reply{}, errTime
		case err != nil:
			return wire.Reply{}, err
		case m.Truncated && network == "udp":
			continue
		case m.Rcode == dns.RcodeServerFailure:
			return wire.Reply{}, errFailed
		case m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError:
			return wire.Reply{}, fmt.Errorf("it answers %s", dns.RcodeToString[m.Rcode])
		}
		return sift(m, k)
	}
	return wire.Reply{}, errors.New("it cuts its answers short")
}

// peer is a server as it is seen from a namespace.
type peer struct {
	from string
	to   netip.AddrPort
}

// health is how a server does.
type health struct {
	asked, failed int64
	row           int // failures in a row
	until         time.Time
	problem       string
}

// most bounds how many servers something is known of.
const most = 4096

// learn notes how a server did.
func (f *Forwarder) learn(p peer, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := f.health[p]
	if h == nil {
		if len(f.health) >= most {
			clear(f.health)
		}
		h = &health{}
		f.health[p] = h
	}
	h.asked++
	if err != nil {
		h.failed++
	}
	if err == nil || errors.Is(err, errFailed) {
		h.row, h.until, h.problem = 0, time.Time{}, ""
		return
	}
	h.row++
	h.problem = err.Error()
	h.until = f.cfg.Now().Add(min(time.Second<<min(h.row-1, 5), 30*time.Second))
}

// order gives the servers that are thought well of, in their own order, and the others
// behind them.
func (f *Forwarder) order(from string, servers []netip.AddrPort) []netip.AddrPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.cfg.Now()
	bad := func(s netip.AddrPort) int {
		if h := f.health[peer{from, s}]; h != nil && now.Before(h.until) {
			return 1
		}
		return 0
	}
	sorted := slices.Clone(servers)
	slices.SortStableFunc(sorted, func(a, b netip.AddrPort) int { return bad(a) - bad(b) })
	return sorted
}

// State tells how a server of the host does.
func (f *Forwarder) State(s netip.AddrPort) (asked, failed int64, problem string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.health[peer{"", s}]; h != nil {
		return h.asked, h.failed, h.problem
	}
	return 0, 0, ""
}
