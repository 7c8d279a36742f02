// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrWaits says that an entry cannot be taken away before something else has ended, which is
// about to. It is tried again like any other, and nobody needs to be warned of it.
var ErrWaits = errors.New("it waits for what needs it")

// Key identifies an entry on a host. Realm is where it lives, ID is unique among
// the entries of one kind there.
type Key struct {
	Realm Realm
	Kind  Kind
	ID    string
}

// String prints the key as "kind realm id", as the text of its entry begins.
func (k Key) String() string {
	s := spell(make([]byte, 0, usual), k)
	return s.String()
}

// ParseKey reads a key of one of these kinds from the text that String gives.
func ParseKey(text string, kinds ...Kind) (Key, error) {
	s, err := begin(text, kinds)
	if err == nil && len(s.rest) > 0 {
		err = errKey
	}
	if err == nil && s.key.String() != text {
		err = fmt.Errorf("it would be printed as %q", s.key)
	}
	if err != nil {
		return Key{}, fmt.Errorf("parse key %q: %w", text, err)
	}
	return s.key, nil
}

// Compare orders keys by stage, kind, realm and ID.
func (k Key) Compare(o Key) int {
	if k.Kind != o.Kind {
		return k.Kind.compare(o.Kind)
	}
	if order := strings.Compare(string(k.Realm), string(o.Realm)); order != 0 {
		return order
	}
	return strings.Compare(k.ID, o.ID)
}

// Entry is one thing that a host should have. String is its whole state: equal
// strings mean that there is nothing to do.
type Entry interface {
	Key() Key
	String() string
}

// Equal reports whether a and b ask for the same state.
func Equal(a, b Entry) bool {
	k := a.Key()
	return k == b.Key() && SameState(a, b, k.Kind)
}

// SameState reports whether two entries of one key, which is of that kind, ask for the
// same state: whether String gives the same. It compares the entries themselves where
// they are as their kind is defined, and makes no texts then.
func SameState(a, b Entry, k Kind) bool {
	if same := k.said().same; same != nil {
		if equal, ok := same(a, b, false); ok {
			return equal
		}
	}
	return a.String() == b.String()
}

// Record is an entry's text with its notes: what is known of it beyond its state,
// such as whose it is, and what the kernel does not keep. It is what is stored and
// sent, and what Parse reads.
func Record(e Entry) string {
	if k := e.Key().Kind.said(); k.noted {
		if text, ok := k.print(make([]byte, 0, usual), e, true); ok {
			return string(text)
		}
	}
	return e.String()
}

// AppendRecord appends what Record gives to b.
func AppendRecord(b []byte, e Entry) []byte {
	if k := e.Key().Kind.said(); k.print != nil {
		if b, ok := k.print(b, e, true); ok {
			return b
		}
	}
	return append(b, e.String()...)
}

// SameRecord reports whether two entries of one key, which is of that kind, have the
// same record, as SameState does for states.
func SameRecord(a, b Entry, k Kind) bool {
	if same := k.said().same; same != nil {
		if equal, ok := same(a, b, true); ok {
			return equal
		}
	}
	return Record(a) == Record(b)
}

// State prints what String gives, for entries whose kinds are defined elsewhere.
func State(e Entry) string {
	text, _ := e.Key().Kind.said().print(make([]byte, 0, usual), e, false)
	return string(text)
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

// Text prints the states of entries as sorted lines, the form that goldens have.
// The argument is not changed.
func Text(entries []Entry) string { return lines(entries, Entry.String) }

// Records prints entries with their notes as sorted lines. The argument is not
// changed.
func Records(entries []Entry) string { return lines(entries, Record) }

func lines(entries []Entry, text func(Entry) string) string {
	sorted := slices.Clone(entries)
	Sort(sorted)
	var b strings.Builder
	for _, e := range sorted {
		b.WriteString(text(e))
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
