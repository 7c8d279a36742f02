// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// heard bounds how many addresses of an answer are looked at, the smallest first.
const heard = 4 * most

// hears takes in the addresses of an answer.
func (n *name) hears(addrs []netip.Addr) {
	n.said = slices.Compact(slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare))
	n.unheard = max(0, len(n.said)-heard)
	n.said = slices.Clip(n.said[:len(n.said)-n.unheard])
	n.aim()
}

// aim notes which endpoint the name leads to.
func (n *name) aim() {
	n.door = netip.Addr{}
	if _, doors, _ := n.sort(n.said); len(doors) > 0 {
		n.door = doors[0]
	}
}

// sort gives those of some addresses that are somebody's in particular and those that
// are an endpoint's, and why nothing is sent to the first of the others, and how many
// those are.
func (n *name) sort(addrs []netip.Addr) (plain, doors []netip.Addr, refused string) {
	p, others := n.where(), 0
	for _, a := range addrs {
		why := n.entry.Refuses(a)
		if _, is := p.door(a); is && why == "" {
			doors = append(doors, a)
			continue
		}
		if why == "" {
			why = p.has(a)
		}
		if why == "" {
			why = p.strays(n.entry.Addr, a)
		}
		switch {
		case why == "":
			plain = append(plain, a)
		case refused == "":
			refused = fmt.Sprintf("%s is not gone by: %s", a, why)
		default:
			others++
		}
	}
	if others > 0 {
		refused += fmt.Sprintf("; others left out: %d", others)
	}
	return plain, doors, refused
}

// where is the VPC of the name's gateway.
func (n *name) where() *place {
	if n.land == nil {
		return nil
	}
	return n.land.place(n.key.Realm)
}

func (p *place) door(a netip.Addr) (door, bool) {
	if p == nil {
		return door{}, false
	}
	d, is := p.doors[a]
	return d, is
}

// weigh makes of what was said last what is used. All addresses are that are somebody's
// in particular; without any, the way leads on through an endpoint's, the smallest one.
// When nothing can be used, what was stays, as far as it still can be.
func (n *name) weigh() error {
	plain, doors, refused := n.sort(n.said)
	n.refused, n.onward, n.beyond = refused, false, 0
	var set []netip.Addr
	switch {
	case len(plain) > 0:
		kept := min(len(plain), most)
		n.beyond = len(plain) - kept + n.unheard
		set = plain[:kept]
		if len(doors) > 0 {
			n.refused = fmt.Sprintf("%s is not gone by: it is an endpoint's, and others of the same name are not", doors[0])
		}
	case len(doors) > 0:
		d, _ := n.where().door(doors[0])
		if why := n.land.circles(n, doors[0]); why != "" {
			n.refused = fmt.Sprintf("%s is not gone by: it is an address of endpoint %s, %s", doors[0], d.owner, why)
			break
		}
		n.onward, set = true, doors[:1]
	}
	if len(set) > 0 {
		n.set = slices.Clip(set)
		return nil
	}
	n.set, _, _ = n.sort(n.set)
	if len(n.said) == 0 {
		return nil
	}
	return errors.New("no address of the answer can be used: " + n.refused)
}

// reweighs takes in that more is known of where the name may lead.
func (n *name) reweighs() {
	if len(n.said) == 0 {
		return
	}
	n.aim()
	switch err := n.weigh(); {
	case err == nil && n.useless:
		n.useless, n.trouble, n.failures = false, "", 0
	case err != nil && (n.useless || n.trouble == ""):
		n.useless, n.trouble = true, err.Error()
	}
	n.deal()
}
