// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// shape is what a value of JSON is.
type shape uint8

const (
	object shape = iota + 1
	list
	text
	number
	boolean
	null
)

// node is a value of a policy's text with its place, which encoding/json does not
// tell. Members of objects are in the order of the text.
type node struct {
	shape   shape
	text    string
	names   []string
	members []node
	// before is the end of what came before an element of a list, start that of an
	// opening brace, and end that of the value; all are offsets of bytes.
	before, start, end int
}

// deepest is more than any policy nests: a condition's values lie six deep.
const deepest = 16

// reader makes nodes of tokens, so that what is deep or long is refused before it
// is taken apart.
type reader struct {
	decoder *json.Decoder
	twice   string
	deep    bool
}

// readJSON reads one value and nothing behind it. Objects may not have a member
// twice: which one counts would be anybody's guess.
func readJSON(source string) (node, *Error) {
	if !utf8.ValidString(source) {
		return node{}, &Error{Text: textNoJSON}
	}
	decoder := json.NewDecoder(strings.NewReader(source))
	decoder.UseNumber()
	r := &reader{decoder: decoder}
	n, err := r.value(0)
	switch {
	case r.twice != "":
		return node{}, syntax("", "it has %q twice in one object", r.twice)
	case r.deep:
		return node{}, syntax("", "it nests too deep")
	case err != nil:
		return node{}, &Error{Text: textNoJSON}
	}
	if rest := strings.TrimLeft(source[n.end:], " \t\r\n"); rest != "" {
		return node{}, &Error{Text: textNoJSON}
	}
	return n, nil
}

// errStop ends reading; why is in the reader.
var errStop = &Error{Text: textSyntax}

func (r *reader) value(depth int) (node, error) {
	var n node
	token, err := r.decoder.Token()
	if err != nil {
		return n, err
	}
	n.start = int(r.decoder.InputOffset())
	switch v := token.(type) {
	case json.Delim:
		if depth == deepest {
			r.deep = true
			return n, errStop
		}
		err = r.inside(&n, v, depth)
	case string:
		n.shape, n.text = text, v
	case json.Number:
		n.shape, n.text = number, v.String()
	case bool:
		n.shape, n.text = boolean, "false"
		if v {
			n.text = "true"
		}
	default:
		n.shape = null
	}
	n.end = int(r.decoder.InputOffset())
	return n, err
}

func (r *reader) inside(n *node, open json.Delim, depth int) error {
	n.shape = list
	if open == '{' {
		n.shape = object
	}
	seen := map[string]bool{}
	for {
		// More goes on to what follows, past white space.
		before := int(r.decoder.InputOffset())
		if !r.decoder.More() {
			break
		}
		if n.shape == object {
			token, err := r.decoder.Token()
			if err != nil {
				return err
			}
			name, _ := token.(string)
			if seen[name] {
				r.twice = name
				return errStop
			}
			seen[name] = true
			n.names = append(n.names, name)
		}
		member, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		member.before = before
		n.members = append(n.members, member)
	}
	_, err := r.decoder.Token()
	return err
}

// member finds a member of an object.
func (n *node) member(name string) *node {
	for i := range n.names {
		if n.names[i] == name {
			return &n.members[i]
		}
	}
	return nil
}

// texts gives the strings of a value that is one or a list of them, and of
// numbers and booleans where loose says so.
func (n *node) texts(loose bool) ([]string, bool) {
	items := []node{*n}
	if n.shape == list {
		items = n.members
	}
	texts := make([]string, 0, len(items))
	for _, item := range items {
		if item.shape != text && (!loose || item.shape != number && item.shape != boolean) {
			return nil, false
		}
		texts = append(texts, item.text)
	}
	return texts, true
}
