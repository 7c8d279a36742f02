// SPDX-License-Identifier: Apache-2.0

// Package xmlbody writes and reads structures as XML by the tables of package
// schema, for the three protocols whose answers are XML.
package xmlbody

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// ContentType of XML answers.
const ContentType = "text/xml; charset=utf-8"

// Writer builds an XML document. The zero value is ready for use, and writes
// what a client sends.
type Writer struct {
	// Answer says that the document is an answer, which has all its lists.
	Answer bool
	buf    []byte
}

// Start opens an element; namespace may be empty.
func (w *Writer) Start(name, namespace string) {
	w.buf = append(append(w.buf, '<'), name...)
	if namespace != "" {
		w.attribute("xmlns", namespace)
	}
	w.buf = append(w.buf, '>')
}

// End closes an element.
func (w *Writer) End(name string) {
	w.buf = append(append(append(w.buf, "</"...), name...), '>')
}

// Text writes an element that holds text only. Characters that XML cannot
// carry become U+FFFD.
func (w *Writer) Text(name, text string) {
	w.Start(name, "")
	w.escape(text)
	w.End(name)
}

// Prolog begins a document: it writes the XML declaration, and makes room for a
// document of usual size.
func (w *Writer) Prolog() {
	w.buf = append(slices.Grow(w.buf[:0], usual), xml.Header...)
}

// usual is how long most documents are at most, in bytes.
const usual = 1536

// kept is how large a document is at most whose room is kept for the next one.
const kept = 64 << 10

// Keep reports whether the room of the document is worth keeping for another one.
func (w *Writer) Keep() bool { return cap(w.buf) <= kept }

// Bytes returns the document; it stays valid until the next write.
func (w *Writer) Bytes() []byte { return w.buf }

func (w *Writer) escape(text string) {
	for i := range len(text) {
		if escaped[text[i]] {
			b := bytes.NewBuffer(w.buf)
			_ = xml.EscapeText(b, []byte(text)) // a bytes.Buffer never refuses a write
			w.buf = b.Bytes()
			return
		}
	}
	w.buf = append(w.buf, text...)
}

// escaped are the bytes that no document has as they are.
var escaped = func() (is [256]bool) {
	for c := range is {
		is[c] = c < ' ' || c > '~' || strings.ContainsRune(`<>&'"`, rune(c))
	}
	return is
}()

func (w *Writer) attribute(name, value string) {
	w.buf = append(append(append(w.buf, ' '), name...), `="`...)
	w.escape(value)
	w.buf = append(w.buf, '"')
}

// Members writes the body members of a structure as elements, in model order.
// Members that are not set, or that travel elsewhere, are left out.
func (w *Writer) Members(v reflect.Value, shape *schema.Shape) error {
	return w.members(v, shape, 0)
}

// Structure writes a structure as an element.
func (w *Writer) Structure(v reflect.Value, shape *schema.Shape, name, namespace string) error {
	return w.structure(v, shape, name, namespace, 0)
}

func (w *Writer) structure(v reflect.Value, shape *schema.Shape, name, namespace string, depth int) error {
	w.buf = append(append(w.buf, '<'), name...)
	if namespace != "" {
		w.attribute("xmlns", namespace)
	}
	for i := range shape.Members {
		m := &shape.Members[i]
		if !m.XMLAttribute {
			continue
		}
		if field := codec.Field(v, m); !codec.IsUnset(field) {
			// The one attribute of the models is xsi:type.
			if prefix, _, found := strings.Cut(m.Wire, ":"); found {
				w.attribute("xmlns:"+prefix, "http://www.w3.org/2001/XMLSchema-instance")
			}
			w.attribute(m.Wire, codec.ScalarText(field, m))
		}
	}
	w.buf = append(w.buf, '>')
	err := w.members(v, shape, depth)
	w.End(name)
	return err
}

func (w *Writer) members(v reflect.Value, shape *schema.Shape, depth int) error {
	for i := range shape.Members {
		m := &shape.Members[i]
		if m.Location != schema.Body || m.XMLAttribute {
			continue
		}
		if field := codec.Field(v, m); codec.Sent(field, m, w.Answer) {
			if err := w.value(field, m, m.Wire, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Writer) value(v reflect.Value, m *schema.Member, name string, depth int) error {
	if depth > codec.MaxDepth {
		return fmt.Errorf("encode element %s: nested too deep", name)
	}
	switch m.Shape.Kind {
	case schema.Structure:
		return w.structure(codec.Deref(v), m.Shape, name, "", depth)
	case schema.List:
		return w.list(v, m.Shape, name, depth)
	case schema.Map:
		return w.mapping(v, m.Shape, name, depth)
	case schema.Timestamp: // in none of whose forms is anything to escape
		w.Start(name, "")
		w.buf = codec.AppendTimestamp(w.buf, v, m)
		w.End(name)
		return nil
	}
	w.Text(name, codec.ScalarText(v, m))
	return nil
}

func (w *Writer) list(v reflect.Value, shape *schema.Shape, name string, depth int) error {
	item := name
	if !shape.Flattened {
		item = shape.Element.Wire
		w.Start(name, "")
		defer w.End(name)
	}
	for i := range v.Len() {
		if err := w.value(v.Index(i), shape.Element, item, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// mapping writes the entries of a map in the order of their keys.
func (w *Writer) mapping(v reflect.Value, shape *schema.Shape, name string, depth int) error {
	entry := name
	if !shape.Flattened {
		entry = "entry"
		w.Start(name, "")
		defer w.End(name)
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, key := range keys {
		w.Start(entry, "")
		w.Text(shape.MapKey.Wire, key.String())
		if err := w.value(v.MapIndex(key), shape.Element, shape.Element.Wire, depth+1); err != nil {
			return err
		}
		w.End(entry)
	}
	return nil
}
