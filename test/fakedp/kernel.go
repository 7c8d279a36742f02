// SPDX-License-Identifier: Apache-2.0

// Package fakedp is a data plane in memory, for tests of everything above the
// kernel. It behaves as the kernel does where that matters to its callers: what
// refers to something needs it to exist, what is referred to cannot be removed,
// and removing a router or link takes what hangs on it.
//
// It understands entries by their text alone, so tests may use any entry that
// prints like one.
package fakedp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
)

// Op is one thing that was done to a Kernel.
type Op struct {
	// Verb is "put", "delete", or "dump" of a whole router.
	Verb string
	// Key is that of the entry; of a dump only its VPC is set.
	Key desired.Key
	// Err is why the operation was refused, or nil.
	Err error
}

// String prints the operation as "verb kind realm id", and its error if any.
func (o Op) String() string {
	text := o.Verb + " " + o.Key.String()
	if o.Verb == "dump" {
		text = o.Verb + " " + string(o.Key.Realm)
	}
	if o.Err != nil {
		text += ": " + o.Err.Error()
	}
	return text
}

// Kernel is a host's kernel in memory. It may be used from many goroutines; its
// zero value is not ready, see New.
type Kernel struct {
	mu      sync.Mutex
	routers map[desired.Realm]map[desired.Key]desired.Entry
	ops     []Op
	observe func(Op, []desired.Entry)
}

// New makes a kernel with nothing in it.
func New() *Kernel {
	return &Kernel{routers: make(map[desired.Realm]map[desired.Key]desired.Entry)}
}

// Observe has f called after each entry that Apply puts or deletes, with what
// there is then, sorted. No other operation runs meanwhile, and f must not call
// the kernel.
func (k *Kernel) Observe(f func(Op, []desired.Entry)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.observe = f
}

// Routers lists the routers that exist, sorted.
func (k *Kernel) Realms(ctx context.Context) ([]desired.Realm, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.routers)), ctx.Err()
}

// Dump gives what the router of vpc has, sorted; nothing if it does not exist.
func (k *Kernel) Dump(ctx context.Context, vpc desired.Realm) ([]desired.Entry, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ops = append(k.ops, Op{Verb: "dump", Key: desired.Key{Realm: vpc}})
	entries := slices.Collect(maps.Values(k.routers[vpc]))
	desired.Sort(entries)
	return entries, ctx.Err()
}

// Apply puts and then deletes entries, as reconcile.Effects describes it.
func (k *Kernel) Apply(ctx context.Context, vpc desired.Realm, put, del []desired.Entry) map[desired.Key]error {
	k.mu.Lock()
	defer k.mu.Unlock()
	put, del = slices.Clone(put), slices.Clone(del)
	desired.Sort(put)
	slices.SortFunc(del, func(a, b desired.Entry) int { return b.Key().Compare(a.Key()) })
	errs := make(map[desired.Key]error)
	do := func(verb string, e desired.Entry, act func(desired.Entry) error) {
		key := e.Key()
		err := ctx.Err()
		switch {
		case err != nil:
		case key.Realm != vpc:
			err = unix.EINVAL
		default:
			err = act(e)
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", verb, key, err)
			errs[key] = err
		}
		k.note(Op{Verb: verb, Key: key, Err: err})
	}
	for _, e := range put {
		do("put", e, k.put)
	}
	for _, e := range del {
		do("delete", e, k.remove)
	}
	return errs
}

func (k *Kernel) note(op Op) {
	k.ops = append(k.ops, op)
	if k.observe != nil {
		k.observe(op, k.all())
	}
}

func (k *Kernel) put(e desired.Entry) error {
	key := e.Key()
	for _, need := range needs(e) {
		if !k.has(need) {
			return fmt.Errorf("%s: %w", need, unix.ENOENT)
		}
	}
	if k.routers[key.Realm] == nil {
		k.routers[key.Realm] = make(map[desired.Key]desired.Entry)
	}
	k.routers[key.Realm][key] = e
	return nil
}

