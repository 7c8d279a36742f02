// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"net/netip"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// Health is how a member of a group is.
type Health string

// What a member can be.
const (
	// Initial is one of which it is not known yet.
	Initial   Health = "initial"
	Healthy   Health = "healthy"
	Unhealthy Health = "unhealthy"
)

// member is one address of a group that is asked. It knows nothing of time but when it is to
// be asked next.
type member struct {
	at     netip.AddrPort
	health Health
	// run is how many answers in a row have said that it is otherwise.
	run uint32
	// why is what the last answer said that was not good, while it is not healthy.
	why    string
	next   time.Time
	asking bool
}

// hears takes in an answer, and reports whether the member is otherwise now. Of one of which
// nothing is known a single good answer is enough:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/network/target-group-health-checks.html
func (m *member) hears(c desired.Check, err error) bool {
	if err != nil {
		m.why = err.Error()
	}
	switch good := err == nil; {
	case m.health == Initial && good:
		m.run = c.Healthy
	case m.health == Healthy && good, m.health == Unhealthy && !good:
		m.run = 0
		return false
	default:
		m.run++
	}
	to, enough := Unhealthy, max(1, c.Unhealthy)
	if err == nil {
		to, enough = Healthy, c.Healthy
	}
	if m.run < enough {
		return false
	}
	m.health, m.run = to, 0
	if to == Healthy {
		m.why = ""
	}
	return true
}

// balance is an entry that is followed, and how the members of its groups are.
type balance struct {
	entry  desired.Balance
	key    desired.Key
	groups map[string]map[netip.AddrPort]*member
}

// newBalance begins to follow an entry, whose target was one before. The members that it led
// to are taken to be healthy until they are asked.
func newBalance(entry desired.Balance, before desired.Target, now time.Time) *balance {
	b := &balance{key: entry.Key(), groups: map[string]map[netip.AddrPort]*member{}}
	b.change(entry, now)
	for _, f := range before.Forwards {
		for _, l := range entry.Listeners {
			for _, at := range f.To {
				if m := b.groups[l.Group][at]; m != nil && l.Port == f.Port {
					m.health = Healthy
				}
			}
		}
	}
	return b
}

// change goes on with what is asked for now. Of members that stay what is known stays. One
// that is asked in another way is asked at once.
func (b *balance) change(entry desired.Balance, now time.Time) {
	former := b.entry
	b.entry = entry
	groups := map[string]map[netip.AddrPort]*member{}
	for _, l := range entry.Listeners {
		g, there := entry.Group(l.Group)
		if !there || groups[g.ID] != nil {
			continue
		}
		was, _ := former.Group(g.ID)
		members := make(map[netip.AddrPort]*member, len(g.Members))
		for _, at := range g.Members {
			m := b.groups[g.ID][at]
			if m == nil {
				m = &member{at: at, health: Initial, next: now}
			}
			if was.Check != g.Check {
				m.next = now
			}
			members[at] = m
		}
		groups[g.ID] = members
	}
	b.groups = groups
}

// target is what the router is to have.
func (b *balance) target() desired.Target {
	var forwards []desired.Forward
	for _, l := range b.entry.Listeners {
		if g, there := b.entry.Group(l.Group); there {
			forwards = append(forwards, b.forward(l.Port, g))
		}
	}
	return b.entry.Target(forwards)
}

// forward says where a port leads. While nobody is healthy it is to everybody, and nobody's
// connections are cut: that all fail says more of the check than of the members.
func (b *balance) forward(port uint16, g desired.TargetGroup) desired.Forward {
	f := desired.Forward{Port: port, Cut: g.CutGone}
	members := slices.SortedFunc(slices.Values(g.Members), netip.AddrPort.Compare)
	for _, at := range members {
		if b.groups[g.ID][at].health == Healthy {
			f.To = append(f.To, at)
		}
	}
	open := len(f.To) == 0
	if open {
		f.To = slices.Clone(members)
	}
	f.To = f.To[:min(len(f.To), desired.Slots)]
	for _, at := range members {
		cut := !open && g.CutUnhealthy && b.groups[g.ID][at].health == Unhealthy
		if !slices.Contains(f.To, at) && cut != f.Cut {
			f.Except = append(f.Except, at)
		}
	}
	if f.Cut {
		f.Except = append(f.Except, g.Draining...)
	}
	return f
}

// MemberHealth is how it stands with one member of a group, as one load balancer's address
// sees it.
type MemberHealth struct {
	// Group is the id of the group, VPC and Target are where connections come from.
	Group  string
	VPC    string
	Target netip.Addr
	At     netip.AddrPort
	Health Health
	// Why is what the last answer said that was not good; empty when it was.
	Why string
}

// Health tells of all members of groups, sorted by group, member and target.
func (f *Follower) Health() (all []MemberHealth) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.balances {
		for id, members := range b.groups {
			for _, m := range members {
				all = append(all, MemberHealth{id, b.entry.VPC, b.entry.Addr, m.at, m.health, m.why})
			}
		}
	}
	slices.SortFunc(all, MemberHealth.compare)
	return all
}
