// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// targetKey is the key of what the router has for a name.
func targetKey(follow desired.Key) desired.Key {
	follow.Kind = desired.KindTarget
	return follow
}

// followKey is the key of the name that a target may be of.
func followKey(target desired.Key) desired.Key {
	target.Kind = desired.KindFollow
	return target
}

// Before tells what a target leads to before a name is followed. Former says that it
// was something else's, and good only until more is known.
type Before func(target desired.Key) (addrs []netip.Addr, former bool)

// Take takes a delta in and gives it as it is for a host that knows nothing of names.
// Later are the targets of which no look-up has ended yet: Pull gives them.
func (f *Follower) Take(d desired.Delta, before Before) (out desired.Delta, later []desired.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.learn(d)
	isName := func(e desired.Entry) bool { _, is := e.(desired.Follow); return is }
	if !slices.ContainsFunc(d.Put, isName) && len(f.names) == 0 {
		return d, nil
	}
	out = desired.Delta{Revision: d.Revision, Full: d.Full, Put: make([]desired.Entry, 0, len(d.Put))}
	put := map[desired.Key]bool{} // names, and targets that are none of names
	for _, e := range d.Put {
		entry, is := e.(desired.Follow)
		if !is {
			if key := e.Key(); key.Kind == desired.KindTarget {
				put[key] = true
			}
			out.Put = append(out.Put, e)
			continue
		}
		n := f.follow(entry, before)
		put[n.key] = true
		out.Put = append(out.Put, n.target())
		if !n.found {
			later = append(later, targetKey(n.key))
		}
	}
	for _, key := range d.Delete {
		switch {
		case key.Kind == desired.KindFollow:
			f.forget(key)
			if put[targetKey(key)] {
				continue
			}
			key = targetKey(key)
		case key.Kind == desired.KindTarget && put[followKey(key)]:
			continue
		}
		out.Delete = append(out.Delete, key)
	}
	for key := range put {
		if key.Kind == desired.KindFollow {
			f.turned[targetKey(key)] = true
		} else {
			delete(f.turned, key)
			f.forget(followKey(key))
		}
	}
	if d.Full {
		for key := range f.names {
			if !put[key] {
				f.forget(key)
			}
		}
	}
	kick(f.wake)
	return out, later
}

// learn notes which addresses are endpoints'. The caller holds the lock.
func (f *Follower) learn(d desired.Delta) {
	if d.Full {
		clear(f.doors)
	}
	for _, e := range d.Put {
		if door, is := e.(desired.Endpoint); is {
			realm := desired.Realm(door.VPC)
			if f.doors[realm] == nil {
				f.doors[realm] = map[netip.Addr]bool{}
			}
			f.doors[realm][door.Addr] = true
		}
	}
	for _, key := range d.Delete {
		if key.Kind != desired.KindEndpoint {
			continue
		}
		if a, err := netip.ParseAddr(key.ID); err == nil {
			delete(f.doors[key.Realm], a)
		}
	}
}

// follow begins to follow a name, or goes on if it is asked for as it was. The caller
// holds the lock.
func (f *Follower) follow(entry desired.Follow, before Before) *name {
	key, now := entry.Key(), time.Now()
	n := f.names[key]
	switch {
	case n == nil:
		addrs, former := before(targetKey(key))
		n = newName(entry, addrs, former, now)
	case n.entry.Name == entry.Name && n.entry.InVPC == entry.InVPC:
		n.change(entry)
		return n
	default:
		f.forget(key)
		n = newName(entry, n.order, true, now)
	}
	f.names[key] = n
	f.due.put(n)
	return n
}

// change has a name followed for an entry that asks for it in another way.
func (n *name) change(entry desired.Follow) {
	n.entry = entry
	n.set = slices.DeleteFunc(slices.Clone(n.set), func(a netip.Addr) bool { return entry.Refuses(a) != "" })
	n.deal()
}

// forget ceases to follow a name. The caller holds the lock.
func (f *Follower) forget(key desired.Key) {
	if n := f.names[key]; n != nil {
		f.due.drop(n)
		delete(f.names, key)
		delete(f.news, key)
	}
}

// Original gives entries as they were before Take.
func (f *Follower) Original(entries []desired.Entry) []desired.Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.names) == 0 {
		return entries
	}
	all := slices.Clone(entries)
	for i, e := range all {
		if key := e.Key(); key.Kind == desired.KindTarget {
			if n := f.names[followKey(key)]; n != nil {
				all[i] = n.entry
			}
		}
	}
	return all
}

// Asked gives the key of what was asked for: that of a name for a target that is a
// name's, or was one's last.
func (f *Follower) Asked(key desired.Key) desired.Key {
	if key.Kind != desired.KindTarget {
		return key
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.turned[key] {
		return followKey(key)
	}
	return key
}
