// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/wire"
)

// set is a set of records as it is answered.
type set struct {
	text string // the entry's record; empty when it can be told from the rest
	id   string // tells it from others of its name and type
	kind uint16
	// size is that of each of the records, or zero if they are not of one size.
	size  uint16
	count uint16
	// rules are set where the set is more than its records.
	rules   *rules
	records []byte
	// turn is where the next answer begins. It is no part of the value: what is
	// answered may come in any order.
	turn atomic.Uint32
}

// rules say how a set is chosen and what of it.
type rules struct {
	weighted bool
	weight   uint32
	alias    []byte // in wire form; nil when there is none
	// near are the sets of the availability zones' addresses.
	near []nearSet
}

type nearSet struct {
	zone string
	set  *set
}

// compile reads what a record has, whose name is given in wire form.
func compile(r desired.NameRecord, name []byte) (*set, error) {
	kind, err := typeOf(r.Type)
	if err != nil {
		return nil, err
	}
	s := &set{text: desired.Record(r), id: r.Set, kind: kind}
	switch {
	case r.Alias != "":
		alias, err := wire.AppendName(nil, r.Alias)
		if err != nil {
			return nil, fmt.Errorf("alias: %w", err)
		}
		s.rules = &rules{alias: alias}
	case len(r.Near) > 0:
		if err := s.addNear(r); err != nil {
			return nil, err
		}
	default:
		if err := s.addValues(r.Type, r.TTL, r.Data); err != nil {
			return nil, err
		}
	}
	if kind == wire.TypeCNAME && s.count > 1 {
		return nil, fmt.Errorf("a name has one CNAME, not %d", s.count)
	}
	if r.Weighted {
		if s.rules == nil {
			s.rules = &rules{}
		}
		s.rules.weighted, s.rules.weight = true, r.Weight
	}
	if text := desired.Record(s.plain(r.Zone, wire.NameText(name))); text == s.text {
		s.text = "" // as of most records: it would be a third of what they take
	}
	return s, nil
}

// plain is the entry of a set that has addresses and nothing else.
func (s *set) plain(zone, name string) desired.NameRecord {
	r := desired.NameRecord{Zone: zone, Name: name, Type: dns.TypeToString[s.kind]}
	if s.rules != nil || s.id != "" || s.kind != wire.TypeA && s.kind != wire.TypeAAAA {
		return r
	}
	for at := s.records; len(at) > 0; at = at[wire.RecordLen(at):] {
		r.TTL = binary.BigEndian.Uint32(at[6:])
		addr, _ := netip.AddrFromSlice(at[wire.DataAt:wire.RecordLen(at)])
		r.Data = append(r.Data, addr.String())
	}
	return r
}

// entry is what the set was made of.
func (s *set) entry(zone string, name []byte) (desired.Entry, error) {
	if s.text == "" {
		return s.plain(zone, wire.NameText(name)), nil
	}
	return desired.Parse(s.text, desired.KindRecord)
}

// same reports whether two sets were made of the same, but for zone and name.
func (s *set) same(o *set) bool { return s.text == o.text && bytes.Equal(s.records, o.records) }

func (s *set) addValues(mnemonic string, ttl uint32, values []string) error {
	if len(values) > maxValues {
		return fmt.Errorf("it has %d values, more than %d", len(values), maxValues)
	}
	var space [64]byte
	for i, value := range values {
		data, err := appendData(space[:0], mnemonic, value)
		if err != nil {
			return err
		}
		if s.records == nil {
			s.records = make([]byte, 0, len(values)*(12+len(data)))
		}
		before := len(s.records)
		s.records = wire.AppendRecord(s.records, s.kind, min(ttl, maxTTL), data)
		if size := uint16(len(s.records) - before); i == 0 {
			s.size = size
		} else if size != s.size {
			s.size = 0
		}
	}
	s.records, s.count = slices.Clip(s.records), uint16(len(values))
	return nil
}

const (
	maxValues = 4096
	maxTTL    = 1<<31 - 1 // RFC 2181 §8
)

func (s *set) addNear(r desired.NameRecord) error {
	var all []string
	zones := map[string][]string{}
	for _, n := range r.Near {
		all = append(all, n.Addr.String())
		zones[n.Zone] = append(zones[n.Zone], n.Addr.String())
	}
	if err := s.addValues(r.Type, r.TTL, all); err != nil {
		return err
	}
	s.rules = &rules{}
	for name, addrs := range zones {
		near := &set{kind: s.kind}
		if err := near.addValues(r.Type, r.TTL, addrs); err != nil {
			return err
		}
		s.rules.near = append(s.rules.near, nearSet{name, near})
	}
	slices.SortFunc(s.rules.near, func(a, b nearSet) int { return cmp.Compare(a.zone, b.zone) })
	return nil
}

func (s *set) alias() []byte {
	if s.rules == nil {
		return nil
	}
	return s.rules.alias
}

// of gives the part of a set that is for clients in an availability zone.
func (s *set) of(zone string) *set {
	if s.rules != nil && zone != "" {
		for _, n := range s.rules.near {
			if n.zone == zone {
				return n.set
			}
		}
	}
	return s
}

// appendTo appends the records to an answer, each time beginning with another one.
func (s *set) appendTo(a *wire.Answer) {
	switch s.count {
	case 0:
		return
	case 1:
		a.Append(s.records)
		return
	}
	start := s.at(int(s.turn.Add(1) % uint32(s.count)))
	appendAll(a, s.records[start:])
	appendAll(a, s.records[:start])
}

// at is where a record begins.
func (s *set) at(n int) (at int) {
	if s.size != 0 {
		return n * int(s.size)
	}
	for range n {
		at += wire.RecordLen(s.records[at:])
	}
	return at
}

func appendAll(a *wire.Answer, records []byte) {
	for len(records) > 0 {
		n := wire.RecordLen(records)
		if !a.Append(records[:n]) {
			return
		}
		records = records[n:]
	}
}

// placed is a resolver as entries have it, with what is found in it quickly.
type placed struct {
	desired.Resolver
	internal []byte               // in wire form; nil when the VPC has no such domain
	narrow   []desired.ZonePrefix // the longest first
}

func place(r desired.Resolver) (*placed, error) {
	p := &placed{Resolver: r}
	if r.Internal != "" {
		var err error
		if p.internal, err = wire.AppendName(nil, r.Internal); err != nil {
			return nil, fmt.Errorf("internal domain: %w", err)
		}
	}
	p.narrow = slices.Clone(r.Zones)
	slices.SortFunc(p.narrow, func(a, b desired.ZonePrefix) int {
		return cmp.Or(b.Prefix.Bits()-a.Prefix.Bits(), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	return p, nil
}

// zoneOf is the availability zone of a client; empty if it is in none.
func (p *placed) zoneOf(client netip.Addr) string {
	for _, z := range p.narrow {
		if z.Prefix.Contains(client) {
			return z.Zone
		}
	}
	return ""
}
