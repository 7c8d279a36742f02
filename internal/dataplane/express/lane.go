// SPDX-License-Identifier: Apache-2.0

// Package express is the express lane: an eBPF program on the devices of VPC
// routers that carries TCP connections, once they were admitted and answered,
// past routes, connection tracking and rules, straight to the next namespace.
//
// It decides nothing. The slow path admits a connection and translates it; the
// program remembers what came of that, asks again every few seconds and at
// every Recheck of the router, and hands everything that it does not know to the
// slow path. It hands packets on only between devices that Cover has listed.
// So a host without it works the same, only slower. Programs and what they
// remember belong to the devices that they are on: they outlive the process
// that put them there, and go with the last device.
//
// express.c says how it works. express.o is compiled from it by `make
// express`, so that building Postern needs no compiler for eBPF.
package express

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// programName is how the kernel calls the program: its longest name has 15
// characters.
const programName = "postern_express"

// refresh is how long the lane believes what it knows of a connection. The
// timer of connection tracking may run that much ahead of the last packet.
const refresh = 15 * time.Second

// closing is how long connection tracking keeps the ports of a connection that
// both ends have closed: as long as its own TIME_WAIT in a router.
const closing = time.Minute

//go:embed express.o
var object []byte

// control is struct control of express.c.
type control struct {
	Enabled uint32
	Idle    uint32
	Refresh uint64
	Closed  uint32
	Share   uint32
	Late    uint32
	_       uint32
}

// others are the maps of express.c besides control and counters.
var others = []string{"routers", "devices", "uses", "totals", "flows", "steers", "asking", "sites", "sources", "answers", "said", "passages"}

// bounds are what one router may have of what all share: connections that are
// remembered and in use, and closed ones that keep their ports for all of closing.
type bounds struct{ share, late uint32 }

// Share is how many connections of one router the lane remembers at a time: a
// quarter of what it has room for.
const Share = 1 << 14

// late closed connections in a minute are no more than a router has room for
// beside open ones, and leave a client most of its share: they count in it.
const late = 1 << 13

// Lane is the program of one Postern instance, loaded. Its methods may be
// called from several goroutines.
type Lane struct {
	program  *ebpf.Program
	id       ebpf.ProgramID
	control  *ebpf.Map
	counters *ebpf.Map
	maps     map[string]*ebpf.Map // the others, by their names in express.c

	mu      sync.Mutex // held while what follows, and its copy in the kernel, is changed
	routers map[uint64]*router
	free    []uint32 // slots
	full    bool     // there are more devices than can be listed
	// slow are the routers whose packets take the slow path, with the devices that are
	// to be listed when they do not any more.
	slow map[uint64]map[uint32]listed
}

// Counters say what the lane has done since its program was loaded.
type Counters struct {
	Traffic // that took the lane through a router
	// Learned is how often a connection was remembered in a router.
	Learned uint64
	// Forgotten is how often one was given back to the slow path because a
	// new look did not confirm it.
	Forgotten uint64
	// NoRoom counts packets that took the slow path because their router's
	// share was used up.
	NoRoom uint64
	// Names is what it did for resolvers.
	Names Names
	// Routers and Devices are how many the lane knows now.
	Routers, Devices int
}

// Traffic counts packets and their bytes as the kernel does elsewhere: from the IP
// header on, and what it handles in one piece as one packet.
type Traffic struct{ Packets, Bytes uint64 }

// Use is what one router has of the lane.
type Use struct {
	Traffic // that the lane has carried through it
	// Connections are about those that are remembered and in use.
	Connections int
	// NoRoom counts its packets that took the slow path because it had its share.
	NoRoom uint64
	// Names is what the lane did for the VPC's resolver.
	Names Names
}

// Open takes over the program that an earlier process of the instance has left
// on its routers' devices, or loads it. An earlier version is switched off: what
// it carried takes the slow path until the new one knows it. Idle is the timeout
// of open connections in connection tracking. An error says that this kernel
// cannot do it, or that the process may not.
func Open(instance string, idle time.Duration) (*Lane, error) {
	l, err := adopt(instance, version())
	if err == nil && l == nil {
		l, err = load(instance+"."+version(), nil)
	}
	if err != nil {
		return nil, fmt.Errorf("open express lane: %w", err)
	}
	if err := l.start(idle, bounds{Share, late}); err != nil {
		l.Close()
		return nil, fmt.Errorf("start express lane: %w", err)
	}
	return l, nil
}

// version tells programs apart. With an instance and a dot before it, it is the
// name of the control map, which has at most 15 characters.
func version() string {
	sum := sha256.Sum256(object)
	return hex.EncodeToString(sum[:3])
}

// load puts the program into the kernel, with other sizes of the maps that are
// named.
func load(name string, sizes map[string]uint32) (*Lane, error) {
	spec, err := ebpf.LoadCollectionSpecFromReader(bytes.NewReader(object))
	if err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	spec.Maps["control"].Name = name
	for m, entries := range sizes {
		spec.Maps[m].MaxEntries = entries
	}
	c, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load program: %w", err)
	}
	defer c.Close()
	l := &Lane{program: c.DetachProgram(programName), control: c.DetachMap("control"), counters: c.DetachMap("counters"), maps: map[string]*ebpf.Map{}, slow: map[uint64]map[uint32]listed{}}
	for _, m := range others {
		l.maps[m] = c.DetachMap(m)
	}
	if err := errors.Join(l.identify(), l.readRouters()); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Probe tries the program on a device of the thread's network namespace, by the
