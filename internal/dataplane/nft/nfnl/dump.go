// SPDX-License-Identifier: Apache-2.0

package nfnl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"
)

type message struct {
	typ, flags uint16
	seq        uint32
	body       []byte
}

// messages yields the netlink messages of one datagram.
func messages(data []byte) iter.Seq[message] {
	return func(yield func(message) bool) {
		for len(data) >= unix.NLMSG_HDRLEN {
			size := int(binary.NativeEndian.Uint32(data))
			if size < unix.NLMSG_HDRLEN || size > len(data) {
				return
			}
			m := message{
				typ:   binary.NativeEndian.Uint16(data[4:]),
				flags: binary.NativeEndian.Uint16(data[6:]),
				seq:   binary.NativeEndian.Uint32(data[8:]),
				body:  data[unix.NLMSG_HDRLEN:size],
			}
			if !yield(m) {
				return
			}
			data = data[min((size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1), len(data)):]
		}
	}
}

// Dump sends the one message of b as a dump and calls each for every object of
// the answer with its attributes, which are valid during the call only. A dump
// that changes interrupted starts over: restart is called before each start.
func (c *Conn) Dump(b *Builder, restart func(), each func(family uint8, attributes []byte)) error {
	b.end()
	flags := binary.NativeEndian.Uint16(b.data[6:])
	binary.NativeEndian.PutUint16(b.data[6:], flags|unix.NLM_F_DUMP)
	for range dumpTries {
		restart()
		if err := c.drain(); err != nil {
			return err
		}
		if err := unix.Sendto(c.fd, b.data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("send netlink dump: %w", err)
		}
		err := c.collect(each)
		if !errors.Is(err, ErrInterrupted) {
			return err
		}
	}
	return ErrInterrupted
}

// Get sends the one message of b as a question and calls each for every object
// of the answer, as Dump does.
func (c *Conn) Get(b *Builder, each func(family uint8, attributes []byte)) error {
	b.finish()
	if err := c.drain(); err != nil {
		return err
	}
	if err := unix.Sendto(c.fd, b.data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("send netlink question: %w", err)
	}
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("receive netlink answer: %w", err)
		}
		for m := range messages(c.buffer[:n]) {
			if m.typ == unix.NLMSG_ERROR {
				if errno := status(m.body); errno != 0 {
					return fmt.Errorf("ask: %w", errno)
				}
				return nil
			}
			if len(m.body) >= messageHeader-unix.NLMSG_HDRLEN {
				each(m.body[0], m.body[messageHeader-unix.NLMSG_HDRLEN:])
			}
		}
	}
}

// collect reads one dump to its end, also when it is found to be interrupted,
// so that the socket is clean for the next.
func (c *Conn) collect(each func(family uint8, attributes []byte)) error {
	var interrupted error
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("receive netlink dump: %w", err)
		}
		for m := range messages(c.buffer[:n]) {
			if m.flags&unix.NLM_F_DUMP_INTR != 0 {
				interrupted = ErrInterrupted
			}
			switch m.typ {
			case unix.NLMSG_DONE:
				if errno := status(m.body); errno != 0 {
					return fmt.Errorf("dump: %w", errno)
				}
				return interrupted
			case unix.NLMSG_ERROR:
				if errno := status(m.body); errno != 0 {
					return fmt.Errorf("dump: %w", errno)
				}
			default:
				if len(m.body) >= messageHeader-unix.NLMSG_HDRLEN {
					each(m.body[0], m.body[messageHeader-unix.NLMSG_HDRLEN:])
				}
			}
		}
	}
}

func status(body []byte) unix.Errno {
	if len(body) < 4 {
		return 0
	}
	errno := -int32(binary.NativeEndian.Uint32(body))
	if unix.Errno(errno) == unix.EINTR {
		return 0
	}
	return unix.Errno(errno)
}
