// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/wire"
)

// With gives the world with some entries put in and others taken away after that, of
// which only the key counts. The order in which entries come, in one call or several,
// makes no difference: a view of a zone that is not there yet shows nothing. What is
// wrong with entries is returned by their keys; all the others are done. It costs as
// much as is changed, however much there is.
func (w *World) With(put, del []desired.Entry) (*World, map[desired.Key]error) {
	c := change{by: &edit{}, realms: w.realms, public: w.public, own: map[string]*realm{}, turned: map[string]bool{}, failed: map[desired.Key]error{}}
	for _, e := range put {
		if err := c.put(e); err != nil {
			c.failed[e.Key()] = fmt.Errorf("put %s: %w", e.Key(), err)
		}
	}
	for _, e := range del {
		if err := c.remove(e.Key()); err != nil {
			c.failed[e.Key()] = fmt.Errorf("delete %s: %w", e.Key(), err)
		}
	}
	for vpc := range c.turned {
		c.find(vpc)
	}
	changed := make([]string, 0, len(c.own))
	for name, r := range c.own {
		changed = append(changed, name)
		if r.empty() {
			c.realms = c.realms.remove(c.by, name)
		}
	}
	if len(c.failed) == 0 {
		c.failed = nil
	}
	return &World{realms: c.realms, public: c.public, changed: changed}, c.failed
}

func (r *realm) empty() bool {
	return r.placed == nil && r.zone == nil && r.views.len() == 0 && r.names.len() == 0 && r.seen.len() == 0
}

// change is a world that comes to be.
type change struct {
	by     *edit
	realms trie[*realm]
	public trie[*shared]
	own    map[string]*realm // those that are ours to change
	turned map[string]bool   // VPCs whose zones are others now
	failed map[desired.Key]error
}

var errKind = errors.New("it is no entry of names")

func (c *change) put(e desired.Entry) error {
	switch e := e.(type) {
	case desired.Resolver:
		p, err := place(e)
		if err == nil {
			c.realm(e.VPC).placed = p
		}
		return err
	case desired.View:
		r, z := c.realm(e.VPC), c.realm(e.Zone)
		r.views, z.seen = r.views.put(c.by, text(e.Zone)), z.seen.put(c.by, text(e.VPC))
		c.turned[e.VPC] = true
		return nil
	case desired.NameZone:
		z, err := compileZone(e)
		if err == nil {
			c.putZone(e.ID, z)
		}
		return err
	case desired.NameRecord:
		return c.putRecord(e)
	}
	return errKind
}

func (c *change) remove(k desired.Key) error {
	name := k.Realm.Name()
	if k.Realm.Sort() != desired.Zones || c.realms.text(name) == nil {
		return c.check(k)
	}
	r := c.realm(name)
	switch k.Kind {
	case desired.KindResolver:
		r.placed = nil
	case desired.KindView:
		z := c.realm(k.ID)
		r.views, z.seen = r.views.remove(c.by, k.ID), z.seen.remove(c.by, name)
		c.turned[name] = true
	case desired.KindZone:
		c.putZone(name, nil)
	case desired.KindRecord:
		return c.removeRecord(r, k.ID)
	}
	return c.check(k)
}

// check says whether a key can be that of an entry of names.
func (c *change) check(k desired.Key) error {
	switch k.Kind {
	case desired.KindResolver, desired.KindView, desired.KindZone, desired.KindRecord:
		return nil
	}
	return errKind
}

// realm gives a realm that may be changed.
func (c *change) realm(name string) *realm {
	if r := c.own[name]; r != nil {
		return r
	}
	r := &realm{name: name}
	if had := c.realms.text(name); had != nil {
		*r = *had
	}
	c.own[name], c.realms = r, c.realms.put(c.by, r)
	return r
}

// find has the zones found that a VPC sees.
func (c *change) find(vpc string) {
	r := c.realm(vpc)
	r.apexes = &apexes{zones: make(map[string]string, r.views.len())}
	for id := range r.views.all() {
		if z := c.realms.text(string(id)); z != nil && z.zone != nil {
			r.apexes.add(z.zone.name, z.name)
		}
	}
}

