// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Resolver is what a VPC's resolver knows of the VPC itself. Its realm, the zone of
// that VPC's name, has the views of the VPC too.
type Resolver struct {
	VPC string
	// Off says that the VPC has DNS support switched off: every question is refused.
	Off bool
	// Networks are the CIDR blocks of the VPC, the primary one first, whose third address
	// is the resolver's: names of addresses in them exist, and reverse zones of theirs
	// are answered here.
	Networks []netip.Prefix
	// Internal is the domain of the names of addresses, such as ec2.internal. It is
	// empty when the VPC has none.
	Internal string
	// Servers are whom workloads of the VPC ask, when that is not the resolver alone: so
	// are names looked up that its gateways follow. The resolver answers workloads without
	// them; it may be one of them, by an address of its own. None in most VPCs.
	Servers []netip.Addr
	// Zones are the availability zones that clients are in, by the blocks of subnets.
	Zones []ZonePrefix
}

// ZonePrefix says which availability zone a block is in.
type ZonePrefix struct {
	Prefix netip.Prefix
	Zone   string
}

// ZoneAddr is an address that belongs to an availability zone.
type ZoneAddr struct {
	Addr netip.Addr
	Zone string
}

// KindResolver is the kind of Resolver.
var KindResolver = ours(Description[Resolver]{
	Name: "resolver", Stage: StageMeans, Sort: Zones, Spell: (*Resolver).spell, Ends: EndsNothing[Resolver], Turns: TurnsNothing[Resolver],
	Examples: []Resolver{{
		VPC: "vpc-1", Off: true, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, Internal: "ec2.internal",
		Servers: []netip.Addr{netip.MustParseAddr("10.0.1.53")}, Zones: []ZonePrefix{{netip.MustParsePrefix("10.0.1.0/24"), "us-east-1a"}},
	}},
})

// Key implements Entry.
func (r Resolver) Key() Key { return Key{Zone(r.VPC), KindResolver, rootID} }

// String implements Entry.
func (r Resolver) String() string {
	s := spell(make([]byte, 0, usual), r.Key())
	r.spell(&s)
	return s.String()
}

func (r *Resolver) spell(s *Spelling) {
	s.Realm(&r.VPC)
	s.self()
	s.Flag("off", &r.Off)
	s.Prefixes("networks", &r.Networks)
	s.Name("internal", &r.Internal)
	s.Addrs("servers", &r.Servers)
	spellList(s, "zones", &r.Zones, parseZonePrefix, func(b []byte, z ZonePrefix) []byte {
		return appendName(append(z.Prefix.AppendTo(b), '@'), z.Zone, ",")
	})
}

// View lets a VPC see a zone.
type View struct{ VPC, Zone string }

// KindView is the kind of View.
var KindView = ours(Description[View]{
	Name: "view", Stage: StageAllow, Sort: Zones, Spell: (*View).spell, Ends: EndsNothing[View], Turns: TurnsNothing[View],
	Examples: []View{{VPC: "vpc-1", Zone: "Z1"}},
})

// Key implements Entry.
func (v View) Key() Key { return Key{Zone(v.VPC), KindView, v.Zone} }

// String implements Entry.
func (v View) String() string {
	s := spell(make([]byte, 0, usual), v.Key())
	v.spell(&s)
	return s.String()
}

func (v *View) spell(s *Spelling) {
	s.Realm(&v.VPC)
	s.IDName(&v.Zone)
}

// NameZone is a zone of names. Who sees it is told about every name at its name and below
// by it alone. Its realm has its records too.
type NameZone struct {
	// ID names the zone among all: a hosted zone's identifier, or that of what a zone
	// was made for.
	ID string
	// Name is the zone's name: absolute, with the final dot, in small letters. Whatever
	// is no letter, digit, hyphen or underscore is a backslash and three octal digits, as
	// Route 53 has it.
	Name string
	// Negative is for how long it may be kept that a name is not there, in seconds. It
	// is that of zones without a SOA record of their own.
	Negative uint32
	// Public says that whoever asks the host's authoritative server is told the names
	// too, not only VPCs that see the zone.
	Public bool
}

// KindZone is the kind of NameZone.
var KindZone = ours(Description[NameZone]{
	Name: "zone", Stage: StageMeans, Sort: Zones, Spell: (*NameZone).spell, Ends: EndsNothing[NameZone], Turns: TurnsNothing[NameZone],
	Examples: []NameZone{{ID: "Z1", Name: "db.example.com.", Negative: 5, Public: true}},
})

// Key implements Entry.
func (z NameZone) Key() Key { return Key{Zone(z.ID), KindZone, rootID} }

// String implements Entry.
func (z NameZone) String() string {
	s := spell(make([]byte, 0, usual), z.Key())
	z.spell(&s)
	return s.String()
}

func (z *NameZone) spell(s *Spelling) {
	s.Realm(&z.ID)
	s.self()
	s.Name("name", &z.Name)
	s.number("negative", &z.Negative)
	s.Flag("public", &z.Public)
}

