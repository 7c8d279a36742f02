// SPDX-License-Identifier: Apache-2.0

package express

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// nobody is the slot that no router has. What was carried of routers that are gone
// is added up there.
const nobody = 0

// router is what the agent has told the program of a router.
type router struct {
	slot    uint32
	devices map[uint32]mac
	// marks and targets are what packets are routed by, if it is not zero: those that come
	// from a device, and those that come to a target from other routers.
	marks   map[uint32]uint32
	targets map[netip.Addr]uint32
	// seen is false for a router that an earlier process has told of and this
	// one has not yet met. It may be gone.
	seen bool
}

// mac is the hardware address of a device.
type mac [6]byte

// state is struct router of express.c.
type state struct {
	Cookie     uint64
	Generation uint32
	_          uint32
}

// deviceKey is struct device of express.c.
type deviceKey struct {
	Router uint64
	Device uint32
	_      uint32
}

// listed is struct listed of express.c.
type listed struct {
	Slot     uint32
	MAC      mac
	Workload uint16
	Mark     uint32
	Taken    uint64
}

// use is struct use of express.c.
type use struct {
	Since   uint64
	Learned int32
	NoRoom  uint32
	Late    uint64
}

// readRouters reads what the program was told, and which slots are free.
func (l *Lane) readRouters() error {
	for _, name := range others {
		if l.maps[name] == nil {
			return fmt.Errorf("the program has no map %s", name)
		}
	}
	l.routers = map[uint64]*router{}
	slots := l.maps["routers"]
	states := make([]state, slots.MaxEntries())
	if _, err := slots.BatchLookup(new(ebpf.MapBatchCursor), make([]uint32, len(states)), states, nil); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("read routers: %w", err)
	}
	for slot := len(states) - 1; slot > nobody; slot-- {
		if cookie := states[slot].Cookie; cookie != 0 {
			l.routers[cookie] = newRouter(uint32(slot))
		} else {
			l.free = append(l.free, uint32(slot))
		}
	}
	var key deviceKey
	var value listed
	entries := l.maps["devices"].Iterate()
	for entries.Next(&key, &value) {
		if r := l.routers[key.Router]; r != nil {
			r.devices[key.Device] = value.MAC
			if value.Mark != 0 {
				r.marks[key.Device] = value.Mark
			}
		}
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("read devices: %w", err)
	}
	return l.readTargets()
}

func newRouter(slot uint32) *router {
	return &router{slot: slot, devices: map[uint32]mac{}, marks: map[uint32]uint32{}, targets: map[netip.Addr]uint32{}}
}

// list tells the program of a device that packets can be handed on to. Beyond
// what there is room for it is not told: their packets take the slow path.
func (l *Lane) list(cookie uint64, device uint32, value listed) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting, slow := l.slow[cookie]; slow {
		waiting[device] = value
		return nil
	}
	return l.enlist(cookie, device, value)
}

// enlist is list for a router that is not slow.
func (l *Lane) enlist(cookie uint64, device uint32, value listed) error {
	address := value.MAC
	r := l.routers[cookie]
	if r != nil && r.devices[device] == address {
		r.seen = true
		return nil
	}
	if r == nil {
		var err error
		if r, err = l.enter(cookie); err != nil || r == nil {
			return err
		}
	}
	r.seen = true
	put := func() error {
		value.Slot = r.slot
		return l.maps["devices"].Put(deviceKey{Router: cookie, Device: device}, value)
	}
	err := put()
	if errors.Is(err, unix.E2BIG) {
		if err := l.dropUnseen(); err != nil {
			return err
		}
		err = put()
	}
	if errors.Is(err, unix.E2BIG) {
		l.full = true
		return nil
	}
	if err != nil {
		return err
	}
	r.devices[device] = address
	delete(r.marks, device)
	return l.recheck(r)
}

// enter gives a router a slot; nil when there is none left.
func (l *Lane) enter(cookie uint64) (*router, error) {
	if len(l.free) == 0 {
		if err := l.dropUnseen(); err != nil {
			return nil, err
		}
	}
	if len(l.free) == 0 {
		l.full = true
		return nil, nil
	}
	slot := l.free[len(l.free)-1]
	if err := l.assign(slot, cookie); err != nil {
		return nil, err
	}
	l.free = l.free[:len(l.free)-1]
	r := newRouter(slot)
	l.routers[cookie] = r
	return r, nil
}

// assign gives a slot to a router, or to nobody, as if it were new.
func (l *Lane) assign(slot uint32, cookie uint64) error {
	t, err := l.total(slot)
	if err != nil {
		return err
	}
	all, err := l.total(nobody)
	if err != nil {
		return err
	}
	each := make([]Traffic, ebpf.MustPossibleCPU())
	each[0] = Traffic{all.Packets + t.Packets, all.Bytes + t.Bytes}
	zero := make([]Traffic, len(each))
	names, err := l.names(slot)
	if err != nil {
		return err
	}
	named, err := l.names(nobody)
	if err != nil {
		return err
	}
	named.add(names)
	eachNames, noNames := make([]said, len(each)), make([]said, len(each))
	eachNames[0] = said(named)
	var s state
	if err := l.maps["routers"].Lookup(slot, &s); err != nil {
		return err
	}
	return errors.Join(
		l.maps["totals"].Put(uint32(nobody), each), l.maps["totals"].Put(slot, zero), l.maps["uses"].Put(slot, use{}),
		l.maps["said"].Put(uint32(nobody), eachNames), l.maps["said"].Put(slot, noNames),
		l.maps["routers"].Put(slot, state{Cookie: cookie, Generation: s.Generation + 1}),
	)
}

