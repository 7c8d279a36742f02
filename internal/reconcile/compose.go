// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/posternhq/postern/internal/desired"
)

// Part is what carries out the entries of some kinds.
type Part struct {
	// Name names the part in errors.
	Name    string
	Kinds   []desired.Kind
	Effects Effects
}

// Compose makes one Effects of parts that each carry out kinds of their own, be it in
// the same realms or in others. What a call has for one part is one call of that part.
//
// Parts that have something to put in a realm are called in the order of the stages of
// that, and then those that have only something to delete, in the other order. What a
// realm exists by goes when all other parts have nothing in it any more.
//
// It is an error when two parts have the same kind. An entry of a kind that no part
// has fails, be it put or deleted.
func Compose(parts ...Part) (Effects, error) {
	c := &composed{parts: parts, of: map[desired.Kind]int{}}
	for i, p := range parts {
		for _, k := range p.Kinds {
			if other, taken := c.of[k]; taken {
				return nil, fmt.Errorf("kind %s is carried out by %s and by %s", k, parts[other].Name, p.Name)
			}
			c.of[k] = i
		}
	}
	return c, nil
}

type composed struct {
	parts []Part
	of    map[desired.Kind]int
}

// Errors of entries that no part can do.
var (
	errNobody   = errors.New("nothing on this host carries out entries of its kind")
	errNotHere  = errors.New("it lives in another realm")
	errNotThere = errors.New("entries of its kind do not live in such a realm")
)

// concerned gives the parts whose entries live in realms of a sort.
func (c *composed) concerned(sort desired.RealmSort) (list []Part) {
	for _, p := range c.parts {
		if p.livesIn(sort) {
			list = append(list, p)
		}
	}
	return list
}

func (p Part) livesIn(sort desired.RealmSort) bool {
	return slices.ContainsFunc(p.Kinds, func(k desired.Kind) bool { return k.Sort() == sort })
}

// Realms lists those of all parts.
func (c *composed) Realms(ctx context.Context) (all []desired.Realm, err error) {
	for _, p := range c.parts {
		realms, err := p.Effects.Realms(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		all = append(all, realms...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Dump reads what each part has in a realm.
func (c *composed) Dump(ctx context.Context, realm desired.Realm) (all []desired.Entry, err error) {
	for _, p := range c.concerned(realm.Sort()) {
		there, err := p.Effects.Dump(ctx, realm)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		all = append(all, there...)
	}
	return all, nil
}

// Apply gives each part what is its.
func (c *composed) Apply(ctx context.Context, realm desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	failed := map[desired.Key]error{}
	lots := make([]lot, len(c.parts))
	for i := range lots {
		lots[i].part = c.parts[i]
	}
	c.deal(realm, "put", put, failed, func(i int, e desired.Entry) { lots[i].put = append(lots[i].put, e) })
	c.deal(realm, "delete", del, failed, func(i int, e desired.Entry) { lots[i].del = append(lots[i].del, e) })
	if len(put)+len(del) > 0 {
		lots = slices.DeleteFunc(lots, func(l lot) bool { return len(l.put)+len(l.del) == 0 })
		slices.SortStableFunc(lots, lot.compare)
	} else {
		lots = slices.DeleteFunc(lots, func(l lot) bool { return !l.part.livesIn(realm.Sort()) })
	}
	for _, l := range lots {
		maps.Copy(failed, c.do(ctx, realm, l))
	}
	return failed
}

// do has one part do its lot.
func (c *composed) do(ctx context.Context, realm desired.Realm, l lot) map[desired.Key]error {
	if slices.ContainsFunc(l.del, func(e desired.Entry) bool { return e.Key().Kind.Root() }) {
		if err := c.empty(ctx, realm, l.part); err != nil {
			failed := map[desired.Key]error{}
			for _, e := range slices.Concat(l.put, l.del) {
				failed[e.Key()] = err
			}
			return failed
		}
	}
	return l.part.Effects.Apply(ctx, realm, l.put, l.del)
}

// deal gives entries to their parts, and notes which have none.
func (c *composed) deal(realm desired.Realm, verb string, entries []desired.Entry, failed map[desired.Key]error, give func(int, desired.Entry)) {
	for _, e := range entries {
		key := e.Key()
		i, ok := c.of[key.Kind]
		err := errNobody
		switch {
		case !ok:
		case key.Realm != realm:
			err = errNotHere
		case key.Kind.Sort() != realm.Sort():
			err = errNotThere
		default:
			give(i, e)
			continue
		}
		failed[key] = fmt.Errorf("%s %s: %w", verb, key, err)
	}
}

// empty has all parts but one take away what they have in a realm.
func (c *composed) empty(ctx context.Context, realm desired.Realm, last Part) error {
	for _, p := range c.concerned(realm.Sort()) {
		if p.Name == last.Name {
			continue
		}
		there, err := p.Effects.Dump(ctx, realm)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		for key, err := range p.Effects.Apply(ctx, realm, nil, there) {
			return fmt.Errorf("%s: delete %s: %w", p.Name, key, err)
		}
	}
	return nil
}

// lot is what one call has for one part.
type lot struct {
	part     Part
	put, del []desired.Entry
}

// compare orders what is put by its least stage, and after it what is only deleted,
// the greatest stage first.
func (l lot) compare(o lot) int {
	switch {
	case len(l.put) > 0 && len(o.put) > 0:
		return cmp.Compare(slices.Min(stages(l.put)), slices.Min(stages(o.put)))
	case len(l.put) > 0:
		return -1
	case len(o.put) > 0:
		return 1
	}
	return cmp.Compare(slices.Max(stages(o.del)), slices.Max(stages(l.del)))
}

func stages(entries []desired.Entry) (list []desired.Stage) {
	for _, e := range entries {
		list = append(list, e.Key().Kind.Stage())
	}
	return list
}
