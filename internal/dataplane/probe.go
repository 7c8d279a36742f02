// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
)

// Probe opens a TCP connection from a gateway of a VPC's router, as connections to a
// resource are opened, and ends it by a reset. The security groups of the gateway and of
// whoever has the address are asked as theirs are. It waits for an answer until the
// context is done.
func (h *Host) Probe(ctx context.Context, vpc string, gateway netip.Addr, to netip.AddrPort) error {
	r, err := h.routers.Open(vpc)
	if err != nil {
		return fmt.Errorf("probe %s from %s: %w", to, gateway, err)
	}
	defer r.Release()
	from, err := h.marksOf(ctx, r, gateway)
	if err == nil {
		err = probe(ctx, r, from, to)
	}
	if err != nil {
		return fmt.Errorf("probe %s from %s: %w", to, gateway, err)
	}
	return nil
}

// marks are those of the packets that a router itself sends in the name of a gateway.
type marks struct {
	mark     uint32 // its routes, if it has any of its own, or else the gateway's number
	priority uint32 // the gateway's number then
}

// marksOf asks how a router knows a gateway.
func (h *Host) marksOf(ctx context.Context, r *network.Router, gateway netip.Addr) (m marks, err error) {
	defer h.lock(r.VPC)()
	table, err := h.table(r)
	if err != nil {
		return m, err
	}
	if m.mark, err = table.Gateway(ctx, gateway); err != nil {
		return m, err
	}
	steers, err := table.Steers(ctx)
	if number, ok := steers[gateway.String()]; ok {
		m = marks{mark: network.TableMark(number), priority: m.mark}
	}
	return m, err
}

func probe(ctx context.Context, r *network.Router, from marks, to netip.AddrPort) error {
	file, err := open(r, from, to)
	if err != nil {
		return err
	}
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	// A connection that is reset leaves nothing behind that would have to be remembered.
	var set error
	err = conn.Control(func(fd uintptr) {
		set = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	})
	if err = errors.Join(err, set); err != nil {
		return fmt.Errorf("set up socket: %w", err)
	}
	return connected(ctx, file)
}

// Dial opens a TCP connection as Probe does, to be used. It waits for an answer until the
// context is done. The caller closes the connection.
func (h *Host) Dial(ctx context.Context, vpc string, gateway netip.Addr, to netip.AddrPort) (conn net.Conn, err error) {
	r, err := h.routers.Open(vpc)
	if err != nil {
		return nil, fmt.Errorf("connect to %s from %s: %w", to, gateway, err)
	}
	defer r.Release()
	from, err := h.marksOf(ctx, r, gateway)
	if err == nil {
		conn, err = dial(ctx, r, from, to)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s from %s: %w", to, gateway, err)
	}
	return conn, nil
}

func dial(ctx context.Context, r *network.Router, from marks, to netip.AddrPort) (net.Conn, error) {
	file, err := open(r, from, to)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the connection has a descriptor of its own
	if err := connected(ctx, file); err != nil {
		return nil, err
	}
	return net.FileConn(file)
}

// open begins a TCP connection.
func open(r *network.Router, from marks, to netip.AddrPort) (*os.File, error) {
	family, address := sockaddr(to)
	fd := -1
	err := r.Inside(func() (err error) {
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "probe")
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(from.mark)),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, int(from.priority)),
	)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("set up socket: %w", err)
	}
	if err := unix.Connect(fd, address); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		file.Close()
		return nil, err
	}
	return file, nil
}

// connected waits until a connection is there, or is not to be.
func connected(ctx context.Context, file *os.File) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { file.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var failed int
	err = conn.Write(func(fd uintptr) bool {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(polled, 0); err != nil || n == 0 {
			return false
		}
		failed, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		return true
	})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.New("no answer")
	case err != nil:
		return err
	case failed != 0:
		return unix.Errno(failed)
	}
	return nil
}

func sockaddr(to netip.AddrPort) (family int, address unix.Sockaddr) {
	if a := to.Addr(); a.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: a.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
}
