// SPDX-License-Identifier: Apache-2.0

// Package httplane answers the plain requests of an http.Server's clients without what
// net/http needs for all the others.
//
// A request is plain when it is HTTP/1.1 with a body of known length, and head and body
// fit a small buffer: what the SDKs of AWS send. It is read into room that its connection
// keeps, and answered with one write. Nothing watches meanwhile whether the client leaves.
// The first request that is anything else goes to net/http with its connection, byte by
// byte as it came, and stays there, so that the lane decides about nothing that is unusual:
// what is malformed, ambiguous, large, chunked or slow is the business of net/http alone.
package httplane

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is a listener for an http.Server: its Accept gives the connections that the
// lane does not serve. All others it serves itself with the server's handler, within the
// server's times, from the first Accept on.
//
// Handlers must not keep a request or its header when they have returned: both are used
// again. Strings may be kept. Their answers are sent when they return. They learn of a
// client that left by writing to it only.
type Listener struct {
	net.Listener
	server  *http.Server
	parting time.Duration

	begin   sync.Once
	given   chan given
	ended   chan struct{} // closed when nobody is accepted and no connection is left
	cut     chan struct{} // closed when connections must end
	closing chan struct{}
	close   sync.Once
	kill    sync.Once

	leaving     atomic.Bool
	mu          sync.Mutex
	connections map[*conn]struct{}
}

// given is what Accept returns.
type given struct {
	conn net.Conn
	err  error
}

// New makes the lane of a server on a listener, both of which it is given for good. When
// it is closed, and the listener takes nobody any more, all answers say that they are the
// last of their connections (RFC 9112, section 9.6), and connections on which nothing is
// asked have the parting time for one more request.
func New(server *http.Server, listener net.Listener, parting time.Duration) *Listener {
	return &Listener{
		Listener: listener, server: server, parting: parting,
		given: make(chan given), ended: make(chan struct{}), cut: make(chan struct{}), closing: make(chan struct{}),
		connections: make(map[*conn]struct{}),
	}
}

// Accept implements net.Listener. After Close it fails with net.ErrClosed as soon as no
// connection is left that could be given to the server.
func (l *Listener) Accept() (net.Conn, error) {
	l.begin.Do(func() { go l.accept() })
	select {
	case g := <-l.given:
		return g.conn, g.err
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

// Close takes no new connections, and lets those that are there end.
func (l *Listener) Close() error {
	l.close.Do(func() { close(l.closing) })
	return l.Listener.Close()
}

// Cut ends all connections of the lane at once, also those that are being answered. It
// reports whether there were any.
func (l *Listener) Cut() bool {
	l.kill.Do(func() { close(l.cut) })
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.connections {
		_ = c.Close()
	}
	return len(l.connections) > 0
}

// accept takes connections until the listener is closed. Other errors are the server's to
// judge, which waits a little, or ends.
func (l *Listener) accept() {
	for {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			l.serve(c)
			continue
		case errors.Is(err, net.ErrClosed):
			l.leave()
			return
		}
		select {
		case l.given <- given{err: err}:
		case <-l.closing:
		}
	}
}

// serve has a connection served in a goroutine of its own.
func (l *Listener) serve(nc net.Conn) {
	ctx := context.WithValue(context.Background(), http.ServerContextKey, l.server)
	c := newConn(context.WithValue(ctx, http.LocalAddrContextKey, nc.LocalAddr()), l, nc)
	l.mu.Lock()
	l.connections[c] = struct{}{}
	l.mu.Unlock()
	go c.serve()
}

// remove forgets a connection, which has ended or was given to the server.
func (l *Listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.connections, c)
	l.end()
}

// leave lets what waits for a request wait for the parting time only.
func (l *Listener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving.Store(true) // seen by whoever sets a deadline from now on
	for c := range l.connections {
		_ = c.SetReadDeadline(time.Now().Add(l.parting))
	}
	l.end()
}

// end tells that the lane is empty for good. The lock is held.
func (l *Listener) end() {
	if l.leaving.Load() && len(l.connections) == 0 {
		select {
		case <-l.ended:
		default:
			close(l.ended)
		}
	}
}

// give leaves a connection to the server, to which bytes that were read already come
// first. It reports false if the connection has to end instead.
func (l *Listener) give(c net.Conn, ahead []byte) bool {
	select {
	case l.given <- given{conn: &begun{Conn: c, ahead: ahead}}:
		return true
	case <-l.cut:
		return false
	}
}

// begun is a connection of which something was read.
type begun struct {
	net.Conn
	ahead []byte
}

// NetConn gives the connection that was accepted.
func (b *begun) NetConn() net.Conn { return b.Conn }

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.ahead) == 0 {
		b.ahead = nil
		return b.Conn.Read(p)
	}
	n := copy(p, b.ahead)
	b.ahead = b.ahead[n:]
	return n, nil
}
