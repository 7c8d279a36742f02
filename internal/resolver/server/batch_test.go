// SPDX-License-Identifier: Apache-2.0

package server

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// A batch of questions is read, answered and sent without a byte from the heap.
func TestBatchesAllocateNothing(t *testing.T) {
	w, failed := (&zone.World{}).With([]desired.Entry{
		desired.Resolver{VPC: "vpc-1"}, desired.View{VPC: "vpc-1", Zone: "Z1"}, desired.NameZone{ID: "Z1", Name: "example.com."},
		desired.NameRecord{Zone: "Z1", Name: "www.example.com.", Type: "A", TTL: 60, Data: []string{"10.0.1.100"}},
	}, nil)
	if failed != nil {
		t.Fatal(failed)
	}
	s := &Server{}
	s.world.Store(w)
	worker := &worker{server: s}
	worker.packets.init()
	var fd [2]int
	for i := range fd {
		var err error
		if fd[i], err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd[i])
		if err := unix.Bind(fd[i], &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
	}
	at, err := unix.Getsockname(fd[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd[1], at); err != nil {
		t.Fatal(err)
	}
	k := &socket{Socket: Socket{FD: fd[0], VPC: "vpc-1"}}
	packet := wire.AppendQuestion(nil, 1, []byte("\x03www\x07example\x03com\x00"), wire.TypeA)
	buffer := make([]byte, answerSize)
	if n := testing.AllocsPerRun(50, func() {
		for range 10 {
			if _, err := unix.Write(fd[1], packet); err != nil {
				t.Fatal(err)
			}
		}
		n, err := worker.packets.receive(fd[0])
		if n != 10 || err != nil {
			t.Fatalf("read %d packets: %v", n, err)
		}
		worker.answer(k, n)
		for range 10 {
			if n, err := unix.Read(fd[1], buffer); err != nil || n < len(packet) {
				t.Fatalf("an answer has %d bytes: %v", n, err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if k.single {
		t.Error("the kernel takes no joined answers")
	}
}
