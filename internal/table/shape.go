// SPDX-License-Identifier: Apache-2.0

package table

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// shape is what JSON a Go type is written as, as far as fields go: those of a
// struct by name, or what a list or a map holds. A nil shape has no fields that
// could be strange: it is a plain value, or one that writes itself.
type shape struct {
	fields map[string]*shape // nil for a list or a map
	each   *shape            // of a list or a map
	list   bool
}

var writesItself = []reflect.Type{
	reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
	reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
}

// shapeOf gives the shape of a type, which must not contain itself.
func shapeOf(t reflect.Type) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for _, itself := range writesItself {
		if reflect.PointerTo(t).Implements(itself) {
			return nil
		}
	}
	switch t.Kind() {
	case reflect.Struct:
		s := &shape{fields: make(map[string]*shape)}
		s.add(t)
		return s
	case reflect.Slice, reflect.Array, reflect.Map:
		if each := shapeOf(t.Elem()); each != nil {
			return &shape{each: each, list: t.Kind() != reflect.Map}
		}
	}
	return nil
}

// add adds the fields of a struct type, with those of structs that it embeds.
func (s *shape) add(t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			s.add(f.Type)
		case !f.IsExported():
		case name == "":
			s.fields[f.Name] = shapeOf(f.Type)
		default:
			s.fields[name] = shapeOf(f.Type)
		}
	}
}

// strange reports whether a JSON text, which must be valid, has a field that the
// shape does not know. It allocates nothing: almost no row has one.
func (s *shape) strange(text []byte) bool {
	w := walker{text: text}
	w.value(s)
	return w.found
}

// walker goes through valid JSON.
type walker struct {
	text  []byte
	at    int
	found bool
}

// value passes a value of a shape.
func (w *walker) value(s *shape) {
	switch w.space(); w.next() {
	case '{':
		w.inside('}', func() {
			name := w.word()
			w.space()
			w.at++ // the colon
			var field *shape
			if s != nil {
				if field = s.each; s.fields != nil {
					known := false
					if field, known = s.fields[string(name)]; !known {
						w.found = true
					}
				}
			}
			w.value(field)
		})
	case '[':
		w.inside(']', func() {
			if s == nil {
				w.value(nil)
			} else {
				w.value(s.each)
			}
		})
	case '"':
		w.word()
	default:
		for w.at < len(w.text) && strings.IndexByte(",]} \t\r\n", w.text[w.at]) < 0 {
			w.at++
		}
	}
}

// inside passes what is between two brackets, up to and with the second one.
func (w *walker) inside(end byte, element func()) {
	for w.at++; w.at < len(w.text); {
		switch w.space(); w.next() {
		case end:
			w.at++
			return
		case ',':
			w.at++
		default:
			element()
		}
	}
}

// word passes a string and returns what is between its quotes.
func (w *walker) word() []byte {
	w.at++
	from := w.at
	for w.at < len(w.text) && w.text[w.at] != '"' {
		if w.text[w.at] == '\\' {
			w.at++
		}
		w.at++
	}
	to := min(w.at, len(w.text))
	w.at++
	return w.text[from:to]
}

func (w *walker) space() {
	for w.at < len(w.text) && strings.IndexByte(" \t\r\n", w.text[w.at]) >= 0 {
		w.at++
	}
}

func (w *walker) next() byte {
	if w.at < len(w.text) {
		return w.text[w.at]
	}
	return 0
}
