// SPDX-License-Identifier: Apache-2.0

package model

import (
	"net/netip"
	"slices"
	"time"
)

// NATGateway lets those without public addresses out, by its own, and nobody in.
type NATGateway struct {
	Meta
	VPC    string `json:"vpc"`
	Subnet string `json:"subnet"`
	// Interface is the gateway's network interface; empty when there could not be one.
	Interface string `json:"interface,omitempty"`
	// Private says that its addresses have no public ones.
	Private bool `json:"private,omitempty"`
	// Addresses are the gateway's, the primary one first.
	Addresses []NATAddress `json:"addresses,omitempty"`
	// FailureCode and FailureMessage say why the gateway could not be made, in the words
	// of EC2.
	FailureCode    string `json:"failureCode,omitempty"`
	FailureMessage string `json:"failureMessage,omitempty"`
	// GoneAt is when the gateway had failed or was gone. It is shown for a while.
	GoneAt time.Time `json:"goneAt,omitzero"`
}

// NATAddress is an address of a NAT gateway.
type NATAddress struct {
	Private netip.Addr `json:"private"`
	// Allocation is the id of the elastic address that it has outside.
	Allocation string `json:"allocation,omitempty"`
	// Generation is that of the gateway from which on it has the address.
	Generation int64 `json:"generation,omitempty"`
	// GivenUpAt is when the address was asked to go; what goes by it may end until
	// DrainedAt.
	GivenUpAt time.Time `json:"givenUpAt,omitzero"`
	DrainedAt time.Time `json:"drainedAt,omitzero"`
}

// GivenUp reports whether the address was asked to go.
func (a NATAddress) GivenUp() bool { return !a.GivenUpAt.IsZero() }

// DrainsAt is when the first of the addresses that were given up is to go; the zero time
// when there is none, or the gateway goes as a whole.
func (n *NATGateway) DrainsAt() (first time.Time) {
	if n.Gone() || n.Deleting() {
		return first
	}
	for _, a := range n.Addresses {
		if a.GivenUp() && (first.IsZero() || a.DrainedAt.Before(first)) {
			first = a.DrainedAt
		}
	}
	return first
}

// Gone reports whether nothing is there of the gateway any more but that it is shown.
func (n *NATGateway) Gone() bool { return !n.GoneAt.IsZero() }

// natGatewayLife is how long a gateway that is gone is shown
// (https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html).
const natGatewayLife = time.Hour

// ShownUntil is when a gateway that is gone is not shown any more; the zero time for
// others.
func (n *NATGateway) ShownUntil() time.Time {
	if !n.Gone() {
		return time.Time{}
	}
	return n.GoneAt.Add(natGatewayLife)
}

// Clone copies the row so that the copy can be changed.
func (n *NATGateway) Clone() *NATGateway {
	c := *n
	c.Meta = n.Meta.clone()
	c.Addresses = slices.Clone(n.Addresses)
	return &c
}
