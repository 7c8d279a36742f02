// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Spelling carries one entry between values and text. A kind names the parts of its
// entries to it once, in the order of the text, by pointers to where they are: a
// Spelling that prints takes the values from there, one that reads puts them there.
// So what is printed is what is read.
//
// The text of an entry is its key, as "kind realm id", and name=value fields. A field
// without a value is left out. In values, realms and ids bytes that would be taken for
// something else are printed as %XX.
type Spelling struct {
	full   bool // notes are printed too
	noted  bool // there are notes
	noting bool // what follows is notes, and not to be printed
	text   []byte

	reading bool
	key     Key
	rest    []string // fields that have not been read
	err     error
}

// usual is room for the text of most entries.
const usual = 112

// spell begins to print an entry into a buffer.
func spell(buffer []byte, k Key) Spelling {
	s := Spelling{text: buffer}
	s.text = append(s.text, k.Kind.String()...)
	s.text = append(s.text, ' ')
	s.text = appendName(s.text, string(k.Realm), "")
	s.text = append(s.text, ' ')
	s.text = appendName(s.text, k.ID, "")
	return s
}

// String is what was printed.
func (s *Spelling) String() string { return string(s.text) }

// Fail says why the text that is read is none of an entry.
func (s *Spelling) Fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Realm spells the realm of an entry as the identifier of a VPC, or the name of a
// zone.
func (s *Spelling) Realm(name *string) {
	if s.reading {
		*name = s.key.Realm.Name()
	}
}

// ID gives the id that is to be read, and false when there is nothing to read. It is
// printed from the key.
func (s *Spelling) ID() (string, bool) { return s.key.ID, s.reading }

// IDName spells an id that is a name.
func (s *Spelling) IDName(name *string) {
	if s.reading {
		*name = s.key.ID
	}
}

// IDAddr spells an id that is an address.
func (s *Spelling) IDAddr(a *netip.Addr) {
	if s.reading {
		*a = s.addr(s.key.ID)
	}
}

// IDScope spells an id that is an address, or a prefix whose length is not zero then.
func (s *Spelling) IDScope(a *netip.Addr, bits *int) {
	if s.reading {
		s.scope(s.key.ID, a, bits)
	}
}

func (s *Spelling) scope(text string, a *netip.Addr, bits *int) {
	if !strings.Contains(text, "/") {
		*a = s.addr(text)
		return
	}
	p := s.prefix(text)
	*a, *bits = p.Addr(), p.Bits()
}

// Notes says that what follows is not part of the state: it is kept and passed on
// with an entry, and no reason to do anything.
func (s *Spelling) Notes() { s.noted, s.noting = true, !s.reading && !s.full }

// Name spells a text.
func (s *Spelling) Name(field string, value *string) {
	if s.reading || *value != "" {
		spellText(s, field, value)
	}
}

// spellText spells a text that is printed though it be empty.
func spellText(s *Spelling, field string, value *string) {
	switch {
	case s.reading:
		if text, ok := s.take(field); ok {
			*value = s.name(text)
		}
	case s.open(field):
		s.text = appendName(s.text, *value, "")
	}
}

// Flag spells what is so or not.
func (s *Spelling) Flag(field string, value *bool) {
	switch {
	case s.reading:
		text, ok := s.take(field)
		if *value = ok; ok && text != "yes" {
			s.Fail(fmt.Errorf("%s is %q, not yes", field, text))
		}
	case *value && s.open(field):
		s.text = append(s.text, "yes"...)
	}
}

// Addr spells an address.
func (s *Spelling) Addr(field string, value *netip.Addr) {
	switch {
	case s.reading:
		if text, ok := s.take(field); ok {
			*value = s.addr(text)
		}
	case value.IsValid() && s.open(field):
		s.text = value.AppendTo(s.text)
	}
}

// Prefix spells a prefix.
func (s *Spelling) Prefix(field string, value *netip.Prefix) {
	switch {
	case s.reading:
		if text, ok := s.take(field); ok {
			*value = s.prefix(text)
		}
	case value.IsValid() && s.open(field):
		s.text = value.AppendTo(s.text)
	}
}

// Addrs spells addresses.
func (s *Spelling) Addrs(field string, values *[]netip.Addr) {
	readList(s, field, values, netip.ParseAddr)
	for i, a := range *values {
		if s.item(field, i) {
			s.text = a.AppendTo(s.text)
		}
	}
}

