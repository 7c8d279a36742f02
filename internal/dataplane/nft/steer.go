// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"context"
	"fmt"
	"maps"
	"net/netip"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
)

// outsideNumber is what stands for all that comes from outside.
const outsideNumber = 1

func encodeSteer(p *parts, s desired.Steer, ids numbers) error {
	if s.Table < 1 || s.Table > desired.MaxTable {
		return fmt.Errorf("%d is not the number of a table", s.Table)
	}
	value := mark(network.TableMark(int(s.Table)))
	a, err := netip.ParseAddr(s.From)
	switch {
	case s.From == desired.Outside:
		p.add(element{set: setSteerOut, key: mark(outsideNumber), value: value, note: s.From})
		return nil
	case err != nil:
		p.addDevice(setSteerIf, s.From, value)
		return nil
	}
	if err := valid(a); err != nil {
		return err
	}
	p.add(element{set: setSteer + familyOf(a).suffix, key: raw(a), value: value})
	if model.Transit4.Contains(a) || model.Transit6.Contains(a) {
		return nil
	}
	n, ok := uint32(0), true
	if a.Is4() {
		n = number4(a)
	} else if n, ok = ids.number(owner{desired.KindPool, a.String()}); !ok {
		return nil // that of an endpoint, in whose name the router asks nothing
	}
	p.add(element{set: setProbers, key: mark(n), value: mark(n), note: a.String()})
	return nil
}

// addDevice adds what is said of a network interface of a workload, under the names
// that its device may have.
func (p *parts) addDevice(set, eni, value string) {
	for _, name := range network.WorkloadDevices(eni) {
		p.add(element{set: set, key: interfaceKey(name), value: value, note: eni})
	}
}

// interfaceKey is the name of an interface as the kernel has it in a register.
func interfaceKey(name string) string {
	var b [16]byte
	copy(b[:], name)
	return string(b[:])
}

func decodeSteer(vpc string, o owner, p *parts, _ names) desired.Entry {
	s := desired.Steer{VPC: vpc, From: o.id}
	for _, e := range p.elements {
		if e.set != setProbers {
			s.Table = uint32(network.TableOf(markOf(e.value)))
		}
	}
	return s
}

func encodeThrough(p *parts, t desired.Through, ids numbers) error {
	n, ok := ids.number(owner{desired.KindClass, t.Class})
	if !ok {
		return fmt.Errorf("class %s is not there", t.Class)
	}
	p.addDevice(setPassing, t.ENI, mark(n))
	return nil
}

func decodeThrough(vpc string, o owner, p *parts, ids names) desired.Entry {
	return desired.Through{VPC: vpc, ENI: o.id, Class: numbered(ids, desired.KindClass, markOf(p.value(setPassing)))}
}

// Steers gives the numbers of the tables that packets take, by whom they are from (see
// desired.Steer).
func (t *Table) Steers(ctx context.Context) (map[string]int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.know(ctx); err != nil {
		return nil, err
	}
	return maps.Clone(t.picture.steers), nil
}
