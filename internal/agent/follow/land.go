// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// mostSteps is how many resource configurations a way may go through, as by addresses.
const mostSteps = 8

// land is what the entries of a host say of where a name may lead: what each VPC has
// for itself, its endpoints, and where ways lead on.
type land struct {
	places map[desired.Realm]*place
	// onward are the targets of resources that are addresses of endpoints.
	onward map[netip.Addr]step
	// names are those that are followed, by their targets.
	names map[netip.Addr]*name
}

// place is what there is in one VPC.
type place struct {
	doors   map[netip.Addr]door
	router  desired.Router
	servers []netip.Addr   // addresses of its resolver
	subnets []netip.Prefix // their blocks
	pools   map[string]desired.Pool
	names   map[desired.Key]*name // that are followed from there
	routes  routes
}

// door is an address of an endpoint.
type door struct {
	target netip.Addr // where it leads to
	owner  string
}

// step is where a target leads on: an address in a VPC.
type step struct {
	realm desired.Realm
	at    netip.Addr
}

func newLand() *land {
	return &land{places: map[desired.Realm]*place{}, onward: map[netip.Addr]step{}, names: map[netip.Addr]*name{}}
}

func (l *land) place(realm desired.Realm) *place {
	p := l.places[realm]
	if p == nil {
		p = &place{doors: map[netip.Addr]door{}, pools: map[string]desired.Pool{}, names: map[desired.Key]*name{}, routes: newRoutes()}
		l.places[realm] = p
	}
	return p
}

// clear forgets all but the names.
func (l *land) clear() {
	clear(l.onward)
	for _, p := range l.places {
		clear(p.doors)
		clear(p.pools)
		p.router, p.servers, p.subnets, p.routes = desired.Router{}, nil, nil, newRoutes()
	}
}

// learn takes in what a delta says. It gives the realms of which something is known that
// was not, and reports whether ways may lead elsewhere.
func (l *land) learn(d desired.Delta) (realms map[desired.Realm]bool, ways bool) {
	realms = map[desired.Realm]bool{}
	if d.Full {
		l.clear()
		for realm := range l.places {
			realms[realm] = true
		}
		ways = true
	}
	for _, e := range d.Put {
		changed, leads := l.put(e)
		if ways = ways || leads; changed {
			realms[e.Key().Realm] = true
		}
	}
	for _, key := range d.Delete {
		changed, leads := l.drop(key)
		if ways = ways || leads; changed {
			realms[key.Realm] = true
		}
	}
	return realms, ways
}

// put takes in one entry, and reports whether the VPC has changed, and where ways lead.
func (l *land) put(e desired.Entry) (changed, ways bool) {
	switch e := e.(type) {
	case desired.Endpoint:
		l.place(e.Key().Realm).doors[e.Addr] = door{e.Target, e.Owner}
		return true, true
	case desired.Router:
		l.place(e.Key().Realm).router = e
	case desired.Nameserver:
		l.place(e.Key().Realm).servers = e.Addrs
	case desired.Resolver: // whose realm is of names
		p := l.place(desired.Realm(e.VPC))
		p.subnets = nil
		for _, z := range e.Zones {
			p.subnets = append(p.subnets, z.Prefix)
		}
	case desired.Pool:
		l.place(e.Key().Realm).pools[e.Key().ID] = e
	case desired.Table:
		l.place(e.Key().Realm).routes.tables[e.Key().ID] = e.Routes
	case desired.Steer:
		target, err := netip.ParseAddr(e.From)
		if err != nil {
			return false, false
		}
		l.place(e.Key().Realm).routes.steered[target] = e.Table
		return l.names[target] != nil, false
	case desired.Target:
		if e.Onward {
			l.onward[e.Addr] = step{e.Key().Realm, e.Dest}
			return false, true
		}
		return false, l.straight(e.Addr)
	default:
		return false, false
	}
	return true, false
}

// drop takes in that an entry is gone.
func (l *land) drop(key desired.Key) (changed, ways bool) {
	p := l.places[key.Realm]
	switch {
	case key.Kind == desired.KindTarget:
		a, err := netip.ParseAddr(key.ID)
		return false, err == nil && l.straight(a)
	case p == nil:
		return false, false
	case key.Kind == desired.KindEndpoint:
		if a, err := netip.ParseAddr(key.ID); err == nil {
			delete(p.doors, a)
		}
		return true, true
	case key.Kind == desired.KindPool:
		delete(p.pools, key.ID)
		return true, false
	case key.Kind == desired.KindTable:
		delete(p.routes.tables, key.ID)
		return true, false
	case key.Kind == desired.KindSteer:
		target, _ := netip.ParseAddr(key.ID)
		delete(p.routes.steered, target)
		return l.names[target] != nil, false
	case key.Kind == desired.KindRouter && len(p.names) == 0:
		delete(l.places, key.Realm)
	}
	return false, false
}

// straight notes that a target leads on no more, and reports whether it did.
func (l *land) straight(target netip.Addr) bool {
	_, led := l.onward[target]
	delete(l.onward, target)
	return led
}

// has says whose an address is that nothing in the VPC can answer at; empty when it is
// nobody's.
func (p *place) has(a netip.Addr) string {
	switch {
	case p == nil:
		return ""
	case slices.Contains(p.router.Gateways, a):
		return "it is the VPC's router's"
	case slices.Contains(p.servers, a):
		return "it is the VPC's resolver's"
	}
	if what := desired.Reserved(a, slices.Concat(p.subnets, p.router.Networks)); what != "" {
		return "it is " + what
	}
	for _, pool := range p.pools {
		if slices.ContainsFunc(pool.Addresses, func(b netip.Prefix) bool { return b.Contains(a) }) {
			return "it is that of a resource gateway, which only sends"
		}
	}
	return ""
}

// circles says why a name does not go on through an endpoint: the way has no end. It is
// empty when it has one. Of names on the way their endpoints count, whether they are
// gone by or not: else one would be refused only because another one is.
func (l *land) circles(n *name, at netip.Addr) string {
	been, next := []netip.Addr{n.entry.Addr}, step{n.key.Realm, at}
	for {
		d, ok := l.place(next.realm).doors[next.at]
		if !ok {
			return ""
		}
		if slices.Contains(been, d.target) {
			return "from where the way leads back to itself"
		}
		if len(been) == mostSteps {
			return fmt.Sprintf("from where the way leads on through more than %d resource configurations", mostSteps)
		}
		been = append(been, d.target)
		if next, ok = l.after(d.target); !ok {
			return ""
		}
	}
}

// after gives where a target leads on, if it does.
func (l *land) after(target netip.Addr) (step, bool) {
	if n := l.names[target]; n != nil {
		return step{n.key.Realm, n.door}, n.door.IsValid()
	}
	next, ok := l.onward[target]
	return next, ok
}
