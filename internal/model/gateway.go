// SPDX-License-Identifier: Apache-2.0

package model

// InternetGateway is the way of a VPC to the outside and back, by public addresses.
type InternetGateway struct {
	Meta
	// VPC is empty while the gateway is attached to none.
	VPC string `json:"vpc,omitempty"`
}

// Clone copies the row so that the copy can be changed.
func (g *InternetGateway) Clone() *InternetGateway { c := *g; c.Meta = g.Meta.clone(); return &c }

// EgressOnlyGateway is the way of a VPC to the outside by IPv6, by which nobody comes in.
type EgressOnlyGateway struct {
	Meta
	VPC string `json:"vpc"`
}

// Clone copies the row so that the copy can be changed.
func (g *EgressOnlyGateway) Clone() *EgressOnlyGateway { c := *g; c.Meta = g.Meta.clone(); return &c }
