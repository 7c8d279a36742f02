// SPDX-License-Identifier: Apache-2.0

// Package handshake accepts TLS connections of clients that may be slow, or never mean to
// finish, without keeping others waiting.
package handshake

import (
	"container/list"
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
	// Most is how many there are at a time. One more ends the oldest of the source that
	// has most of them, so that whoever opens many ends his own.
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

	mu      sync.Mutex
	leaving bool
	under   *list.List // of *entrant, the oldest first
	sources map[netip.Addr]int
}

// entrant is a connection whose handshake is under way.
type entrant struct {
	net.Conn
	source netip.Addr
	place  *list.Element // nil when it is under way no more
}

// New makes a Listener on one that it is given for good. After Close it gives those that
// finish in time, and then fails with net.ErrClosed.
func New(listener net.Listener, config *tls.Config, limits Limits) *Listener {
	l := &Listener{config: config, limits: limits, under: list.New(), sources: make(map[netip.Addr]int)}
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
	e := &entrant{Conn: raw, source: sourceOf(raw.RemoteAddr())}
	_ = e.SetDeadline(time.Now().Add(patience))
	if l.under.Len() >= l.limits.Most {
		if oldest := l.oldestOfMost(); oldest != nil {
			_ = oldest.Close()
			l.drop(oldest)
		}
	}
	e.place = l.under.PushBack(e)
	l.sources[e.source]++
	return e
}

// oldestOfMost finds the oldest of the source that has most. The lock is held.
func (l *Listener) oldestOfMost() *entrant {
	var found *entrant
	for place := l.under.Front(); place != nil; place = place.Next() {
		e := place.Value.(*entrant)
		if found == nil || l.sources[e.source] > l.sources[found.source] {
			found = e
		}
	}
	return found
}

// remove forgets a handshake that is done.
func (l *Listener) remove(e *entrant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(e)
	l.end()
}

// drop takes a handshake from the count, once. The lock is held.
func (l *Listener) drop(e *entrant) {
	if e.place == nil {
		return
	}
	l.under.Remove(e.place)
	e.place = nil
	if l.sources[e.source]--; l.sources[e.source] == 0 {
		delete(l.sources, e.source)
	}
}

// leave lets what is under way take the parting time only.
func (l *Listener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaving = true
	for place := l.under.Front(); place != nil; place = place.Next() {
		_ = place.Value.(*entrant).SetDeadline(time.Now().Add(l.limits.Parting))
	}
	l.end()
}

// end tells when no more are to come. The lock is held.
func (l *Listener) end() {
	if l.leaving && l.under.Len() == 0 {
		l.End()
	}
}

// sourceOf is whose connection it is: an address, or with IPv6 the network of one, which is
// what one host has.
func sourceOf(a net.Addr) netip.Addr {
	at, err := netip.ParseAddrPort(a.String())
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
