// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/server"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
	"github.com/posternhq/postern/test/testnet"
)

// outside serves a domain on a loopback address over UDP and TCP, to a world in which
// vpc-1 has the name many.rsc.suffix.test. with 80 addresses, beside what world has.
func outside(t *testing.T, pace server.Pace) (s *server.Server, address string) {
	t.Helper()
	s, err := server.New(server.Options{Pace: pace, Upstream: upstream(func(server.Onward) wire.Reply {
		t.Error("somebody else is asked")
		return wire.Reply{Code: wire.Refused}
	})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	many := desired.NameRecord{Zone: "vpc-1/endpoints", Name: "many.rsc.suffix.test.", Type: "AAAA", TTL: 60}
	for i := range 80 {
		many.Near = append(many.Near, desired.ZoneAddr{Addr: netip.MustParseAddr(fmt.Sprintf("fd00::%x", i+1)), Zone: "a"})
	}
	s.Swap(world(t, desired.NameZone{ID: "vpc-1/endpoints", Name: "rsc.suffix.test.", Public: true}, desired.View{VPC: "vpc-1", Zone: "vpc-1/endpoints"}, many,
		desired.NameRecord{Zone: "vpc-1/endpoints", Name: "one.rsc.suffix.test.", Type: "A", TTL: 60, Near: []desired.ZoneAddr{{Addr: netip.MustParseAddr("10.0.1.9"), Zone: "a"}}}))
	of, err := zone.NewAuthority("suffix.test.", []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		t.Fatal(err)
	}
	udp, tcp, address := sockets(t)
	for _, k := range []server.Socket{{FD: udp, Authority: of}, {FD: tcp, Stream: true, Authority: of}} {
		if err := s.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	return s, address
}

func TestOutsidersAreToldPublicNamesOnly(t *testing.T) {
	_, address := outside(t, server.Pace{})
	for _, proto := range []string{"udp", "tcp"} {
		for _, c := range []struct {
			name string
			kind uint16
			want string
		}{
			{"one.rsc.suffix.test.", dns.TypeA, "NOERROR aa [10.0.1.9]"},
			{"ONE.rsc.Suffix.test.", dns.TypeA, "NOERROR aa [10.0.1.9]"},
			{"one.rsc.suffix.test.", dns.TypeAAAA, "NOERROR aa [] suffix.test."},
			{"two.rsc.suffix.test.", dns.TypeA, "NXDOMAIN aa [] suffix.test."},
			{"www.db.example.com.", dns.TypeA, "REFUSED []"},
			{"example.net.", dns.TypeA, "REFUSED []"},
			{"ip-10-0-0-1.ec2.internal.", dns.TypeA, "REFUSED []"},
			{".", dns.TypeNS, "REFUSED []"},
			{"suffix.test.", dns.TypeAXFR, "REFUSED []"},
			{"one.rsc.suffix.test.", dns.TypeANY, `NOERROR aa ["RFC8482" ""]`},
		} {
			m := ask(t, proto, address, c.name, c.kind)
			got := dns.RcodeToString[m.Rcode]
			if m.Authoritative {
				got += " aa"
			}
			if m.RecursionAvailable {
				got += " ra"
			}
			var values []string
			for _, rr := range m.Answer {
				values = append(values, rr.String()[len(rr.Header().String()):])
			}
			got += fmt.Sprint(" ", values)
			for _, rr := range m.Ns {
				got += " " + rr.Header().Name
			}
			if got != c.want {
				t.Errorf("%s %s %s: %s, want %s", proto, c.name, dns.TypeToString[c.kind], got, c.want)
			}
		}
	}
}

// TestAnswersToOutsidersAreShort has a client say that it takes 4,096 bytes.
func TestAnswersToOutsidersAreShort(t *testing.T) {
	_, address := outside(t, server.Pace{})
	q := new(dns.Msg).SetQuestion("many.rsc.suffix.test.", dns.TypeAAAA)
	q.SetEdns0(4096, false)
	m, _, err := (&dns.Client{UDPSize: 4096}).Exchange(q, address)
	m.Compress = true
	if err != nil || !m.Truncated || m.Len() > 1232 || len(m.Answer) < 30 {
		t.Errorf("over UDP: %d bytes, %v", m.Len(), err)
	}
	m, _, err = (&dns.Client{Net: "tcp"}).Exchange(q, address)
	if err != nil || m.Truncated || len(m.Answer) != 80 {
		t.Errorf("over TCP: %v, %v", m, err)
	}
}

// crowd sends questions from loopback addresses.
type crowd struct {
	t       *testing.T
	server  *server.Server
	to      netip.AddrPort
	answers int // without being cut
	cut     int // without records
}

// send has some addresses send 400 questions in turn, counts what comes back, and gives
// how many seconds that took.
func (c *crowd) send(from ...string) (seconds float64) {
	c.t.Helper()
	var conns []int
	for _, a := range from {
		conns = append(conns, bindAt(c.t, a))
	}
	q := wire.AppendQuestion(nil, 7, []byte("\x03one\x03rsc\x06suffix\x04test\x00"), wire.TypeA)
	begun, before, now := time.Now(), c.server.Outsiders(), server.Outsiders{}
	c.answers, c.cut = 0, 0
	came := int64(0)
	for i := range int64(400) {
		if err := unix.Sendto(conns[int(i)%len(conns)], q, 0, &unix.SockaddrInet4{Port: int(c.to.Port()), Addr: c.to.Addr().As4()}); err != nil {
			c.t.Fatal(err)
		}
		for now.Answered+now.Refused-before.Answered-before.Refused <= i { // one by one, so that none is lost
			now = c.server.Outsiders()
		}
		for ; came < now.Answered-before.Answered+now.Refused/2-before.Refused/2; came++ { // at once: a socket does not keep so many
			c.receive(conns, len(q))
		}
	}
	return time.Since(begun).Seconds()
}

func (c *crowd) receive(conns []int, asked int) {
	var poll []unix.PollFd
	for _, fd := range conns {
		poll = append(poll, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	if n, err := unix.Poll(poll, int(testnet.Patience.Milliseconds())); n < 1 {
		c.t.Fatalf("an answer does not come: %v", err)
	}
	answer, m := make([]byte, 512), new(dns.Msg)
	for _, p := range poll {
		if p.Revents == 0 {
			continue
		}
		n, _, err := unix.Recvfrom(int(p.Fd), answer, 0)
		if err == nil {
			err = m.Unpack(answer[:n])
		}
		switch {
		case err != nil:
			c.t.Fatal(err)
		case m.Truncated && len(m.Answer) == 0 && n <= asked:
			c.cut++
		case len(m.Answer) == 1 && !m.Truncated:
			c.answers++
		default:
			c.t.Errorf("answered %s", m)
		}
		return
	}
}

// TestOutsidersHaveAPace asks in a client's name, in that of its neighbours, and in that
// of one elsewhere: who goes beyond the pace is told to come over TCP, half of the time.
func TestOutsidersHaveAPace(t *testing.T) {
	const client, neighbours = 20, 40
	s, address := outside(t, server.Pace{Client: client, Neighbours: neighbours})
	c := &crowd{t: t, server: s, to: netip.MustParseAddrPort(address)}
	seconds := c.send("127.0.1.1")
	if least, most := client, client+2+int(seconds*client); c.answers < least || c.answers > most || c.cut < (399-c.answers)/2 {
		t.Errorf("a client has %d answers, and is told %d times to come over TCP; want %d to %d", c.answers, c.cut, least, most)
	}
	first := c.answers
	seconds += c.send("127.0.1.2", "127.0.1.3", "127.0.1.4")
	if most := neighbours + 2 + int(seconds*neighbours); c.answers+first > most {
		t.Errorf("with its neighbours it has %d answers, want %d", c.answers+first, most)
	}
	if c.send("127.0.2.1"); c.answers < client {
		t.Errorf("a client elsewhere has %d answers", c.answers)
	}
	if m := ask(t, "tcp", address, "one.rsc.suffix.test.", dns.TypeA); len(m.Answer) != 1 {
		t.Errorf("over TCP: %s", m)
	}
}

// bindAt opens a datagram socket of a loopback address.
func bindAt(t *testing.T, addr string) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: netip.MustParseAddr(addr).As4()}); err != nil {
		t.Fatal(err)
	}
	return fd
}
