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
	realms, ways := f.land.learn(d)
	isName := func(e desired.Entry) bool { _, is := e.(desired.Follow); return is }
	if !slices.ContainsFunc(d.Put, isName) && len(f.names) == 0 {
		return d, nil
	}
	out = desired.Delta{Revision: d.Revision, Full: d.Full, Put: make([]desired.Entry, 0, len(d.Put))}
	put := map[desired.Key]bool{} // names, and targets that are none of names
	var came []*name
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
		came = append(came, n)
		out.Put = append(out.Put, nil)
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
	for _, n := range f.reweigh(realms, ways || len(came) > 0) {
		if !slices.Contains(came, n) {
			out.Put = append(out.Put, n.target())
		}
	}
	for i := range out.Put {
		if out.Put[i] == nil {
			out.Put[i], came = came[0].target(), came[1:]
		}
	}
	kick(f.wake)
	kick(f.moved)
	return out, later
}

// reweigh has the names of some realms go by what is known now, and those that lead to
// endpoints, when ways may lead elsewhere. It gives those whose targets have changed. The
// caller holds the lock.
func (f *Follower) reweigh(realms map[desired.Realm]bool, ways bool) (changed []*name) {
	names := map[*name]bool{}
	for realm := range realms {
		if p := f.land.places[realm]; p != nil {
			for _, n := range p.names {
				names[n] = true
			}
		}
	}
	if ways {
		for n := range f.leading {
			names[n] = true
		}
	}
	for n := range names { // first where each leads, since others look at it
		n.aim()
		f.leads(n)
	}
	for n := range names {
		before := n.target()
		n.reweighs()
		if !desired.Equal(before, n.target()) {
			changed = append(changed, n)
		}
	}
	return changed
}

// leads keeps the list of names that lead to endpoints. The caller holds the lock.
func (f *Follower) leads(n *name) {
	if n.door.IsValid() && f.names[n.key] == n {
		f.leading[n] = true
	} else {
		delete(f.leading, n)
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
		n = newName(entry, addrs, former, now, f.land)
	case n.entry.Name == entry.Name && n.entry.InVPC == entry.InVPC:
		n.change(entry)
		f.leads(n)
		return n
	default:
		f.forget(key)
		n = newName(entry, n.order, true, now, f.land)
	}
	f.names[key], f.land.names[entry.Addr], f.land.place(key.Realm).names[key] = n, n, n
	f.leads(n)
	f.due.put(n)
	return n
}

// change has a name followed for an entry that asks for it in another way.
func (n *name) change(entry desired.Follow) {
	n.entry = entry
	n.reweighs()
}

// forget ceases to follow a name. The caller holds the lock.
func (f *Follower) forget(key desired.Key) {
	if n := f.names[key]; n != nil {
		f.due.drop(n)
		delete(f.names, key)
		delete(f.news, key)
		delete(f.leading, n)
		delete(f.land.place(key.Realm).names, key)
		if f.land.names[n.entry.Addr] == n {
			delete(f.land.names, n.entry.Addr)
		}
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
