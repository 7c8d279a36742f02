// SPDX-License-Identifier: Apache-2.0

package fakedp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/desired"
)

// Text prints everything there is, as desired.Text does.
func (k *Kernel) Text() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return desired.Text(k.all())
}

// Ops gives what was done since New or the last call of Ops, oldest first.
func (k *Kernel) Ops() []Op {
	k.mu.Lock()
	defer k.mu.Unlock()
	ops := k.ops
	k.ops = nil
	return ops
}

// Drop damages the kernel: it takes an entry without asking what needs it. A
// router or a link takes with it what hangs on it.
func (k *Kernel) Drop(key desired.Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch key.Kind {
	case desired.KindRouter:
		k.dropRouter(key.Realm)
	case desired.KindLink:
		k.dropLink(key)
	default:
		delete(k.routers[key.Realm], key)
	}
}

// Plant damages the kernel: it sets an entry that nobody ordered, or gives one
// another value. The router is made if it is not there.
func (k *Kernel) Plant(e desired.Entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	vpc := e.Key().Realm
	if k.routers[vpc] == nil {
		k.routers[vpc] = make(map[desired.Key]desired.Entry)
	}
	k.routers[vpc][e.Key()] = e
}

// Dangling gives the endpoints among entries that lead nowhere: no router
// translates their target and admits the endpoint's router to it.
func Dangling(entries []desired.Entry) []desired.Key {
	there := make(map[desired.Key]desired.Entry, len(entries))
	for _, e := range entries {
		there[e.Key()] = e
	}
	var dangling []desired.Key
	for _, e := range entries {
		if e.Key().Kind != desired.KindEndpoint {
			continue
		}
		router := there[desired.Key{Realm: e.Key().Realm, Kind: desired.KindRouter, ID: "self"}]
		if router == nil || !answered(e, router, entries, there) {
			dangling = append(dangling, e.Key())
		}
	}
	return dangling
}

// answered reports whether some router has the target of an endpoint and
// allows it for the endpoint's router.
func answered(endpoint, router desired.Entry, entries []desired.Entry, there map[desired.Key]desired.Entry) bool {
	target, source := Field(endpoint, "target"), "source4"
	if strings.Contains(target, ":") {
		source = "source6"
	}
	allowed := Field(router, source) + ">" + target
	return slices.ContainsFunc(entries, func(e desired.Entry) bool {
		k := e.Key()
		return (k.Kind == desired.KindTarget || k.Kind == desired.KindFollow || k.Kind == desired.KindBalance) && k.ID == target &&
			there[desired.Key{Kind: desired.KindAllow, Realm: k.Realm, ID: allowed}] != nil
	})
}

// Line is an entry that is nothing but its text, as tests and scripts write it.
type Line struct {
	key  desired.Key
	text string
}

// Key implements desired.Entry.
func (l Line) Key() desired.Key { return l.key }

// String implements desired.Entry.
func (l Line) String() string { return l.text }

// ParseLine reads the text of an entry: "kind realm id" and fields.
func ParseLine(text string) (Line, error) {
	words := strings.Fields(text)
	if len(words) < 3 {
		return Line{}, fmt.Errorf("parse entry %q: not kind, realm and id", text)
	}
	key, err := desired.ParseKey(strings.Join(words[:3], " "), desired.Kinds()...)
	if err != nil {
		return Line{}, fmt.Errorf("parse entry %q: %w", text, err)
	}
	return Line{key, strings.Join(words, " ")}, nil
}

// ParseText reads entries, one a line; empty lines and those that begin with #
// are skipped.
func ParseText(text string) ([]desired.Entry, error) {
	var entries []desired.Entry
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := ParseLine(line)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}