// dropUnseen makes room by leaving routers to the slow path that this process has
// not met: most likely they are gone. Those that are there are told of again.
func (l *Lane) dropUnseen() error {
	for cookie, r := range l.routers {
		if !r.seen {
			if err := l.leave(cookie); err != nil {
				return err
			}
		}
	}
	return nil
}

// Leave makes the program forget a router that is gone, by the cookie of its
// namespace.
func (l *Lane) Leave(cookie uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.leave(cookie); err != nil {
		return fmt.Errorf("tell the express lane that a router is gone: %w", err)
	}
	return nil
}

func (l *Lane) leave(cookie uint64) error {
	delete(l.slow, cookie)
	r := l.routers[cookie]
	if r == nil {
		return nil
	}
	for device := range r.devices {
		if err := l.unlist(cookie, r, device); err != nil {
			return err
		}
	}
	for target := range r.targets {
		if err := l.steerTarget(cookie, r, target, 0); err != nil {
			return err
		}
	}
	if err := l.assign(r.slot, 0); err != nil {
		return err
	}
	delete(l.routers, cookie)
	l.free = append(l.free, r.slot)
	l.full = false
	return nil
}

func (l *Lane) unlist(cookie uint64, r *router, device uint32) error {
	err := l.maps["devices"].Delete(deviceKey{Router: cookie, Device: device})
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	delete(r.devices, device)
	delete(r.marks, device)
	l.full = false
	return nil
}

// Devices lists the devices of a router that packets are handed on between.
func (l *Lane) Devices(cookie uint64) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	devices := map[uint32]bool{}
	for device := range l.slow[cookie] {
		devices[device] = true
	}
	if r := l.routers[cookie]; r != nil {
		for device := range r.devices {
			devices[device] = true
		}
	}
	var all []int
	for _, device := range slices.Sorted(maps.Keys(devices)) {
		all = append(all, int(device))
	}
	return all
}

// Uncover makes the program hand nothing on to a device any more, by its index,
// which is to go or is gone. The program itself goes with it.
func (l *Lane) Uncover(cookie uint64, device int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slow[cookie], uint32(device))
	r := l.routers[cookie]
	if r == nil || r.devices[uint32(device)] == (mac{}) {
		return nil
	}
	if err := errors.Join(l.unlist(cookie, r, uint32(device)), l.recheck(r)); err != nil {
		return fmt.Errorf("take device %d from the express lane: %w", device, err)
	}
	return nil
}

// Bypass has all packets of a router take the slow path, or the lane again: rules are
// asked about each packet there. What the program remembers of the router ends at once.
// It has to be told again by each process, before that looks at the router's devices.
func (l *Lane) Bypass(cookie uint64, on bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, slow := l.slow[cookie]
	if slow == on {
		return nil
	}
	do := l.slowDown
	if slow {
		do = func(cookie uint64) error { return l.speedUp(cookie, waiting) }
	}
	if err := do(cookie); err != nil {
		return fmt.Errorf("take a router from the express lane, or give it back: %w", err)
	}
	return nil
}

// slowDown takes all devices of a router from the list.
func (l *Lane) slowDown(cookie uint64) error {
	waiting := map[uint32]listed{}
	r := l.routers[cookie]
	if r != nil {
		for device := range r.devices {
			var value listed
			if err := l.maps["devices"].Lookup(deviceKey{Router: cookie, Device: device}, &value); err == nil {
				waiting[device] = value
			}
		}
		for device := range r.devices {
			if err := l.unlist(cookie, r, device); err != nil {
				return err
			}
		}
		if err := l.recheck(r); err != nil {
			return err
		}
	}
	l.slow[cookie] = waiting
	return nil
}

// speedUp lists the devices that wait.
func (l *Lane) speedUp(cookie uint64, waiting map[uint32]listed) error {
	for device, value := range waiting {
		value.Taken = 0
		if err := l.enlist(cookie, device, value); err != nil {
			return err
		}
	}
	delete(l.slow, cookie)
	return nil
}

// Recheck makes the program ask again about everything that it knows of a router,
// which the cookie of its namespace tells (SO_NETNS_COOKIE in socket(7) of Linux
// 5.14): a connection was cut there, or the way to somewhere has changed.
func (l *Lane) Recheck(cookie uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.routers[cookie]
	if r == nil {
		return nil
	}
	if err := l.recheck(r); err != nil {
		return fmt.Errorf("tell the express lane to look again: %w", err)
	}
	return nil
}

func (l *Lane) recheck(r *router) error {
	var s state
	if err := l.maps["routers"].Lookup(r.slot, &s); err != nil {
		return err
	}
	s.Generation++
	return l.maps["routers"].Put(r.slot, s)
}

// Use reads what a router has, by the cookie of its namespace.
func (l *Lane) Use(cookie uint64) (Use, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.routers[cookie]
	if r == nil {
		return Use{}, nil
	}
	var u use
	err := l.maps["uses"].Lookup(r.slot, &u)
	t, totalErr := l.total(r.slot)
	n, namesErr := l.names(r.slot)
	if err := errors.Join(err, totalErr, namesErr); err != nil {
		return Use{}, fmt.Errorf("read a router's use of the express lane: %w", err)
	}
	return Use{Traffic: t, Names: n, Connections: max(0, int(u.Learned)), NoRoom: uint64(u.NoRoom)}, nil
}

// total adds up what each processor has carried of a slot.
func (l *Lane) total(slot uint32) (t Traffic, err error) {
	var each []Traffic
	if err := l.maps["totals"].Lookup(slot, &each); err != nil {
		return t, fmt.Errorf("read what was carried: %w", err)
	}
	for _, v := range each {
		t.Packets += v.Packets
		t.Bytes += v.Bytes
	}
	return t, nil
}
