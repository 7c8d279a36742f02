// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind names a sort of entry.
type Kind string

// The kinds of entries. What each one makes is said at its type.
const (
	KindRouter   Kind = "router"
	KindLink     Kind = "link"
	KindWorkload Kind = "workload"
	KindRoute    Kind = "route"
	KindClass    Kind = "class"
	KindPortSet  Kind = "portset"
	KindPool     Kind = "pool"
	KindMember   Kind = "member"
	KindAddress  Kind = "address"
	KindTarget   Kind = "target"
	KindAllow    Kind = "allow"
	KindEndpoint Kind = "endpoint"
)

// stages is the order in which entries are made. It puts everything that a
// connection needs on its far side before the entry that sends it there, so
// that nothing is ever half open; removal goes the other way.
var stages = map[Kind]int{
	KindRouter:   0,
	KindLink:     1,
	KindRoute:    2,
	KindClass:    3,
	KindPortSet:  3,
	KindPool:     3,
	KindMember:   4,
	KindAddress:  5,
	KindWorkload: 6,
	KindTarget:   7,
	KindAllow:    8,
	KindEndpoint: 9,
}

// Kinds lists all kinds, in the order of making.
func Kinds() []Kind {
	return slices.SortedFunc(maps.Keys(stages), func(a, b Kind) int { return Key{Kind: a}.Compare(Key{Kind: b}) })
}

// Stage gives the place of k in the order of making: lower is made earlier and
// removed later.
func (k Kind) Stage() int { return stages[k] }

// Key identifies an entry on a host. VPC is the router it lives in, ID is
// unique among the entries of one kind in that router.
type Key struct {
	Kind Kind
	VPC  string
	ID   string
}

// String prints the key as "kind vpc id".
func (k Key) String() string { return string(k.Kind) + " " + k.VPC + " " + k.ID }

// Compare orders keys by stage, kind, VPC and ID.
func (k Key) Compare(o Key) int {
	if k.Kind != o.Kind {
		return cmp.Or(cmp.Compare(k.Kind.Stage(), o.Kind.Stage()), strings.Compare(string(k.Kind), string(o.Kind)))
	}
	if order := strings.Compare(k.VPC, o.VPC); order != 0 {
		return order
	}
	return strings.Compare(k.ID, o.ID)
}

// Entry is one thing that a host should have. String is its whole value: equal
// strings mean equal entries.
type Entry interface {
	Key() Key
	String() string
}

// Equal reports whether a and b ask for the same thing.
func Equal(a, b Entry) bool {
	return a.Key() == b.Key() && a.String() == b.String()
}

// Sort orders entries in the order of making.
func Sort[E Entry](entries []E) {
	type keyed struct {
		key   Key // worked out once, not at each comparison
		entry E
	}
	list := make([]keyed, len(entries))
	for i, e := range entries {
		list[i] = keyed{e.Key(), e}
	}
	slices.SortFunc(list, func(a, b keyed) int { return a.key.Compare(b.key) })
	for i, k := range list {
		entries[i] = k.entry
	}
}

// Text prints entries as sorted lines, the form that people and goldens read.
// The argument is not changed.
func Text(entries []Entry) string {
	sorted := slices.Clone(entries)
	Sort(sorted)
	var b strings.Builder
	for _, e := range sorted {
		b.WriteString(e.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// Delta carries a host from one desired state to the next. Full means that Put
// is everything and whatever it does not name is unwanted. Revision is the
// revision of the store from which the state was computed; it never goes back.
type Delta struct {
	Revision int64
	Full     bool
	Put      []Entry
	Delete   []Key
}

// line starts the text of an entry with its key and adds name=value fields in
// the order given, leaving out empty ones.
func line(k Key, fields ...field) string {
	size := len(k.Kind) + len(k.VPC) + len(k.ID) + 2
	for _, f := range fields {
		size += len(f.name) + len(f.value) + 2
	}
	var b strings.Builder
	b.Grow(size)
	b.WriteString(string(k.Kind))
	b.WriteByte(' ')
	b.WriteString(k.VPC)
	b.WriteByte(' ')
	b.WriteString(k.ID)
	for _, f := range fields {
		if f.value == "" {
			continue
		}
		b.WriteByte(' ')
		b.WriteString(f.name)
		b.WriteByte('=')
		b.WriteString(f.value)
	}
	return b.String()
}

type field struct{ name, value string }

func list[T fmt.Stringer](name string, values []T) field {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.String()
	}
	return field{name, strings.Join(texts, ",")}
}
