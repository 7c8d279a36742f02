// SPDX-License-Identifier: Apache-2.0

// Package shelf puts answers where the kernel gives them by itself: into maps of the
// express lane (package express), whose program answers questions of workloads where
// they come into their router. It says under which generations of what an answer holds,
// and raises them when that has changed; so what is old is never answered.
//
// What is on the shelf can be lost at any time: whoever asks reaches the process then.
package shelf

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Given is a shelf as its owner gives it to a process: the numbers of its maps in the
// kernel, and the term of the process. What others have put there does not count.
type Given struct{ Sites, Sources, Answers, Term uint32 }

// Shelf is the shelf that a process has, or none. Its methods may be called from several
// goroutines.
type Shelf struct {
	seed    maphash.Seed
	version atomic.Uint64 // of what is answered from

	mu    sync.RWMutex // written when what follows changes
	shelf *opened      // nil when there is none
	sites map[uint64]netip.Addr
	gone  bool

	sweeping       atomic.Bool
	kept, sweepers atomic.Int64
}

// opened is a shelf that is open.
type opened struct {
	term                    uint32
	sites, sources, answers *ebpf.Map
	memory                  []byte   // of sources
	generations             []uint64 // the same
	full                    atomic.Bool
}

// site is struct site of answers.h.
type site struct {
	Term    uint32
	Address [4]byte
}

// New makes a Shelf without any.
func New() *Shelf {
	s := &Shelf{seed: maphash.MakeSeed(), sites: map[uint64]netip.Addr{}}
	s.version.Store(1)
	return s
}

// Use takes a shelf in place of the one before. What others have left on it is removed.
func (s *Shelf) Use(g Given) error {
	o, err := open(g)
	if err != nil {
		return fmt.Errorf("use the kernel's shelf for answers: %w", err)
	}
	if err := o.tidy(); err != nil {
		o.close()
		return fmt.Errorf("tidy the kernel's shelf for answers: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		o.close()
		return nil
	}
	s.shelf.close()
	s.shelf = o
	for router, address := range s.sites {
		o.put(router, address)
	}
	return nil
}

func open(g Given) (o *opened, err error) {
	o = &opened{term: g.Term}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	for _, m := range []struct {
		to         **ebpf.Map
		id         uint32
		key, value uintptr
	}{
		{&o.sites, g.Sites, 8, unsafe.Sizeof(site{})}, {&o.sources, g.Sources, 4, 8},
		{&o.answers, g.Answers, unsafe.Sizeof(question{}), unsafe.Sizeof(answer{})},
	} {
		if *m.to, err = ebpf.NewMapFromID(ebpf.MapID(m.id)); err != nil {
			return o, err
		}
		if (*m.to).KeySize() != uint32(m.key) || (*m.to).ValueSize() != uint32(m.value) {
			return o, errors.New("it is another version's")
		}
	}
	n := int(o.sources.MaxEntries())
	if o.memory, err = unix.Mmap(o.sources.FD(), 0, 8*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return o, err
	}
	o.generations = unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(o.memory))), n)
	return o, nil
}

func (o *opened) close() {
	if o == nil {
		return
	}
	for _, m := range []*ebpf.Map{o.sites, o.sources, o.answers} {
		m.Close()
	}
	if o.memory != nil {
		_ = unix.Munmap(o.memory) // it is not mapped if that fails
	}
}

// tidy takes away the sites of others. Their answers do not count, and go when there is
// no more room.
func (o *opened) tidy() error {
	var router uint64
	var there site
	var others []uint64
	all := o.sites.Iterate()
	for all.Next(&router, &there) {
		if there.Term != o.term {
			others = append(others, router)
		}
	}
	if err := all.Err(); err != nil {
		return err
	}
	for _, router := range others {
		if err := o.sites.Delete(router); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// put has the kernel answer in a router. Where that cannot be told all goes to the
// process.
func (o *opened) put(router uint64, address netip.Addr) {
	v := site{Term: o.term}
	if address.Is4() {
		v.Address = address.As4()
	}
	_ = o.sites.Update(unsafe.Pointer(&router), unsafe.Pointer(&v), ebpf.UpdateAny)
}

// Open says that a router, by the cookie of its namespace, has sockets of the process,
// one of them at an address of its own.
func (s *Shelf) Open(router uint64, address netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sites[router] = address
	if s.shelf != nil {
		s.shelf.put(router, address)
	}
}

// Shut says that a router has no sockets any more. Nothing is answered there after it.
func (s *Shelf) Shut(router uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sites, router)
	if s.shelf != nil {
		_ = s.shelf.sites.Delete(router) // it may not be there
	}
}

// GiveUp touches the shelf no more: another process has it.
func (s *Shelf) GiveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.shelf.close()
	s.shelf = nil
}

// Version is what Keep is to be called with, if it is asked before the World is taken that
// is answered from. It is never zero.
func (s *Shelf) Version() uint64 { return s.version.Load() }

// Changed says that there is another World to answer from, which differs in some realms.
// Nothing of before is answered any more when it returns.
func (s *Shelf) Changed(realms []string) {
	// Who reads a generation that is raised reads another version too, and so does not
	// keep what it has from before: the order counts.
	s.version.Add(1)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.shelf == nil {
		return
	}
	for _, name := range realms {
		atomic.AddUint64(&s.shelf.generations[s.number(name)], 1)
	}
}

// number is that of what answers are made of. Two may have the same: more is thrown away
// than need be then.
func (s *Shelf) number(realm string) uint32 {
	return uint32(maphash.String(s.seed, realm)) % uint32(len(s.shelf.generations))
}

// Kept is how many answers were put on the shelf.
func (s *Shelf) Kept() int64 { return s.kept.Load() }

// Has reports whether there is a shelf.
func (s *Shelf) Has() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.shelf != nil
}