// addrPorts spells addresses with ports.
func (s *Spelling) addrPorts(field string, values *[]netip.AddrPort) {
	readList(s, field, values, netip.ParseAddrPort)
	for i, a := range *values {
		if s.item(field, i) {
			s.text = a.AppendTo(s.text)
		}
	}
}

// Prefixes spells prefixes.
func (s *Spelling) Prefixes(field string, values *[]netip.Prefix) {
	readList(s, field, values, netip.ParsePrefix)
	for i, p := range *values {
		if s.item(field, i) {
			s.text = p.AppendTo(s.text)
		}
	}
}

// readList reads a list whose elements have no commas in their texts, when there is
// something to read.
func readList[T any](s *Spelling, field string, values *[]T, parse func(string) (T, error)) {
	if !s.reading {
		return
	}
	text, ok := s.take(field)
	if !ok {
		return
	}
	*values = make([]T, 0, strings.Count(text, ",")+1)
	for part := range strings.SplitSeq(text, ",") {
		v, err := parse(part)
		if err != nil {
			s.Fail(err)
		}
		*values = append(*values, v)
	}
}

// item prints what comes before an element of a list, if it is to be printed.
func (s *Spelling) item(field string, i int) bool {
	if i == 0 || s.reading || s.noting {
		return !s.reading && s.open(field)
	}
	s.text = append(s.text, ',')
	return true
}

func (s *Spelling) addr(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		s.Fail(err)
	}
	return a
}

func (s *Spelling) prefix(text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		s.Fail(err)
	}
	return p
}

// open prints the beginning of a field, if it is to be printed.
func (s *Spelling) open(field string) bool {
	if s.noting {
		return false
	}
	s.text = append(append(append(s.text, ' '), field...), '=')
	return true
}

// next reports whether there is a field of this name to be read next.
func (s *Spelling) next(field string) bool {
	return len(s.rest) > 0 && strings.HasPrefix(s.rest[0], field+"=")
}

// take gives the value of the next field if that is the one.
func (s *Spelling) take(field string) (value string, ok bool) {
	if len(s.rest) == 0 {
		return "", false
	}
	name, value, _ := strings.Cut(s.rest[0], "=")
	if name != field {
		return "", false
	}
	s.rest = s.rest[1:]
	return value, true
}

// appendName prints a text in which no byte can be taken for something else: what
// separates fields, and the bytes of also.
func appendName(b []byte, text, also string) []byte {
	clean := 0
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c == 0x7f || c == '%' || also != "" && strings.IndexByte(also, c) >= 0 {
			b = append(append(b, text[clean:i]...), '%', digits[c>>4], digits[c&15])
			clean = i + 1
		}
	}
	return append(b, text[clean:]...)
}

const digits = "0123456789ABCDEF"

// name reads what appendName printed.
func (s *Spelling) name(text string) string {
	name, err := url.PathUnescape(text)
	if err != nil {
		s.Fail(err)
	}
	return name
}

// errKey says that a text does not begin with a key.
var errKey = errors.New("not kind, realm and id")

// Parse reads an entry of one of these kinds from the text that Record gives. It
// reads nothing that does not print as the very same text.
func Parse(text string, kinds ...Kind) (Entry, error) {
	e, err := parse(text, kinds)
	if err != nil {
		return nil, fmt.Errorf("parse entry %q: %w", text, err)
	}
	return e, nil
}

// begin reads the key that a text begins with.
func begin(text string, kinds []Kind) (*Spelling, error) {
	words := strings.Split(text, " ")
	if len(words) < 3 {
		return nil, errKey
	}
	s := &Spelling{reading: true, rest: words[3:]}
	for _, k := range kinds {
		if k.name == words[0] {
			s.key.Kind = k
		}
	}
	if s.key.Kind == (Kind{}) {
		return nil, fmt.Errorf("there is no kind %q", words[0])
	}
	s.key.Realm, s.key.ID = Realm(s.name(words[1])), s.name(words[2])
	if is, want := s.key.Realm.Sort(), s.key.Kind.Sort(); s.err == nil && is != want {
		s.Fail(fmt.Errorf("it is in a realm of the sort %s, want %s", is, want))
	}
	return s, s.err
}

func parse(text string, kinds []Kind) (Entry, error) {
	s, err := begin(text, kinds)
	if err != nil {
		return nil, err
	}
	e := s.key.Kind.read(s)
	if s.err != nil {
		return nil, s.err
	}
	if again := Record(e); again != text {
		return nil, fmt.Errorf("it would be printed as %q", again)
	}
	return e, nil
}
