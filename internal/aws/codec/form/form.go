// SPDX-License-Identifier: Apache-2.0

// Package form reads and writes the bodies of the EC2 and query protocols:
// flat forms whose keys are paths, such as Filter.1.Value.2. The two protocols
// differ in how lists and maps are spelled, which a Dialect says.
//
// Lists are never allocated by the index that a client writes: their elements
// are put in the order of their indexes, so gaps close, as they do on AWS.
package form

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// Dialect is the spelling of lists and maps.
type Dialect struct {
	// FlatLists is true where all lists are Name.N, as in the EC2 protocol;
	// otherwise only flattened ones are, and others are Name.member.N.
	FlatLists bool
}

// ContentType of requests.
const ContentType = "application/x-www-form-urlencoded; charset=utf-8"

// Values returns the parameters of a request: those of the body, and those of
// the request line without the signature's. A parameter in both, or twice in
// one, is an error.
func Values(r *codec.Request) (url.Values, error) {
	values, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, &codec.Error{Problem: codec.Malformed, Detail: "the body is not a form", Cause: err}
	}
	for key, list := range r.Query {
		if !strings.HasPrefix(key, "X-Amz-") {
			values[key] = append(values[key], list...)
		}
	}
	for key, list := range values {
		if len(list) != 1 {
			return nil, &codec.Error{Problem: codec.Duplicate, Parameter: key, Detail: "is given more than once"}
		}
	}
	return values, nil
}

// node is a part of the path of a key.
type node struct {
	path     string
	value    string
	hasValue bool
	name     string
	children []*node
	byName   map[string]*node // of the children, when there are many
}

// few is how many children are looked through one by one.
const few = 8

func (n *node) find(name string) *node {
	if n.byName != nil {
		return n.byName[name]
	}
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

func (n *node) child(name string) *node {
	if c := n.find(name); c != nil {
		return c
	}
	c := &node{path: name, name: name}
	if n.path != "" {
		c.path = n.path + "." + name
	}
	n.children = append(n.children, c)
	switch {
	case n.byName != nil:
		n.byName[name] = c
	case len(n.children) > few:
		n.byName = make(map[string]*node)
		for _, c := range n.children {
			n.byName[c.name] = c
		}
	}
	return c
}

// sort puts the children in the order of their names, for errors that do not
// change from run to run.
func (n *node) sort() {
	slices.SortFunc(n.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	for _, c := range n.children {
		c.sort()
	}
}

// parse arranges parameters by the parts of their names.
func parse(values url.Values) (*node, error) {
	root := &node{}
	for key, list := range values {
		if key == "Action" || key == "Version" {
			continue
		}
		if strings.Count(key, ".") >= 2*codec.MaxDepth {
			return nil, &codec.Error{Problem: codec.TooDeep, Parameter: key, Detail: "is nested too deep"}
		}
		at := root
		for part := range strings.SplitSeq(key, ".") {
			at = at.child(part)
		}
		at.value, at.hasValue = list[0], true
	}
	root.sort()
	return root, nil
}

// Decode fills the input of an operation from the parameters of a request.
func (d Dialect) Decode(op *schema.Operation, r *codec.Request) (any, error) {
	values, err := Values(r)
	if err != nil {
		return nil, err
	}
	root, err := parse(values)
	if err != nil {
		return nil, err
	}
	in := op.NewInput()
	v, err := codec.Struct(in, op.Input)
	if err != nil {
		return nil, err
	}
	if err := d.structure(v, op.Input, root, 0); err != nil {
		return nil, err
	}
	return in, nil
}

// Encode writes an input as the request that a client of the service sends.
func (d Dialect) Encode(svc *schema.Service, op *schema.Operation, in any) (*codec.Request, error) {
	v, err := codec.Struct(in, op.Input)
	if err != nil {
		return nil, err
	}
	w := writer{dialect: d, values: url.Values{"Action": {op.Name}, "Version": {svc.Version}}}
	if err := w.structure(v, op.Input, "", 0); err != nil {
		return nil, err
	}
	return &codec.Request{
		Method: http.MethodPost,
		Path:   "/",
		Header: http.Header{"Content-Type": {ContentType}},
		Body:   []byte(w.values.Encode()),
	}, nil
}

// index reads the name of an element of a list.
func index(n *node) (int, error) {
	i, err := strconv.Atoi(n.name)
	if err != nil || i < 1 || i > codec.MaxListLength || strconv.Itoa(i) != n.name {
		return 0, &codec.Error{
			Problem: codec.BadIndex, Parameter: n.path,
			Detail: "has an index that is not a number from 1 to " + strconv.Itoa(codec.MaxListLength),
		}
	}
	return i, nil
}
