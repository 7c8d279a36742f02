// SPDX-License-Identifier: Apache-2.0

package httplane

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"
)

// room is how large a plain request may be, in bytes.
const room = 8 << 10

// conn is a connection with what its requests and answers use again.
type conn struct {
	net.Conn
	lane   *Listener
	cancel context.CancelFunc // of the context of its requests
	buf    [room]byte
	filled int
	parser parser
	answer answer
	// known says that the client was heard, or that there was time enough for it.
	known bool
}

func newConn(l *Listener, nc net.Conn) *conn {
	c := &conn{Conn: nc, lane: l}
	ctx, cancel := context.WithCancel(context.WithValue(l.ctx, http.LocalAddrContextKey, nc.LocalAddr()))
	if tell := l.server.ConnContext; tell != nil {
		ctx = tell(ctx, nc)
	}
	c.cancel = cancel
	c.parser.init(ctx, nc.RemoteAddr().String())
	c.answer.header, c.answer.last = make(http.Header, 8), &l.leaving
	return c
}

// serve answers plain requests until there is one that is not, or no more.
func (c *conn) serve() {
	kept := false // by the server
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			c.logf("http: panic serving %v: %v\n%s", c.RemoteAddr(), v, debug.Stack())
		}
		if !kept {
			_ = c.Close()
		}
		c.cancel()
		c.lane.remove(c)
	}()
	wait := c.lane.server.ReadHeaderTimeout // a new connection has a request to make
	for {
		length, verdict := c.next(wait)
		switch verdict {
		case none:
			return
		case other:
			_ = c.SetDeadline(time.Time{})
			kept = c.lane.Give(c.lane.ctx, &begun{Conn: c.Conn, ahead: append([]byte(nil), c.buf[:c.filled]...)})
			return
		}
		if !c.serveOne() {
			return
		}
		c.filled = copy(c.buf[:], c.buf[length:c.filled])
		wait = c.lane.server.IdleTimeout
	}
}

// next waits for a plain request, and gives its length.
func (c *conn) next(wait time.Duration) (int, verdict) {
	begun := false
	for {
		if c.filled > 0 {
			length, verdict := c.parser.parse(c.buf[:c.filled])
			if verdict != more {
				return length, verdict
			}
			if c.filled == len(c.buf) {
				return 0, other
			}
		}
		switch {
		case c.filled == 0:
			c.within(wait)
		case !begun: // the rest has to follow soon
			begun = true
			c.within(c.lane.server.ReadHeaderTimeout)
		}
		n, err := c.Read(c.buf[c.filled:])
		if !c.known && errors.Is(err, os.ErrDeadlineExceeded) && c.lane.leaving.Load() {
			c.known = true // a deadline says nothing of what came when this did not get to read
			continue
		}
		if c.filled += n; err != nil {
			return 0, none
		}
		c.known = true
		if encrypted, ok := c.Conn.(*tls.Conn); ok && c.parser.request.TLS == nil {
			state := encrypted.ConnectionState()
			c.parser.request.TLS = &state
		}
	}
}

// within bounds how long the client may take to send something; zero is no bound.
func (c *conn) within(wait time.Duration) {
	var deadline time.Time
	if wait > 0 {
		deadline = time.Now().Add(wait)
	}
	_ = c.SetReadDeadline(deadline)
	if c.lane.leaving.Load() {
		_ = c.SetReadDeadline(time.Now().Add(c.lane.parting))
	}
}

// serveOne has the request that was read answered, in the time for answers, and reports
// whether another one may follow.
func (c *conn) serveOne() bool {
	if wait := c.lane.server.WriteTimeout; wait > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(wait))
	}
	c.answer.reset()
	c.lane.server.Handler.ServeHTTP(&c.answer, &c.parser.request)
	closes, err := c.answer.send(c.Conn)
	return !closes && err == nil
}

func (c *conn) logf(format string, arguments ...any) {
	if c.lane.server.ErrorLog != nil {
		c.lane.server.ErrorLog.Printf(format, arguments...)
		return
	}
	log.Printf(format, arguments...)
}
