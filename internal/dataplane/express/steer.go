// SPDX-License-Identifier: Apache-2.0

package express

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/cilium/ebpf"
)

// targetKey is struct target of express.c.
type targetKey struct {
	Router  uint64
	Address [16]byte
}

func keyOf(cookie uint64, target netip.Addr) targetKey {
	k := targetKey{Router: cookie}
	copy(k.Address[:], target.AsSlice())
	return k
}

// target is the address in a key. No IPv6 address of the transit realm ends in zeros
// behind its first word.
func (k targetKey) target() netip.Addr {
	if [12]byte(k.Address[4:]) == ([12]byte{}) {
		return netip.AddrFrom4([4]byte(k.Address[:4]))
	}
	return netip.AddrFrom16(k.Address)
}

// readTargets reads what the program was told of targets.
func (l *Lane) readTargets() error {
	var key targetKey
	var mark uint32
	entries := l.maps["steers"].Iterate()
	for entries.Next(&key, &mark) {
		if r := l.routers[key.Router]; r != nil {
			r.targets[key.target()] = mark
		}
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read steers: %w", err)
	}
	return nil
}

// Steer tells the program by which marks packets are routed in a router: those that come
// from a device, by its index, and those that come to a target from other routers. What
// is not named has none. What it knows of the router is asked for again when that
// is news.
func (l *Lane) Steer(cookie uint64, devices map[int]uint32, targets map[netip.Addr]uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.routers[cookie]
	if r == nil {
		return nil
	}
	changed := false
	for device := range r.devices {
		if mark := devices[int(device)]; mark != r.marks[device] {
			changed = true
			if err := l.steerDevice(cookie, r, device, mark); err != nil {
				return fmt.Errorf("steer device %d in the express lane: %w", device, err)
			}
		}
	}
	for target := range maps.Clone(r.targets) {
		if targets[target] == 0 {
			changed = true
			if err := l.steerTarget(cookie, r, target, 0); err != nil {
				return fmt.Errorf("steer %s in the express lane: %w", target, err)
			}
		}
	}
	for target, mark := range targets {
		if mark != r.targets[target] {
			changed = true
			if err := l.steerTarget(cookie, r, target, mark); err != nil {
				return fmt.Errorf("steer %s in the express lane: %w", target, err)
			}
		}
	}
	if !changed {
		return nil
	}
	return l.recheck(r)
}

// Steered reports whether anything of a router has a mark.
func (l *Lane) Steered(cookie uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.routers[cookie]
	return r != nil && len(r.marks)+len(r.targets) > 0
}

func (l *Lane) steerDevice(cookie uint64, r *router, device, mark uint32) error {
	key := deviceKey{Router: cookie, Device: device}
	var value listed
	if err := l.maps["devices"].Lookup(key, &value); err != nil {
		return err
	}
	value.Mark = mark
	if err := l.maps["devices"].Update(key, value, ebpf.UpdateExist); err != nil {
		return err
	}
	if r.marks[device] = mark; mark == 0 {
		delete(r.marks, device)
	}
	return nil
}

func (l *Lane) steerTarget(cookie uint64, r *router, target netip.Addr, mark uint32) error {
	if mark != 0 {
		r.targets[target] = mark
		return l.maps["steers"].Put(keyOf(cookie, target), mark)
	}
	err := l.maps["steers"].Delete(keyOf(cookie, target))
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	delete(r.targets, target)
	return nil
}
