// SPDX-License-Identifier: Apache-2.0

package load

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// backlog is how many connections may wait to be accepted.
const backlog = 4096

// serve starts the services of a server.
func serve(base netip.AddrPort) error {
	if err := accept(at(base, sinkPort), sink); err != nil {
		return err
	}
	if err := accept(at(base, sourcePort), source); err != nil {
		return err
	}
	s := &server{}
	var err error
	if s.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make epoll: %w", err)
	}
	if s.echo, err = s.listen(at(base, echoPort)); err != nil {
		return err
	}
	if s.once, err = s.listen(at(base, oncePort)); err != nil {
		return err
	}
	go func() {
		if err := s.run(); err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
			os.Exit(1)
		}
	}()
	return nil
}

// server answers requests, all on one thread.
type server struct {
	poll, echo, once int
	single           map[int32]bool // connections that carry one request
	buffer           [32 << 10]byte
}

func (s *server) listen(address netip.AddrPort) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("listen at %v: %w", address, err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}),
		unix.Listen(fd, backlog),
		s.watch(fd, unix.EPOLLIN),
	)
	if err != nil {
		return 0, fmt.Errorf("listen at %v: %w", address, err)
	}
	return fd, nil
}

func (s *server) watch(fd int, events uint32) error {
	return unix.EpollCtl(s.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (s *server) run() error {
	s.single = map[int32]bool{}
	for events := make([]unix.EpollEvent, 256); ; {
		n, err := unix.EpollWait(s.poll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range events[:n] {
			switch int(e.Fd) {
			case s.echo, s.once:
				if err := s.accept(int(e.Fd)); err != nil {
					return err
				}
			default:
				s.answer(e.Fd)
			}
		}
	}
}

// accept takes the connections that wait. One that has sent its request
// already is answered at once.
func (s *server) accept(listener int) error {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return nil // none is left, or it is gone again
		}
		if listener == s.once {
			s.single[int32(fd)] = true
		}
		if err := s.watch(fd, unix.EPOLLIN); err != nil {
			return fmt.Errorf("watch a connection: %w", err)
		}
	}
}

// answer sends back what has come. A request is small enough to come in one
// piece and an answer to fit into the socket's buffer.
func (s *server) answer(fd int32) {
	n, err := unix.Read(int(fd), s.buffer[:])
	if errors.Is(err, unix.EAGAIN) {
		return
	}
	if n > 0 {
		n, err = unix.Write(int(fd), s.buffer[:n])
	}
	if n <= 0 || err != nil || s.single[fd] {
		delete(s.single, fd)
		_ = unix.Close(int(fd)) // the client is gone or will see the end
	}
}