func (k *Kernel) remove(e desired.Entry) error {
	key := e.Key()
	switch key.Kind {
	case desired.KindRouter:
		k.dropRouter(key.Realm)
		return nil
	case desired.KindLink:
		k.dropLink(key)
		return nil
	case desired.KindClass, desired.KindPortSet, desired.KindPool:
		for _, user := range k.routers[key.Realm] {
			if slices.Contains(needs(user), key) {
				return fmt.Errorf("%s: %w", user.Key(), unix.EBUSY)
			}
		}
	}
	delete(k.routers[key.Realm], key)
	if key.Realm.Sort() != desired.Routers && len(k.routers[key.Realm]) == 0 {
		delete(k.routers, key.Realm) // which is nothing but what is in it
	}
	return nil
}

// dropRouter takes a router, what is in it, and its links on both sides.
func (k *Kernel) dropRouter(vpc desired.Realm) {
	for other := range k.routers {
		if link := link(vpc, other); k.has(link) {
			k.dropLink(link)
		}
	}
	delete(k.routers, vpc)
}

// dropLink takes a link and the routes over it at both ends.
func (k *Kernel) dropLink(link desired.Key) {
	delete(k.routers[link.Realm], link)
	for _, vpc := range []desired.Realm{link.Realm, desired.Realm(link.ID)} {
		maps.DeleteFunc(k.routers[vpc], func(key desired.Key, e desired.Entry) bool {
			return key.Kind == desired.KindRoute && slices.Contains(needs(e), link)
		})
	}
}

func (k *Kernel) has(key desired.Key) bool { return k.routers[key.Realm][key] != nil }

func (k *Kernel) all() []desired.Entry {
	var entries []desired.Entry
	for _, r := range k.routers {
		entries = slices.AppendSeq(entries, maps.Values(r))
	}
	desired.Sort(entries)
	return entries
}

func link(a, b desired.Realm) desired.Key { return desired.NewLink(string(a), string(b)).Key() }

// needs gives the keys of what has to exist before e can.
func needs(e desired.Entry) []desired.Key {
	key := e.Key()
	router := func(realm desired.Realm) desired.Key {
		return desired.Key{Realm: realm, Kind: desired.KindRouter, ID: "self"}
	}
	here := func(kind desired.Kind, field string) []desired.Key {
		keys := []desired.Key{router(key.Realm)}
		if id := Field(e, field); id != "" {
			keys = append(keys, desired.Key{Kind: kind, Realm: key.Realm, ID: id})
		}
		return keys
	}
	if key.Realm.Sort() != desired.Routers {
		return nil
	}
	switch key.Kind {
	case desired.KindRouter:
		return nil
	case desired.KindLink:
		return []desired.Key{router(key.Realm), router(desired.Realm(key.ID))}
	case desired.KindRoute:
		return []desired.Key{router(key.Realm), link(key.Realm, desired.Realm(Field(e, "peer")))}
	case desired.KindPeering:
		return []desired.Key{router(key.Realm), link(key.Realm, desired.Realm(key.ID))}
	case desired.KindAddress, desired.KindThrough:
		return here(desired.KindClass, "class")
	case desired.KindTarget, desired.KindFollow, desired.KindBalance:
		return here(desired.KindPool, "gateway")
	case desired.KindFiltered:
		return here(desired.KindACL, "acl")
	case desired.KindEndpoint:
		return here(desired.KindPortSet, "portset")
	case desired.KindWorkload:
		realm, _ := strings.CutPrefix(Field(e, "namespace"), "realm:")
		if root, ok := desired.RootOf(desired.Realm(realm)); ok && desired.Realm(realm).Sort() != desired.Routers {
			return []desired.Key{router(key.Realm), root.Key()}
		}
		return []desired.Key{router(key.Realm)}
	default:
		return []desired.Key{router(key.Realm)}
	}
}

// Field gives the value of a name=value field in the text of an entry, or "".
func Field(e desired.Entry, name string) string {
	for _, word := range strings.Fields(e.String()) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value
		}
	}
	return ""
}
