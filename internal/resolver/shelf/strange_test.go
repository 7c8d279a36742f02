// SPDX-License-Identifier: Apache-2.0

package shelf_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/desired"
)

// silence is for how long no answer is waited for.
const silence = 300 * time.Millisecond

// A question with a source that is not the workload's is answered by nobody, though the
// kernel has the answer.
func TestForgedQuestionsAreNotAnswered(t *testing.T) {
	r := newRig(t)
	message := question(t, "www.db.example.com.", dns.TypeA, nil)
	for _, f := range []struct{ at, forged string }{{asked[1], "10.0.1.74"}, {asked[1], "172.16.9.9"}, {asked[2], "2001:db8:0:1::74"}} {
		r.byLane(r.dial(r.Client, f.at), message)
		addr := netip.MustParseAddr(f.forged)
		r.Client.IP("addr add " + netip.PrefixFrom(addr, addr.BitLen()).String() + " dev lo" + map[bool]string{true: " nodad"}[addr.Is6()])
		conn, err := r.Client.Dial("udp", f.at, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)), patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		before := r.names()
		if got := r.ask(conn, message, silence); got != nil || r.names() != before {
			t.Errorf("as %s: %x, %+v", f.forged, got, r.names())
		}
	}
}

// A VPC's answers are its own, and what comes from another VPC is no question.
func TestVPCsAreApart(t *testing.T) {
	r := newRig(t)
	other := r.serve(r.B, r.TableB, "vpc-b")
	r.put(desired.Resolver{VPC: "vpc-b", Networks: []netip.Prefix{network}}, desired.View{VPC: "vpc-b", Zone: "Z9"},
		desired.NameZone{ID: "Z9", Name: "db.example.com."},
		desired.NameRecord{Zone: "Z9", Name: "www.db.example.com.", Type: "A", TTL: 60, Data: []string{"10.9.9.9"}})
	message := question(t, "www.db.example.com.", dns.TypeA, nil)
	here, there := r.dial(r.Client, asked[0]), r.dial(r.Server, asked[0])
	for range 30 {
		if a, b := first(t, r.ask(here, message, patience)), first(t, r.ask(there, message, patience)); a != "10.0.1.100" || b != "10.9.9.9" {
			t.Fatalf("%s and %s", a, b)
		}
	}
	if u, err := r.lane.Use(other); err != nil || u.Names.Answered == 0 || r.names().Answered == 0 {
		t.Errorf("%+v and %+v, %v", u.Names, r.names(), err)
	}
}

// All packets of an interface to the resolver count for its share, those too that the
// kernel does not answer; what is beyond is dropped, and counted.
func TestTheShareHoldsForTheKernelToo(t *testing.T) {
	r := newRig(t)
	const aSecond, atOnce = 50, 20
	message, upstream := question(t, "www.db.example.com.", dns.TypeA, nil), question(t, "example.net.", dns.TypeA, nil)
	conn := r.dial(r.Client, asked[1])
	r.byLane(conn, message)
	if err := r.lane.Questions(aSecond, atOnce); err != nil {
		t.Fatal(err)
	}
	before, begun := r.names(), time.Now()
	const sent = 400
	for i := range sent {
		if _, err := conn.Write([][]byte{message, upstream}[i%2]); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(begun)
	got := 0
	for b := make([]byte, 512); ; got++ {
		conn.SetReadDeadline(time.Now().Add(silence))
		if _, err := conn.Read(b); err != nil {
			break
		}
	}
	most := atOnce + 5 + int(float64(aSecond)*(took.Seconds()+0.05))
	refused := int(r.names().Refused - before.Refused)
	if got > most || got < min(atOnce, sent)-5 || refused+got != sent {
		t.Errorf("%d answers and %d refused of %d in %v, want at most %d", got, refused, sent, took, most)
	}
	if n := int(r.names().Answered - before.Answered); n >= got || n == 0 {
		t.Errorf("%d of %d answers came from the kernel", n, got)
	}
	// TCP takes of the same share.
	if err := r.lane.Questions(1, 1); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		r.ask(conn, message, 0)
	}
	before = r.names()
	if c, err := r.Client.Dial("tcp", asked[1], nil, silence); err == nil {
		c.Close()
	}
	if r.names().Refused == before.Refused {
		t.Error("a connection did not count")
	}
}

