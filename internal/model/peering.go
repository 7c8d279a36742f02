// SPDX-License-Identifier: Apache-2.0

package model

import "time"

// The codes of a peering connection's life. A request is made and found right or wrong in
// one go, and what was accepted is active at once: the codes that EC2 has for the time
// between are not kept.
const (
	PeeringPending  = "pending-acceptance"
	PeeringActive   = "active"
	PeeringFailed   = "failed"
	PeeringExpired  = "expired"
	PeeringRejected = "rejected"
	PeeringDeleted  = "deleted"
)

// PeeringConnection lets two VPCs of a region reach each other by their own addresses. Each
// of the two accounts has a row of it with the same id, with tags of its own; they differ in
// nothing else but how long they are shown. One account that has both VPCs has one row, and
// of a request that failed only who made it has one.
type PeeringConnection struct {
	Meta
	Requester PeeringSide `json:"requester"`
	Accepter  PeeringSide `json:"accepter"`
	// Code is one of those above, and Message says it to people.
	Code    string `json:"code"`
	Message string `json:"message"`
	// ExpiresAt is until when it can be accepted.
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// EndedAt is when it failed, expired, or was rejected or deleted, and EndedBy the account
	// that did the latter two.
	EndedAt time.Time `json:"endedAt,omitzero"`
	EndedBy string    `json:"endedBy,omitempty"`
}

// PeeringSide is one of the two VPCs.
type PeeringSide struct {
	Account string `json:"account"`
	VPC     string `json:"vpc"`
	// RemoteDNS lets the other side resolve public names of this one to private addresses.
	RemoteDNS bool `json:"remoteDns,omitempty"`
}

// Sides are both VPCs, the requester's first.
func (p *PeeringConnection) Sides() [2]PeeringSide { return [2]PeeringSide{p.Requester, p.Accepter} }

// Asks reports whether the row is that of who asked for the connection.
func (p *PeeringConnection) Asks() bool { return p.Account == p.Requester.Account }

// IsAsked reports whether the row is that of who may accept the connection.
func (p *PeeringConnection) IsAsked() bool { return p.Account == p.Accepter.Account }

// Has reports whether a side's VPC is of the row's account.
func (p *PeeringConnection) Has(s PeeringSide) bool { return s.Account == p.Account }

// VPCOf names a side's VPC.
func (p *PeeringConnection) VPCOf(s PeeringSide) Ref {
	return Ref{Account: s.Account, Region: p.Region, ID: s.VPC}
}

// Of names the row that an account has of the connection.
func (p *PeeringConnection) Of(account string) Ref {
	return Ref{Account: account, Region: p.Region, ID: p.ID}
}

// Across gives the VPC on the other side of one; false when that is none of the two.
func (p *PeeringConnection) Across(vpc Ref) (Ref, bool) {
	sides := p.Sides()
	for i, s := range sides {
		if p.VPCOf(s) == vpc {
			return p.VPCOf(sides[1-i]), true
		}
	}
	return Ref{}, false
}

// Active reports whether packets may pass.
func (p *PeeringConnection) Active() bool { return p.Code == PeeringActive }

// Live reports whether it is active or may become so.
func (p *PeeringConnection) Live() bool { return p.Active() || p.Code == PeeringPending }

// How long a request waits, and one that came to its end is shown
// (https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html).
const (
	PeeringPatience = 7 * 24 * time.Hour
	peeringShort    = 2 * time.Hour
	peeringLong     = 2 * 24 * time.Hour
)

// NextAt is when something becomes of the row by itself: a request expires, and what has
// ended is not shown any more. It is the zero time for an active one.
func (p *PeeringConnection) NextAt() time.Time {
	switch {
	case p.Code == PeeringPending:
		return p.ExpiresAt
	case p.Active():
		return time.Time{}
	case p.Code == PeeringExpired, p.EndedBy != "" && p.EndedBy != p.Account:
		return p.EndedAt.Add(peeringLong)
	}
	return p.EndedAt.Add(peeringShort)
}

// End notes how the connection came to its end; by is empty when nobody ended it.
func (p *PeeringConnection) End(code, message, by string, now time.Time) {
	p.Code, p.Message, p.EndedBy, p.EndedAt = code, message, by, now
	p.ExpiresAt = time.Time{}
}

// Clone copies the row so that the copy can be changed.
func (p *PeeringConnection) Clone() *PeeringConnection {
	c := *p
	c.Meta = p.Meta.clone()
	return &c
}
