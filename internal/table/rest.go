// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// rest is what a row has in the store and not in memory: fields that a later
// version has written and this one does not know. Almost no row has one. It is
// added again when the row is written.
type rest struct {
	// unknown are the fields of a struct that are not known, as they are.
	unknown map[string]any
	// inside is what known fields, or the values of a map, have.
	inside map[string]*rest
	// items are the elements of a list that have something.
	items []restItem
}

// restItem is an element of a list. The list may be another one when it is
// written: the element is known again by its id, or else by all that is known of it.
type restItem struct {
	key  string
	rest *rest
}

// restOf finds what a row has more than this version knows: in its stored form,
// compared with what this version writes for it. Both are generic JSON.
func restOf(s *shape, stored, written any) *rest {
	if s == nil {
		return nil
	}
	var out rest
	switch stored := stored.(type) {
	case map[string]any:
		known, _ := written.(map[string]any)
		for name, value := range stored {
			field, is := s.each, s.fields == nil
			if !is {
				field, is = s.fields[name]
			}
			if !is {
				out.unknown = with(out.unknown, name, value)
			} else if inside := restOf(field, value, known[name]); inside != nil {
				out.inside = with(out.inside, name, inside)
			}
		}
	case []any:
		known, _ := written.([]any)
		for i, value := range stored {
			if i >= len(known) {
				break
			}
			if r := restOf(s.each, value, known[i]); r != nil {
				out.items = append(out.items, restItem{elementKey(known[i]), r})
			}
		}
	}
	if out.unknown == nil && out.inside == nil && out.items == nil {
		return nil
	}
	return &out
}

func with[V any](m map[string]V, name string, value V) map[string]V {
	if m == nil {
		m = make(map[string]V)
	}
	m[name] = value
	return m
}

// elementKey tells elements of a list apart.
func elementKey(element any) string {
	if fields, ok := element.(map[string]any); ok {
		if id, ok := fields["id"].(string); ok && id != "" {
			return "id " + id
		}
	}
	text, _ := json.Marshal(element) // which was read from JSON
	return string(text)
}

// addTo adds the rest to the generic JSON of a row. What has no place any more is
// left out.
func (r *rest) addTo(written any) {
	switch written := written.(type) {
	case map[string]any:
		for name, value := range r.unknown {
			written[name] = value
		}
		for name, inside := range r.inside {
			if value, ok := written[name]; ok {
				inside.addTo(value)
			}
		}
	case []any:
		items := append([]restItem(nil), r.items...)
		for _, element := range written {
			is := elementKey(element)
			for i, item := range items {
				if item.key == is {
					item.rest.addTo(element)
					items = append(items[:i], items[i+1:]...)
					break
				}
			}
		}
	}
}

// versionField is the field of a stored row that has its version. Rows of version
// 1 have none.
const versionField = "rowVersion"

// Conversion makes the fields of a stored row, as generic JSON with numbers as
// json.Number, those of the next version.
type Conversion func(fields map[string]any) error

// Converted says that rows were stored in other forms before, and gives the
// conversions from version 1 to 2, from 2 to 3, and so on; the last one leads to
// the version that is written now. Rows are converted when they are read, and
// stored in the new form when they are written for another reason.
//
// A field that is only added needs no version: it is absent from older rows, and
// older programs keep it. A new version is for what they would take for something
// else; they set such rows aside.
func (t *Table[T]) Converted(conversions ...Conversion) *Table[T] {
	d := t.def
	d.conversions = conversions
	d.stamp = stampOf(d.version())
	d.shape.fields[versionField] = nil
	return t
}

