// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// accessSection is one service of access.txt, as it is written there.
type accessSection struct {
	hides, global bool
	kinds         []accessKind
	operations    map[string]string
}

type accessKind struct {
	service, name, prefix string
	noRegion, noAccount   bool
	colon                 bool
	keys                  []string // in lower case
}

// readAccess reads dir/access.txt, by the names of models.
func readAccess(dir string) (map[string]*accessSection, error) {
	text, err := os.ReadFile(filepath.Join(dir, "access.txt"))
	if err != nil {
		return nil, fmt.Errorf("read actions: %w", err)
	}
	return parseAccess(string(text))
}

func parseAccess(text string) (map[string]*accessSection, error) {
	sections := map[string]*accessSection{}
	var name string
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		var err error
		switch section := sections[name]; {
		case strings.HasPrefix(words[0], "["):
			name, sections, err = openAccess(sections, words)
		case section == nil:
			err = fmt.Errorf("%s stands before any service", words[0])
		case words[0] == "kind":
			err = section.addKind(name, words[1:])
		case words[0] == "keys":
			err = section.addKeys(name, words[1:])
		default:
			err = section.addOperation(words[0], strings.Join(words[1:], " "))
		}
		if err != nil {
			return nil, fmt.Errorf("access.txt line %d: %w", number, err)
		}
	}
	return sections, nil
}

func openAccess(sections map[string]*accessSection, words []string) (string, map[string]*accessSection, error) {
	words = strings.Fields(strings.Trim(strings.Join(words, " "), "[]"))
	if len(words) == 0 || sections[words[0]] != nil {
		return "", nil, fmt.Errorf("a section names no service, or one that is there already")
	}
	s := &accessSection{operations: map[string]string{}}
	for _, flag := range words[1:] {
		switch flag {
		case "hides":
			s.hides = true
		case "global":
			s.global = true
		default:
			return "", nil, fmt.Errorf("unknown word %s of section %s", flag, words[0])
		}
	}
	sections[words[0]] = s
	return words[0], sections, nil
}

func (s *accessSection) addKind(service string, words []string) error {
	if len(words) < 2 || len(words) > 3 {
		return fmt.Errorf("a kind is not NAME PREFIX or NAME PREFIX noregion|noaccount|colon")
	}
	k := accessKind{service: service, name: words[0]}
	if len(words) == 3 {
		switch words[2] {
		case "noregion":
			k.noRegion = true
		case "noaccount":
			k.noRegion, k.noAccount = true, true
		case "colon":
			k.colon = true
		default:
			return fmt.Errorf("unknown word %s of kind %s", words[2], k.name)
		}
	}
	if words[1] != "-" {
		k.prefix = words[1]
	}
	s.kinds = append(s.kinds, k)
	return nil
}

// addKeys notes the condition keys that are read from resources of a kind.
func (s *accessSection) addKeys(service string, words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("keys is not keys KIND KEY and further ones")
	}
	i := slices.IndexFunc(s.kinds, func(k accessKind) bool { return k.name == words[0] })
	if i < 0 || len(s.kinds[i].keys) > 0 {
		return fmt.Errorf("%s is no kind of this service above the line, or has keys already", words[0])
	}
	for _, word := range words[1:] {
		s.kinds[i].keys = append(s.kinds[i].keys, keyName(service, word))
	}
	return nil
}

// keyName is the name of a condition key as it is asked for.
func keyName(service, name string) string {
	if !strings.Contains(name, ":") {
		name = service + ":" + name
	}
	return strings.ToLower(name)
}

func (s *accessSection) addOperation(name, asks string) error {
	if s.operations[name] != "" || asks == "" {
		return fmt.Errorf("operation %s has two lines, or one that asks for nothing (write - for no resource)", name)
	}
	s.operations[name] = asks
	return nil
}

// accessOperation is a line, resolved.
type accessOperation struct {
	management bool
	free       bool
	needs      []accessNeed
	tags       [][]int
}

// accessNeed is one part of an operation's line, with its members resolved to the
// indexes of fields.
type accessNeed struct {
	action  string
	when    []int
	targets []accessTarget
	keys    []accessKey
}

type accessTarget struct {
	kinds              []accessKind
	path, before       []int
	newPath, newName   []int
	byOther, mentioned bool
	caller, trusts     bool
	all                bool
	keys               []accessKey
}

// accessKey is a condition key that a request has.
type accessKey struct {
	name string
	path []int
	form string
	kind *accessKind // of the form ARN, or whose key it is
	of   string      // that key
}

