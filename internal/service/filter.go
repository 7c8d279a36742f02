// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Filter is one filter of an EC2 describe request: it takes a resource that has
// one of the values for the named property
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html).
type Filter struct {
	Name string
	// Values may hold the wildcards * (any characters) and ? (one character);
	// a backslash takes the meaning of the character after it away.
	Values []string
}

// FilterError says that a request has a filter that the operation does not know.
type FilterError struct {
	Name  string
	Known []string
}

// Error returns a text that is fit for users.
func (e *FilterError) Error() string {
	return fmt.Sprintf("the filter '%s' is invalid, want one of %s", e.Name, strings.Join(e.Known, ", "))
}

// Filters are the properties of resources that an operation can filter by.
type Filters[T any] struct {
	// Tags gives the tags, for the filters tag:<key>, tag-key and tag-value (which
	// is older than the first); nil for resources that have none.
	Tags func(T) map[string]string
	// Properties give the values that a resource has for a filter, of which
	// one must match.
	Properties map[string]func(T) []string
}

// Compile makes the condition that all filters of a request hold. A filter
// without values matches nothing. Errors are of type *FilterError.
func (f Filters[T]) Compile(filters []Filter) (func(T) bool, error) {
	conditions := make([]func(T) bool, 0, len(filters))
	for _, each := range filters {
		property, ok := f.property(each.Name)
		if !ok {
			return nil, &FilterError{Name: each.Name, Known: f.names()}
		}
		conditions = append(conditions, func(item T) bool {
			return slices.ContainsFunc(property(item), func(value string) bool {
				return slices.ContainsFunc(each.Values, func(pattern string) bool { return Match(pattern, value) })
			})
		})
	}
	return func(item T) bool {
		for _, holds := range conditions {
			if !holds(item) {
				return false
			}
		}
		return true
	}, nil
}

func (f Filters[T]) property(name string) (func(T) []string, bool) {
	if property, ok := f.Properties[name]; ok {
		return property, true
	}
	if f.Tags == nil {
		return nil, false
	}
	switch name {
	case "tag-key":
		return func(item T) []string { return slices.Collect(maps.Keys(f.Tags(item))) }, true
	case "tag-value":
		return func(item T) []string { return slices.Collect(maps.Values(f.Tags(item))) }, true
	}
	key, ok := strings.CutPrefix(name, "tag:")
	return func(item T) []string {
		if value, has := f.Tags(item)[key]; has {
			return []string{value}
		}
		return nil
	}, ok
}

func (f Filters[T]) names() []string {
	names := slices.Sorted(maps.Keys(f.Properties))
	if f.Tags != nil {
		names = append(names, "tag:<key>", "tag-key", "tag-value")
	}
	return names
}

// Match reports whether a value fits a pattern with the wildcards of Filter.
// It takes time proportional to the product of the lengths at most.
func Match(pattern, value string) bool {
	p, v := []rune(pattern), []rune(value)
	i, j := 0, 0
	star, mark := -1, 0 // after the last *, and the value it has eaten up to
	for j < len(v) {
		switch width, fits := step(p[i:], v[j]); {
		case i < len(p) && p[i] == '*':
			i++
			star, mark = i, j
		case fits:
			i, j = i+width, j+1
		case star >= 0:
			mark++
			i, j = star, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// step says whether the first element of a pattern, which is no *, fits one
// character, and how long it is.
func step(p []rune, c rune) (width int, fits bool) {
	switch {
	case len(p) == 0:
		return 0, false
	case p[0] == '?':
		return 1, true
	case p[0] == '\\' && len(p) > 1:
		return 2, p[1] == c
	}
	return 1, p[0] == c
}