// Apart says that programs of before would take some rows of the present version, those
// of which is reports true, for something else. They are stored as of the next version,
// which those programs set aside; to this one a row is the same with and without it.
// Other rows stay as they were. It is for what was added to a kind of rows that few of
// them have. Said again, it is of the version after that one: rows of which the last is
// reports true are of the last version.
func (t *Table[T]) Apart(is func(T) bool) *Table[T] {
	d := t.def
	d.conversions = append(d.conversions, func(map[string]any) error { return nil })
	d.stamp = stampOf(d.version())
	d.apart = append(d.apart, grade{stamp: d.stamp, is: func(row Row) bool { return is(row.(T)) }})
	return t
}

// grade is rows that are stored as of a version apart, and how those begin.
type grade struct {
	stamp string
	is    func(Row) bool
}

// stampFor gives how a stored row begins; empty when it has no version.
func (d *definition) stampFor(row Row) string {
	if d.apart == nil {
		return d.stamp
	}
	for _, g := range slices.Backward(d.apart) {
		if g.is(row) {
			return g.stamp
		}
	}
	return ""
}

func stampOf(version int) string { return fmt.Sprintf(`{"%s":%d`, versionField, version) }

func (d *definition) version() int { return 1 + len(d.conversions) }

// present reports whether a stored row is of the present version. Rows are stamped
// with it at their beginning, and those of version 1 are not. Where a few rows are of a
// version apart all are taken for present; the stamp is a field that is not known, then,
// and makes the row be read with care.
func (d *definition) present(text []byte) bool {
	rest, stamped := bytes.CutPrefix(text, []byte(d.stamp))
	return d.version() == 1 || d.apart != nil || stamped && len(rest) > 0 && (rest[0] == ',' || rest[0] == '}')
}

// read makes the row of its stored form, and what it has that this version does
// not know.
func (d *definition) read(text []byte) (Row, *rest, error) {
	if d.present(text) {
		if row, err := d.decoder(text); err == nil && !d.shape.strange(text) {
			return row, nil, nil
		}
	}
	fields, err := generic(text)
	if err != nil {
		return nil, nil, err
	}
	if text, err = d.convert(text, fields); err != nil {
		return nil, nil, err
	}
	row, err := d.decoder(text)
	if err != nil || !d.shape.strange(text) {
		return row, nil, err
	}
	again, err := json.Marshal(row)
	if err != nil {
		return nil, nil, err
	}
	written, err := generic(again)
	if err != nil {
		return nil, nil, err
	}
	return row, restOf(d.shape, fields, written), nil
}

// convert makes the fields those of the present version, without the version, and
// returns their text.
func (d *definition) convert(text []byte, fields map[string]any) ([]byte, error) {
	version := 1
	if stated, ok := fields[versionField]; ok {
		n, ok := stated.(json.Number)
		v, err := n.Int64()
		if !ok || err != nil || v < 1 {
			return nil, fmt.Errorf("its version is %v, which is no number of a version", stated)
		}
		version = int(v)
		delete(fields, versionField)
	} else if d.version() == 1 {
		return text, nil
	}
	if version > d.version() {
		return nil, fmt.Errorf("it has version %d, of a later Postern; this one knows %d", version, d.version())
	}
	for ; version < d.version(); version++ {
		if err := d.conversions[version-1](fields); err != nil {
			return nil, fmt.Errorf("convert it from version %d: %w", version, err)
		}
	}
	return json.Marshal(fields)
}

// write is the reverse of read.
func (d *definition) write(row Row, r *rest) ([]byte, error) {
	text, err := json.Marshal(row)
	if err == nil && r != nil {
		var fields map[string]any
		if fields, err = generic(text); err == nil {
			r.addTo(fields)
			text, err = json.Marshal(fields)
		}
	}
	stamp := d.stampFor(row)
	switch {
	case err != nil || stamp == "":
		return text, err
	case len(text) > len("{}"):
		return append([]byte(stamp+","), text[1:]...), nil
	}
	return []byte(stamp + "}"), nil
}

func generic(text []byte) (map[string]any, error) {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(&fields)
	if err == nil && fields == nil {
		err = fmt.Errorf("it is no JSON object")
	}
	return fields, err
}
