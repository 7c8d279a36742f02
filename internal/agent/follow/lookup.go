// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Question asks for the addresses of a name.
type Question struct {
	// Name is absolute and in Route 53's form, as in entries.
	Name string
	// IPv6 asks for AAAA and not for A.
	IPv6 bool
	// VPC is the one whose resolver answers, as a workload there would hear it. It is
	// empty for the public view, which is the host's upstream.
	VPC string
}

// Answer is all addresses of a name.
type Answer struct {
	Addrs []netip.Addr
	// TTL is the least of the records that lead from the name to the addresses.
	TTL time.Duration
}

// ErrNone says that there is no such name, or that it has no address of the family
// asked for: NXDOMAIN and NODATA (RFC 2308). Every other error says that it is not
// known.
var ErrNone = errors.New("the name has no such address")

// Lookup looks names up. It may be called from many goroutines and heeds its context.
type Lookup interface {
	// Lookup gives what a name resolves to now. An answer may come from a cache, with
	// the time that is left to it, but not from one that keeps it beyond that.
	Lookup(ctx context.Context, q Question) (Answer, error)
}

// Prober asks whether something answers at an address.
type Prober interface {
	// Probe opens a connection from a gateway of a VPC's router and closes it again. It
	// heeds its context and may be called from many goroutines.
	Probe(ctx context.Context, vpc string, gateway netip.Addr, to netip.AddrPort) error
}

// Watcher tells of addresses at which connections of others fail.
type Watcher interface {
	// Watch calls failed with each of some addresses to which a VPC's router has opened a
	// connection that was not answered, or was refused, until ctx is done or it cannot.
	Watch(ctx context.Context, vpc string, addrs []netip.Addr, failed func(netip.Addr)) error
}
