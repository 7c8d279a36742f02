// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

const (
	tcpHeader   = 20
	tcpACK      = 0x10
	dataOffset  = tcpHeader / 4 << 4
	hopLimit    = 64
	ip4Header   = 20
	ip6Header   = 40
	halfOfSpace = 1 << 31
	// pause is how many flows are nudged between looks at the context.
	pause = 1024
)

// nudge makes the ends of each TCP flow that are on this router's side say
// something.
func nudge(ctx context.Context, nsFD int, flows []*tracked) error {
	if len(flows) == 0 {
		return nil
	}
	sockets, err := openRaw(nsFD)
	if err != nil {
		return err
	}
	defer sockets.close()
	for i, f := range flows {
		if i%pause == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if f.original.protocol != unix.IPPROTO_TCP {
			continue
		}
		// The client's peer is the original destination; the server's peer is
		// what the flow's source was translated to.
		if !f.before {
			sockets.wake(f.original.dest, f.original.source)
		}
		if !f.behind {
			sockets.wake(f.reply.dest, f.reply.source)
		}
	}
	return nil
}

// raw are sockets that send whole IP packets, one per family.
type raw struct{ v4, v6 int }

func openRaw(nsFD int) (raw, error) {
	r := raw{-1, -1}
	err := nfnl.Inside(nsFD, func() (err error) {
		if r.v4, err = openMarked(unix.AF_INET); err != nil {
			return err
		}
		r.v6, err = openMarked(unix.AF_INET6)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			return nil // a kernel without IPv6 has no such flows
		}
		return err
	})
	if err != nil {
		r.close()
		return raw{}, fmt.Errorf("open raw socket: %w", err)
	}
	return r, nil
}

func openMarked(family int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, nft.NudgeMark); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (r raw) close() {
	for _, fd := range []int{r.v4, r.v6} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// wake sends bare acknowledgements from one address to another. One of two
// sequence numbers that are half the space apart is outside any window, which
// is what obliges the receiver to answer. An end that cannot be reached needs
// no waking, so errors of sending are of no interest.
func (r raw) wake(from, to netip.AddrPort) {
	seq := rand.Uint32()
	for _, s := range []uint32{seq, seq + halfOfSpace} {
		packet := acknowledgement(from, to, s, rand.Uint32())
		if to.Addr().Is4() {
			_ = unix.Sendto(r.v4, packet, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()})
		} else {
			_ = unix.Sendto(r.v6, packet, 0, &unix.SockaddrInet6{Addr: to.Addr().As16()})
		}
	}
}

// acknowledgement builds a TCP segment without data or options (RFC 9293 §3.1)
// in an IP packet. The kernel fills in the checksum of the IPv4 header.
func acknowledgement(from, to netip.AddrPort, seq, ack uint32) []byte {
	var packet []byte
	source, dest := from.Addr().AsSlice(), to.Addr().AsSlice()
	if to.Addr().Is4() {
		packet = make([]byte, ip4Header, ip4Header+tcpHeader)
		packet[0] = 4<<4 | ip4Header/4
		binary.BigEndian.PutUint16(packet[2:], ip4Header+tcpHeader)
		packet[8], packet[9] = hopLimit, unix.IPPROTO_TCP
		copy(packet[12:], source)
		copy(packet[16:], dest)
	} else {
		packet = make([]byte, ip6Header, ip6Header+tcpHeader)
		packet[0] = 6 << 4
		binary.BigEndian.PutUint16(packet[4:], tcpHeader)
		packet[6], packet[7] = unix.IPPROTO_TCP, hopLimit
		copy(packet[8:], source)
		copy(packet[24:], dest)
	}
	segment := binary.BigEndian.AppendUint16(nil, from.Port())
	segment = binary.BigEndian.AppendUint16(segment, to.Port())
	segment = binary.BigEndian.AppendUint32(segment, seq)
	segment = binary.BigEndian.AppendUint32(segment, ack)
	segment = append(segment, dataOffset, tcpACK)
	segment = append(segment, 0, 0, 0, 0, 0, 0) // window, checksum, urgent pointer
	binary.BigEndian.PutUint16(segment[16:], checksum(source, dest, segment))
	return append(packet, segment...)
}

// checksum is TCP's, over the segment and the pseudo header of either family:
// their sums agree but for the length of the addresses.
func checksum(source, dest, segment []byte) uint16 {
	sum := uint32(unix.IPPROTO_TCP) + uint32(len(segment))
	for _, part := range [][]byte{source, dest, segment} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
