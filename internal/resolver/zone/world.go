// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"github.com/posternhq/postern/internal/desired"
)

// World is all that is answered, for all VPCs, as it was at one time. It never changes:
// With gives another one. The zero World is empty. It may be used by many goroutines.
type World struct {
	realms trie[*realm]
	public trie[*shared] // names of public zones
	// changed are the realms that the change has touched which made it.
	changed []string
}

// Changed lists all realms in which it may differ from the World that With was called on.
func (w *World) Changed() []string { return w.changed }

// realm is what has one name: a VPC, or a zone, which has records and is seen by VPCs.
type realm struct {
	name string

	placed *placed
	views  trie[text] // identifiers of zones
	apexes *apexes    // of the zones that are seen

	zone  *apex
	names trie[*node]
	seen  trie[text] // by VPCs
}

func (r *realm) key() string { return r.name }

// text is a key that has nothing.
type text string

func (t text) key() string { return string(t) }

// apex is a zone without its records.
type apex struct {
	desired.NameZone
	name     string // in wire form
	wire     []byte // the same
	negative []byte // the SOA record of zones without one
}

// node is a name that there is: it has records, or there are names below it.
type node struct {
	name  string // in wire form
	below int    // how many names there are one label further down
	sets  []*set // by type and identifier
}

func (n *node) key() string { return n.name }

// of gives the sets of a type.
func (n *node) of(kind uint16) []*set {
	if n == nil {
		return nil
	}
	from := 0
	for from < len(n.sets) && n.sets[from].kind < kind {
		from++
	}
	to := from
	for to < len(n.sets) && n.sets[to].kind == kind {
		to++
	}
	return n.sets[from:to]
}

// apexes finds the zone of a name among those that a VPC sees.
type apexes struct {
	zones map[string]string // identifiers by the zones' names in wire form
	// labels says how many labels the names have that there are.
	labels [maxLabels/64 + 1]uint64
}

// maxLabels is how many labels a name can have.
const maxLabels = 127

func (a *apexes) add(name, id string) {
	if had, ok := a.zones[name]; ok && had < id {
		return // there should be one; the choice must not depend on the order
	}
	n := labels(name)
	a.zones[name] = id
	a.labels[n/64] |= 1 << (n % 64)
}

// Realms lists the realms that have entries, in no order.
func (w *World) Realms() (list []desired.Realm) {
	for r := range w.realms.all() {
		if r.placed != nil || r.zone != nil || r.views.len() > 0 || r.names.len() > 0 {
			list = append(list, desired.Zone(r.name))
		}
	}
	return list
}

// Dump gives the entries of a realm, in no order.
func (w *World) Dump(name desired.Realm) (list []desired.Entry) {
	r := w.realms.text(name.Name())
	if r == nil || name.Sort() != desired.Zones {
		return nil
	}
	if r.placed != nil {
		list = append(list, r.placed.Resolver)
	}
	for id := range r.views.all() {
		list = append(list, desired.View{VPC: r.name, Zone: string(id)})
	}
	if r.zone != nil {
		list = append(list, r.zone.NameZone)
	}
	for n := range r.names.all() {
		for _, s := range n.sets {
			if e, err := s.entry(r.name, []byte(n.name)); err == nil { // it was printed
				list = append(list, e)
			}
		}
	}
	return list
}
