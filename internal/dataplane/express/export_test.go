// SPDX-License-Identifier: Apache-2.0

package express

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// OpenAs loads the program as if it were of another version.
func OpenAs(instance, version string, idle time.Duration) (*Lane, error) {
	l, err := load(instance+"."+version, nil)
	if err != nil {
		return nil, err
	}
	return l, l.start(idle, bounds{Share, late})
}

// OpenSmall loads the program with room for so many directions of connections,
// whatever a router has of it.
func OpenSmall(instance string, idle time.Duration, flows uint32) (*Lane, error) {
	l, err := load(instance+"."+version(), map[string]uint32{"flows": flows})
	if err != nil {
		return nil, err
	}
	return l, l.start(idle, bounds{1 << 20, late})
}

// OpenBound loads the program with bounds of the test's own for each router.
func OpenBound(instance string, idle time.Duration, share, late uint32) (*Lane, error) {
	l, err := load(instance+"."+version(), nil)
	if err != nil {
		return nil, err
	}
	return l, l.start(idle, bounds{share, late})
}

// Flows counts what the lane remembers, in directions of connections.
func (l *Lane) Flows() (int, error) {
	info, err := l.program.Info()
	if err != nil {
		return 0, err
	}
	maps, _ := info.MapIDs()
	for _, id := range maps {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return 0, err
		}
		defer m.Close()
		said, err := m.Info()
		if err != nil {
			return 0, err
		}
		if said.Name == "flows" {
			return entries(m)
		}
	}
	return 0, fmt.Errorf("the program has no map of flows")
}

func entries(m *ebpf.Map) (n int, err error) {
	key := make([]byte, m.KeySize())
	for err = m.NextKey(nil, &key); err == nil; err = m.NextKey(key, &key) {
		n++
	}
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		err = nil
	}
	return n, err
}

// OpenFew loads the program with room for so many devices.
func OpenFew(instance string, idle time.Duration, devices uint32) (*Lane, error) {
	l, err := load(instance+"."+version(), map[string]uint32{"devices": devices})
	if err != nil {
		return nil, err
	}
	return l, l.start(idle, bounds{Share, late})
}

// List lists devices of a router that nobody has.
func List(l *Lane, cookie uint64, devices int) error {
	for i := range devices {
		if err := l.list(cookie, uint32(i+1), listed{MAC: mac{2, 1}}); err != nil {
			return err
		}
	}
	return nil
}

// OpenTight loads the program with room for so many directions, and a share of the
// test's own for each router; or takes over the one that is there.
func OpenTight(instance string, idle time.Duration, flows, share uint32) (*Lane, error) {
	l, err := adopt(instance, version())
	if err == nil && l == nil {
		l, err = load(instance+"."+version(), map[string]uint32{"flows": flows})
	}
	if err != nil {
		return nil, err
	}
	return l, l.start(idle, bounds{share, late})
}

//go:embed testdata/earlier.o
var earlier []byte

// OpenEarlier loads the program as it was before devices were listed.
func OpenEarlier(instance string, idle time.Duration) (*Lane, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(earlier))
	if err != nil {
		return nil, err
	}
	spec.Maps["control"].Name = instance + ".0lder"
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	l := &Lane{program: c.DetachProgram(programName), control: c.DetachMap("control"), counters: c.DetachMap("counters")}
	return l, errors.Join(l.identify(), l.control.Put(uint32(0), struct {
		Enabled, Generation       uint32
		Refresh                   uint64
		Idle, Closed, Share, Late uint32
	}{1, 1, uint64(refresh), uint32(idle / time.Millisecond), 60_000, Share, late}))
}

// Attach puts the program on a device and lists nothing.
func Attach(l *Lane, h *netlink.Handle, device int) error { return l.attach(h, device, false) }

// EarlierPackets is how many packets the earlier program has carried.
func EarlierPackets(l *Lane) (n int, err error) {
	var each []uint64
	err = l.counters.Lookup(uint32(0), &each)
	for _, v := range each {
		n += int(v)
	}
	return n, err
}

// Believe sets how long the program believes what it knows: however slow a test is, it
// does not ask again by itself.
func Believe(l *Lane, d time.Duration) error {
	var c control
	if err := l.control.Lookup(uint32(0), &c); err != nil {
		return err
	}
	c.Refresh = uint64(d)
	return l.control.Put(uint32(0), c)
}
