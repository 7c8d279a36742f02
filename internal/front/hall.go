// SPDX-License-Identifier: Apache-2.0

package front

import (
	"net"
	"net/netip"

	"github.com/posternhq/postern/internal/accept"
)

// Entrance is what is known of the endpoint that an address is of.
type Entrance struct {
	// Of is the owner's, and Source whose connections it is that are counted together.
	Of, Source any
}

// Hall is a listener that lets in who comes by an endpoint, and has room for so many: see
// accept.Crowd.
type Hall struct {
	net.Listener
	crowd    *accept.Crowd
	entrance func(at netip.Addr) (Entrance, bool)
}

// NewHall makes a Hall on a listener that it is given for good. The entrance says what the
// address is of to which a connection came; who comes by none is turned away.
func NewHall(listener net.Listener, most int, entrance func(at netip.Addr) (Entrance, bool)) *Hall {
	return &Hall{Listener: listener, crowd: accept.NewCrowd(most), entrance: entrance}
}

// Guest is a connection that was let in.
type Guest struct {
	net.Conn
	Entrance
	place *accept.Place
}

// Accept implements net.Listener. It gives a *Guest.
func (h *Hall) Accept() (net.Conn, error) {
	for {
		c, err := h.Listener.Accept()
		if err != nil {
			return nil, err
		}
		at, err := netip.ParseAddrPort(c.LocalAddr().String())
		if err == nil {
			if e, ok := h.entrance(at.Addr().Unmap().WithZone("")); ok {
				g := &Guest{Conn: c, Entrance: e}
				g.place = h.crowd.Enter(e.Source, g)
				return g, nil
			}
		}
		_ = c.Close()
	}
}

// Sweep ends the connections of those who may not stay.
func (h *Hall) Sweep(stays func(of any) bool) {
	for _, c := range h.crowd.All() {
		if g := c.(*Guest); !stays(g.Of) {
			_ = g.Conn.Close() // who serves it leaves
		}
	}
}

// Close implements net.Conn.
func (g *Guest) Close() error {
	g.place.Leave()
	return g.Conn.Close()
}

// Used says that the connection was used just now for what it is for.
func (g *Guest) Used() { g.place.Used() }

// SourceOf is the source of a connection that was let in.
func SourceOf(c net.Conn) any {
	if g := GuestIn(c); g != nil {
		return g.Source
	}
	return nil
}

// GuestIn finds the one that is inside a connection; nil when there is none.
func GuestIn(c net.Conn) *Guest {
	for {
		switch inner := c.(type) {
		case *Guest:
			return inner
		case interface{ NetConn() net.Conn }:
			c = inner.NetConn()
		default:
			return nil
		}
	}
}
