// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Longest is how many characters a policy may have on the wire.
const Longest = 131072

// Version is the language's. The older one, which is meant where none is given, has no
// variables.
const (
	Version    = "2012-10-17"
	versionOld = "2008-10-17"
)

// Document is a policy that was read. It does not change.
type Document struct {
	kind        Kind
	version, id string
	statements  []statement
}

// Kind is the kind that the document was read as.
func (d *Document) Kind() Kind { return d.kind }

// Version is 2012-10-17 or 2008-10-17, and empty when the text has none.
func (d *Document) Version() string { return d.version }

// statement is one statement. Exactly one of its patterns of actions and of
// resources is used; not says that they are exceptions.
type statement struct {
	sid          string
	deny         bool
	actions      []action
	notAction    bool
	resources    []pattern
	notResource  bool
	anyResource  bool
	principals   *principals
	notPrincipal bool
	conditions   []condition
	start, end   Position
}

// Position is a place in a policy's text: lines and characters are counted from one.
type Position struct{ Line, Column int }

// Parse reads a policy of that kind. The error is an *Error.
func Parse(kind Kind, source string) (*Document, error) {
	d, problem := parse(kind, source)
	if problem != nil {
		return nil, problem
	}
	return d, nil
}

func parse(kind Kind, source string) (*Document, *Error) {
	if len(source) > Longest && utf8.RuneCountInString(source) > Longest {
		return nil, syntax("", "it has more than %d characters", Longest)
	}
	root, problem := readJSON(source)
	if problem != nil {
		return nil, problem
	}
	if root.shape != object {
		return nil, syntax("", "it is not an object")
	}
	d := &Document{kind: kind}
	if problem := d.head(&root); problem != nil {
		return nil, problem
	}
	body := root.member("Statement")
	if body == nil {
		return nil, syntax("", "it has no Statement")
	}
	items, single := body.members, body.shape == object
	if single {
		items = []node{*body}
	} else if body.shape != list || len(items) == 0 {
		return nil, syntax("", "Statement is neither a statement nor a list of some")
	}
	p := &parser{kind: kind, vars: d.version == Version, lines: lineStarts(source), source: source}
	sids := map[string]bool{}
	for i := range items {
		p.where = fmt.Sprintf("Statement %d", i+1)
		s, problem := p.statement(&items[i], single)
		if problem != nil {
			return nil, problem
		}
		if s.sid != "" && sids[s.sid] {
			return nil, &Error{Text: textSidTwice}
		}
		sids[s.sid] = true
		d.statements = append(d.statements, s)
	}
	return d, nil
}

// head reads what a policy has beside statements.
func (d *Document) head(root *node) *Error {
	for i, name := range root.names {
		n := &root.members[i]
		switch name {
		case "Version":
			if n.shape != text || n.text != versionOld && n.text != Version {
				return syntax("", "Version is neither %s nor %s", Version, versionOld)
			}
			d.version = n.text
		case "Id":
			if n.shape != text {
				return syntax("", "Id is no string")
			}
			d.id = n.text
		case "Statement":
		default:
			return syntax("", "there is no element %q", name)
		}
	}
	return nil
}

// Size counts the characters of a policy as IAM's quotas do: without white space.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func Size(source string) int {
	n := 0
	for _, r := range source {
		if !strings.ContainsRune(" \t\r\n", r) {
			n++
		}
	}
	return n
}

// parser has what the reading of a statement depends on.
type parser struct {
	kind   Kind
	vars   bool
	where  string
	source string
	lines  []int
	// searched counts what pattern.searched does, of all patterns.
	searched int
}

// mostSearched is more ? between two * than anybody needs in a policy. With it the longest
// policy is compared with the longest ARN in some milliseconds.
const mostSearched = 512

// bounded counts a pattern, and refuses the policy when there is too much to search.
func (p *parser) bounded(q *pattern) *Error {
	if p.searched += q.searched(); p.searched > mostSearched {
		return syntax(p.where, "comes to more than %d question marks between asterisks", mostSearched)
	}
	return nil
}

func (p *parser) statement(n *node, single bool) (s statement, problem *Error) {
	if n.shape != object {
		return s, syntax(p.where, "is not an object")
	}
	for i, name := range n.names {
		if problem := p.element(&s, name, &n.members[i]); problem != nil {
			return s, problem
		}
	}
	if n.member("Effect") == nil {
		return s, syntax(p.where, "has no Effect")
	}
	for _, pair := range [...][2]string{{"Action", "NotAction"}, {"Resource", "NotResource"}, {"Principal", "NotPrincipal"}} {
		if n.member(pair[0]) != nil && n.member(pair[1]) != nil {
			return s, syntax(p.where, "has both %s and %s", pair[0], pair[1])
		}
	}
	if problem := p.whole(&s); problem != nil {
		return s, problem
	}
	from := n.before
	if single {
		from = n.start
	}
	s.start, s.end = p.position(from), p.position(n.end)
	return s, nil
}

