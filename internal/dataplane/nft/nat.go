// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	_ "embed"
	"fmt"
	"net/netip"
	"strings"
	"text/template"

	"github.com/posternhq/postern/internal/desired"
)

//go:embed nat.nft
var natText string

var natTemplate = template.Must(template.New("nat.nft").Parse(natText))

// natPorts is how many connections an address of a NAT gateway has to one destination
// (docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html): so many ports,
// the uppermost ones. lastPort is the last of all.
const (
	natPorts = 55000
	lastPort = 65535
)

// natValue is what the rules of NAT gateways differ in.
type natValue struct {
	Addresses   []netip.Addr
	First, Last int
	Client      census
}

// NewNAT gives the rules of a NAT gateway, each of whose addresses has so many ports,
// zero meaning as many as on AWS, and each of whose clients has so many connections.
func NewNAT(n desired.NAT, ports, client int) (Fixed, error) {
	if ports == 0 {
		ports = natPorts
	}
	for _, a := range n.Addresses {
		if !a.Is4() {
			return Fixed{}, fmt.Errorf("address %s of %s is not one of IPv4", a, n.ID)
		}
	}
	said := []string{sayVPC + n.VPC}
	for _, a := range n.Addresses {
		said = append(said, sayAddress+a.String())
	}
	for _, a := range n.Draining {
		said = append(said, sayDraining+a.String())
	}
	return fixed(natTemplate, natValue{n.Addresses, lastPort - ports + 1, lastPort, newCensus(client)}, said...)
}

// What is said of a NAT gateway begins with one of these.
const (
	sayVPC      = "vpc="
	sayAddress  = "address="
	sayDraining = "draining="
)

// ParseNAT reads what the rules of a NAT gateway say; ok is false when they are not of
// one.
func ParseNAT(id string, said []string) (n desired.NAT, ok bool) {
	n = desired.NAT{ID: id}
	for _, s := range said {
		if vpc, is := strings.CutPrefix(s, sayVPC); is {
			n.VPC, ok = vpc, true
		} else if text, is := strings.CutPrefix(s, sayAddress); is {
			if a, err := netip.ParseAddr(text); err == nil {
				n.Addresses = append(n.Addresses, a)
			}
		} else if text, is := strings.CutPrefix(s, sayDraining); is {
			if a, err := netip.ParseAddr(text); err == nil {
				n.Draining = append(n.Draining, a)
			}
		}
	}
	return n, ok
}

// NATUse says what a NAT gateway has of connection tracking, and what it has seen.
type NATUse struct {
	// Connections are those that are remembered, Room is how many can be.
	Connections, Room int
	// Lost counts first packets for which there was no port or no room.
	Lost uint64
	// Attempts counts connections that were let out, Late packets of TCP that came when
	// their connection was forgotten, Dropped what was for nobody.
	Attempts, Late, Dropped uint64
	// Refused counts connections of clients that had their share of the gateway.
	Refused uint64
}

// NATUse asks the kernel.
func (t *Table) NATUse(ctx context.Context) (NATUse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var u Use
	err := ctx.Err()
	if err == nil {
		err = t.connect()
	}
	if err == nil {
		err = u.readTracking(t.conn)
	}
	n := NATUse{Connections: u.Connections, Room: u.Room, Lost: u.Lost}
	if err == nil {
		err = readCounters(t.conn, map[string]*uint64{"attempts": &n.Attempts, "late": &n.Late, "dropped": &n.Dropped, "client": &n.Refused})
	}
	if err != nil {
		t.forget()
		return NATUse{}, fmt.Errorf("read use of a nat gateway: %w", err)
	}
	return n, nil
}
