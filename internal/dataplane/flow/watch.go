// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
)

const (
	// groupNew is the group of netlink to which the kernel tells new connections
	// (NFNLGRP_CONNTRACK_NEW of linux/netfilter/nfnetlink.h), as a bit.
	groupNew = 1

	attrStatus = 3
	// statusSeenReply is set when a packet came back (nf_conntrack_common.h). A reset that
	// answers the first packet sets nothing: the kernel forgets the connection.
	statusSeenReply = 1 << 1

	// glance is the time between two looks, and unanswered after how long a connection
	// without an answer is one that failed. Answers that come from further away are taken
	// for failures: the address is asked again in any case.
	glance     = 100 * time.Millisecond
	unanswered = 300 * time.Millisecond
	// sampled is how many connections to one address are looked at at a time, and taken
	// how many new ones are read at each look. What is beyond is passed over.
	sampled, taken = 4, 512
	// backlog bounds what the kernel keeps for us, in bytes.
	backlog = 256 << 10
)

// Watch tells of addresses to which a router has opened a TCP connection that was not
// answered, or was refused, until ctx is done. Only what the address did counts, and not
// what the client did with it; but a client can give up or ask for a port that is closed,
// so who is told must ask the address again. It costs nothing for packets of established
// connections: the kernel tells the first packet of each connection to one of the
// addresses, and a few of these are looked up a moment later.
func Watch(ctx context.Context, nsFD int, addrs []netip.Addr, failed func(netip.Addr)) error {
	news, err := listen(nsFD, addrs)
	if err != nil {
		return fmt.Errorf("listen for new connections: %w", err)
	}
	defer news.Close()
	conn, err := nfnl.Dial(nsFD)
	if err != nil {
		return fmt.Errorf("connect to connection tracking: %w", err)
	}
	defer conn.Close()
	w := watch{news: news, conn: conn, samples: make(map[netip.Addr][]sample, len(addrs)), failed: failed, buffer: make([]byte, 8192)}
	for _, a := range addrs {
		w.samples[a] = nil
	}
	defer context.AfterFunc(ctx, func() { news.SetReadDeadline(time.Unix(1, 0)) })()
	for {
		if err := w.read(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read new connections: %w", err)
		}
		timer := time.NewTimer(glance)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		w.look(time.Now())
	}
}

// watch is what one Watch knows.
type watch struct {
	news    *os.File
	conn    *nfnl.Conn
	samples map[netip.Addr][]sample // of the addresses that are watched
	failed  func(netip.Addr)
	buffer  []byte
}

// sample is a connection that was new a moment ago.
type sample struct {
	*tracked
	came time.Time
}

// listen opens a socket to which the kernel tells new connections to some addresses.
func listen(nsFD int, addrs []netip.Addr) (*os.File, error) {
	fd := -1
	err := nfnl.Inside(nsFD, func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "new connections")
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, backlog)
	if filter := filterFor(addrs); err == nil && filter != nil {
		err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groupNew})
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("set up socket: %w", err)
	}
	return file, nil
}

// read takes in new connections. It waits for the first one if none is looked at.
func (w *watch) read() error {
	raw, err := w.news.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = raw.Read(func(fd uintptr) bool {
		for range taken {
			n, _, err := unix.Recvfrom(int(fd), w.buffer, 0)
			switch {
			case errors.Is(err, unix.EAGAIN):
				return !w.idle()
			case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EINTR): // some were lost
				continue
			case err != nil:
				failure = err
				return true
			}
			w.take(w.buffer[:n])
		}
		return true
	})
	return errors.Join(err, failure)
}

// idle reports whether there is nothing to look at.
func (w *watch) idle() bool {
	for _, list := range w.samples {
		if len(list) > 0 {
			return false
		}
	}
	return true
}

