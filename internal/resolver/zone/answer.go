// SPDX-License-Identifier: Apache-2.0

package zone

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/wire"
)

const (
	// maxChain is how many names a question may lead to, by CNAME records and aliases.
	maxChain = 16
	// maxValues of several sets that are all answered: as many as Route 53's multivalue
	// answers have.
	maxSets = 8
)

// rfc8482 is the answer to a question for all types (RFC 8482 §4.2).
var rfc8482 = wire.AppendRecord(nil, wire.TypeHINFO, 3789, []byte("\x07RFC8482\x00"))

// Answer answers a question, as far as the VPC's zones go, into a.Answer, which the
// caller has begun. It allocates nothing.
//
// The zone with the longest name that the question's is in, or is, answers alone. If
// it has a CNAME record, the zone of what that leads to goes on.
func (w *World) Answer(a *Ask) Verdict {
	a.Source, a.Turning = "", 0
	vpc := w.realms.text(a.VPC)
	if vpc == nil || vpc.placed == nil || vpc.placed.Off {
		return a.end(wire.Refused)
	}
	return w.from(a, vpc, a.Question.Name)
}

// from answers a question at a name that it has led to.
func (w *World) from(a *Ask, vpc *realm, name []byte) Verdict {
	t := walk{world: w, vpc: vpc, ask: a, name: name, kind: a.Question.Type}
	for range maxChain + 1 {
		if verdict, done := t.step(); done {
			if verdict == Answered && !t.varies {
				a.Source = t.source
			}
			return verdict
		}
	}
	return a.Endless()
}

// Endless answers that the question leads to no end.
func (a *Ask) Endless() Verdict {
	a.Answer.Rewind()
	return a.end(wire.ServerFailure)
}

// Has reports whether a VPC answers for a name by itself, by a zone or without one. The
// name is in wire form and small letters.
func (w *World) Has(vpc string, name []byte) bool {
	r := w.realms.text(vpc)
	if r == nil || r.placed == nil {
		return false
	}
	t := walk{world: w, vpc: r, name: name}
	z, _, built := t.zone()
	return z != nil || built != builtNone
}

// Servers gives the servers of a VPC that a workload there would ask before the VPC's own
// resolver, and whether it would ask that after them; with none it asks that alone.
func (w *World) Servers(vpc string) (list []netip.Addr, itself bool) {
	r := w.realms.text(vpc)
	if r == nil || r.placed == nil {
		return nil, true
	}
	own := desired.NewNameserver(vpc, r.placed.Networks...).Addrs
	for i, a := range r.placed.Servers {
		if slices.Contains(own, a) {
			return r.placed.Servers[:i], true
		}
	}
	return r.placed.Servers, len(r.placed.Servers) == 0
}

// Resume answers what the upstream has led back to a name that the VPC has, behind what
// there is in a.Answer.
func (w *World) Resume(a *Ask, name []byte) Verdict {
	vpc := w.realms.text(a.VPC)
	if vpc == nil || vpc.placed == nil {
		return a.Endless()
	}
	return w.from(a, vpc, name)
}

func (a *Ask) end(code int) Verdict {
	a.Code = code
	return Answered
}

// walk is a question at a name that it has led to.
type walk struct {
	world *World
	vpc   *realm
	ask   *Ask
	name  []byte
	kind  uint16
	// alias is the zone of the alias that led here; nil when a CNAME did, or nothing.
	alias *realm
	// source is the realm that was asked, varies says that there was another one, or that
	// the answer could be another one.
	source string
	varies bool
}

// asked notes whose the answer is.
func (t *walk) asked(zone *realm, built builtIn) {
	source := ""
	switch {
	case zone != nil:
		source = zone.name
	case built != builtNone:
		source = t.vpc.name
	}
	t.varies = t.varies || source == "" || t.source != "" && t.source != source
	t.source = source
}

// step answers for the name it is at, and reports whether this was the end.
func (t *walk) step() (v Verdict, done bool) {
	zone, at, built := t.zone()
	t.asked(zone, built)
	switch {
	case zone == nil && built != builtNone:
		return t.builtIn(built, at)
	case zone == nil && t.alias != nil:
		return t.negative(t.alias, false), true
	case zone == nil:
		return t.onward(), true
	}
	n, there := zone.find(t.name, at, &t.ask.space)
	if !there && t.alias == nil {
		return t.negative(zone, true), true
	}
	if sets := n.of(t.kind); len(sets) > 0 {
		return t.answer(zone, sets)
	}
	if t.kind == wire.TypeANY && there {
		t.ask.Answer.Append(rfc8482)
		return t.ask.end(wire.NoError), true
	}
	if sets := n.of(wire.TypeCNAME); len(sets) > 0 {
		return t.answer(zone, sets)
	}
	return t.nothing(zone), true
}

// nothing says that the name has nothing of the type. Of what an alias leads to that is
// for the alias's own zone to say.
func (t *walk) nothing(zone *realm) Verdict {
	if t.alias != nil {
		zone = t.alias
	}
	return t.negative(zone, false)
}

