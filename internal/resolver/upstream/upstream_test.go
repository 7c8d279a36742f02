// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/resolver/upstream"
	"github.com/posternhq/postern/internal/resolver/wire"
)

// server is an upstream server on loopback that answers as a function says; nil is no
// answer.
func server(t *testing.T, answer func(q *dns.Msg, tcp bool) *dns.Msg) netip.AddrPort {
	t.Helper()
	udp, tcp := samePort(t)
	handle := func(w dns.ResponseWriter, q *dns.Msg) {
		_, isTCP := w.RemoteAddr().(*net.TCPAddr)
		if a := answer(q, isTCP); a != nil {
			_ = w.WriteMsg(a)
		}
	}
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: dns.HandlerFunc(handle)}, {Listener: tcp, Handler: dns.HandlerFunc(handle)}} {
		go func() { _ = s.ActivateAndServe() }()
	}
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	return netip.MustParseAddrPort(udp.LocalAddr().String())
}

// samePort is a port of loopback for both protocols: one that the kernel picks for UDP
// can be in use for TCP, and then the next one is tried.
func samePort(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	var last error
	for range 100 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		last = err
		udp.Close()
	}
	t.Fatal(last)
	return nil, nil
}

func reply(q *dns.Msg, records ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	for _, r := range records {
		rr, err := dns.NewRR(r)
		if err != nil {
			panic(err)
		}
		if rr.Header().Rrtype == dns.TypeSOA {
			m.Ns = append(m.Ns, rr)
		} else {
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

func forwarder(cfg upstream.Config, servers ...netip.AddrPort) *upstream.Forwarder {
	cfg.Servers = func() []netip.AddrPort { return servers }
	cfg.Dial = func(ctx context.Context, _, network string, to netip.AddrPort) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, to.String())
	}
	return upstream.New(cfg)
}

func question(vpc, name string, kind uint16) upstream.Question {
	wired, err := wire.AppendName(nil, name)
	if err != nil {
		panic(err)
	}
	return upstream.Question{VPC: vpc, Name: wired, Type: kind}
}

// text prints an answer as "CODE name/TYPE/TTL …".
func text(r wire.Reply, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	parts := []string{dns.RcodeToString[r.Code]}
	for i, section := range [][]wire.Record{r.Answer, r.Authority} {
		for _, rec := range section {
			parts = append(parts, fmt.Sprintf("%s%s/%s/%d", []string{"", "("}[i], wire.NameText(rec.Name), dns.TypeToString[rec.Type], rec.TTL))
		}
	}
	return strings.Join(parts, " ")
}

// TestWhatIsBelieved asks servers that say all sorts of things.
func TestWhatIsBelieved(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("a.test. 60 A 10.1.%d.%d", i/250, i%250)
	}
	soa := "test. 900 SOA ns.test. h.test. 1 2 3 4 30"
	for _, c := range []struct {
		name   string
		answer func(q *dns.Msg, tcp bool) *dns.Msg
		want   string
	}{
		{"as it should be", func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "A.test. 60 A 10.0.0.1") }, "NOERROR a.test./A/60"},
		{"a chain", func(q *dns.Msg, _ bool) *dns.Msg {
			return reply(q, "c.test. 5 A 10.0.0.1", "a.test. 60 CNAME B.test.", "b.test. 7 CNAME c.test.")
		}, "NOERROR a.test./CNAME/60 b.test./CNAME/7 c.test./A/5"},
		{"other names beside", func(q *dns.Msg, _ bool) *dns.Msg {
			return reply(q, "a.test. 60 A 10.0.0.1", "bank.test. 60 A 6.6.6.6", "a.test. 60 TXT x")
		}, "NOERROR a.test./A/60"},
		{"only other names", func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "bank.test. 60 A 6.6.6.6") }, "it answers for other names"},
		{"another type of the name", func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "a.test. 60 AAAA fd00::1") }, "NOERROR"},
		{"other names, and that there is no such one", func(q *dns.Msg, _ bool) *dns.Msg {
			m := reply(q, "bank.test. 60 A 6.6.6.6")
			m.Rcode = dns.RcodeNameError
			return m
		}, "it answers for other names"},
		{"a loop", func(q *dns.Msg, _ bool) *dns.Msg {
			return reply(q, "a.test. 60 CNAME b.test.", "b.test. 60 CNAME a.test.")
		}, "chain of names that does not end"},
		{"no such name", func(q *dns.Msg, _ bool) *dns.Msg {
			m := reply(q, soa, "other. 1 SOA a. b. 1 2 3 4 5")
			m.Rcode = dns.RcodeNameError
			return m
		}, "NXDOMAIN (test./SOA/900"},
		{"authority of somebody else", func(q *dns.Msg, _ bool) *dns.Msg {
			return reply(q, "other. 1 SOA a. b. 1 2 3 4 5")
		}, "NOERROR"},
		{"another question", func(q *dns.Msg, _ bool) *dns.Msg {
			m := reply(q, "a.test. 60 A 10.0.0.1")
			m.Question[0].Name = "b.test."
			return m
		}, "does not answer"},
		{"another number", func(q *dns.Msg, _ bool) *dns.Msg {
			m := reply(q, "a.test. 60 A 10.0.0.1")
			m.Id++
			return m
		}, "does not answer"},
		{"a time beyond all bounds", func(q *dns.Msg, _ bool) *dns.Msg {
			return reply(q, "a.test. 4294967295 A 10.0.0.1", "a.test. 2147483648 A 10.0.0.2", "a.test. 2147483647 A 10.0.0.3")
		}, "NOERROR a.test./A/0 a.test./A/0 a.test./A/2147483647"},
		{"another class", func(q *dns.Msg, _ bool) *dns.Msg { return reply(q, "a.test. 60 CH A 10.0.0.1") }, "it answers for other names"},
		{"no answer", func(*dns.Msg, bool) *dns.Msg { return nil }, "does not answer"},
		{"a refusal", func(q *dns.Msg, _ bool) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeRefused) }, "it answers REFUSED"},
		{"a thousand, cut and then over TCP", func(q *dns.Msg, tcp bool) *dns.Msg {
			if tcp {
				return reply(q, many...)
			}
			m := reply(q)
			m.Truncated = true
			return m
		}, strings.TrimSuffix("NOERROR "+strings.Repeat("a.test./A/60 ", 1000), " ")},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := forwarder(upstream.Config{Try: 300 * time.Millisecond, Patience: 700 * time.Millisecond}, server(t, c.answer))
			got := text(f.Ask(t.Context(), question("vpc-1", "a.test.", dns.TypeA)))
			if got != c.want && (!strings.HasPrefix(got, "error") || !strings.Contains(got, c.want)) {
				t.Errorf("got %.200s, want %.200s", got, c.want)
			}
		})
	}
}

