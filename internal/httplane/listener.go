// SPDX-License-Identifier: Apache-2.0

// Package httplane answers the plain requests of an http.Server's clients without what
// net/http needs for all the others.
//
// A request is plain when it is HTTP/1.1 with a body of known length, and head and body
// fit a small buffer: what the SDKs of AWS send. It is read into room that its connection
// keeps, and answered with one write. Nothing watches meanwhile whether the client leaves.
// The first request that is anything else goes to net/http with its connection, byte by
// byte as it came, and stays there, so that the lane decides about nothing that is unusual:
// what is malformed, ambiguous, large or chunked is the business of net/http alone.
package httplane

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/internal/accept"
)

// Listener is a listener for an http.Server: its Accept gives the connections that the
// lane does not serve. All others it serves itself with the server's handler, within the
// server's times, from the first Accept on.
//
// Handlers must not keep a request or its header when they have returned: both are used
// again. Strings may be kept. Their answers are sent when they return. They do not learn of
// a client that leaves; the context of their requests ends with the connection, and with Cut.
type Listener struct {
	*accept.Relay
	server  *http.Server
	parting time.Duration
	// ctx is that of all requests, and ends when connections must.
	ctx context.Context
	cut context.CancelFunc

	leaving     atomic.Bool
	mu          sync.Mutex
	connections map[*conn]struct{}
}

// New makes the lane of a server on a listener, both of which it is given for good. When
// it is closed, and the listener takes nobody any more, all answers say that they are the
// last of their connections (RFC 9112, section 9.6), and connections on which nothing is
// asked have the parting time for one more request.
//
// Accept fails with net.ErrClosed after Close, as soon as no connection is left that could be
// given to the server.
func New(server *http.Server, listener net.Listener, parting time.Duration) *Listener {
	l := &Listener{server: server, parting: parting, connections: make(map[*conn]struct{})}
	l.ctx, l.cut = context.WithCancel(context.WithValue(context.Background(), http.ServerContextKey, server))
	l.Relay = accept.New(listener, l.serve, l.leave)
	return l
}

// Cut ends all connections of the lane at once, also those that are being answered. It
// reports whether there were any.
func (l *Listener) Cut() bool {
	defer l.cut() // after connections are closed, so that nothing is sent of what handlers make of it
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.connections {
		_ = c.Close()
	}
	return len(l.connections) > 0
}

// serve has a connection served in a goroutine of its own.
func (l *Listener) serve(nc net.Conn) {
	c := newConn(l, nc)
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

// end tells when the lane is empty for good. The lock is held.
func (l *Listener) end() {
	if l.leaving.Load() && len(l.connections) == 0 {
		l.End()
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
