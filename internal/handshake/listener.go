// SPDX-License-Identifier: Apache-2.0

// Package handshake accepts TLS connections of clients that may be slow, or never mean to
// finish, without keeping others waiting.
package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/accept"
)

// Limits bound handshakes that are under way.
type Limits struct {
	// Most is how many there are at a time, see accept.Crowd.
	Most int
	// Patience is how long one may take, whatever the client sends.
	Patience time.Duration
	// Parting is how long they may take when the listener is closed.
	Parting time.Duration
}

// Listener is a listener whose Accept gives connections whose handshake is done, as
// *tls.Conn. Each handshake has a goroutine of its own, from the first Accept on.
type Listener struct {
	*accept.Relay
	config *tls.Config
	limits Limits

	source func(net.Conn) any

	mu      sync.Mutex
	leaving bool
	under   *accept.Crowd
}

// entrant is a connection whose handshake is under way.
type entrant struct {
	net.Conn
	place *accept.Place
}

// New makes a Listener on one that it is given for good. After Close it gives those that
// finish in time, and then fails with net.ErrClosed. The source of a connection is whose it
// is, such as its Address.
func New(listener net.Listener, config *tls.Config, limits Limits, source func(net.Conn) any) *Listener {
	l := &Listener{config: config, limits: limits, source: source, under: accept.NewCrowd(limits.Most)}
	l.Relay = accept.New(listener, func(raw net.Conn) { go l.shake(l.enter(raw)) }, l.leave)
	return l
}

// shake does a handshake, and gives the connection to who accepts.
func (l *Listener) shake(e *entrant) {
	conn := tls.Server(e.Conn, l.config)
	if err := conn.Handshake(); err != nil {
		explain(err)
		_ = e.Close()
		l.remove(e)
		return
	}
	_ = e.SetDeadline(time.Time{})
	patience, cancel := context.WithTimeout(context.Background(), l.limits.Patience)
	defer cancel()
	if !l.Give(patience, conn) { // nobody accepts any more
		_ = e.Close()
	}
	l.remove(e)
}

// explain tells a client that does not encrypt so, in the protocol that it speaks.
func explain(err error) {
	var odd tls.RecordHeaderError
	if !errors.As(err, &odd) || odd.Conn == nil {
		return
	}
	switch string(odd.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		_, _ = io.WriteString(odd.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis port speaks TLS: use https.\n")
	}
}

// enter counts a handshake, and ends another one when there are too many.
func (l *Listener) enter(raw net.Conn) *entrant {
	l.mu.Lock()
	defer l.mu.Unlock()
	patience := l.limits.Patience
	if l.leaving {
		patience = l.limits.Parting
	}
	e := &entrant{Conn: raw}
	_ = e.SetDeadline(time.Now().Add(patience))
	e.place = l.under.Enter(l.source(raw), e)
	return e
}

// remove forgets a handshake that is done.
func (l *Listener) remove(e *entrant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.place.Leave()
	l.end()
}

// leave lets what is under way take the parting time only.
func (l *Listener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
	for _, e := range l.under.All() {
		_ = e.(*entrant).SetDeadline(time.Now().Add(l.limits.Parting))
	}
	l.end()
}

// end tells when no more are to come. The lock is held.
func (l *Listener) end() {
	if l.leaving && l.under.Len() == 0 {
		l.End()
	}
}

// Address is where a connection comes from: an address, or with IPv6 the network of one,
// which is what one host has.
func Address(c net.Conn) any {
	at, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	addr := at.Addr().Unmap().WithZone("")
	if addr.Is6() {
		network, _ := addr.Prefix(64) // which no address is too short for
		return network.Addr()
	}
	return addr
}
