// SPDX-License-Identifier: Apache-2.0

// Package accept lets listeners do something with a connection before it is accepted, for as
// long as that takes, while others are.
package accept

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Relay is a listener whose connections come from another one, by way of whoever takes them.
// Make one with New.
type Relay struct {
	net.Listener
	take func(net.Conn)
	last func()

	begin   func()
	given   chan given
	closing chan struct{} // closed by Close
	ended   chan struct{} // closed by End
	close   func()
	end     func()
}

// given is what Accept returns.
type given struct {
	conn net.Conn
	err  error
}

// New makes a Relay on a listener that it is given for good. From the first Accept on each
// connection is handed to take, one after the other, which must return soon. When no more come,
// after Close, last is called.
func New(listener net.Listener, take func(net.Conn), last func()) *Relay {
	r := &Relay{
		Listener: listener, take: take, last: last,
		given: make(chan given), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	r.begin = sync.OnceFunc(func() { go r.accept() })
	r.close = sync.OnceFunc(func() { close(r.closing) })
	r.end = sync.OnceFunc(func() { close(r.ended) })
	return r
}

// Accept implements net.Listener. It fails with net.ErrClosed after End.
func (r *Relay) Accept() (net.Conn, error) {
	r.begin()
	select {
	case g := <-r.given:
		return g.conn, g.err
	case <-r.ended:
		return nil, net.ErrClosed
	}
}

// Close closes the listener below. What was taken can still be given.
func (r *Relay) Close() error {
	r.close()
	return r.Listener.Close()
}

// Give has Accept return a connection, and reports whether it did before the context ended.
func (r *Relay) Give(ctx context.Context, c net.Conn) bool {
	select {
	case r.given <- given{conn: c}:
		return true
	case <-ctx.Done():
		return false
	}
}

// End says that nothing will be given any more.
func (r *Relay) End() { r.end() }

// accept takes connections until the listener is closed. Other errors are for who accepts to
// judge, who waits a little, or ends.
func (r *Relay) accept() {
	for {
		c, err := r.Listener.Accept()
		switch {
		case err == nil:
			r.take(c)
			continue
		case errors.Is(err, net.ErrClosed):
			r.last()
			return
		}
		select {
		case r.given <- given{err: err}:
		case <-r.closing:
		}
	}
}
