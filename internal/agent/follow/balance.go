// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/desired"
)

// balanceKey is the key of the balance that a target may be of.
func balanceKey(target desired.Key) desired.Key {
	target.Kind = desired.KindBalance
	return target
}

func (h MemberHealth) compare(o MemberHealth) int {
	return cmp.Or(strings.Compare(h.Group, o.Group), h.At.Compare(o.At), h.Target.Compare(o.Target), strings.Compare(h.VPC, o.VPC))
}

// weighs begins to follow a balance, or goes on with what is asked of it now. The caller holds
// the lock.
func (f *Follower) weighs(entry desired.Balance, before Before) *balance {
	key, now := entry.Key(), time.Now()
	b := f.balances[key]
	if b == nil {
		was, former := before(targetKey(key))
		if former {
			was = desired.Target{} // which was something else's
		}
		b = newBalance(entry, was, now)
		f.balances[key] = b
	} else {
		b.change(entry, now)
	}
	kick(f.check)
	return b
}

// attend asks the members of groups until ctx is done.
func (f *Follower) attend(ctx context.Context, wg *sync.WaitGroup) {
	for ctx.Err() == nil {
		timer := time.NewTimer(f.examine(ctx, wg))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-f.check:
		}
		timer.Stop()
	}
}

// inquiry is a member that is to be asked.
type inquiry struct {
	balance *balance
	group   string
	check   desired.Check
	member  *member
}

// examine begins to ask the members that are due, those that have waited longest first, and
// gives the time until others are.
func (f *Follower) examine(ctx context.Context, wg *sync.WaitGroup) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, next := time.Now(), time.Now().Add(idle)
	var due []inquiry
	for _, b := range f.balances {
		for id, members := range b.groups {
			g, _ := b.entry.Group(id)
			for _, m := range members {
				switch {
				case m.asking:
				case m.next.After(now):
					next = slices.MinFunc([]time.Time{next, m.next}, time.Time.Compare)
				default:
					due = append(due, inquiry{b, id, g.Check, m})
				}
			}
		}
	}
	slices.SortFunc(due, func(a, b inquiry) int {
		return cmp.Or(a.member.next.Compare(b.member.next), a.member.at.Compare(b.member.at))
	})
	for _, q := range due {
		if f.asking == f.cfg.Checks {
			break // whoever ends has this done again
		}
		f.asking++
		q.member.asking, q.member.next = true, now.Add(max(time.Second, time.Duration(q.check.Interval)*time.Second))
		next = slices.MinFunc([]time.Time{next, q.member.next}, time.Time.Compare)
		vpc, gateway := q.balance.entry.VPC, q.balance.entry.Gateway
		wg.Go(func() { f.hear(ctx, q, f.inquire(ctx, vpc, gateway, q.check, q.member.at)) })
	}
	return next.Sub(now)
}

// hear takes in the answer of a member.
func (f *Follower) hear(ctx context.Context, q inquiry, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asking--
	q.member.asking = false
	kick(f.check)
	b := q.balance
	if ctx.Err() != nil || f.balances[b.key] != b || b.groups[q.group][q.member.at] != q.member {
		return
	}
	before := b.target()
	if !q.member.hears(q.check, err) {
		return
	}
	f.cfg.Logger.Info("member of a target group", "group", q.group, "vpc", b.entry.VPC, "target", b.entry.Addr, "member", q.member.at, "is", q.member.health, "error", err)
	if !desired.Equal(before, b.target()) {
		f.news[b.key] = true
		kick(f.changed)
	}
}

// checked is where a member is asked.
func checked(c desired.Check, at netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(at.Addr(), cmp.Or(c.Port, at.Port()))
}