// device's index, and leaves nothing.
func Probe(device int) error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open rtnetlink socket: %w", err)
	}
	defer h.Close()
	l, err := load("probe", map[string]uint32{"flows": 1, "passages": 1})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.attach(h, device, false); err != nil {
		return err
	}
	return h.QdiscDel(qdisc(device))
}

func (l *Lane) identify() error {
	info, err := l.program.Info()
	if err != nil {
		return fmt.Errorf("read program: %w", err)
	}
	l.id, _ = info.ID()
	return nil
}

// adopt looks for programs of the instance. It returns the one of this version,
// if there is one, and switches others off.
func adopt(instance, version string) (*Lane, error) {
	var found *Lane
	err := each(instance, func(l *Lane, v string) error {
		if v == version && found == nil {
			found = l
			return l.readRouters()
		}
		return errors.Join(l.disable(), l.Close())
	})
	if err != nil {
		found.Close()
		return nil, fmt.Errorf("look for an earlier program: %w", err)
	}
	return found, nil
}

// Disable switches the lane of an instance off, whatever version it is: all
// packets take the slow path.
func Disable(instance string) error {
	err := each(instance, func(l *Lane, _ string) error { return errors.Join(l.disable(), l.Close()) })
	if err != nil {
		return fmt.Errorf("switch express lane off: %w", err)
	}
	return nil
}

// each opens the programs of an instance, which visit closes.
func each(instance string, visit func(l *Lane, version string) error) error {
	for id := ebpf.ProgramID(0); ; {
		var err error
		if id, err = ebpf.ProgramGetNextID(id); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		l, name, err := inspect(id)
		if err != nil {
			return fmt.Errorf("program %d: %w", id, err)
		}
		if l == nil {
			continue
		}
		owner, version, _ := strings.Cut(name, ".")
		if owner != instance {
			err = l.Close()
		} else {
			err = visit(l, version)
		}
		if err != nil {
			return err
		}
	}
}

// inspect opens a program, and returns the name of its control map. What is not
// a lane, or goes meanwhile, is nil.
func inspect(id ebpf.ProgramID) (l *Lane, name string, err error) {
	program, err := ebpf.NewProgramFromID(id)
	if errors.Is(err, os.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	l = &Lane{program: program, id: id, maps: map[string]*ebpf.Map{}, slow: map[uint64]map[uint32]listed{}}
	defer func() {
		if err != nil || l.control == nil || l.counters == nil {
			err = errors.Join(err, l.Close())
			l = nil
		}
	}()
	info, err := program.Info()
	if err != nil || info.Name != programName {
		return l, "", err
	}
	maps, _ := info.MapIDs()
	for _, m := range maps {
		opened, err := ebpf.NewMapFromID(m)
		if err != nil {
			return l, "", err
		}
		said, err := opened.Info()
		switch {
		case err != nil:
			return l, "", errors.Join(err, opened.Close())
		case strings.Contains(said.Name, "."):
			l.control, name = opened, said.Name
		case said.Name == "counters":
			l.counters = opened
		case slices.Contains(others, said.Name):
			l.maps[said.Name] = opened
		default:
			opened.Close()
		}
	}
	return l, name, nil
}

// disable works for every version: whatever else control has, it begins with
// the word that says whether the lane is enabled.
func (l *Lane) disable() error {
	value, err := l.control.LookupBytes(uint32(0))
	if err != nil {
		return err
	}
	clear(value[:4])
	return l.control.Put(uint32(0), value)
}

// start sets what the program goes by, and makes it ask again about everything
// that it knows from before.
func (l *Lane) start(idle time.Duration, b bounds) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.routers {
		if err := l.recheck(r); err != nil {
			return err
		}
	}
	return l.control.Put(uint32(0), control{
		Enabled: 1, Refresh: uint64(min(refresh, idle/4)), Idle: uint32(idle / time.Millisecond),
		Closed: uint32(closing / time.Millisecond), Share: b.share, Late: b.late,
	})
}

// Close closes what is open. Devices keep the program. A nil Lane has nothing
// open.
func (l *Lane) Close() error {
	if l == nil {
		return nil
	}
	errs := []error{l.program.Close(), l.control.Close(), l.counters.Close()}
	for _, m := range l.maps {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}

// Counters reads what the lane has done.
func (l *Lane) Counters() (c Counters, err error) {
	for i, n := range []*uint64{&c.Learned, &c.Forgotten, &c.NoRoom} {
		var each []uint64
		if err := l.counters.Lookup(uint32(i), &each); err != nil {
			return c, fmt.Errorf("read counters of the express lane: %w", err)
		}
		for _, v := range each {
			*n += v
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Routers = len(l.routers)
	slots := []uint32{nobody}
	for _, r := range l.routers {
		slots = append(slots, r.slot)
		c.Devices += len(r.devices)
	}
	for _, slot := range slots {
		t, err := l.total(slot)
		if err != nil {
			return c, err
		}
		c.Packets += t.Packets
		c.Bytes += t.Bytes
		n, err := l.names(slot)
		if err != nil {
			return c, err
		}
		c.Names.add(n)
	}
	return c, nil
}
