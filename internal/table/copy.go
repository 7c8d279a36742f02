// SPDX-License-Identifier: Apache-2.0

package table

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// copier copies a value into a zero one as writing it as JSON and reading it again
// would, without doing so. False says that it cannot: the value would come back as
// another one, or not at all.
type copier func(to, from reflect.Value, w *words) bool

// copierOf gives the copier of a type; nil when it is one that nothing is known of.
// Empty says that an empty value is left out of the JSON.
func copierOf(t reflect.Type, empty bool) copier {
	switch t {
	case reflect.TypeFor[time.Time]():
		return copyTime
	case reflect.TypeFor[netip.Addr]():
		return copyPlain
	case reflect.TypeFor[netip.Prefix]():
		return copyPrefix
	case reflect.TypeFor[[]string]():
		return copyTexts(empty)
	}
	for _, itself := range writesItself {
		if reflect.PointerTo(t).Implements(itself) {
			return nil
		}
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return copyPlain
	case reflect.String:
		return copyString
	case reflect.Struct:
		return copierOfStruct(t)
	case reflect.Slice:
		return copierOfSlice(t, empty)
	case reflect.Map:
		return copierOfMap(t, empty)
	}
	return nil
}

func copyPlain(to, from reflect.Value, _ *words) bool {
	to.Set(from)
	return true
}

func copyString(to, from reflect.Value, w *words) bool {
	text := from.String()
	to.SetString(w.share(text))
	return utf8.ValidString(text)
}

// copyTime copies a time without the reading of the monotonic clock, from any zone that
// is at UTC: that of the host often is.
func copyTime(to, from reflect.Value, _ *words) bool {
	t := from.Addr().Interface().(*time.Time)
	*to.Addr().Interface().(*time.Time) = t.Round(0).UTC()
	_, offset := t.Zone()
	return offset == 0
}

// copyTexts copies a list of texts that others may have too.
func copyTexts(empty bool) copier {
	return func(to, from reflect.Value, w *words) bool {
		texts := *from.Addr().Interface().(*[]string)
		switch {
		case texts == nil || len(texts) == 0 && empty:
			return true
		case len(texts) > 0:
			texts = w.shareList(texts)
		default:
			texts = []string{}
		}
		*to.Addr().Interface().(*[]string) = texts
		return !slices.ContainsFunc(texts, func(text string) bool { return !utf8.ValidString(text) })
	}
}

// copyPrefix copies a prefix of which there is a text.
func copyPrefix(to, from reflect.Value, _ *words) bool {
	p := from.Addr().Interface().(*netip.Prefix)
	*to.Addr().Interface().(*netip.Prefix) = *p
	return p.IsValid() && !p.Addr().Is4In6() || *p == netip.Prefix{}
}

// copierOfStruct knows structs all of whose fields are written, each under a name
// of its own.
func copierOfStruct(t reflect.Type) copier {
	type field struct {
		at   int
		copy copier
	}
	var fields []field
	names := make(map[string]bool)
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		each := copierOf(f.Type, strings.Contains(options, "omitempty"))
		inside := f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct
		if each == nil || !f.IsExported() || name == "-" || strings.Contains(options, "string") || f.Anonymous && !inside {
			return nil
		}
		fields = append(fields, field{i, each})
		written := &shape{fields: make(map[string]*shape)}
		if inside {
			written.add(f.Type)
		} else if name == "" {
			name = f.Name
		}
		if !inside {
			written.fields[name] = nil
		}
		for name := range written.fields {
			if name = strings.ToLower(name); names[name] {
				return nil
			}
			names[name] = true
		}
	}
	return func(to, from reflect.Value, w *words) bool {
		for _, f := range fields {
			if !f.copy(to.Field(f.at), from.Field(f.at), w) {
				return false
			}
		}
		return true
	}
}

func copierOfSlice(t reflect.Type, empty bool) copier {
	each := copierOf(t.Elem(), false)
	if each == nil {
		return nil
	}
	return func(to, from reflect.Value, w *words) bool {
		n := from.Len()
		if from.IsNil() || n == 0 && empty {
			return true
		}
		to.Set(reflect.MakeSlice(t, n, n))
		for i := range n {
			if !each(to.Index(i), from.Index(i), w) {
				return false
			}
		}
		return true
	}
}

func copierOfMap(t reflect.Type, empty bool) copier {
	key, each := copierOf(t.Key(), false), copierOf(t.Elem(), false)
	if t.Key().Kind() != reflect.String || key == nil || each == nil {
		return nil
	}
	return func(to, from reflect.Value, w *words) bool {
		if from.IsNil() || from.Len() == 0 && empty {
			return true
		}
		to.Set(reflect.MakeMapWithSize(t, from.Len()))
		for all := from.MapRange(); all.Next(); {
			// Elements of maps have no address, which times and prefixes need.
			k, v, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem(), reflect.New(t.Elem()).Elem()
			value.Set(all.Value())
			if !key(k, all.Key(), w) || !each(v, value, w) {
				return false
			}
			to.SetMapIndex(k, v)
		}
		return true
	}
}
