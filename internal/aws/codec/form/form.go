// SPDX-License-Identifier: Apache-2.0

// Package form reads and writes the bodies of the EC2 and query protocols:
// flat forms whose keys are paths, such as Filter.1.Value.2. The two protocols
// differ in how lists and maps are spelled, which a Dialect says.
//
// Lists are never allocated by the index that a client writes: their elements
// are put in the order of their indexes, so gaps close, as they do on AWS.
package form

import (
	"errors"
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

// parameter is one of a request, as it was meant.
type parameter struct{ name, value string }

// parameters returns those of a request: those of the body, and those of the
// request line without the signature's.
func parameters(r *codec.Request) ([]parameter, error) {
	body := string(r.Body)
	list := make([]parameter, 0, strings.Count(body, "&")+1)
	for body != "" {
		var pair string
		if pair, body, _ = strings.Cut(body, "&"); pair == "" {
			continue
		}
		p, err := unescape(pair)
		if err != nil {
			return nil, &codec.Error{Problem: codec.Malformed, Detail: "the body is not a form", Cause: err}
		}
		list = append(list, p)
	}
	for name, values := range r.Query {
		if strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		for _, value := range values {
			list = append(list, parameter{name, value})
		}
	}
	return list, nil
}

// errSemicolon refuses what some servers take for an ampersand, as package url does.
var errSemicolon = errors.New("invalid semicolon separator in query")

func unescape(pair string) (p parameter, err error) {
	if strings.Contains(pair, ";") {
		return p, errSemicolon
	}
	name, value, _ := strings.Cut(pair, "=")
	if p.name, err = url.QueryUnescape(name); err == nil {
		p.value, err = url.QueryUnescape(value)
	}
	return p, err
}

// node is a part of the path of a key.
type node struct {
	path     string // the beginning of a key
	name     string // the end of path
	value    string
	hasValue bool
	index    int // of an element of a list or map, once it has been read
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

// add puts a child behind the others.
func (n *node) add(c *node) {
	n.children = append(n.children, c)
	switch {
	case n.byName != nil:
		n.byName[c.name] = c
	case len(n.children) > few:
		n.byName = make(map[string]*node)
		for _, c := range n.children {
			n.byName[c.name] = c
		}
	}
}

// sort puts the children in the order of their names, for errors that do not
// change from run to run.
func (n *node) sort() {
	slices.SortFunc(n.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	for _, c := range n.children {
		c.sort()
	}
}

// nodes makes them some at a time.
type nodes struct{ room []node }

// several is how many nodes are made at a time.
const several = 4

func (m *nodes) make() *node {
	if len(m.room) == 0 {
		m.room = make([]node, several)
	}
	n := &m.room[0]
	m.room = m.room[1:]
	return n
}

// at gives the node of a key, and makes it if need be.
func (m *nodes) at(root *node, key string) *node {
	n := root
	for begin, more := 0, true; more; {
		end := len(key)
		var i int
		if i = strings.IndexByte(key[begin:], '.'); i >= 0 {
			end = begin + i
		}
		more = i >= 0
		c := n.find(key[begin:end])
		if c == nil {
			c = m.make()
			c.path, c.name = key[:end], key[begin:end]
			n.add(c)
		}
		n, begin = c, end+1
	}
	return n
}

// parse arranges parameters by the parts of their names. One that is given twice is
// an error.
func parse(list []parameter) (*node, error) {
	root, made := &node{}, nodes{}
	action, version := &node{}, &node{}
	for _, p := range list {
		var at *node
		switch {
		case p.name == "Action":
			at = action
		case p.name == "Version":
			at = version
		case strings.Count(p.name, ".") >= 2*codec.MaxDepth:
			return nil, &codec.Error{Problem: codec.TooDeep, Parameter: p.name, Detail: "is nested too deep"}
		default:
			at = made.at(root, p.name)
		}
		if at.hasValue {
			return nil, &codec.Error{Problem: codec.Duplicate, Parameter: p.name, Detail: "is given more than once"}
		}
		at.value, at.hasValue = p.value, true
	}
	root.sort()
	return root, nil
}

// Decode fills the input of an operation from the parameters of a request.
func (d Dialect) Decode(op *schema.Operation, r *codec.Request) (any, error) {
	list, err := parameters(r)
	if err != nil {
		return nil, err
	}
	root, err := parse(list)
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