// putZone puts a zone, or takes it away when z is nil.
func (c *change) putZone(id string, z *apex) {
	r := c.realm(id)
	renamed := (r.zone == nil) != (z == nil) || z != nil && r.zone.name != z.name
	if renamed || r.public() != z.public() {
		c.publish(r, r.zone, -1)
		c.publish(r, z, 1)
	}
	r.zone = z
	if !renamed {
		return
	}
	for vpc := range r.seen.all() {
		c.turned[string(vpc)] = true
	}
}

func compileZone(e desired.NameZone) (*apex, error) {
	name, err := wire.AppendName(nil, e.Name)
	if err != nil {
		return nil, err
	}
	return &apex{e, string(name), name, startOfAuthority(name, e.Negative)}, nil
}

// startOfAuthority makes the SOA record of a zone that has none, such as that it may be
// kept for some seconds that a name is not there.
func startOfAuthority(zone []byte, negative uint32) []byte {
	data := append(slices.Clone(zone), "\x0ahostmaster"...)
	data = append(data, zone...)
	for _, n := range []uint32{1, 7200, 900, 1209600, negative} { // as Route 53 has them
		data = binary.BigEndian.AppendUint32(data, n)
	}
	if len(zone) > 200 { // no room for a label more
		data = slices.Concat(zone, zone, data[2*len(zone)+11:])
	}
	return wire.AppendRecord(nil, wire.TypeSOA, negative, data)
}

func (c *change) putRecord(e desired.NameRecord) error {
	name, err := wire.AppendName(nil, e.Name)
	if err != nil {
		return err
	}
	s, err := compile(e, name)
	if err != nil {
		return err
	}
	r := c.realm(e.Zone)
	n := c.node(r, string(name))
	i, had := n.place(s.kind, s.id)
	switch {
	case had && n.sets[i].same(s):
		return nil
	case had:
		n.sets = slices.Clone(n.sets)
		n.sets[i] = s
	default:
		n.sets = slices.Insert(slices.Clone(n.sets), i, s)
		if len(n.sets) == 1 && r.public() {
			c.hold(n.name, r.name, true)
		}
	}
	return nil
}

// place says where a set is or would be.
func (n *node) place(kind uint16, id string) (int, bool) {
	return slices.BinarySearchFunc(n.sets, id, func(s *set, id string) int {
		return cmp.Or(cmp.Compare(s.kind, kind), cmp.Compare(s.id, id))
	})
}

// node gives a name that may be changed. What there was not there is now, with all
// names above it.
func (c *change) node(r *realm, name string) *node {
	n := &node{name: name}
	if had := r.names.text(name); had != nil {
		*n = *had
	} else if name != "\x00" {
		c.node(r, parent(name)).below++
	}
	if r.public() && r.names.text(name) == nil {
		c.count(name, 1)
	}
	r.names = r.names.put(c.by, n)
	return n
}

func (c *change) removeRecord(r *realm, id string) error {
	of, rest, _ := strings.Cut(id, "/")
	mnemonic, set, _ := strings.Cut(rest, "/")
	kind, err := typeOf(mnemonic)
	if err != nil {
		return nil // there is none
	}
	name, err := wire.AppendName(nil, of)
	if err != nil {
		return nil
	}
	had := r.names.get(name)
	if had == nil {
		return nil
	}
	i, ok := had.place(kind, set)
	if !ok {
		return nil
	}
	n := c.node(r, string(name))
	n.sets = slices.Delete(slices.Clone(n.sets), i, i+1)
	if len(n.sets) == 0 {
		n.sets = nil
		if r.public() {
			c.hold(n.name, r.name, false)
		}
	}
	for len(n.sets) == 0 && n.below == 0 {
		r.names = r.names.remove(c.by, n.name)
		if r.public() {
			c.count(n.name, -1)
		}
		if n.name == "\x00" {
			break
		}
		n = c.node(r, parent(n.name))
		n.below--
	}
	return nil
}

// parent is a name in wire form without its first label.
func parent(name string) string { return name[int(name[0])+1:] }

func labels(name string) (n int) {
	for name != "\x00" {
		name, n = parent(name), n+1
	}
	return n
}