// answer answers with sets of one type: that which was asked for, or CNAME.
func (t *walk) answer(zone *realm, sets []*set) (v Verdict, done bool) {
	s, all := choose(sets)
	t.varies = t.varies || len(sets) > 1
	switch {
	case s.alias() != nil:
		if t.alias == nil {
			t.alias = zone
		}
		if s.kind == wire.TypeCNAME {
			t.kind = wire.TypeCNAME
		}
		t.name = s.alias()
		return 0, false
	case s.kind == wire.TypeCNAME && t.ask.Question.Type != wire.TypeCNAME && s.count > 0:
		t.ask.Answer.Append(s.records)
		t.ask.Answer.Owner(s.records)
		t.name, t.kind, t.alias = s.records[wire.DataAt:], t.ask.Question.Type, nil
		return 0, false
	}
	answered, turn := 0, uint32(0)
	if len(all) > 1 {
		turn = sets[0].turn.Add(1)
	}
	for i := range min(len(all), maxSets) {
		s := all[(i+int(turn))%len(all)]
		t.turns(s)
		s = s.of(t.ask.zone(t.vpc, s))
		s.appendTo(&t.ask.Answer)
		answered += int(s.count)
	}
	if answered == 0 {
		return t.nothing(zone), true
	}
	return t.ask.end(wire.NoError), true
}

// turns notes whether the records of a set come in turn, and whether they do so from the
// beginning of an answer and are of one size.
func (t *walk) turns(s *set) {
	if s.count > 1 {
		t.ask.Turning = int(s.count)
		t.varies = t.varies || !t.ask.Answer.Empty() || s.size == 0 || s.rules != nil && s.rules.near != nil
	}
}

// zone is the availability zone of who asks, if it matters to a set.
func (a *Ask) zone(vpc *realm, s *set) string {
	if s.rules == nil || s.rules.near == nil {
		return ""
	}
	return vpc.placed.zoneOf(a.Client)
}

// choose chooses among the sets of a name and type: one by its weight, or all of them,
// beginning with the first in turn.
func choose(sets []*set) (s *set, all []*set) {
	if len(sets) == 1 {
		return sets[0], sets
	}
	total := uint64(0)
	weighted := false
	for _, s := range sets {
		if s.rules != nil && s.rules.weighted {
			weighted = true
			total += uint64(s.rules.weight)
		}
	}
	if !weighted {
		return sets[0], sets
	}
	if total == 0 { // then all are chosen alike
		i := rand.IntN(len(sets))
		return sets[i], sets[i : i+1]
	}
	n := rand.Uint64N(total)
	for i, s := range sets {
		if s.rules == nil {
			continue
		}
		if weight := uint64(s.rules.weight); n >= weight {
			n -= weight
			continue
		}
		return s, sets[i : i+1]
	}
	return sets[0], sets[:1] // not reached
}

// onward hands on a question for a name that no zone has.
func (t *walk) onward() Verdict {
	a := t.ask
	if !a.Question.Recurse {
		if a.Answer.Empty() {
			return a.end(wire.Refused)
		}
		return a.end(wire.NoError)
	}
	a.Onward = t.name
	return Upstream
}

// negative says that a zone has no such name, or no such type there, and for how long
// that may be kept (RFC 2308 §3).
func (t *walk) negative(zone *realm, name bool) Verdict {
	record := zone.zone.negative
	if sets := zone.names.text(zone.zone.name).of(wire.TypeSOA); len(sets) > 0 && sets[0].count > 0 {
		record = append(t.ask.space[:0], sets[0].records...)
		ttl, least := record[6:10], record[len(record)-4:]
		if binary.BigEndian.Uint32(least) < binary.BigEndian.Uint32(ttl) {
			copy(ttl, least)
		}
	}
	return t.no(zone.zone.wire, record, name)
}

// no answers that there is no name, or no such type, with the SOA record that says so.
func (t *walk) no(zone, record []byte, name bool) Verdict {
	t.ask.Answer.AppendOf(zone, record, true)
	if name {
		return t.ask.end(wire.NameError)
	}
	return t.ask.end(wire.NoError)
}

// zone finds who answers for the name: a zone with the length of its name, or what
// there is in each VPC without any, with that of its own.
func (t *walk) zone() (zone *realm, length int, built builtIn) {
	var starts [maxLabels + 1]uint8
	n, at := 0, 0
	for ; t.name[at] != 0; n++ {
		starts[n] = uint8(at)
		at += int(t.name[at]) + 1
	}
	starts[n] = uint8(at)
	built, within := t.vpc.placed.builtIn(t.name, starts[:n+1])
	if a := t.vpc.apexes; a != nil {
		for i := range n + 1 {
			left := n - i
			if left < within {
				break
			}
			if a.labels[left/64]&(1<<(left%64)) == 0 {
				continue
			}
			id, ok := a.zones[string(t.name[starts[i]:])]
			if !ok {
				continue
			}
			if z := t.world.realms.text(id); z != nil {
				return z, len(t.name) - int(starts[i]), builtNone
			}
		}
	}
	if built != builtNone {
		return nil, len(t.name) - int(starts[n-within]), built
	}
	return nil, 0, builtNone
}

// find finds a name, or the wildcard that stands for it (RFC 4592 §3.3.1), in a zone
// whose name has a length, and reports whether there is one. The apex of a zone is
// there without records.
func (r *realm) find(name []byte, apex int, space *[spaceSize]byte) (*node, bool) {
	if n := r.names.get(name); n != nil || len(name) == apex {
		return n, true
	}
	for {
		name = wire.Parent(name)
		if len(name) > apex && r.names.get(name) == nil {
			continue
		}
		space[0], space[1] = 1, '*'
		wild := space[:2+copy(space[2:], name)]
		n := r.names.get(wild)
		return n, n != nil
	}
}
