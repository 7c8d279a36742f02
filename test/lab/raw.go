// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/testnet"
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

// Raw opens the namespace for segments. Each segment that comes is noted, see
// Answers, and answered with the flags that answer returns for its own, if not
// zero; nil answers nothing.
func (n *Namespace) Raw(answer func(flags byte) byte) *Raw {
	n.t.Helper()
	n.Nft("add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; add rule inet deaf in meta l4proto tcp drop")
	r := &Raw{t: n.t, answers: map[netip.AddrPort]map[uint16]byte{}}
	if err := n.Run(r.open); err != nil {
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
		s, ok := testnet.ReadSegment(buffer[:n])
		if !ok {
			continue
		}
		r.note(s)
		if answer == nil {
			continue
		}
		if flags := answer(s.Flags); flags != 0 {
			back := testnet.Segment{From: s.To, To: s.From, Sequence: s.Answer, Answer: s.Sequence + 1, Flags: flags}
			r.Send(back)
		}
	}
}

func (r *Raw) note(s testnet.Segment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers[s.From] == nil {
		r.answers[s.From] = map[uint16]byte{}
	}
	r.answers[s.From][s.To.Port()] = s.Flags
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
		r.Send(testnet.Segment{From: netip.AddrPortFrom(source, uint16(port)), To: dest, Sequence: 1, Flags: testnet.SYN})
	}
}

// Send sends a segment, whoever it says that it is from.
func (r *Raw) Send(s testnet.Segment) { r.SendPacket(s.Packet().Bytes()) }

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
