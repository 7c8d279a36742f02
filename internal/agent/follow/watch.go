// SPDX-License-Identifier: Apache-2.0

package follow

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// watchFor bounds how long connections of one router are looked at before it is opened
// anew: the namespace of that name may be another one.
const watchFor = 30 * time.Second

// watching is the watch over the connections of one VPC.
type watching struct {
	addrs []netip.Addr
	end   context.CancelFunc
	ended chan struct{}
}

// watch has connections looked at that go to names with several addresses, until ctx is
// done. Where there are none nobody looks.
func (f *Follower) watch(ctx context.Context, wg *sync.WaitGroup) {
	if f.cfg.Watcher == nil || f.cfg.Prober == nil {
		return
	}
	running := map[string]*watching{}
	tick := time.NewTicker(f.cfg.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		wanted := f.looked()
		for vpc, w := range running {
			if !slices.Equal(wanted[vpc], w.addrs) {
				w.end()
				delete(running, vpc)
			}
		}
		for vpc, addrs := range wanted {
			if w := running[vpc]; w != nil && !w.over() {
				continue
			}
			running[vpc] = f.begins(ctx, wg, vpc, addrs)
		}
		select {
		case <-tick.C:
		case <-f.moved:
		case <-ctx.Done():
		}
	}
	for _, w := range running {
		w.end()
	}
}

// over reports whether a watch has ended.
func (w *watching) over() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// begins begins to look at the connections of a VPC.
func (f *Follower) begins(ctx context.Context, wg *sync.WaitGroup, vpc string, addrs []netip.Addr) *watching {
	w := &watching{addrs: addrs, ended: make(chan struct{})}
	limited, end := context.WithTimeout(ctx, watchFor)
	w.end = end
	wg.Go(func() {
		defer close(w.ended)
		defer end()
		err := f.cfg.Watcher.Watch(limited, vpc, addrs, func(a netip.Addr) { f.suspect(ctx, wg, vpc, a) })
		if err != nil && limited.Err() == nil {
			f.cfg.Logger.Debug("connections to names cannot be looked at", "vpc", vpc, "error", err)
		}
	})
	return w
}

// looked are the addresses to which connections are looked at, sorted, by VPC.
func (f *Follower) looked() map[string][]netip.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string][]netip.Addr{}
	for _, n := range f.names {
		if n.entry.Watched != 0 && len(n.set) > 1 {
			all[n.entry.VPC] = append(all[n.entry.VPC], n.set...)
		}
	}
	for vpc, list := range all {
		slices.SortFunc(list, netip.Addr.Compare)
		all[vpc] = slices.Compact(list)
	}
	return all
}

// suspect has an address asked to which connections have failed, for each name that has
// it. When as many are asked as can be, it has its turn with the others.
func (f *Follower) suspect(ctx context.Context, wg *sync.WaitGroup, vpc string, a netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.names {
		if n.entry.VPC != vpc || !n.suspect(time.Now(), a, f.cfg.Every) {
			continue
		}
		select {
		case f.probing <- struct{}{}:
		default:
			return
		}
		p := patient{n, n.entry.Gateway, netip.AddrPortFrom(a, uint16(n.entry.Watched))}
		wg.Go(func() {
			defer func() { <-f.probing }()
			f.probeOne(ctx, p)
		})
	}
}
