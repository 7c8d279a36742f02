// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"strings"
)

// String prints the document as JSON that reads as the same document: elements in
// the order of AWS's grammar, and lists for all values.
func (d *Document) String() string {
	var w printer
	w.open('{')
	if d.version != "" {
		w.member("Version", d.version)
	}
	if d.id != "" {
		w.member("Id", d.id)
	}
	w.name("Statement")
	w.open('[')
	for i := range d.statements {
		w.statement(&d.statements[i])
	}
	w.close(']')
	w.close('}')
	return w.String()
}

// printer writes JSON with members in the order in which they come.
type printer struct {
	strings.Builder
	more bool
}

func (w *printer) next() {
	if w.more {
		w.WriteByte(',')
	}
	w.more = true
}

func (w *printer) open(sign byte) {
	w.next()
	w.WriteByte(sign)
	w.more = false
}

func (w *printer) close(sign byte) {
	w.WriteByte(sign)
	w.more = true
}

func (w *printer) name(name string) {
	w.next()
	w.write(name)
	w.WriteByte(':')
	w.more = false
}

func (w *printer) member(name string, v any) {
	w.name(name)
	w.write(v)
	w.more = true
}

// write writes strings and lists of strings, which cannot go wrong.
func (w *printer) write(v any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err)
	}
	w.WriteString(strings.TrimSuffix(b.String(), "\n"))
}

func (w *printer) statement(s *statement) {
	w.open('{')
	if s.sid != "" {
		w.member("Sid", s.sid)
	}
	effect := "Allow"
	if s.deny {
		effect = "Deny"
	}
	w.member("Effect", effect)
	if s.principals != nil {
		w.principals(s)
	}
	actions := make([]string, len(s.actions))
	for i := range s.actions {
		actions[i] = s.actions[i].source
	}
	w.member(not(s.notAction, "Action"), actions)
	if len(s.resources) > 0 {
		resources := make([]string, len(s.resources))
		for i := range s.resources {
			resources[i] = s.resources[i].source
		}
		w.member(not(s.notResource, "Resource"), resources)
	}
	if len(s.conditions) > 0 {
		w.conditions(s.conditions)
	}
	w.close('}')
}

func not(negated bool, element string) string {
	if negated {
		return "Not" + element
	}
	return element
}

func (w *printer) principals(s *statement) {
	element := not(s.notPrincipal, "Principal")
	if s.principals.everyone {
		w.member(element, "*")
		return
	}
	w.name(element)
	w.open('{')
	for i, kind := range s.principals.types {
		w.member(kind, s.principals.sources[i])
	}
	w.close('}')
}

func (w *printer) conditions(conditions []condition) {
	w.name("Condition")
	w.open('{')
	for i := range conditions {
		c := &conditions[i]
		if i == 0 || conditions[i-1].name != c.name {
			w.name(c.name)
			w.open('{')
		}
		w.member(c.written, c.sources)
		if i == len(conditions)-1 || conditions[i+1].name != c.name {
			w.close('}')
		}
	}
	w.close('}')
}
