// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// upstream answers by a function, each question in a goroutine of its own.
type upstream func(server.Onward) wire.Reply

func (u upstream) Ask(q server.Onward, done func(wire.Reply)) { go func() { done(u(q)) }() }

func refuse(server.Onward) wire.Reply { return wire.Reply{Code: wire.Refused} }

// world has VPC vpc-1 with zone db.example.com.
func world(t testing.TB, more ...desired.Entry) *zone.World {
	t.Helper()
	w, failed := (&zone.World{}).With(append([]desired.Entry{
		desired.Resolver{VPC: "vpc-1", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, Internal: "ec2.internal"},
		desired.View{VPC: "vpc-1", Zone: "Z1"},
		desired.NameZone{ID: "Z1", Name: "db.example.com.", Negative: 5},
		desired.NameRecord{Zone: "Z1", Name: "www.db.example.com.", Type: "A", TTL: 60, Data: []string{"10.0.1.100"}},
		desired.NameRecord{Zone: "Z1", Name: "out.db.example.com.", Type: "CNAME", TTL: 60, Data: []string{"www.example.net"}},
	}, more...), nil)
	for _, err := range failed {
		t.Fatal(err)
	}
	return w
}

// start serves vpc-1 on a loopback address over UDP and TCP.
func start(t testing.TB, o server.Options, w *zone.World) (s *server.Server, address string) {
	t.Helper()
	if o.Upstream == nil {
		o.Upstream = upstream(refuse)
	}
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Swap(w)
	udp, tcp, address := sockets(t)
	for _, k := range []server.Socket{{FD: udp, VPC: "vpc-1"}, {FD: tcp, VPC: "vpc-1", Stream: true}} {
		if err := s.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	return s, address
}

// sockets opens sockets of both sorts with one port.
func sockets(t testing.TB) (udp, tcp int, address string) {
	t.Helper()
	for range 10 {
		udp, at := bind(t, unix.SOCK_DGRAM, 0)
		tcp, _, err := open(unix.SOCK_STREAM, at.Port())
		if err == nil {
			return udp, tcp, at.String()
		}
		unix.Close(udp)
	}
	t.Fatal("no port is free for both UDP and TCP")
	return 0, 0, ""
}

func bind(t testing.TB, sort int, port uint16) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, at, err := open(sort, port)
	if err != nil {
		t.Fatal(err)
	}
	return fd, at
}

func open(sort int, port uint16) (fd int, at netip.AddrPort, err error) {
	if fd, err = unix.Socket(unix.AF_INET, sort|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, at, err
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(port)}); err == nil && sort == unix.SOCK_STREAM {
		err = unix.Listen(fd, 64)
	}
	if err != nil {
		unix.Close(fd)
		return 0, at, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, at, err
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port)), nil
}

// ask asks a server.
func ask(t testing.TB, network, address, name string, kind uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	reply, _, err := (&dns.Client{Net: network, Timeout: 20 * time.Second}).Exchange(m, address)
	if err != nil {
		t.Fatalf("%s %s over %s: %v", name, dns.TypeToString[kind], network, err)
	}
	return reply
}

func TestAnswersOverUDPAndTCP(t *testing.T) {
	came := make(chan server.Onward, 10)
	up := upstream(func(q server.Onward) wire.Reply {
		came <- q
		return wire.Reply{Answer: []wire.Record{{Name: q.Name, Type: wire.TypeA, TTL: 7, Data: []byte{192, 0, 2, 1}}}}
	})
	s, address := start(t, server.Options{Upstream: up}, world(t))
	for _, network := range []string{"udp", "tcp"} {
		own := ask(t, network, address, "WwW.db.example.com.", dns.TypeA)
		if len(own.Answer) != 1 || own.Answer[0].String() != "WwW.db.example.com.\t60\tIN\tA\t10.0.1.100" || !own.RecursionAvailable || own.Authoritative {
			t.Errorf("over %s: %s", network, own)
		}
		out := ask(t, network, address, "out.db.example.com.", dns.TypeA)
		if len(out.Answer) != 2 || out.Answer[1].String() != "www.example.net.\t7\tIN\tA\t192.0.2.1" {
			t.Errorf("over %s: %s", network, out)
		}
		if asked := <-came; asked.VPC != "vpc-1" || wire.NameText(asked.Name) != "www.example.net." || asked.Client != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("over %s the upstream was asked %+v", network, asked)
		}
	}
	r, err := s.Resolve(context.Background(), "vpc-1", "out.db.example.com", wire.TypeA)
	if err != nil || len(r.Answer) != 2 || r.Answer[1].TTL != 7 {
		t.Errorf("a look-up gives %+v, %v", r, err)
	}
}
