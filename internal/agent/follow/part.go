// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/agent/roles"
	"github.com/posternhq/postern/internal/desired"
)

// part is a part of a database that is followed: which members are meant is in the entry,
// and which of these have the part at the moment in the database's roles.
type part struct {
	entry desired.FollowDatabase
	key   desired.Key
	// order is how addresses are dealt to the slots. Before anything is known of the
	// database they are what the kernel had.
	order []netip.Addr
	// known says that somebody has said who does what.
	known bool
	// aside says that order is the writer's address because there is no replica.
	aside bool
	// leaves has connections be cut whose far end has the part no more.
	leaves bool
}

// newPart begins to follow a part of a database, which led to some addresses before.
func newPart(entry desired.FollowDatabase, before []netip.Addr) *part {
	p := &part{entry: entry, key: entry.Key(), leaves: true}
	for _, a := range before {
		if p.may(a) && !slices.Contains(p.order, a) {
			p.order = append(p.order, a)
		}
	}
	return p
}

// may reports whether an address can be that of a member which is meant.
func (p *part) may(a netip.Addr) bool {
	return slices.ContainsFunc(p.entry.Addrs, func(m desired.MemberAddr) bool { return m.Addr == a && p.usable(m) })
}

// usable reports whether connections may go to a member if it has the part.
func (p *part) usable(m desired.MemberAddr) bool {
	meant := len(p.entry.Members) == 0 || slices.Contains(p.entry.Members, m.Member)
	return meant && !slices.Contains(p.entry.Except, m.Member) && m.Addr.Is4() == p.entry.Addr.Is4() &&
		!slices.ContainsFunc(p.entry.Never, func(n netip.Prefix) bool { return n.Contains(m.Addr) })
}

// goes has the part go by the database's roles.
func (p *part) goes(r roles.Roles, known bool) {
	if !known {
		if !p.known { // what the kernel had is the last good answer, as far as it is one still
			p.order = dealt(p.order, slices.DeleteFunc(slices.Clone(p.order), func(a netip.Addr) bool { return !p.may(a) }))
		}
		return
	}
	p.known = true
	has := func(member string) bool {
		switch p.entry.Part {
		case desired.PartWriter:
			return member == r.Writer
		case desired.PartReader:
			return member != r.Writer && slices.Contains(r.Readers, member)
		}
		return r.Up[member]
	}
	use, aside := p.chosen(has), false
	writer := p.chosen(func(member string) bool { return member == r.Writer && r.Writer != "" })
	if whole := len(p.entry.Members)+len(p.entry.Except) == 0; len(use) == 0 && p.entry.Part == desired.PartReader && whole {
		use, aside = writer, len(writer) > 0
	}
	use = use[:min(len(use), desired.Slots)]
	gone := slices.DeleteFunc(slices.Clone(p.order), func(a netip.Addr) bool { return slices.Contains(use, a) })
	if len(gone) > 0 {
		// Whoever reads at the writer because there was no replica may go on there.
		p.leaves = !p.aside || !slices.Equal(gone, writer)
	}
	p.order, p.aside = dealt(p.order, use), aside
}

// chosen gives the addresses of the members that are meant and of which is reports true,
// sorted.
func (p *part) chosen(is func(member string) bool) (addrs []netip.Addr) {
	for _, m := range p.entry.Addrs {
		if p.usable(m) && is(m.Member) {
			addrs = append(addrs, m.Addr)
		}
	}
	return sortedAddrs(addrs)
}

func sortedAddrs(addrs []netip.Addr) []netip.Addr {
	return slices.Compact(slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare))
}

// target is what the router is to have. Without addresses it refuses connections. What is
// no member any more, or has another part, is left at once by connections too: they would
// write where nothing must be written, or read what nobody writes.
func (p *part) target() desired.Target {
	return p.entry.Target(slices.Clone(p.order), p.leaves)
}

// turns takes in that the roles of a database have changed.
func (f *Follower) turns(r roles.Roles) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.byDatabase[r.Database] {
		before := p.target()
		p.goes(r, true)
		if now := p.target(); !desired.Equal(before, now) {
			f.cfg.Logger.Info("part of a database", "database", r.Database, "part", p.entry.Part, "target", p.entry.Addr, "leads to", now.Dests(), "led to", before.Dests())
			f.news[p.key] = true
			kick(f.changed)
		}
	}
}

// lead begins to follow a part of a database, or goes on with what is asked of it now. The
// caller holds the lock.
func (f *Follower) lead(entry desired.FollowDatabase, before Before) *part {
	key := entry.Key()
	p := f.parts[key]
	switch {
	case p == nil:
		was, former := before(targetKey(key))
		if former {
			was = desired.Target{} // which is something else's
		}
		p = newPart(entry, was.Dests())
	case p.entry.Database != entry.Database || p.entry.Part != entry.Part:
		f.release(key)
		p = newPart(entry, nil)
	default:
		p.entry = entry
	}
	f.parts[key] = p
	if f.byDatabase[entry.Database] == nil {
		f.byDatabase[entry.Database] = map[*part]bool{}
	}
	f.byDatabase[entry.Database][p] = true
	if f.cfg.Roles != nil {
		p.goes(f.cfg.Roles.Of(entry.Database))
	}
	return p
}

// release ceases to follow a part of a database. The caller holds the lock.
func (f *Follower) release(key desired.Key) {
	p := f.parts[key]
	if p == nil {
		return
	}
	delete(f.parts, key)
	delete(f.news, key)
	delete(f.byDatabase[p.entry.Database], p)
	if len(f.byDatabase[p.entry.Database]) == 0 {
		delete(f.byDatabase, p.entry.Database)
	}
}