// resolveAccess gives what each served operation of a service asks for. Every one
// must have a line, and every line must be of one.
func resolveAccess(svc *service, all map[string]*accessSection) (map[string]accessOperation, error) {
	section := all[svc.Model]
	if svc.model.Metadata.GlobalEndpoint != "" && !section.global {
		return nil, fmt.Errorf("access.txt does not say that %s is global, and its model does", svc.Model)
	}
	operations := map[string]accessOperation{}
	for _, op := range svc.ops {
		line := section.operations[op.Name]
		if line == "" {
			return nil, fmt.Errorf("access.txt has no line for operation %s of [%s]: say what it asks for", op.Name, svc.Model)
		}
		r := &accessResolver{svc: svc, op: op, all: all}
		asks, management := strings.CutPrefix(line, "management ")
		asks, free := strings.CutPrefix(asks, "free ")
		needs, err := r.needs(asks)
		if err != nil {
			return nil, fmt.Errorf("access.txt, operation %s of [%s]: %w", op.Name, svc.Model, err)
		}
		operations[op.Name] = accessOperation{management, free, needs, r.tags(needs)}
	}
	for name := range section.operations {
		if operations[name].needs == nil {
			return nil, fmt.Errorf("access.txt has a line for %s of [%s], which is not served", name, svc.Model)
		}
	}
	return operations, nil
}

// accessResolver reads the line of one operation.
type accessResolver struct {
	svc *service
	op  *operation
	all map[string]*accessSection
}

func (r *accessResolver) needs(line string) ([]accessNeed, error) {
	var needs []accessNeed
	for part := range strings.SplitSeq(line, ";") {
		n, err := r.need(strings.Fields(part), len(needs) == 0)
		if err != nil {
			return nil, err
		}
		needs = append(needs, n)
	}
	return needs, r.checkTagged(needs)
}

// need reads one part: its head, which the first need not have, and its targets.
func (r *accessResolver) need(words []string, first bool) (accessNeed, error) {
	n := accessNeed{action: r.svc.Model + ":" + r.op.Name}
	if end := slices.IndexFunc(words, func(w string) bool { return strings.HasSuffix(w, ":") }); end >= 0 {
		head := words[:end+1]
		head[end] = strings.TrimSuffix(head[end], ":")
		words = words[end+1:]
		if n.action = head[0]; !strings.Contains(n.action, ":") {
			n.action = r.svc.Model + ":" + n.action
		}
		switch {
		case len(head) == 3 && head[1] == "if":
			var err error
			if n.when, _, err = r.path(head[2]); err != nil {
				return n, err
			}
		case len(head) != 1:
			return n, fmt.Errorf("%s is not ACTION or ACTION if MEMBER", strings.Join(head, " "))
		}
	} else if !first {
		return n, fmt.Errorf("the part %q names no action", strings.Join(words, " "))
	}
	if len(words) == 0 {
		return n, fmt.Errorf("%s names no resource (write - for none)", n.action)
	}
	for _, word := range words {
		if inner, ok := strings.CutPrefix(word, "{"); ok {
			var err error
			if n.keys, err = r.keys(n.keys, inner); err != nil {
				return n, err
			}
			continue
		}
		if word == "-" {
			continue
		}
		t, err := r.target(word)
		if err != nil {
			return n, err
		}
		n.targets = append(n.targets, t)
	}
	return n, nil
}

func (r *accessResolver) target(word string) (accessTarget, error) {
	word, keys, _ := strings.Cut(word, "{")
	inner, opened := strings.CutPrefix(word, "(")
	inner, closed := strings.CutSuffix(inner, ")")
	t := accessTarget{mentioned: opened}
	if keys != "" {
		var err error
		if t.keys, err = r.keys(nil, keys); err != nil {
			return t, err
		}
	}
	if opened != closed {
		return t, fmt.Errorf("%s has one parenthesis", word)
	}
	kinds, member := inner, ""
	if i := strings.IndexAny(inner, "=~?@*"); i >= 0 {
		t.all = inner[i] == '*'
		kinds, member, t.byOther, t.caller, t.trusts = inner[:i], inner[i+1:], inner[i] == '~', inner[i] == '?', inner[i] == '@'
		var leaf *shape
		var err error
		if before, name, ok := strings.Cut(member, "+"); ok {
			member = name
			if t.before, _, err = r.path(before); err != nil {
				return t, err
			}
		}
		if old, name, ok := strings.Cut(member, ">"); ok {
			member = old
			if t.newPath, _, err = r.path("NewPath"); err != nil {
				return t, err
			}
			if t.newName, _, err = r.path(name); err != nil {
				return t, err
			}
		}
		if t.path, leaf, err = r.path(member); err != nil {
			return t, err
		}
		if kinds := leaf.Type; kinds != "string" {
			return t, fmt.Errorf("member %s holds no strings", member)
		}
	}
	for kind := range strings.SplitSeq(kinds, "|") {
		found := r.kinds(kind)
		if len(found) == 0 {
			return t, fmt.Errorf("%s is no kind of resources", kind)
		}
		t.kinds = append(t.kinds, found...)
	}
	return t, nil
}

