// SPDX-License-Identifier: Apache-2.0

package shelf_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/resolver/shelf"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/test/testnet"
)

// small is a shelf with room for a few answers, on maps of the test's own.
type small struct {
	*shelf.Shelf
	t       testing.TB
	answers *ebpf.Map
	note    shelf.Note
}

const room = 64

func newSmall(t testing.TB) *small {
	t.Helper()
	testnet.Require(t)
	s := &small{Shelf: shelf.New(), t: t}
	var g shelf.Given
	for _, m := range []struct {
		id         *uint32
		kind       ebpf.MapType
		key, value uint32
		n, flags   uint32
	}{
		{&g.Sites, ebpf.Hash, 8, 8, room, unix.BPF_F_NO_PREALLOC}, {&g.Sources, ebpf.Array, 4, 8, 1 << 12, unix.BPF_F_MMAPABLE},
		{&g.Answers, ebpf.Hash, 144, 304, room, unix.BPF_F_NO_PREALLOC},
	} {
		made, err := ebpf.NewMap(&ebpf.MapSpec{Type: m.kind, KeySize: m.key, ValueSize: m.value, MaxEntries: m.n, Flags: m.flags})
		if err != nil {
			testnet.Unable(t, "no maps: "+err.Error())
		}
		t.Cleanup(func() { made.Close() })
		info, err := made.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		*m.id, s.answers = uint32(id), made
	}
	g.Term = 7
	if err := s.Use(g); err != nil {
		t.Fatal(err)
	}
	return s
}

// keep puts an answer for a name of a router, made of a zone.
func (s *small) keep(router uint64, name, zone string) {
	s.t.Helper()
	wired, err := wire.AppendName(nil, name)
	if err != nil {
		s.t.Fatal(err)
	}
	message := append(make([]byte, 12), wired...)
	message = append(message, 0, 1, 0, 1)
	message = wire.AppendRecord(message, wire.TypeA, 60, []byte{10, 0, 0, 1})
	s.Keep(s.Version(), &s.note, shelf.Asked{Router: router, Name: wired, Type: wire.TypeA},
		shelf.Told{Message: message, Question: len(wired) + 4, Sources: [2]string{fmt.Sprint("vpc-", router), zone}})
}

// counts is how many answers there are of each router.
func (s *small) counts() map[uint64]int {
	s.t.Helper()
	n := map[uint64]int{}
	key, value := make([]byte, 144), make([]byte, 304)
	all := s.answers.Iterate()
	for all.Next(&key, &value) {
		n[binary.NativeEndian.Uint64(key)]++
	}
	if err := all.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) { // some go meanwhile
		s.t.Fatal(err)
	}
	return n
}

// until keeps one more of router 9 until that is so.
func (s *small) until(what string, so func(map[uint64]int) bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !so(s.counts()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: %v", what, s.counts())
		}
		s.keep(9, "late.example.com", "Z9")
	}
}

// When there is no more room the router loses its answers that has most, and others
// nothing; and what does not hold goes first.
func TestWhoHasMostMakesRoom(t *testing.T) {
	s := newSmall(t)
	for i := range 20 {
		s.keep(1, fmt.Sprintf("h%d.example.com", i), "Z1")
	}
	for i := range 1000 {
		s.keep(2, fmt.Sprintf("h%d.example.com", i), "Z2")
	}
	s.until("router 2 has lost nothing", func(n map[uint64]int) bool { return n[9] == 1 })
	if n := s.counts(); n[1] != 20 || n[2] > room-21 {
		t.Errorf("left are %v", n)
	}
	s = newSmall(t)
	for i := range 40 {
		s.keep(1, fmt.Sprintf("h%d.example.com", i), "Z1")
	}
	s.Changed([]string{"Z1"})
	for i := range 30 {
		s.keep(2, fmt.Sprintf("h%d.example.com", i), "Z2")
	}
	s.until("what does not hold stays", func(n map[uint64]int) bool { return n[1] == 0 && n[9] == 1 })
	if n := s.counts(); n[2] < 24 {
		t.Errorf("left are %v", n)
	}
}

// A shelf of another shape is refused: it is another version's.
func TestAnotherVersionsShelfIsRefused(t *testing.T) {
	s := newSmall(t)
	info, err := s.answers.Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	if err := shelf.New().Use(shelf.Given{Sites: uint32(id), Sources: uint32(id), Answers: uint32(id), Term: 1}); err == nil {
		t.Error("it is taken")
	}
}
