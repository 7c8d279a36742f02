// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/resolver/wire"
)

// shared is a name that public zones have, which may have the same one: those of the
// endpoints of all VPCs are called alike.
type shared struct {
	name  string   // in wire form
	there int      // how many zones have it, or are called so, or have or are a name below it
	heads int      // how many zones are called so
	zones []string // the realms of those that have records of it, in order
}

func (s *shared) key() string { return s.name }

func (r *realm) public() bool { return r.zone.public() }

func (z *apex) public() bool { return z != nil && z.Public }

// publish counts the names of a realm, as those of a zone with the name of z, once more
// or once less. It does nothing if that is not public.
func (c *change) publish(r *realm, z *apex, more int) {
	if !z.public() {
		return
	}
	for n := range r.names.all() {
		if more < 0 {
			c.hold(n.name, r.name, false)
		}
		c.count(n.name, more)
		if more > 0 && len(n.sets) > 0 {
			c.hold(n.name, r.name, true)
		}
	}
	c.head(z.name, more)
	for name := z.name; ; name = parent(name) {
		c.count(name, more)
		if name == "\x00" {
			return
		}
	}
}

// count says how many zones more have a name.
func (c *change) count(name string, more int) {
	s := c.shared(name)
	if s.there += more; s.there == 0 {
		c.public = c.public.remove(c.by, name)
		return
	}
	c.public = c.public.put(c.by, s)
}

// head says how many zones more are called so. The name is counted besides.
func (c *change) head(name string, more int) {
	s := c.shared(name)
	s.heads += more
	c.public = c.public.put(c.by, s)
}

// hold says whether a zone has records of a name that is counted.
func (c *change) hold(name, zone string, has bool) {
	s := c.shared(name)
	i, had := slices.BinarySearch(s.zones, zone)
	switch {
	case has && !had:
		s.zones = slices.Insert(slices.Clone(s.zones), i, zone)
	case had && !has:
		s.zones = slices.Delete(slices.Clone(s.zones), i, i+1)
	default:
		return
	}
	c.public = c.public.put(c.by, s)
}

// shared gives a name that may be changed.
func (c *change) shared(name string) *shared {
	s := &shared{name: name}
	if had := c.public.text(name); had != nil {
		*s = *had
	}
	return s
}

// Authority is a domain that is answered for with authority, to whoever asks: what
// public zones have below it, and the records that a domain must have (RFC 1034 §4.2.1).
type Authority struct {
	domain   []byte // in wire form, as the names that follow
	server   []byte // the name of the server
	soa, ns  []byte // the records of the domain
	negative []byte // the SOA record that says that there is nothing
	addrs    map[uint16][]byte
}

// The domain's own records may be kept for authorityTTL seconds, and that a name is not
// there for authorityNegative: somebody who asks a moment too early is to find it soon.
const (
	authorityTTL      = 900
	authorityNegative = 5
)

// NewAuthority answers for a domain, given in Route 53's form, at some addresses.
func NewAuthority(domain string, addrs []netip.Addr) (*Authority, error) {
	name, err := wire.AppendName(nil, domain)
	if err != nil {
		return nil, fmt.Errorf("domain %q: %w", domain, err)
	}
	of := &Authority{domain: name, server: append([]byte("\x02ns"), name...), addrs: map[uint16][]byte{}}
	data := append(slices.Concat(of.server, []byte("\x0ahostmaster")), name...)
	for _, n := range []uint32{1, 7200, 900, 1209600, authorityNegative} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	of.soa = wire.AppendRecord(nil, wire.TypeSOA, authorityTTL, data)
	of.negative = wire.AppendRecord(nil, wire.TypeSOA, authorityNegative, data)
	of.ns = wire.AppendRecord(nil, wire.TypeNS, authorityTTL, of.server)
	for _, a := range addrs {
		kind := uint16(wire.TypeAAAA)
		if a.Is4() {
			kind = wire.TypeA
		}
		of.addrs[kind] = wire.AppendRecord(of.addrs[kind], kind, authorityTTL, a.AsSlice())
	}
	return of, nil
}

// Published answers a question from outside into a.Answer, which the caller has begun:
// with what the public zones have, with an error that there is no such name, and with a
// refusal if the name is none of the domain's. It allocates nothing, and asks nobody.
func (w *World) Published(a *Ask, of *Authority) {
	name, kind := a.Question.Name, a.Question.Type
	if !liesIn(name, of.domain) {
		a.end(wire.Refused)
		return
	}
	there := true
	switch {
	case bytes.Equal(name, of.domain):
		switch kind {
		case wire.TypeSOA:
			a.Answer.Append(of.soa)
		case wire.TypeNS:
			a.Answer.Append(of.ns)
		}
	case bytes.Equal(name, of.server):
		appendAll(&a.Answer, of.addrs[kind])
	default:
		s := w.public.get(name)
		there = s != nil
		w.shared(a, s)
	}
	switch {
	case !a.Answer.Empty():
		a.end(wire.NoError)
	case there && kind == wire.TypeANY: // as short as can be: anybody can ask, in anybody's name
		a.Answer.Append(rfc8482)
		a.end(wire.NoError)
	default:
		a.Answer.AppendOf(of.domain, of.negative, true)
		a.Code = wire.NoError
		if !there {
			a.Code = wire.NameError
		}
	}
}

// Public answers a question into a.Answer, which the caller has begun, with what public
// zones have, and reports whether the name lies in one of them: nobody else is to be
// asked for it then. Without a record, a.Code says whether the name is there.
func (w *World) Public(a *Ask) bool {
	s := w.public.get(a.Question.Name)
	if a.Code = wire.NoError; s == nil {
		a.Code = wire.NameError
	}
	w.shared(a, s)
	for name := a.Question.Name; ; name = wire.Parent(name) {
		if s := w.public.get(name); s != nil && s.heads > 0 {
			return true
		}
		if name[0] == 0 {
			return false
		}
	}
}

// shared appends the records of the question's type that public zones have of a name.
func (w *World) shared(a *Ask, s *shared) {
	if s == nil {
		return
	}
	for _, id := range s.zones {
		r := w.realms.text(id)
		if r == nil {
			continue
		}
		for _, set := range r.names.text(s.name).of(a.Question.Type) {
			set.appendTo(&a.Answer)
		}
	}
}

// liesIn reports whether a name is a domain's, or below it.
func liesIn(name, domain []byte) bool {
	for len(name) > len(domain) {
		name = wire.Parent(name)
	}
	return bytes.Equal(name, domain)
}
