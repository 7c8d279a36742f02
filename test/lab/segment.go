// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

// Flags of TCP (RFC 9293).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Raw is a workload that speaks TCP over IPv4 without sockets, so that a hundred
// thousand connections are cheap: what it sends goes out as it is, and its stack
// is deaf to TCP.
type Raw struct {
	t      testing.TB
	out    int
	in     int
	closed atomic.Bool
	ended  sync.WaitGroup

	mu      sync.Mutex
	answers map[netip.AddrPort]map[uint16]byte
}

// Segment is a TCP segment without options and data.
type Segment struct {
	Source, Dest     netip.AddrPort
	Sequence, Answer uint32
	Flags            byte
}

// Raw opens the namespace for segments. Each segment that comes is noted, see
// Answers, and answered with the flags that answer returns for its own, if not
// zero; nil answers nothing.
func (n *Namespace) Raw(answer func(flags byte) byte) *Raw {
	n.t.Helper()
	n.Nft("add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; add rule inet deaf in meta l4proto tcp drop")
	r := &Raw{t: n.t, answers: map[netip.AddrPort]map[uint16]byte{}}
	if err := nfnl.Inside(n.FD, r.open); err != nil {
		n.t.Fatalf("open raw sockets: %v", err)
	}
	r.ended.Go(func() { r.listen(answer) })
	n.t.Cleanup(func() {
		r.closed.Store(true)
		r.ended.Wait()
		unix.Close(r.out)
		unix.Close(r.in)
	})
	return r
}

const (
	rawBuffer = 32 << 20
	rawPause  = 20 * time.Millisecond
)

func (r *Raw) open() (err error) {
	if r.out, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
		return err
	}
	// The protocol in network byte order; what leaves is not seen that way.
	const ip = unix.ETH_P_IP&0xff<<8 | unix.ETH_P_IP>>8
	if r.in, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, ip); err != nil {
		return err
	}
	wait := unix.NsecToTimeval(rawPause.Nanoseconds())
	return errors.Join(
		unix.SetsockoptInt(r.in, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, rawBuffer),
		unix.SetsockoptTimeval(r.in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait))
}

func (r *Raw) listen(answer func(flags byte) byte) {
	buffer := make([]byte, 2048)
	for !r.closed.Load() {
		n, _, err := unix.Recvfrom(r.in, buffer, 0)
		if err != nil {
			continue // nothing has come for a moment
		}
		s, ok := parseSegment(buffer[:n])
		if !ok {
			continue
		}
		r.note(s)
		if answer == nil {
			continue
		}
		if flags := answer(s.Flags); flags != 0 {
			back := Segment{Source: s.Dest, Dest: s.Source, Sequence: s.Answer, Answer: s.Sequence + 1, Flags: flags}
			r.Send(back)
		}
	}
}

func (r *Raw) note(s Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers[s.Source] == nil {
		r.answers[s.Source] = map[uint16]byte{}
	}
	r.answers[s.Source][s.Dest.Port()] = s.Flags
}

// Answers counts the ports of the workload that a peer has sent something to
// whose last flags were these.
func (r *Raw) Answers(from netip.AddrPort, flags byte) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.answers[from] {
		if f == flags {
			n++
		}
	}
	return n
}

// Heard counts the ports of the workload that a peer has sent anything to.
func (r *Raw) Heard(from netip.AddrPort) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.answers[from])
}

// Open sends a SYN to dest from each port of first to last.
func (r *Raw) Open(source netip.Addr, dest netip.AddrPort, first, last int) {
	for port := first; port <= last; port++ {
		r.Send(Segment{Source: netip.AddrPortFrom(source, uint16(port)), Dest: dest, Sequence: 1, Flags: SYN})
	}
}

// Send sends a segment, whoever it says that it is from.
func (r *Raw) Send(s Segment) { r.SendPacket(s.packet()) }

// SendPacket sends an IPv4 packet, whose checksum the kernel fills in.
func (r *Raw) SendPacket(packet []byte) {
	to := &unix.SockaddrInet4{Addr: [4]byte(packet[16:20])}
	for {
		err := unix.Sendto(r.out, packet, 0, to)
		if err != unix.EINTR && err != unix.ENOBUFS {
			break // a refusal that came by ICMP is no failure of this packet
		}
	}
}

func (s Segment) packet() []byte {
	b := binary.BigEndian
	p := make([]byte, 40)
	p[0], p[6], p[8], p[9] = 4<<4|5, 0x40, 64, unix.IPPROTO_TCP
	b.PutUint16(p[2:], uint16(len(p)))
	source, dest := s.Source.Addr().As4(), s.Dest.Addr().As4()
	copy(p[12:], source[:])
	copy(p[16:], dest[:])
	t := p[20:]
	b.PutUint16(t, s.Source.Port())
	b.PutUint16(t[2:], s.Dest.Port())
	b.PutUint32(t[4:], s.Sequence)
	b.PutUint32(t[8:], s.Answer)
	t[12], t[13], t[14] = 5<<4, s.Flags, 0xff
	sum := uint32(unix.IPPROTO_TCP + len(t))
	for i := 12; i < len(p); i += 2 {
		sum += uint32(b.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	b.PutUint16(t[16:], ^uint16(sum))
	return p
}

func parseSegment(p []byte) (s Segment, ok bool) {
	if len(p) < 40 || p[0] != 4<<4|5 || p[9] != unix.IPPROTO_TCP {
		return s, false
	}
	b := binary.BigEndian
	s.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[12:])), b.Uint16(p[20:]))
	s.Dest = netip.AddrPortFrom(netip.AddrFrom4([4]byte(p[16:])), b.Uint16(p[22:]))
	s.Sequence, s.Answer, s.Flags = b.Uint32(p[24:]), b.Uint32(p[28:]), p[33]
	return s, true
}