// NameRecord is a set of records of one name and type in a zone, or one of several with
// identifiers of their own.
type NameRecord struct {
	Zone string
	// Name is spelled as that of a zone; a first label \052, an asterisk, is a wildcard
	// (RFC 4592).
	Name string
	// Type is the mnemonic of the type, such as AAAA.
	Type string
	// Set tells sets of one name and type apart; empty when there is only one.
	Set string
	// TTL is in seconds. An alias has that of what it leads to.
	TTL uint32
	// Data are the values, as in a master file.
	Data []string
	// Near are given in place of Data for addresses of which those in the client's
	// availability zone come first and alone, as long as there are any.
	Near []ZoneAddr
	// Alias is given in place of values: the name whose records of the same type are
	// answered under Name.
	Alias string
	// Weight is how often the set is chosen among those of its name and type; Weighted
	// says that this is how they are chosen.
	Weight   uint32
	Weighted bool
}

// KindRecord is the kind of NameRecord.
var KindRecord = ours(Description[NameRecord]{
	Name: "record", Stage: StageMember, Sort: Zones, Spell: (*NameRecord).spell, Ends: EndsNothing[NameRecord], Turns: TurnsNothing[NameRecord],
	Examples: []NameRecord{
		{Zone: "Z1", Name: "www.db.example.com.", Type: "TXT", Set: "blue", TTL: 60, Data: []string{`"a b"`, `"c,d"`}, Weight: 3, Weighted: true},
		{Zone: "Z1", Name: "db.example.com.", Type: "A", Near: []ZoneAddr{{netip.MustParseAddr("10.0.1.100"), "us-east-1a"}}},
		{Zone: "Z1", Name: `\052.db.example.com.`, Type: "A", Alias: "vpce-1.example.com."},
	},
})

// Key implements Entry.
func (r NameRecord) Key() Key {
	id := r.Name + "/" + r.Type
	if r.Set != "" {
		id += "/" + r.Set
	}
	return Key{Zone(r.Zone), KindRecord, id}
}

// String implements Entry.
func (r NameRecord) String() string {
	s := spell(make([]byte, 0, usual), r.Key())
	r.spell(&s)
	return s.String()
}

func (r *NameRecord) spell(s *Spelling) {
	s.Realm(&r.Zone)
	if id, reading := s.ID(); reading {
		r.Name, id, _ = strings.Cut(id, "/")
		r.Type, r.Set, _ = strings.Cut(id, "/")
	}
	s.number("ttl", &r.TTL)
	s.names("data", &r.Data)
	spellList(s, "near", &r.Near, parseZoneAddr, func(b []byte, z ZoneAddr) []byte {
		return appendName(append(z.Addr.AppendTo(b), '@'), z.Zone, ",")
	})
	s.Name("alias", &r.Alias)
	s.number("weight", &r.Weight)
	s.Flag("weighted", &r.Weighted)
}

func parseZonePrefix(text string) (z ZonePrefix, err error) {
	block, zone, _ := strings.Cut(text, "@")
	if z.Prefix, err = netip.ParsePrefix(block); err == nil {
		z.Zone, err = nameInList(zone)
	}
	return z, err
}

func parseZoneAddr(text string) (z ZoneAddr, err error) {
	addr, zone, _ := strings.Cut(text, "@")
	if z.Addr, err = netip.ParseAddr(addr); err == nil {
		z.Zone, err = nameInList(zone)
	}
	return z, err
}

// nameInList reads a text that was printed as an element of a list.
func nameInList(text string) (string, error) { return url.PathUnescape(text) }

// spellList spells a list whose elements are printed without commas and blanks.
func spellList[T any](s *Spelling, field string, values *[]T, parse func(string) (T, error), appendTo func([]byte, T) []byte) {
	readList(s, field, values, parse)
	for i, v := range *values {
		if s.item(field, i) {
			s.text = appendTo(s.text, v)
		}
	}
}

// number spells a number; zero is not printed.
func (s *Spelling) number(field string, value *uint32) { spellNumber(s, field, value) }

// spellNumber spells a number; zero is not printed.
func spellNumber[N uint16 | uint32 | int64](s *Spelling, field string, value *N) {
	if s.reading || *value != 0 {
		spellCount(s, field, value)
	}
}

// spellCount spells a number that is printed whatever it is.
func spellCount[N uint16 | uint32 | int64](s *Spelling, field string, value *N) {
	switch {
	case s.reading:
		if text, ok := s.take(field); ok {
			n, err := strconv.ParseInt(text, 10, 64)
			if err == nil && int64(N(n)) != n {
				err = fmt.Errorf("%s is %s: %w", field, text, strconv.ErrRange)
			}
			if err != nil {
				s.Fail(err)
			}
			*value = N(n)
		}
	case s.open(field):
		s.text = strconv.AppendInt(s.text, int64(*value), 10)
	}
}

// names spells a list of texts.
func (s *Spelling) names(field string, values *[]string) {
	spellList(s, field, values, nameInList, func(b []byte, text string) []byte { return appendName(b, text, ",") })
}

// self spells the id of what there is once in a realm.
func (s *Spelling) self() {
	if id, reading := s.ID(); reading && id != rootID {
		s.Fail(fmt.Errorf("its id is %q, not %s", id, rootID))
	}
}
