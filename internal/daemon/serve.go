// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/aws/server"
	"github.com/posternhq/postern/internal/httplane"
)

const (
	// shutdownGrace is how long requests that are being answered may take when the
	// daemon is told to stop.
	shutdownGrace = 5 * time.Second
	// partingTime is how long clients that keep their connections have for one more
	// request, whose answer tells them that it was the last one.
	partingTime = 250 * time.Millisecond
)

// serveHTTP answers requests until the context ends. Then it takes no new connections
// and answers what is under way, for as long as shutdownGrace. A connection that is kept
// open is not cut while its client may be sending the next request on it: it ends with
// an answer that says so (RFC 9112, section 9.6), or after partingTime without one.
func serveHTTP(ctx context.Context, s *http.Server, listener net.Listener) error {
	return serveAndPart(ctx, s, listener, partingTime)
}

// serveAPI is serveHTTP with a lane for plain requests, and strict about the framing of
// all others.
func serveAPI(ctx context.Context, s *http.Server, listener net.Listener) error {
	return serveAPIAndPart(ctx, s, listener, partingTime)
}

func serveAPIAndPart(ctx context.Context, s *http.Server, listener net.Listener, parting time.Duration) error {
	lane := httplane.New(s, listener, parting)
	err := serveAndPart(ctx, s, server.Strict(lane), parting)
	if lane.Cut() && err == nil {
		err = fmt.Errorf("stop the API: requests took longer than %v", shutdownGrace)
	}
	return err
}

func serveAndPart(ctx context.Context, s *http.Server, listener net.Listener, parting time.Duration) error {
	c := &connections{gone: make(chan struct{})}
	s.ConnState = c.changed
	s.Handler = c.parting(s.Handler)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(listener) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	closed := listener.Close()
	select {
	case <-stopped: // what was accepted is counted
	case <-grace.Done(): // what the listener answers itself is not answered yet
	}
	select {
	case <-c.part():
	case <-time.After(parting):
	}
	if err := s.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("stop the API: %w", err), s.Close())
	}
	if closed != nil {
		return fmt.Errorf("stop the API: %w", closed)
	}
	return nil
}

// connections counts those that a server has open.
type connections struct {
	leaving atomic.Bool
	mu      sync.Mutex
	open    int
	gone    chan struct{} // closed when the server is leaving and none is open
}

// changed is called by the server, which it serves as its ConnState.
func (c *connections) changed(_ net.Conn, to http.ConnState) {
	if to == http.StateActive || to == http.StateIdle {
		return // as with each request
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch to {
	case http.StateNew:
		c.open++
	case http.StateClosed, http.StateHijacked:
		if c.open--; c.open == 0 && c.leaving.Load() {
			close(c.gone)
		}
	}
}

// part makes each answer from now on the last one of its connection, and gives what is
// closed when there is none any more. No connection may be added then.
func (c *connections) part() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving.Store(true); c.open == 0 {
		close(c.gone)
	}
	return c.gone
}

func (c *connections) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// orderly is a listener whose Close, while somebody accepts, is for clients to come: who
// is connected already is accepted before, since the kernel resets connections that
// nobody accepted when it closes the socket.
type orderly struct {
	*net.TCPListener
	closing atomic.Bool
}

// Close ends Accept, after what waits for it, and that closes the socket.
func (l *orderly) Close() error {
	l.closing.Store(true)
	if err := l.SetDeadline(time.Unix(1, 0)); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Accept implements net.Listener.
func (l *orderly) Accept() (net.Conn, error) {
	if !l.closing.Load() {
		if conn, err := l.TCPListener.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
	}
	conn, err := l.waiting()
	if err != nil {
		return nil, errors.Join(net.ErrClosed, l.TCPListener.Close())
	}
	return conn, nil
}

// waiting accepts a connection without waiting for one.
func (l *orderly) waiting() (net.Conn, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	err = raw.Control(func(socket uintptr) {
		for fd, failed = -1, unix.EINTR; failed == unix.EINTR || failed == unix.ECONNABORTED; {
			fd, _, failed = unix.Accept4(int(socket), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close() // the connection has a descriptor of its own
	return net.FileConn(file)
}