// take takes in a message.
func (w *watch) take(message []byte) {
	const headers = unix.SizeofNlMsghdr + 4 // that of netfilter is behind netlink's
	if len(message) < headers {
		return
	}
	attributes := message[headers:]
	reply, ok := parseTuple(nfnl.Attribute(attributes, attrReply))
	original, both := parseTuple(nfnl.Attribute(attributes, attrOriginal))
	a := reply.source.Addr()
	list, watched := w.samples[a]
	if !ok || !both || !watched || reply.protocol != unix.IPPROTO_TCP || len(list) >= sampled {
		return
	}
	w.samples[a] = append(list, sample{parseTracked(message[unix.SizeofNlMsghdr], original, reply, attributes), time.Now()})
}

// look looks what has become of new connections.
func (w *watch) look(now time.Time) {
	for a, list := range w.samples {
		rest, failed := list[:0], false
		for _, s := range list {
			switch answered, there := w.answered(s.tracked); {
			case !there, !answered && now.Sub(s.came) >= unanswered:
				failed = true
			case !answered:
				rest = append(rest, s)
			}
		}
		w.samples[a] = rest
		if failed {
			w.failed(a)
		}
	}
}

// answered reports whether a connection was answered, and whether it is there.
func (w *watch) answered(t *tracked) (answered, there bool) {
	var b nfnl.Builder
	b.Message(unix.NFNL_SUBSYS_CTNETLINK, messageGet, 0, t.family)
	b.Nest(attrOriginal, func() { b.Raw(t.key) })
	err := w.conn.Get(&b, func(_ uint8, attributes []byte) {
		there = bytes.Equal(nfnl.Attribute(attributes, attrID), t.id)
		if status := nfnl.Attribute(attributes, attrStatus); len(status) == 4 {
			answered = binary.BigEndian.Uint32(status)&statusSeenReply != 0
		}
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return true, true // it is not known
	}
	return answered, there
}

// mostFiltered is how many addresses the kernel compares; more are told by us.
const mostFiltered = 128

// Where a message of a new TCP connection has the type of its second attribute, the
// tuple of the answers, and the source in it, by the length of addresses. Types are in
// the machine's byte order.
const (
	familyAt       = unix.SizeofNlMsghdr
	reply4, reply6 = 74, 98
	from4, from6   = 84, 108
	nestedReply    = unix.NLA_F_NESTED | attrReply
)

// filterFor is a program for the kernel that lets through what may be a connection to one
// of some addresses (Documentation/networking/filter.rst); nil when there are too many.
func filterFor(addrs []netip.Addr) []unix.SockFilter {
	if len(addrs) > mostFiltered {
		return nil
	}
	const all = 0xffffffff
	op := func(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }
	load := func(size uint16, at uint32) unix.SockFilter { return op(unix.BPF_LD|size|unix.BPF_ABS, at) }
	// unless skips some instructions if what was loaded is not k.
	unless := func(k uint32, skip int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: uint8(skip)}
	}
	keep, drop := op(unix.BPF_RET, all), op(unix.BPF_RET, 0)
	nested := uint32(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, nestedReply)))
	// usual keeps messages that do not look as they are expected to.
	usual := func(at uint32) []unix.SockFilter {
		return []unix.SockFilter{load(unix.BPF_H, at), {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nested, Jt: 1}, keep}
	}
	four, six := usual(reply4), usual(reply6)
	four = append(four, load(unix.BPF_W, from4))
	for _, a := range addrs {
		raw := a.AsSlice()
		if a.Is4() {
			four = append(four, unless(binary.BigEndian.Uint32(raw), 1), keep)
			continue
		}
		for word := range 4 {
			six = append(six, load(unix.BPF_W, uint32(from6+4*word)), unless(binary.BigEndian.Uint32(raw[4*word:]), 2*(3-word)+1))
		}
		six = append(six, keep)
	}
	four, six = append(four, drop), append(six, drop)
	program := []unix.SockFilter{
		load(unix.BPF_B, familyAt),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_INET6, Jt: 1},
		op(unix.BPF_JMP|unix.BPF_JA, uint32(len(six))), // to the part of IPv4
	}
	return append(append(program, six...), four...)
}
