// SPDX-License-Identifier: Apache-2.0

package nfnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// bufferSize bounds one transaction and its answers. The kernel sets only
	// a limit by it and reserves nothing.
	bufferSize = 64 << 20
	// receiveSize is the largest datagram that the kernel puts dumps into.
	receiveSize = 64 << 10
	// dumpTimeout bounds the wait for one datagram of a dump.
	dumpTimeout = 10 * time.Second
	// dumpTries is how often a dump that changes interrupted is begun again.
	dumpTries = 20
)

// ErrInterrupted says that changes kept interrupting a dump.
var ErrInterrupted = errors.New("dump interrupted by changes")

// Conn is a socket in one namespace. It is for one caller at a time.
type Conn struct {
	fd     int
	buffer []byte
}

// Failure is the kernel's refusal of one message, by its index in the Builder.
// Index is -1 when the transaction as a whole was refused.
type Failure struct {
	Index int
	Err   error
}

// Dial opens a socket in the namespace of nsFD, which is not needed afterwards.
func Dial(nsFD int) (*Conn, error) {
	c := &Conn{buffer: make([]byte, receiveSize)}
	err := Inside(nsFD, func() (err error) {
		c.fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	if err := c.prepare(); err != nil {
		unix.Close(c.fd)
		return nil, fmt.Errorf("prepare netlink socket: %w", err)
	}
	return c, nil
}

func (c *Conn) prepare() error {
	timeout := unix.NsecToTimeval(dumpTimeout.Nanoseconds())
	return errors.Join(
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bufferSize),
		unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferSize),
		unix.SetsockoptInt(c.fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.Bind(c.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
	)
}

// Close closes the socket.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// Commit sends b as one transaction of a subsystem: the kernel does all of it
// or nothing. When it did nothing, the failures say which messages are to
// blame. The error is for a broken socket, after which what the kernel did is
// unknown and the connection must be given up.
func (c *Conn) Commit(subsystem uint8, b *Builder) ([]Failure, error) {
	if b.Count() == 0 {
		return nil, nil
	}
	b.finish()
	var frame Builder
	frame.begin(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, uint16(subsystem))
	frame.end()
	head := append([]byte{}, frame.data...)
	// The begin and end messages carry a number that no message of b has.
	binary.NativeEndian.PutUint32(head[8:], uint32(b.Count()))
	tail := append([]byte{}, head...)
	binary.NativeEndian.PutUint16(tail[4:], unix.NFNL_MSG_BATCH_END)
	if err := c.drain(); err != nil {
		return nil, err
	}
	_, err := unix.SendmsgBuffers(c.fd, [][]byte{head, b.data, tail}, nil, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}, 0)
	if err != nil {
		return nil, fmt.Errorf("send %d netlink messages: %w", b.Count(), err)
	}
	return c.answers(b.Count())
}

// Each sends the messages of b, which belong to a subsystem without
// transactions and are done one by one, and returns those that failed.
func (c *Conn) Each(b *Builder) ([]Failure, error) {
	if b.Count() == 0 {
		return nil, nil
	}
	b.finish()
	if err := c.drain(); err != nil {
		return nil, err
	}
	if err := unix.Sendto(c.fd, b.data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("send %d netlink messages: %w", b.Count(), err)
	}
	return c.answers(b.Count())
}

// answers reads the queue empty. The kernel has put everything there before
// the send returned. The last of count messages must be among what it reads.
func (c *Conn) answers(count int) ([]Failure, error) {
	var failures []Failure
	seen := false
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buffer, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			if !seen && len(failures) == 0 {
				return nil, errors.New("receive netlink answer: there is none")
			}
			return failures, nil
		case err != nil:
			return nil, fmt.Errorf("receive netlink answer: %w", err)
		}
		for m := range messages(c.buffer[:n]) {
			if m.typ != unix.NLMSG_ERROR || len(m.body) < 4 {
				continue
			}
			errno := -int32(binary.NativeEndian.Uint32(m.body))
			index := int(m.seq)
			seen = seen || index == count-1
			if errno == 0 {
				continue
			}
			if index >= count {
				index = -1
			}
			failures = append(failures, Failure{Index: index, Err: unix.Errno(errno)})
		}
	}
}

// drain throws away what an earlier exchange left behind.
func (c *Conn) drain() error {
	for {
		_, _, err := unix.Recvfrom(c.fd, c.buffer, unix.MSG_DONTWAIT)
		switch {
		case err == nil, errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return nil
		default:
			return fmt.Errorf("drain netlink socket: %w", err)
		}
	}
}