// element reads one element of a statement.
func (p *parser) element(s *statement, name string, n *node) *Error {
	switch name {
	case "Sid":
		return p.sid(s, n)
	case "Effect":
		switch {
		case n.shape != text:
			return syntax(p.where, "has an Effect that is no string")
		case n.text != "Allow" && n.text != "Deny":
			return &Error{Text: textLegacy, Detail: fmt.Sprintf("(%s has the Effect %.200q; it is Allow or Deny.)", p.where, n.text)}
		}
		s.deny = n.text == "Deny"
		return nil
	case "Action", "NotAction":
		s.notAction = name == "NotAction"
		return p.actions(s, name, n)
	case "Resource", "NotResource":
		s.notResource = name == "NotResource"
		return p.resources(s, name, n)
	case "Principal", "NotPrincipal":
		s.notPrincipal = name == "NotPrincipal"
		return p.principals(s, name, n)
	case "Condition":
		return p.conditions(s, n)
	default:
		return syntax(p.where, "has an element %q, which there is not", name)
	}
}

func (p *parser) sid(s *statement, n *node) *Error {
	if n.shape != text {
		return syntax(p.where, "has a Sid that is no string")
	}
	s.sid = n.text
	if p.kind == Resource {
		return nil
	}
	for _, r := range s.sid {
		if !alphanumeric(r) {
			return &Error{Text: textSidSigns}
		}
	}
	return nil
}

func alphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

// whole checks that a statement has what its kind of policies needs.
func (p *parser) whole(s *statement) *Error {
	needsWho := p.kind == Trust || p.kind == Resource
	needsWhat := p.kind != Trust && p.kind != Permission
	switch {
	case needsWho && s.principals == nil:
		return &Error{Text: textNeedsWho}
	case len(s.actions) == 0:
		return &Error{Text: textNoAction}
	case needsWhat && len(s.resources) == 0 && !s.anyResource:
		return &Error{Text: textNoResource}
	case s.notPrincipal && !s.deny:
		return syntax(p.where, "allows all but some principals: NotPrincipal is for Deny")
	case p.kind == Permission && s.deny:
		return syntax(p.where, "denies: a permission can only allow")
	}
	s.anyResource = s.anyResource || !needsWhat
	return nil
}

func (p *parser) conditions(s *statement, n *node) *Error {
	if n.shape != object {
		return syntax(p.where, "has a Condition that is not an object")
	}
	for i, name := range n.names {
		block := &n.members[i]
		c, ok := compileOperator(name)
		if !ok {
			return syntax(p.where, "has a condition operator %q, which there is not", name)
		}
		if block.shape != object {
			return syntax(p.where, "has no object of keys and values behind %s", name)
		}
		seen := map[string]bool{}
		for j, written := range block.names {
			c.written, c.key = written, strings.ToLower(written)
			if seen[c.key] {
				return syntax(p.where, "has the key %s twice behind %s", written, name)
			}
			seen[c.key] = true
			if problem := p.condition(&c, &block.members[j]); problem != nil {
				return problem
			}
			s.conditions = append(s.conditions, c)
		}
	}
	// Those of one document are compared in one order, whatever its text has.
	slices.SortStableFunc(s.conditions, func(a, b condition) int { return strings.Compare(a.name, b.name) })
	return nil
}

func (p *parser) condition(c *condition, n *node) *Error {
	if vendor, name, ok := strings.Cut(c.written, ":"); !ok || vendor == "" || name == "" || strings.ContainsAny(c.written, "*?${}") {
		return syntax(p.where, "has a condition key %q, which is not of the form vendor:name", c.written)
	}
	sources, ok := n.texts(true)
	if !ok {
		return syntax(p.where, "has values of %s that are neither strings nor numbers nor booleans", c.written)
	}
	if len(sources) == 0 && c.family == existence {
		return syntax(p.where, "has Null without true or false")
	}
	c.sources, c.values = sources, make([]operand, 0, len(sources))
	for _, source := range sources {
		v, problem := c.compileOperand(source, p.vars)
		switch {
		case problem != "" && c.family == dates:
			return &Error{Text: textLegacy, Detail: fmt.Sprintf("(%s: %.200q of %s %s.)", p.where, source, c.name, problem)}
		case problem != "":
			return syntax(p.where, "has a value %q of %s that %s", source, c.name, problem)
		}
		if problem := p.bounded(&v.pattern); problem != nil {
			return problem
		}
		c.values = append(c.values, v)
	}
	return nil
}

func lineStarts(source string) []int {
	starts := []int{0}
	for i := range len(source) {
		if source[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (p *parser) position(offset int) Position {
	line, found := slices.BinarySearch(p.lines, offset)
	if !found {
		line--
	}
	return Position{Line: line + 1, Column: utf8.RuneCountInString(p.source[p.lines[line]:offset]) + 1}
}
