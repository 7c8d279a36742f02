// SPDX-License-Identifier: Apache-2.0

package express

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
)

// OpenAs loads the program as if it were of another version.
func OpenAs(instance, version string, idle time.Duration) (*Lane, error) {
	l, err := load(instance+"."+version, 0)
	if err != nil {
		return nil, err
	}
	return l, l.start(idle, bounds{Share, late})
}

// OpenSmall loads the program with room for so many directions of connections,
// whatever a router has of it.
func OpenSmall(instance string, idle time.Duration, flows uint32) (*Lane, error) {
	l, err := load(instance+"."+version(), flows)
	if err != nil {
		return nil, err
	}
	return l, l.start(idle, bounds{1 << 20, late})
}

// OpenBound loads the program with bounds of the test's own for each router.
func OpenBound(instance string, idle time.Duration, share, late uint32) (*Lane, error) {
	l, err := load(instance+"."+version(), 0)
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