// TestOtherServersAreAsked has one server that is silent and one that is there: the
// second time the silent one is not waited for.
func TestOtherServersAreAsked(t *testing.T) {
	silent := server(t, func(*dns.Msg, bool) *dns.Msg { return nil })
	var asked atomic.Int64
	good := server(t, func(q *dns.Msg, _ bool) *dns.Msg {
		asked.Add(1)
		return reply(q, q.Question[0].Name+" 60 A 10.0.0.1")
	})
	f := forwarder(upstream.Config{Try: 500 * time.Millisecond}, silent, good)
	for i, name := range []string{"a.test.", "b.test."} {
		if got := text(f.Ask(t.Context(), question("vpc-1", name, dns.TypeA))); got != "NOERROR "+name+"/A/60" {
			t.Fatal(got)
		}
		if n, failed, _ := f.State(silent); n != 1 || failed != 1 {
			t.Errorf("after question %d the silent server was asked %d times, failed %d", i+1, n, failed)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("the other one was asked %d times", asked.Load())
	}
}

// TestASlowServerIsHeard has servers that take longer than a try, each time they are asked.
func TestASlowServerIsHeard(t *testing.T) {
	slow := func(q *dns.Msg, _ bool) *dns.Msg {
		<-time.After(700 * time.Millisecond)
		return reply(q, "a.test. 60 A 10.0.0.1")
	}
	silent := func(*dns.Msg, bool) *dns.Msg { return nil }
	for name, servers := range map[string][]netip.AddrPort{
		"alone":               {server(t, slow)},
		"before a silent one": {server(t, slow), server(t, silent)},
		"behind a silent one": {server(t, silent), server(t, slow)},
		"over TCP": {server(t, func(q *dns.Msg, tcp bool) *dns.Msg {
			if tcp {
				return slow(q, tcp)
			}
			m := reply(q)
			m.Truncated = true
			return m
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := forwarder(upstream.Config{Try: 300 * time.Millisecond, Patience: time.Minute}, servers...)
			if got := text(f.Ask(t.Context(), question("vpc-1", "a.test.", dns.TypeA))); got != "NOERROR a.test./A/60" {
				t.Error(got)
			}
		})
	}
}

// TestWhatIsRemembered goes by a clock: answers by their least TTL, negative ones by the
// SOA, failures for a second, nothing with a TTL of zero.
func TestWhatIsRemembered(t *testing.T) {
	var asked atomic.Int64
	s := server(t, func(q *dns.Msg, _ bool) *dns.Msg {
		asked.Add(1)
		switch q.Question[0].Name {
		case "a.test.":
			return reply(q, "a.test. 60 CNAME b.test.", "b.test. 20 A 10.0.0.1")
		case "none.test.":
			m := reply(q, "test. 900 SOA ns.test. h.test. 1 2 3 4 30")
			m.Rcode = dns.RcodeNameError
			return m
		case "zero.test.":
			return reply(q, "zero.test. 0 A 10.0.0.1")
		}
		return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	})
	var c clock
	f := forwarder(upstream.Config{Now: c.now}, s)
	ask := func(vpc, name string) (fresh bool, got string) {
		before := asked.Load()
		got = text(f.Ask(t.Context(), question(vpc, name, dns.TypeA)))
		return asked.Load() > before, got
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		vpc   string
		fresh bool
		want  string
	}{
		{"a.test.", 0, "vpc-1", true, "NOERROR a.test./CNAME/60 b.test./A/20"},
		{"a.test.", 15 * time.Second, "vpc-1", false, "NOERROR a.test./CNAME/45 b.test./A/5"},
		{"a.test.", 0, "vpc-2", true, "NOERROR a.test./CNAME/60 b.test./A/20"},
		{"a.test.", 6 * time.Second, "vpc-1", true, "NOERROR a.test./CNAME/60 b.test./A/20"},
		{"none.test.", 0, "vpc-1", true, "NXDOMAIN (test./SOA/900"},
		{"none.test.", 29 * time.Second, "vpc-1", false, "NXDOMAIN (test./SOA/871"},
		{"none.test.", 2 * time.Second, "vpc-1", true, "NXDOMAIN (test./SOA/900"},
		{"zero.test.", 0, "vpc-1", true, "NOERROR zero.test./A/0"},
		{"zero.test.", 0, "vpc-1", true, "NOERROR zero.test./A/0"},
		{"bad.test.", 0, "vpc-1", true, "SERVFAIL"},
		{"bad.test.", 0, "vpc-1", false, "SERVFAIL"},
		{"bad.test.", 1100 * time.Millisecond, "vpc-1", true, "SERVFAIL"},
		{"bad.test.", 1100 * time.Millisecond, "vpc-1", false, "SERVFAIL"},
		{"bad.test.", 10 * time.Second, "vpc-1", true, "SERVFAIL"},
	} {
		c.advance(step.after)
		if fresh, got := ask(step.vpc, step.name); fresh != step.fresh || !strings.Contains(got, step.want) {
			t.Errorf("%s in %s %v later: asked %v, %s; want asked %v, %s", step.name, step.vpc, step.after, fresh, got, step.fresh, step.want)
		}
	}
}

// TestNoVPCTakesAnothersPlace fills what one VPC may remember and have under way.
func TestNoVPCTakesAnothersPlace(t *testing.T) {
	var asked atomic.Int64
	hold := make(chan struct{})
	s := server(t, func(q *dns.Msg, _ bool) *dns.Msg {
		asked.Add(1)
		if strings.HasPrefix(q.Question[0].Name, "slow") {
			<-hold
		}
		return reply(q, q.Question[0].Name+" 3600 A 10.0.0.1")
	})
	defer close(hold)
	f := forwarder(upstream.Config{Each: 50 << 10, All: 60 << 10, Flights: 4, Waiting: 8, Try: time.Minute, Patience: time.Minute}, s)
	ask := func(vpc, name string) string { return text(f.Ask(t.Context(), question(vpc, name, dns.TypeA))) }
	ask("vpc-1", "kept.test.")
	for i := range 400 {
		ask("vpc-2", fmt.Sprintf("n%d.test.", i))
	}
	before := asked.Load()
	if ask("vpc-1", "kept.test."); asked.Load() != before {
		t.Error("what one VPC remembered was pushed out by another one")
	}
	if ask("vpc-2", "n399.test."); asked.Load() != before {
		t.Error("what was asked last was forgotten")
	}
	if ask("vpc-2", "n0.test."); asked.Load() == before {
		t.Error("a VPC remembers without bound")
	}
	for i := range 8 {
		f.Start(question("vpc-2", fmt.Sprintf("slow%d.test.", i), dns.TypeA), func(wire.Reply, error) {})
	}
	if _, err := f.Ask(t.Context(), question("vpc-2", "more.test.", dns.TypeA)); !errors.Is(err, upstream.ErrBusy) {
		t.Errorf("a VPC with all places taken: %v", err)
	}
	if got := ask("vpc-1", "other.test."); got != "NOERROR other.test./A/3600" {
		t.Errorf("another VPC meanwhile: %s", got)
	}
}

// TestNoClientTakesAnothersTurn has a client ask, as often as it may, for names that nobody answers.
func TestNoClientTakesAnothersTurn(t *testing.T) {
	s := server(t, func(q *dns.Msg, _ bool) *dns.Msg {
		if strings.HasPrefix(q.Question[0].Name, "void") {
			return nil
		}
		return reply(q, q.Question[0].Name+" 60 A 10.0.0.1")
	})
	f := forwarder(upstream.Config{Flights: 4, Try: time.Minute, Patience: 10 * time.Second}, s)
	greedy := func(name string) {
		q := question("vpc-1", name, dns.TypeA)
		q.Client = netip.MustParseAddr("10.0.0.9")
		f.Start(q, func(wire.Reply, error) {})
	}
	for i := range 100 {
		greedy(fmt.Sprintf("void%d.test.", i))
	}
	greedy("b.test.") // what another one wants as well
	for _, name := range []string{"a.test.", "b.test."} {
		q := question("vpc-1", name, dns.TypeA)
		q.Client = netip.MustParseAddr("10.0.0.10")
		if got := text(f.Ask(t.Context(), q)); got != "NOERROR "+name+"/A/60" {
			t.Errorf("another client: %s", got)
		}
	}
}

// TestOneFlightForAll has many ask the same at a time.
func TestOneFlightForAll(t *testing.T) {
	var asked atomic.Int64
	hold := make(chan struct{})
	s := server(t, func(q *dns.Msg, _ bool) *dns.Msg {
		asked.Add(1)
		<-hold
		return reply(q, "a.test. 0 A 10.0.0.1")
	})
	f := forwarder(upstream.Config{Try: time.Minute, Patience: time.Minute}, s)
	var all sync.WaitGroup
	for range 100 {
		all.Add(1)
		f.Start(question("vpc-1", "a.test.", dns.TypeA), func(r wire.Reply, err error) {
			defer all.Done()
			if got := text(r, err); got != "NOERROR a.test./A/0" {
				t.Error(got)
			}
		})
	}
	close(hold)
	all.Wait()
	if asked.Load() != 1 {
		t.Errorf("the server was asked %d times", asked.Load())
	}
}

func TestNoServerIsSaid(t *testing.T) {
	if _, err := forwarder(upstream.Config{}).Ask(t.Context(), question("vpc-1", "a.test.", dns.TypeA)); !errors.Is(err, upstream.ErrNone) {
		t.Error(err)
	}
}

// Who goes by an answer for all its time is not told what is left of an earlier one, and
// what is heard then is what others hear too.
func TestAFreshQuestionIsAskedAnew(t *testing.T) {
	var asked atomic.Int64
	f := forwarder(upstream.Config{}, server(t, func(q *dns.Msg, _ bool) *dns.Msg {
		return reply(q, fmt.Sprintf("a.test. 60 A 10.0.0.%d", asked.Add(1)))
	}))
	is := func(fresh bool, want byte) {
		t.Helper()
		q := question("vpc-1", "a.test.", dns.TypeA)
		q.Fresh = fresh
		r, err := f.Ask(t.Context(), q)
		if err != nil || len(r.Answer) != 1 || r.Answer[0].Data[3] != want {
			t.Errorf("answer %+v, %v, want the one of question %d", r, err, want)
		}
	}
	is(false, 1)
	is(false, 1)
	is(true, 2)
	is(false, 2)
}
