// SPDX-License-Identifier: Apache-2.0

// Package server answers questions over sockets that it is given: those of all VPCs,
// with a few threads. What a World has is answered at once, the rest by an Upstream.
package server

import (
	"net/netip"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// Onward is a question that no zone of a VPC answers.
type Onward struct {
	VPC string
	// Client is who asked; invalid when nobody's packet did.
	Client netip.Addr
	// Servers are the VPC's own servers, to be asked in place of the host's; none in
	// most VPCs.
	Servers []netip.Addr
	// Name is in wire form and small letters. It belongs to the callee.
	Name []byte
	Type uint16
	// Unchecked and Signed are the bits CD and DO of the question.
	Unchecked, Signed bool
}

// Upstream answers what no zone has.
type Upstream interface {
	// Ask answers a question. It must not block: what is not known yet is said later, by
	// another goroutine. It calls done exactly once, also when nobody answers, with
	// the code wire.ServerFailure. The records that it gives stay as they are; their
	// TTL is what is left of it.
	Ask(question Onward, done func(wire.Reply))
}

// Socket is a socket that questions come from.
type Socket struct {
	// FD is bound to the address that is served: a datagram socket, or with Stream a
	// listening one. It is the server's from Add on, which closes it.
	FD     int
	Stream bool
	// VPC is whose names are answered.
	VPC string
	// Authoritative sockets answer for the VPC's zones only, and as their owner; they
	// ask nobody.
	Authoritative bool
}
