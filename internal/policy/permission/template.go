// SPDX-License-Identifier: Apache-2.0

package permission

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// MaxTemplate is the length of a template, in bytes.
const MaxTemplate = 6144

// ErrMalformed is the cause when a template is not written as one is; other errors of
// Parse are about what it says.
var ErrMalformed = errors.New("malformed policy template")

// Template is an account's own permission, taken apart.
type Template struct {
	// Actions are as they were written, with wildcards.
	Actions []string
	of      *Type
}

// Parse takes a template apart that is for a type of resources: an object with Effect
// Allow and Action, as
// https://docs.aws.amazon.com/ram/latest/userguide/create-customer-managed-permissions.html
// has it. Errors are fit for users.
func Parse(t *Type, text string) (*Template, error) {
	if len(text) > MaxTemplate {
		return nil, fmt.Errorf("%w: %d characters, a template can have %d", ErrMalformed, len(text), MaxTemplate)
	}
	members, err := object(text)
	if err != nil {
		return nil, err
	}
	for name := range members {
		switch name {
		case "Effect", "Action":
		case "Principal", "NotPrincipal", "Resource", "NotResource":
			return nil, fmt.Errorf("%w: %s is the share's to say, and no part of a template", ErrMalformed, name)
		case "Condition":
			return nil, fmt.Errorf("conditions in templates are not served yet")
		default:
			return nil, fmt.Errorf("%w: unknown element %s", ErrMalformed, name)
		}
	}
	var effect string
	if json.Unmarshal(members["Effect"], &effect) != nil || effect != "Allow" {
		return nil, fmt.Errorf("%w: Effect must be Allow", ErrMalformed)
	}
	actions, err := texts(members["Action"])
	if err != nil {
		return nil, err
	}
	for _, a := range actions {
		if !slices.ContainsFunc(t.Actions, func(known string) bool { return match(a, known) }) {
			return nil, fmt.Errorf("action %s is not one that permissions for %s can have, which are %s", a, t.Name, strings.Join(t.Actions, ", "))
		}
	}
	return &Template{Actions: actions, of: t}, nil
}

// Allows reports whether the template allows an action. Wildcards stand for actions that
// permissions for the type can name, and for no others.
func (t *Template) Allows(action string) bool {
	action = standing(action)
	return slices.ContainsFunc(t.of.Actions, func(known string) bool { return strings.EqualFold(known, action) }) &&
		slices.ContainsFunc(t.Actions, func(pattern string) bool { return match(pattern, action) })
}

// Format writes a template that allows actions.
func Format(actions []string) string {
	text, _ := json.Marshal(struct {
		Effect string
		Action []string
	}{"Allow", actions})
	return string(text)
}

// object reads one JSON object with no name twice.
func object(text string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(strings.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("%w: it is no JSON object", ErrMalformed)
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: it is no JSON object", ErrMalformed)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("%w: it is no JSON object", ErrMalformed)
		}
		key, _ := name.(string)
		if _, twice := members[key]; twice {
			return nil, fmt.Errorf("%w: element %s is there twice", ErrMalformed, key)
		}
		members[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON object", ErrMalformed)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the object", ErrMalformed)
	}
	return members, nil
}

// texts reads a text, or a list of at least one.
func texts(raw json.RawMessage) ([]string, error) {
	var one string
	var several []string
	switch {
	case bytes.HasPrefix(raw, []byte{'"'}) && json.Unmarshal(raw, &one) == nil:
		several = []string{one}
	case json.Unmarshal(raw, &several) != nil:
		return nil, fmt.Errorf("%w: Action must be a text or a list of texts", ErrMalformed)
	}
	if len(several) == 0 {
		return nil, fmt.Errorf("%w: Action must have at least one action", ErrMalformed)
	}
	return several, nil
}

// match reports whether an action is one that a pattern stands for: * is any text, ? one
// character, and case makes no difference.
func match(pattern, action string) bool {
	pattern, action = strings.ToLower(pattern), strings.ToLower(action)
	p, a, star, from := 0, 0, -1, 0
	for a < len(action) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, a
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == action[a]):
			p, a = p+1, a+1
		case star >= 0:
			from++
			p, a = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
