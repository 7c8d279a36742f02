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
	"sync"

	"github.com/posternhq/postern/internal/aws/codec"
	"github.com/posternhq/postern/internal/aws/schema"
)

// Dialect is the spelling of lists and maps.
type Dialect struct {
	// FlatLists is true where all lists are Name.N, as in the EC2 protocol;
	// otherwise only flattened ones are, and others are Name.member.N.
	FlatLists bool
	trees     *sync.Pool // of *tree; nil keeps none
}

// NewDialect returns a dialect that uses the room of one form for the next.
func NewDialect(flatLists bool) Dialect { return Dialect{FlatLists: flatLists, trees: new(sync.Pool)} }

// ContentType of requests.
const ContentType = "application/x-www-form-urlencoded; charset=utf-8"

// parameter is one of a request, as it was meant.
type parameter struct{ name, value string }

// parameters appends those of a request to list: those of the body, and those of the
// request line without the signature's.
func parameters(list []parameter, r *codec.Request) ([]parameter, error) {
	body := string(r.Body)
	list = slices.Grow(list, strings.Count(body, "&")+1)
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

// tree is what a form is taken apart into, one form after the other.
type tree struct {
	list                  []parameter
	root, action, version node
	room                  [16]node // most forms have fewer
	used                  int
}

func (d Dialect) tree() *tree {
	if d.trees != nil {
		if t, ok := d.trees.Get().(*tree); ok {
			return t
		}
	}
	return new(tree)
}

// release forgets the form, of which nothing is needed any more but texts.
func (d Dialect) release(t *tree) {
	const kept = 64
	if d.trees == nil || len(t.list) > kept {
		return // to the collector, with all that is in it
	}
	clear(t.list)
	t.list = t.list[:0]
	for _, n := range []*node{&t.root, &t.action, &t.version} {
		n.clear()
	}
	for i := range t.used {
		t.room[i].clear()
	}
	t.used = 0
	d.trees.Put(t)
}

// clear empties a node but for the room of its children.
func (n *node) clear() {
	clear(n.children)
	*n = node{children: n.children[:0]}
}

func (t *tree) make() *node {
	if t.used == len(t.room) {
		return new(node)
	}
	t.used++
	return &t.room[t.used-1]
}

// at gives the node of a key, and makes it if need be.
func (t *tree) at(key string) *node {
	n := &t.root
	for begin, more := 0, true; more; {
		end := len(key)
		var i int
		if i = strings.IndexByte(key[begin:], '.'); i >= 0 {
			end = begin + i
		}
		more = i >= 0
		c := n.find(key[begin:end])
		if c == nil {
			c = t.make()
			c.path, c.name = key[:end], key[begin:end]
			n.add(c)
		}
		n, begin = c, end+1
	}
	return n
}

// parse arranges parameters by the parts of their names. One that is given twice is
// an error.
func (t *tree) parse() (*node, error) {
	for _, p := range t.list {
		var at *node
		switch {
		case p.name == "Action":
			at = &t.action
		case p.name == "Version":
			at = &t.version
		case strings.Count(p.name, ".") >= 2*codec.MaxDepth:
			return nil, &codec.Error{Problem: codec.TooDeep, Parameter: p.name, Detail: "is nested too deep"}
		default:
			at = t.at(p.name)
		}
		if at.hasValue {
			return nil, &codec.Error{Problem: codec.Duplicate, Parameter: p.name, Detail: "is given more than once"}
		}
		at.value, at.hasValue = p.value, true
	}
	t.root.sort()
	return &t.root, nil
}

// Decode fills the input of an operation from the parameters of a request.
func (d Dialect) Decode(op *schema.Operation, r *codec.Request) (any, error) {
	t := d.tree()
	defer d.release(t)
	var err error
	if t.list, err = parameters(t.list, r); err != nil {
		return nil, err
	}
	root, err := t.parse()
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
