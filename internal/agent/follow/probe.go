// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// probe probes what is in use until ctx is done.
func (f *Follower) probe(ctx context.Context, wg *sync.WaitGroup) {
	if f.cfg.Prober == nil {
		return
	}
	for ctx.Err() == nil {
		timer := time.NewTimer(f.cfg.Every)
		for _, p := range f.watched() {
			select {
			case f.probing <- struct{}{}:
			case <-ctx.Done():
				timer.Stop()
				return
			}
			wg.Go(func() {
				defer func() { <-f.probing }()
				f.probeOne(ctx, p)
			})
		}
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// patient is a probed address of a name.
type patient struct {
	name *name
	from netip.Addr
	to   netip.AddrPort
}

// watched lists what is to be probed now.
func (f *Follower) watched() (all []patient) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []*name
	for _, n := range f.names {
		if len(n.watched()) > 0 {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b *name) int { return cmp.Compare(a.turn, b.turn) })
	f.turn++
	for _, n := range names {
		list := n.watched()
		if len(all) > 0 && len(all)+len(list) > f.cfg.Probes {
			break
		}
		n.turn = f.turn
		for _, a := range list {
			all = append(all, patient{n, n.entry.Gateway, netip.AddrPortFrom(a, n.port())})
		}
	}
	return all
}

func (f *Follower) probeOne(ctx context.Context, p patient) {
	limited, cancel := context.WithTimeout(ctx, f.cfg.Every)
	defer cancel()
	err := f.cfg.Prober.Probe(limited, p.name.entry.VPC, p.from, p.to)
	f.mu.Lock()
	defer f.mu.Unlock()
	n := p.name
	if ctx.Err() != nil || f.names[n.key] != n || n.port() != p.to.Port() || len(n.set) < 2 || !slices.Contains(n.set, p.to.Addr()) {
		return
	}
	before, _ := n.down[p.to.Addr()]
	if n.probed(time.Now(), p.to.Addr(), err) {
		f.cfg.Logger.Info("address of a name", "name", n.entry.Name, "vpc", n.entry.VPC, "address", p.to, "in use", err == nil, "was", before, "error", err)
		f.note(n)
	}
	if n.place >= 0 {
		f.due.put(n)
		kick(f.wake)
	}
}
