// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// attendedConn is a connection whose end is noticed though nobody reads from it.
type attendedConn struct {
	net.Conn
	watch *os.File
	once  sync.Once
}

// attended has a function called when the other side ends a connection. It gives the
// connection back as it is where that cannot be noticed.
func attended(conn net.Conn, ended func()) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	file, err := tcp.File() // of its own in the poller, so that reading waits for nobody
	if err != nil {
		return conn
	}
	a := &attendedConn{Conn: conn, watch: file}
	go a.attend(ended)
	return a
}

func (a *attendedConn) attend(ended func()) {
	raw, err := a.watch.SyscallConn()
	if err != nil {
		return
	}
	hungUp := false
	_ = raw.Read(func(fd uintptr) bool { // it ends when the connection is closed here
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(polled, 0)
		hungUp = err == nil && n > 0 && polled[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
		return hungUp
	})
	if hungUp {
		ended()
	}
}

// Close closes the connection, of which nothing is noticed any more.
func (a *attendedConn) Close() error {
	a.once.Do(func() { a.watch.Close() })
	return a.Conn.Close()
}