// kinds gives the kind with a name, or all of the service for "any".
func (r *accessResolver) kinds(name string) []accessKind {
	service, kind, other := strings.Cut(name, ":")
	if !other {
		service, kind = r.svc.Model, name
	}
	section := r.all[service]
	switch {
	case section == nil:
		return nil
	case kind == "any":
		return section.kinds
	}
	for _, k := range section.kinds {
		if k.name == kind {
			return []accessKind{k}
		}
	}
	return nil
}

// keys reads what stands between braces, without the first one.
func (r *accessResolver) keys(all []accessKey, text string) ([]accessKey, error) {
	inner, closed := strings.CutSuffix(text, "}")
	if !closed {
		return nil, fmt.Errorf("{%s has one brace", text)
	}
	for part := range strings.SplitSeq(inner, ",") {
		name, member, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("%s is not KEY=MEMBER", part)
		}
		k := accessKey{name: keyName(r.svc.Model, name), form: "Plain"}
		if form, rest, ok := strings.Cut(member, "("); ok {
			member = strings.TrimSuffix(rest, ")")
			kind, of, _ := strings.Cut(form, ".")
			switch found := r.kinds(kind); {
			case form == "DNS" || form == "VPC":
				k.form = form
			case len(found) == 1 && of != "":
				k.kind, k.of = &found[0], keyName(found[0].service, of)
			case len(found) == 1:
				k.form, k.kind = "ARN", &found[0]
			default:
				return nil, fmt.Errorf("%s is neither a form of values nor a kind of resources", form)
			}
			if k.of != "" && !slices.Contains(k.kind.keys, k.of) {
				return nil, fmt.Errorf("kind %s has no key %s", k.kind.name, k.of)
			}
		}
		var err error
		if k.path, _, err = r.path(member); err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// tagMembers are the members that have tags, or keys of tags.
var tagMembers = []string{"TagSpecifications", "Tags", "tags", "TagKeys", "tagKeys", "AddTags", "RemoveTagKeys"}

// tags gives the paths to all tags of a request: members that are called so, and those
// for which tagging is asked.
func (r *accessResolver) tags(needs []accessNeed) (paths [][]int) {
	for i, m := range r.op.in.Members {
		if slices.Contains(tagMembers, m.Name) {
			paths = append(paths, []int{i})
		}
	}
	for _, n := range needs {
		if len(n.when) > 1 && (strings.HasSuffix(n.action, ":CreateTags") || strings.HasSuffix(n.action, ":TagResource")) {
			paths = append(paths, n.when)
		}
	}
	return paths
}

// path resolves the name of a member, with dots for members of members, to the
// indexes of the fields and the shape at its end; lists are passed through.
func (r *accessResolver) path(name string) ([]int, *shape, error) {
	var path []int
	at := r.op.in
	for part := range strings.SplitSeq(name, ".") {
		i := slices.IndexFunc(at.Members, func(m member) bool { return m.Name == part })
		if i < 0 {
			return nil, nil, fmt.Errorf("the input has no member %s", name)
		}
		path = append(path, i)
		at = r.svc.shape(at.Members[i].Shape)
		if at.Type == "list" {
			at = r.svc.shape(at.Member.Shape)
		}
	}
	return path, at, nil
}

// checkTagged sees that what makes a resource with tags asks for tagging, too.
func (r *accessResolver) checkTagged(needs []accessNeed) error {
	makes := slices.ContainsFunc(needs[0].targets, func(t accessTarget) bool { return t.path == nil })
	for _, tags := range []string{"TagSpecifications", "tags"} {
		path, _, err := r.path(tags)
		if !makes || err != nil {
			continue
		}
		if !slices.ContainsFunc(needs, func(n accessNeed) bool { return slices.Equal(n.when, path) }) {
			return fmt.Errorf("it makes a resource, and nothing is asked for its %s", tags)
		}
	}
	return nil
}
