// SPDX-License-Identifier: Apache-2.0

package resolver_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/control"
	"github.com/posternhq/postern/test/testnet"
)

// freePort is an address at which nobody listens, over UDP and TCP.
func freePort(t *testing.T, addr string) netip.AddrPort {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
		if err != nil {
			t.Fatal(err)
		}
		at := netip.MustParseAddrPort(l.Addr().String())
		conn, err := net.ListenPacket("udp", at.String())
		l.Close()
		if err == nil {
			conn.Close()
			return at
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return netip.AddrPort{}
}

// askOutside asks the host's own server, once, and gives the answer in a word or two.
func askOutside(proto string, at netip.AddrPort, name string) (string, error) {
	m, _, err := (&dns.Client{Net: proto, Timeout: 20 * time.Second}).Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), at.String())
	if err != nil {
		return "", err
	}
	text := dns.RcodeToString[m.Rcode]
	for _, rr := range m.Answer {
		text += " " + rr.(*dns.A).A.String()
	}
	return text, nil
}

func (r *rig) wantOutside(at netip.AddrPort, name, want string) {
	r.t.Helper()
	for _, proto := range []string{"udp", "tcp"} {
		if got, err := askOutside(proto, at, name); got != want {
			r.t.Errorf("%s at %s over %s: %q, %v; want %q", name, at, proto, got, err, want)
		}
	}
}

func (r *rig) listens(at netip.AddrPort) (problem string, listed bool) {
	r.t.Helper()
	s, err := r.client.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	problem, listed = s.Listens[at.String()]
	return problem, listed
}

// TestTheHostAnswersOutsiders serves a domain at two addresses of the host, of both
// families, over take-overs and kills, and without an agent that says anything again. One
// address is given up, and another one, which somebody else has, is taken when it is free.
func TestTheHostAnswersOutsiders(t *testing.T) {
	r := newRig(t)
	r.address()
	four, six, taken := freePort(t, "127.0.0.1"), freePort(t, "::1"), freePort(t, "127.0.0.1")
	r.config.Listen, r.config.Domain = []netip.AddrPort{four, six}, "suffix.test"
	old := r.start()
	r.wantOutside(four, "e.rsc.suffix.test.", "NXDOMAIN") // before there is any name
	r.serveZone()
	r.put(desired.Zone("vpc-1/endpoints"), desired.NameZone{ID: "vpc-1/endpoints", Name: "rsc.suffix.test.", Negative: 5, Public: true},
		desired.NameRecord{Zone: "vpc-1/endpoints", Name: "e.rsc.suffix.test.", Type: "A", TTL: 60, Data: []string{"10.7.0.9"}})
	for _, at := range r.config.Listen {
		r.wantOutside(at, "e.rsc.suffix.test.", "NOERROR 10.7.0.9")
		r.wantOutside(at, "db.example.com.", "REFUSED") // a zone that is a VPC's alone
	}
	r.want("udp", servers[0], "e.rsc.suffix.test.", "REFUSED") // no zone that this VPC sees

	var asked atomic.Int64
	var client sync.WaitGroup
	done := make(chan struct{})
	client.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if got, err := askOutside("udp", four, "e.rsc.suffix.test."); got != "NOERROR 10.7.0.9" {
				t.Errorf("question %d: %q, %v", asked.Load(), got, err)
				return
			}
			asked.Add(1)
			time.Sleep(time.Millisecond) // or it would be beyond its pace
		}
	})
	for i := range 3 {
		before := asked.Load()
		r.config.Version = fmt.Sprint(i + 2)
		next := r.start()
		if status, err := old.Wait(testnet.Patience); err != nil || status != 0 {
			t.Errorf("the process before ends with %d, %v: %s", status, err, old.Output())
		}
		r.eventually(func() error {
			if asked.Load() < before+50 {
				return errors.New("nobody asks")
			}
			return nil
		})
		old = next
	}
	close(done)
	client.Wait()

	held, err := net.ListenPacket("udp", taken.String())
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	r.config.Listen, r.config.Version = []netip.AddrPort{four, taken}, "9"
	next := r.start()
	if problem, ok := r.listens(taken); !ok || problem != fmt.Sprintf("open a socket on %s: address already in use", taken) {
		t.Errorf("of an address that is taken it is said %q", problem)
	}
	r.wantOutside(four, "e.rsc.suffix.test.", "NOERROR 10.7.0.9")
	if _, err := askOutside("tcp", six, "e.rsc.suffix.test."); !errors.Is(err, unix.ECONNREFUSED) { // also while the one before ends
		t.Errorf("at %s, which was given up, there is %v", six, err)
	}
	held.Close()
	r.eventually(func() error {
		if problem, _ := r.listens(taken); problem != "" {
			return errors.New(problem)
		}
		return nil
	})
	r.wantOutside(taken, "e.rsc.suffix.test.", "NOERROR 10.7.0.9")
	next.Kill()
	<-next.Ended()
	r.start()
	r.wantOutside(four, "e.rsc.suffix.test.", "NOERROR 10.7.0.9")
}

// TestPublicLookUpsKnowEndpoints looks names of endpoints up as the world would, which an
// upstream server that was not told of them cannot: with one that leads to them, and with
// none. What it says of such names itself is nothing to go by.
func TestPublicLookUpsKnowEndpoints(t *testing.T) {
	r := newRig(t)
	r.address()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	upstream := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m, text := new(dns.Msg).SetReply(q), " 60 A 10.8.8.8"
		if q.Question[0].Name == "www.example.com." {
			text = " 30 CNAME E.rsc.suffix.test."
		}
		rr, _ := dns.NewRR(q.Question[0].Name + text)
		m.Answer = append(m.Answer, rr)
		_ = w.WriteMsg(m)
	})}
	go func() { _ = upstream.ActivateAndServe() }()
	r.config.NoUpstream, r.config.Upstream = false, []netip.AddrPort{netip.MustParseAddrPort(conn.LocalAddr().String())}
	r.start()
	r.put(desired.Zone("vpc-1/endpoints"), desired.NameZone{ID: "vpc-1/endpoints", Name: "rsc.suffix.test.", Negative: 5, Public: true},
		desired.NameRecord{Zone: "vpc-1/endpoints", Name: "e.rsc.suffix.test.", Type: "A", TTL: 60, Data: []string{"10.7.0.9"}})
	want := func(name, want string, ttl time.Duration) {
		t.Helper()
		a, err := r.client.Lookup(t.Context(), control.Question{Name: name})
		if err != nil || fmt.Sprint(a.Addrs, a.Missing) != want || a.TTL != ttl {
			t.Errorf("%s: %+v, %v; want %s for %s", name, a, err, want, ttl)
		}
	}
	want("e.rsc.suffix.test.", "[10.7.0.9] false", time.Minute)
	want("www.example.com.", "[10.7.0.9] false", 30*time.Second)
	want("gone.rsc.suffix.test.", "[] true", 0)
	want("b.example.com.", "[10.8.8.8] false", time.Minute)
	r.config.NoUpstream, r.config.Upstream, r.config.Version = true, nil, "2"
	r.start()
	want("e.rsc.suffix.test.", "[10.7.0.9] false", time.Minute)
}
