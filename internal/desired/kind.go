// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"bytes"
	"cmp"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// Kind is a sort of entry. It is its description: there is no kind without one,
// and two kinds are the same when they have the same description. The zero Kind is
// none.
type Kind struct{ *description }

// Stage is the place of a kind in the order of making: lower is made earlier and
// removed later. The order puts everything that a connection needs on its far side
// before the entry that sends it there, so that nothing is ever half open.
type Stage int

// The stages. Those of one phase go together in each realm.
const (
	StageRealm    Stage = iota + 1 // what other entries of the realm live in
	StageLink                      // what joins realms that are there
	StageRoute                     // what leads over what joins them
	StageMeans                     // what entries of this realm refer to by name
	StageMember                    // who is meant by such a name
	StageAddress                   // what may be sent and received
	StageWorkload                  // who sends and receives
	StageTarget                    // where connections from other realms go
	StageAllow                     // which of them may
	StageEntrance                  // what sends connections to other realms
	StageServer                    // which programs of ours serve, where all else is there
)

// Phases is how many phases there are. A phase is finished in all realms before
// the next one begins anywhere.
const Phases = 4

// Phase is the phase of a stage, from zero on.
func (s Stage) Phase() int {
	switch {
	case s <= StageRealm:
		return 0
	case s <= StageLink:
		return 1
	case s < StageEntrance:
		return 2
	}
	return 3
}

// Description is all that there is to say of a kind whose entries are of type E.
// Nothing in it can be left out but what says so.
type Description[E Entry] struct {
	// Name is the first word of an entry's text.
	Name  string
	Stage Stage
	// Sort is that of the realms that entries live in.
	Sort RealmSort
	// Spell prints an entry's text or reads it; see Spelling.
	Spell func(*E, *Spelling)
	// Ends gives the connections that lose their right when an entry is taken away.
	// EndsNothing says that there are none.
	Ends func(E) []Connections
	// Turns gives the connections that lose their right when an entry comes in the
	// place of one of the same key. TurnsNothing says that there are none.
	Turns func(E) []Connections
	// Examples are some entries, with every field set in one of them.
	Examples []E

	// Root, which can be left out, says that an entry is what its realm exists by:
	// whoever takes it away takes all that is in the realm.
	Root bool
	// Far, which can be left out, says that an entry joins its realm with another one,
	// and which one that is.
	Far func(Key) Realm
	// Early, which can be left out, says that an entry goes before what is made at the
	// same time: what comes in its place is not to find it.
	Early bool
}

// EndsNothing is for kinds that only admit new connections, or whose connections
// end with something else.
func EndsNothing[E Entry](E) []Connections { return nil }

// TurnsNothing is for kinds of which a changed entry ends no connections.
func TurnsNothing[E Entry](E) []Connections { return nil }

// Connections selects connections of a router. An unset field selects all; with
// none set nothing is selected.
type Connections struct {
	// Source is where a connection came from, before any translation.
	Source netip.Prefix
	// Dest is what it was opened to, before any translation.
	Dest netip.Addr
	// Unless spares connections to Dest that a target keeps.
	Unless *Target
	// Party has one of its four addresses, before or after translation.
	Party netip.Prefix
}

// description is a Description whatever the type of its entries.
type description struct {
	name  string
	stage Stage
	sort  RealmSort
	root  bool
	far   func(Key) Realm
	early bool

	noted       bool                                                      // entries have notes
	print       func(b []byte, e Entry, full bool) (text []byte, ok bool) // behind what is in b
	same        func(a, b Entry, notes bool) (same, ok bool)
	read        func(*Spelling) Entry
	ends, turns func(Entry) []Connections
	examples    []Entry
	missing     []string // what the Description left out
}

