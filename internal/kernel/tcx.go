// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nothing is a BPF program that sets register 0 to TCX_NEXT (-1) and ends.
var nothing = [2]uint64{0xffffffff_000000b7, 0x95}

// bpfProgram and bpfLink begin like the parts of union bpf_attr that
// BPF_PROG_LOAD and BPF_LINK_CREATE read (bpf(2), linux/bpf.h).
type bpfProgram struct {
	kind, instructions uint32
	code, license      uint64
	_                  [12]uint64
}

type bpfLink struct {
	program, target, attach, flags uint32
	_                              [12]uint64
}

// attachTCX attaches a program that does nothing to lo of the thread's
// namespace, by a link that ends when its descriptor is closed.
func attachTCX() error {
	license := []byte("GPL\x00")
	program, err := bpf(unix.BPF_PROG_LOAD, unsafe.Pointer(&bpfProgram{
		kind: unix.BPF_PROG_TYPE_SCHED_CLS, instructions: uint32(len(nothing)),
		code: uint64(uintptr(unsafe.Pointer(&nothing[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
	}), unsafe.Sizeof(bpfProgram{}))
	runtime.KeepAlive(license)
	if err != nil {
		return fmt.Errorf("load a program: %w", err)
	}
	defer unix.Close(program)
	const loopback = 1 // lo is the first interface of every namespace
	link, err := bpf(unix.BPF_LINK_CREATE, unsafe.Pointer(&bpfLink{
		program: uint32(program), target: loopback, attach: unix.BPF_TCX_INGRESS,
	}), unsafe.Sizeof(bpfLink{}))
	if err != nil {
		return fmt.Errorf("attach a program: %w", err)
	}
	return unix.Close(link)
}

func bpf(command uintptr, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
