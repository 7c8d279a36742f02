// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/bench/report"
)

// pause is how long a failed connection waits before it is tried again.
const pause = 10 * time.Millisecond

// exchanger sends requests and takes answers on many connections, all on one
// thread. A connection has at most one request under way.
type exchanger struct {
	poll   int
	target unix.SockaddrInet4
	once   bool // a connection for each request
	begin  time.Time
	buffer [4 << 10]byte

	conns  map[int32]*exchanging
	broken int // connections to open again
	times  []time.Duration
	result Result
}

// exchanging is the request of one connection.
type exchanging struct {
	begin time.Time
	sent  bool
	got   int // bytes of the answer
}

// exchange does requests for a time.
func exchange(target netip.AddrPort, connections int, d time.Duration, once bool) (Result, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return Result{}, fmt.Errorf("make epoll: %w", err)
	}
	defer unix.Close(poll)
	x := &exchanger{
		poll: poll, once: once, begin: time.Now(), broken: connections, conns: map[int32]*exchanging{},
		target: unix.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()},
	}
	defer x.end()
	if err := x.run(d); err != nil {
		return Result{}, err
	}
	x.result.Seconds = time.Since(x.begin).Seconds()
	x.result.P50, x.result.P99 = report.Milliseconds(x.times)
	x.result.Each = x.result.Each[:min(len(x.result.Each), int(d/time.Second))]
	if x.result.Count == 0 {
		return Result{}, fmt.Errorf("none of the requests came to an end, %d connections failed", x.result.Failed)
	}
	return x.result, nil
}

// longer is for how much more time than asked a load goes on while nothing has come to
// an end and nothing failed: a machine that does other things may leave a short one
// no time at all. The rate is of the time that it took.
const longer = 10 * time.Second

// over tells whether there has been enough of a load that was asked for a time.
func (x *exchanger) over(d time.Duration) bool {
	if x.result.Count == 0 && x.result.Failed == 0 {
		d += longer
	}
	return time.Since(x.begin) >= d
}

func (x *exchanger) run(d time.Duration) error {
	events := make([]unix.EpollEvent, 256)
	for !x.over(d) {
		for n := x.broken; n > 0; n-- {
			x.broken--
			if err := x.open(); err != nil {
				return err
			}
		}
		n, err := unix.EpollWait(x.poll, events, int(pause/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for answers: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if err := x.step(e.Fd); err != nil {
				return err
			}
		}
	}
	return nil
}

// end resets what is open, so that it leaves nothing behind.
func (x *exchanger) end() {
	for fd := range x.conns {
		_ = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		_ = unix.Close(int(fd))
	}
}

// open begins a connection. One that fails is counted and tried again later.
func (x *exchanger) open() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make socket: %w", err)
	}
	x.conns[int32(fd)] = &exchanging{begin: time.Now()}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set no delay: %w", err)
	}
	if err := unix.Connect(fd, &x.target); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		x.fail(int32(fd))
		return nil
	}
	edge := uint32(unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLET&0xffffffff)
	return unix.EpollCtl(x.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: edge, Fd: int32(fd)})
}

func (x *exchanger) fail(fd int32) {
	x.result.Failed++
	x.broken++
	delete(x.conns, fd)
	_ = unix.Close(int(fd)) // it is of no use any more
}

// step goes on with a connection on which something happened.
func (x *exchanger) step(fd int32) error {
	c := x.conns[fd]
	if !c.sent {
		if !x.send(fd, c) {
			return nil
		}
	}
	for {
		n, err := unix.Read(int(fd), x.buffer[:])
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			x.fail(fd)
			return nil
		case n == 0 && (!x.once || c.got != messageSize):
			x.fail(fd)
			return nil
		case n == 0:
			x.done(c)
			delete(x.conns, fd)
			if err := unix.Close(int(fd)); err != nil {
				return fmt.Errorf("close a connection: %w", err)
			}
			return x.open()
		}
		c.got += n
		if !x.once && c.got == messageSize {
			x.done(c)
			c.begin, c.got = time.Now(), 0
			x.send(fd, c)
			return nil
		}
	}
}

// send sends a request and tells whether it could.
func (x *exchanger) send(fd int32, c *exchanging) bool {
	var message [messageSize]byte
	if n, err := unix.Write(int(fd), message[:]); n != messageSize || err != nil {
		x.fail(fd)
		return false
	}
	c.sent = true
	return true
}

func (x *exchanger) done(c *exchanging) {
	now := time.Now()
	x.times = append(x.times, now.Sub(c.begin))
	x.result.Count++
	second := int(now.Sub(x.begin) / time.Second)
	for len(x.result.Each) <= second {
		x.result.Each = append(x.result.Each, 0)
	}
	x.result.Each[second]++
}
