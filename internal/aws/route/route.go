// SPDX-License-Identifier: Apache-2.0

// Package route finds the operation of a REST service that a method and a path
// name. It works on the path as it was sent, still escaped, because an ARN in a
// path holds slashes (as %2F) that separate nothing; and it never redirects,
// because a redirect breaks a signature.
package route

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/schema"
)

// ErrNotFound says that no operation has the path.
var ErrNotFound = errors.New("no operation has this path")

// MethodError says that operations have the path, but not with this method.
type MethodError struct {
	Allowed []string // sorted
}

// Error lists the methods that the path has.
func (e *MethodError) Error() string {
	return "the path has only the methods " + strings.Join(e.Allowed, ", ")
}

// Match is what a Router found.
type Match struct {
	Operation *schema.Operation
	// Path is the escaped path with or without a slash at the end, as the
	// template of the operation has it.
	Path string
}

// Router is a trie of the path templates of one service. It does not change
// after New and may be used by many goroutines.
type Router struct{ root node }

// node is one position in a path. Its children are tried in the order fixed
// text, label, greedy label.
type node struct {
	fixed  map[string]*node
	label  *node
	greedy *node
	// operations are those whose template ends here, by method.
	operations map[string]*schema.Operation
}

// New builds the router of a service. Two operations with the same method and
// path, or a template that no client can send, are errors.
func New(service *schema.Service) (*Router, error) {
	r := &Router{}
	for _, op := range service.Operations {
		if err := r.add(op); err != nil {
			return nil, fmt.Errorf("route operation %s of %s: %w", op.Name, service.Name, err)
		}
	}
	return r, nil
}

func (r *Router) add(op *schema.Operation) error {
	if !strings.HasPrefix(op.Path, "/") || strings.Contains(op.Path, "?") {
		return fmt.Errorf("path %q must start with a slash and have no query", op.Path)
	}
	parts := split(op.Path)
	at := &r.root
	for i, part := range parts {
		name, label := strings.CutPrefix(part, "{")
		switch {
		case label && strings.HasSuffix(name, "+}"):
			if i != len(parts)-1 {
				return fmt.Errorf("path %q goes on after a greedy label", op.Path)
			}
			at = child(&at.greedy)
		case label:
			at = child(&at.label)
		default:
			next := at.fixed[part]
			if at.fixed == nil {
				at.fixed = map[string]*node{}
			}
			at.fixed[part] = child(&next)
			at = next
		}
	}
	if other := at.operations[op.Method]; other != nil {
		return fmt.Errorf("%s %s is taken by %s", op.Method, op.Path, other.Name)
	}
	if at.operations == nil {
		at.operations = map[string]*schema.Operation{}
	}
	at.operations[op.Method] = op
	return nil
}

// child returns the node at place and makes it first if there is none.
func child(place **node) *node {
	if *place == nil {
		*place = &node{}
	}
	return *place
}

// Find returns the operation for a method and an escaped path. A slash at the
// end makes no difference. The error is ErrNotFound or a *MethodError.
func (r *Router) Find(method, escapedPath string) (Match, error) {
	if !strings.HasPrefix(escapedPath, "/") {
		return Match{}, ErrNotFound
	}
	s := search{method: method}
	s.walk(&r.root, split(escapedPath))
	switch {
	case s.found != nil:
		path := strings.TrimSuffix(escapedPath, "/")
		if strings.HasSuffix(s.found.Path, "/") {
			path += "/"
		}
		return Match{Operation: s.found, Path: path}, nil
	case len(s.others) > 0:
		slices.Sort(s.others)
		return Match{}, &MethodError{Allowed: slices.Compact(s.others)}
	}
	return Match{}, ErrNotFound
}

// search walks the trie until it finds the method, and notes on its way the
// methods of other operations with the path.
type search struct {
	method string
	found  *schema.Operation
	others []string
}

func (s *search) walk(at *node, parts []string) {
	if at == nil || s.found != nil {
		return
	}
	if len(parts) == 0 {
		s.arrive(at)
		return
	}
	value, err := url.PathUnescape(parts[0])
	if err != nil || value == "" {
		return
	}
	s.walk(at.fixed[value], parts[1:])
	s.walk(at.label, parts[1:])
	if at.greedy != nil && s.found == nil {
		s.arrive(at.greedy)
	}
}

func (s *search) arrive(at *node) {
	if s.found = at.operations[s.method]; s.found != nil {
		return
	}
	for method := range at.operations {
		s.others = append(s.others, method)
	}
}

// split cuts a path into its parts; the root has none.
func split(path string) []string {
	path = strings.TrimSuffix(path[1:], "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}
