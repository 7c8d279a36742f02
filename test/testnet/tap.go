// SPDX-License-Identifier: Apache-2.0

package testnet

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Tap sees the IP packets that come into a namespace, and if it is told to those
// that leave it.
type Tap struct {
	// Leaving lets it see what leaves too.
	Leaving bool
	t       testing.TB
	fd      int
}

// Tap begins to look at the packets of the namespace; it ends with the test.
func (ns *NS) Tap(t testing.TB) *Tap {
	t.Helper()
	all := uint16(unix.ETH_P_ALL)>>8 | uint16(unix.ETH_P_ALL&0xff)<<8
	p := &Tap{t: t}
	err := ns.Run(func() (err error) {
		p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all))
		return err
	})
	if err != nil {
		t.Fatalf("open packet socket: %v", err)
	}
	t.Cleanup(func() { unix.Close(p.fd) })
	if err := unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000}); err != nil {
		t.Fatal(err)
	}
	return p
}

// Next waits for a packet that is wanted; nil when there is none for so long.
func (p *Tap) Next(patience time.Duration, wanted func(packet []byte) bool) []byte {
	p.t.Helper()
	buffer := make([]byte, 1<<16)
	for deadline := time.Now().Add(patience); ; {
		k, from, err := unix.Recvfrom(p.fd, buffer, 0)
		if err == unix.EAGAIN || err == unix.EINTR {
			if time.Now().After(deadline) {
				return nil
			}
			continue
		}
		if err != nil {
			p.t.Fatalf("read packet: %v", err)
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if ok && (p.Leaving || ll.Pkttype != unix.PACKET_OUTGOING) && k >= 20 && wanted(buffer[:k]) {
			return buffer[:k]
		}
	}
}

// Segment waits for a TCP segment that is wanted.
func (p *Tap) Segment(patience time.Duration, wanted func(s Segment) bool) (s Segment, ok bool) {
	p.t.Helper()
	ok = p.Next(patience, func(packet []byte) bool {
		var tcp bool
		s, tcp = ReadSegment(packet)
		return tcp && wanted(s)
	}) != nil
	return s, ok
}
