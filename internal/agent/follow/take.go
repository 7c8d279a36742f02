// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"slices"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// targetKey is the key of what the router has for a name or for a part of a database.
func targetKey(followed desired.Key) desired.Key {
	followed.Kind = desired.KindTarget
	return followed
}

// followKey is the key of the name that a target may be of, partKey that of the part of a
// database.
func followKey(target desired.Key) desired.Key {
	target.Kind = desired.KindFollow
	return target
}

func partKey(target desired.Key) desired.Key {
	target.Kind = desired.KindFollowDatabase
	return target
}

// IsFollowed reports whether an entry is one that the host turns into a target.
func IsFollowed(e desired.Entry) bool {
	switch e.(type) {
	case desired.Follow, desired.FollowDatabase, desired.Balance:
		return true
	}
	return false
}

// Before tells what a target is before a name is followed. Former says that it was
// something else's, and good only until more is known.
type Before func(target desired.Key) (t desired.Target, former bool)

// Take takes a delta in and gives it as it is for a host that knows nothing of names and
// databases. Later are the targets of which no look-up has ended yet: Pull gives them.
func (f *Follower) Take(d desired.Delta, before Before) (out desired.Delta, later []desired.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	realms, ways := f.land.learn(d)
	if !slices.ContainsFunc(d.Put, IsFollowed) && len(f.names)+len(f.parts)+len(f.balances) == 0 {
		return d, nil
	}
	out = desired.Delta{Revision: d.Revision, Full: d.Full, Put: make([]desired.Entry, 0, len(d.Put))}
	put := map[desired.Key]desired.Kind{} // what targets are of, by their keys
	came := map[int]*name{}               // by their places in out.Put
	for _, e := range d.Put {
		key := e.Key()
		switch entry := e.(type) {
		case desired.Follow:
			f.ceases(key)
			n := f.follow(entry, before)
			came[len(out.Put)], e = n, nil
			if !n.found {
				later = append(later, targetKey(key))
			}
		case desired.FollowDatabase:
			f.ceases(key)
			e = f.lead(entry, before).target()
		case desired.Balance:
			f.ceases(key)
			e = f.weighs(entry, before).target()
		case desired.Target:
			f.ceases(key)
		default:
			out.Put = append(out.Put, e)
			continue
		}
		put[targetKey(key)] = key.Kind
		out.Put = append(out.Put, e)
	}
	f.delete(d, put, &out)
	ways = ways || len(came) > 0
	arrived := map[*name]bool{}
	for _, n := range came {
		arrived[n] = true
	}
	for _, n := range f.reweigh(realms, ways) {
		if !arrived[n] {
			out.Put = append(out.Put, n.target())
		}
	}
	for i, n := range came {
		out.Put[i] = n.target()
	}
	kick(f.wake)
	kick(f.moved)
	return out, later
}

// delete takes in what a delta takes away, in which put are the targets that it puts. The
// caller holds the lock.
func (f *Follower) delete(d desired.Delta, put map[desired.Key]desired.Kind, out *desired.Delta) {
	for _, key := range d.Delete {
		_, again := put[targetKey(key)]
		switch key.Kind {
		case desired.KindFollow, desired.KindFollowDatabase, desired.KindBalance:
			if !again {
				f.ceases(targetKey(key))
			}
			fallthrough
		case desired.KindTarget:
			if again {
				continue
			}
			key = targetKey(key)
		}
		out.Delete = append(out.Delete, key)
	}
	for key, kind := range put {
		if kind == desired.KindTarget {
			delete(f.turned, key)
		} else {
			f.turned[key] = kind
		}
	}
	if !d.Full {
		return
	}
	for key := range f.names {
		if put[targetKey(key)] != key.Kind {
			f.forget(key)
		}
	}
	for key := range f.parts {
		if put[targetKey(key)] != key.Kind {
			f.release(key)
		}
	}
	for key := range f.balances {
		if put[targetKey(key)] != key.Kind {
			f.ceases(targetKey(key))
		}
	}
}

// ceases ceases to follow what a target is of that is one of something else now: of what is
// asked for by this key. The caller holds the lock.
func (f *Follower) ceases(asked desired.Key) {
	target := targetKey(asked)
	if asked.Kind != desired.KindFollow {
		f.forget(followKey(target))
	}
	if asked.Kind != desired.KindFollowDatabase {
		f.release(partKey(target))
	}
	if key := balanceKey(target); asked.Kind != desired.KindBalance {
		delete(f.balances, key)
		delete(f.news, key)
	}
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
		was, former := before(targetKey(key))
		n = newName(entry, was.Dests(), former, now, f.land)
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
	if len(f.names)+len(f.parts)+len(f.balances) == 0 {
		return entries
	}
	all := slices.Clone(entries)
	for i, e := range all {
		if key := e.Key(); key.Kind == desired.KindTarget {
			if n := f.names[followKey(key)]; n != nil {
				all[i] = n.entry
			} else if p := f.parts[partKey(key)]; p != nil {
				all[i] = p.entry
			} else if b := f.balances[balanceKey(key)]; b != nil {
				all[i] = b.entry
			}
		}
	}
	return all
}

// Asked gives the key of what was asked for: that of a name, of a part of a database or of a
// balance for a target that is its, or was one's last.
func (f *Follower) Asked(key desired.Key) desired.Key {
	if key.Kind != desired.KindTarget {
		return key
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if kind, ok := f.turned[key]; ok {
		key.Kind = kind
	}
	return key
}