// Whatever comes in place of a question, the kernel's answer is the process's.
func TestStrangeQuestionsAreAnsweredAlike(t *testing.T) {
	r := newRig(t)
	conn := r.dial(r.Client, asked[0])
	names := []string{"www.db.example.com.", "six.db.example.com.", "gone.db.example.com.", "alias.db.example.com.", "db.example.com.", ".", "example.net."}
	chance := rand.New(rand.NewPCG(1, 2))
	pick := func() []byte {
		kinds := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeTXT, dns.TypeANY, 97, dns.TypeHTTPS}
		return question(t, names[chance.IntN(len(names))], kinds[chance.IntN(len(kinds))], func(m *dns.Msg) {
			if chance.IntN(2) == 0 {
				m.SetEdns0(uint16(chance.IntN(5000)), chance.IntN(2) == 0)
			}
		})
	}
	compare := func(message []byte) {
		t.Helper()
		binary.BigEndian.PutUint16(message, uint16(chance.Uint32()))
		process := r.ofProcess(message)
		for range 2 {
			got := r.ask(conn, message, patience)
			if process == nil {
				t.Fatalf("%x is answered by %x", message, got)
			}
			if !bytes.Equal(got, process) {
				t.Fatalf("%x:\nthe process %x\nthe answer  %x", message, process, got)
			}
		}
	}
	for range 1500 {
		message := pick()
		strange(chance, message)
		if extra := chance.IntN(12); extra < 3 {
			message = append(message, make([]byte, 1+chance.IntN(20))...)
		} else if extra == 3 {
			message = message[:12+chance.IntN(len(message)-12)]
		}
		if len(message) < 12 || message[2]&0x80 != 0 {
			continue // nobody answers
		}
		compare(message)
	}
	if r.names().Answered < 300 {
		t.Errorf("only %d answers came from the kernel", r.names().Answered)
	}
	// Answers are no questions.
	before := r.names().Answered
	response := question(t, "www.db.example.com.", dns.TypeA, func(m *dns.Msg) { m.Response = true })
	if got := r.ask(conn, response, silence); got != nil || r.names().Answered != before {
		t.Errorf("an answer is answered by %x", got)
	}
}

// strange changes a question here and there.
func strange(chance *rand.Rand, message []byte) {
	for range chance.IntN(3) {
		switch at := 2 + chance.IntN(len(message)-2); chance.IntN(3) {
		case 0:
			message[at] ^= 1 << chance.IntN(8)
		case 1:
			message[at] ^= 0x20
		default:
			message[at] = byte(chance.Uint32())
		}
	}
}

// ofProcess is what the process answers.
func (r *rig) ofProcess(message []byte) []byte {
	r.t.Helper()
	if r.loopback == nil {
		r.loopback = r.beside()
	}
	return r.ask(r.loopback, message, patience)
}

// The checksum of the header is right, and what the device is to sum up begins with the
// sum of addresses, protocol and length.
func TestChecksumsAreRight(t *testing.T) {
	r := newRig(t)
	tap := r.Client.Tap(t)
	for _, at := range asked {
		conn := r.dial(r.Client, at)
		for _, name := range []string{"www.db.example.com.", "many.db.example.com.", "gone.db.example.com."} {
			message := question(t, name, dns.TypeA, nil)
			r.byLane(conn, message)
			binary.BigEndian.PutUint16(message, uint16(len(name))<<8|uint16(len(at)))
			r.ask(conn, message, patience)
			packet := tap.Next(patience, func(p []byte) bool {
				header := headerOf(p)
				return header > 0 && len(p) > header+12 && p[header+1] == 53 && bytes.Equal(p[header+8:header+10], message[:2])
			})
			if packet == nil {
				t.Fatal("no answer is seen")
			}
			header := headerOf(packet)
			pseudo := slices.Concat(packet[header-32*(header/40)-8*(1-header/40):header], []byte{0, 17}, packet[header+4:header+6])
			if want := sum(pseudo); binary.BigEndian.Uint16(packet[header+6:]) != want || header == 20 && sum(packet[:header]) != 0xffff {
				t.Errorf("%s at %s: %x, want a checksum of %04x", name, at, packet, want)
			}
		}
	}
}

// headerOf is how long the header of a packet of UDP is; zero if it is another one.
func headerOf(packet []byte) int {
	switch {
	case len(packet) > 28 && packet[0] == 0x45 && packet[9] == 17:
		return 20
	case len(packet) > 48 && packet[0]>>4 == 6 && packet[6] == 17:
		return 40
	}
	return 0
}

// sum adds up as checksums do (RFC 1071).
func sum(b []byte) uint16 {
	n := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		n += uint32(binary.BigEndian.Uint16(b[i:]))
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}
