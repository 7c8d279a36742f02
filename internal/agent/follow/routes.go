// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/posternhq/postern/internal/desired"
)

// routes are the ways out of a VPC for what comes to transit targets there.
type routes struct {
	// tables are the routes of tables by their numbers, besides the local ones.
	tables map[string][]desired.TableRoute
	// steered are the tables that count for targets. For all others only what is local
	// is reached.
	steered map[netip.Addr]uint32
}

func newRoutes() routes {
	return routes{tables: map[string][]desired.TableRoute{}, steered: map[netip.Addr]uint32{}}
}

// to gives the most specific route to an address for what comes to a target, if there is
// one.
func (r routes) to(target, a netip.Addr) (best desired.TableRoute, found bool) {
	number, steered := r.steered[target]
	if !steered {
		return best, false
	}
	for _, route := range r.tables[strconv.FormatUint(uint64(number), 10)] {
		if route.Prefix.Contains(a) && (!found || route.Prefix.Bits() > best.Prefix.Bits()) {
			best, found = route, true
		}
	}
	return best, found
}

// strays says why the VPC's routes do not lead a resource gateway to an address; empty
// when they do, or nothing is known of the VPC yet. The addresses of gateways have no
// public ones, which IPv4 needs to leave by an internet gateway.
func (p *place) strays(target, a netip.Addr) string {
	if p == nil || len(p.router.Networks) == 0 {
		return ""
	}
	route, found := p.routes.to(target, a)
	local := slices.ContainsFunc(p.router.Networks, func(block netip.Prefix) bool { // unless a route comes before it
		return block.Contains(a) && !(found && block.Bits() <= route.Prefix.Bits() && block.Contains(route.Prefix.Addr()))
	})
	switch {
	case local:
		return ""
	case !found:
		return "the route table of the gateway's subnet has no route there"
	case route.To == desired.Unreachable:
		return "the route of the gateway's subnet to " + route.Prefix.String() + " leads to something that is gone or forwards nothing"
	case route.To == desired.Outside && a.Is4():
		return "the route of the gateway's subnet to " + route.Prefix.String() + " leads to an internet gateway, and resource gateways have no public address; it must lead to a NAT gateway"
	}
	return ""
}