// Define makes a kind. Those of the product are made in this package; others are
// for tests.
func Define[E Entry](d Description[E]) Kind {
	k := &description{name: d.Name, stage: d.Stage, sort: d.Sort, root: d.Root, far: d.Far, early: d.Early, missing: d.missing()}
	k.print = func(b []byte, e Entry, full bool) ([]byte, bool) {
		v, ok := e.(E)
		if !ok {
			return b, false
		}
		s := spell(b, e.Key())
		s.full = full
		d.Spell(&v, &s)
		return s.text, true
	}
	comparable := reflect.TypeFor[E]().Comparable()
	scales := sync.Pool{New: func() any { return &scale[E]{spell: Spelling{text: make([]byte, 0, 2*usual)}} }}
	k.same = func(a, b Entry, notes bool) (same, ok bool) {
		x, isX := a.(E)
		y, isY := b.(E)
		if !isX || !isY {
			return false, false
		}
		if comparable && a == b {
			return true, true
		}
		s := scales.Get().(*scale[E])
		defer scales.Put(s)
		return s.even(d.Spell, x, y, notes), true
	}
	k.read = func(s *Spelling) Entry {
		var v E
		d.Spell(&v, s)
		return v
	}
	of := func(chosen func(E) []Connections) func(Entry) []Connections {
		return func(e Entry) []Connections {
			if v, ok := e.(E); ok {
				return chosen(v)
			}
			return nil
		}
	}
	k.ends, k.turns = of(d.Ends), of(d.Turns)
	for _, e := range d.Examples {
		k.examples = append(k.examples, e)
		if d.Spell != nil {
			s := Spelling{full: true}
			d.Spell(&e, &s)
			k.noted = k.noted || s.noted
		}
	}
	return Kind{k}
}

// scale compares two entries of one kind, of which it keeps nothing but room.
type scale[E Entry] struct {
	a, b  E
	spell Spelling
}

// even reports whether two entries of one key have the same fields, and notes if these
// count.
func (s *scale[E]) even(spell func(*E, *Spelling), a, b E, notes bool) bool {
	s.a, s.b = a, b
	s.spell = Spelling{full: notes, text: s.spell.text[:0]}
	spell(&s.a, &s.spell)
	first := len(s.spell.text)
	s.spell.noting = false
	spell(&s.b, &s.spell)
	var none E
	s.a, s.b = none, none
	return bytes.Equal(s.spell.text[:first], s.spell.text[first:])
}

// missing names what a description lacks.
func (d Description[E]) missing() (names []string) {
	for name, there := range map[string]bool{
		"Name": d.Name != "", "Stage": d.Stage >= StageRealm && d.Stage <= StageServer, "Sort": d.Sort != "", "Spell": d.Spell != nil,
		"Ends": d.Ends != nil, "Turns": d.Turns != nil, "Examples": len(d.Examples) > 0,
	} {
		if !there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// product are the kinds of the product.
var product []Kind

// ours defines a kind of the product.
func ours[E Entry](d Description[E]) Kind {
	k := Define(d)
	product = append(product, k)
	return k
}

// Kinds lists all kinds of the product, in the order of making.
func Kinds() []Kind { return slices.SortedFunc(slices.Values(product), Kind.compare) }

// KindNamed finds a kind of the product.
func KindNamed(name string) (Kind, bool) {
	for _, k := range product {
		if k.name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// nothing stands for the description of the zero Kind.
var nothing description

func (k Kind) said() *description {
	if k.description == nil {
		return &nothing
	}
	return k.description
}

// String is the kind's name.
func (k Kind) String() string { return k.said().name }

// Equal reports whether two kinds are the same.
func (k Kind) Equal(o Kind) bool { return k == o }

// Stage gives the place of k in the order of making.
func (k Kind) Stage() Stage { return k.said().stage }

// Sort is that of the realms that entries of k live in.
func (k Kind) Sort() RealmSort { return k.said().sort }

// Root reports whether an entry of k is what its realm exists by.
func (k Kind) Root() bool { return k.said().root }

// Early reports whether an entry of k goes before what is made at the same time.
func (k Kind) Early() bool { return k.said().early }

// Examples are some entries of k.
func (k Kind) Examples() []Entry { return slices.Clone(k.said().examples) }

func (k Kind) compare(o Kind) int {
	return cmp.Or(cmp.Compare(k.Stage(), o.Stage()), strings.Compare(k.String(), o.String()))
}

// Far gives the realm that the entry of a key joins its own with, if it does that.
func (k Key) Far() (Realm, bool) {
	far := k.Kind.said().far
	if far == nil {
		return "", false
	}
	return far(k), true
}

// Ends gives the connections of its realm that lose their right when an entry is
// taken away.
func Ends(e Entry) []Connections {
	if ends := e.Key().Kind.said().ends; ends != nil {
		return ends(e)
	}
	return nil
}

// Turns gives the connections of its realm that lose their right when an entry
// comes in the place of one of the same key.
func Turns(e Entry) []Connections {
	if turns := e.Key().Kind.said().turns; turns != nil {
		return turns(e)
	}
	return nil
}
