// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"time"
)

// ElasticAddress is a public IPv4 address of an account's, which it can give to an
// address of a network interface.
type ElasticAddress struct {
	Meta
	Addr netip.Addr `json:"addr"`
	// Association is empty while nothing has the address.
	Association string `json:"association,omitempty"`
	// Interface and Private are what has it: an address of a network interface.
	Interface string     `json:"interface,omitempty"`
	Private   netip.Addr `json:"private,omitzero"`
}

// Clone copies the row so that the copy can be changed.
func (e *ElasticAddress) Clone() *ElasticAddress { c := *e; c.Meta = e.Meta.clone(); return &c }

// PublicClaim holds an address of the public pool, of whatever account.
type PublicClaim struct {
	Addr netip.Addr `json:"addr"`
	// Owner is an elastic address, or a network interface that has a public address for
	// as long as it is attached.
	Owner Ref `json:"owner"`
	// ReleasedAt is set when the owner has given the address up and the data plane may
	// still have it: nobody else gets it before the claim is gone.
	ReleasedAt time.Time `json:"releasedAt,omitzero"`
}

// Released reports whether the owner has given the address up.
func (p *PublicClaim) Released() bool { return !p.ReleasedAt.IsZero() }

// Ref names the row.
func (p *PublicClaim) Ref() Ref { return Ref{ID: p.Addr.String()} }

// Clone copies the row so that the copy can be changed.
func (p *PublicClaim) Clone() *PublicClaim { c := *p; return &c }
