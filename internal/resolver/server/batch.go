// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batch is how many packets are read, and sent, by one call.
	batch        = 64
	answerSize   = 4096
	questionSize = 2048 // what is longer is no question of anybody's
	// joined is how long answers may be that leave together: less than what an interface
	// may be given at least (RFC 8200 §5), with the headers.
	joined = 1200
	// patience is for how long a full send buffer is waited for, in milliseconds: once
	// for a batch, since the sockets of others wait too.
	patience = 5
)

// message is the kernel's struct mmsghdr: see recvmmsg(2).
type message struct {
	header unix.Msghdr
	n      uint32
	_      [4]byte
}

// segment is a control message that says how long each of several answers is that are
// given to the kernel as one packet: see UDP_SEGMENT in udp(7).
type segment struct {
	header unix.Cmsghdr
	size   [8]byte
}

// packets has room for a batch of questions, and for their answers.
type packets struct {
	in        [batch]message
	questions [batch * questionSize]byte
	inVectors [batch]unix.Iovec
	names     [batch]unix.RawSockaddrInet6

	count   int // of the answers
	answers [batch * answerSize]byte
	lengths [batch]uint16
	to      [batch]uint8 // whose question an answer is to

	out      [batch]message
	vectors  []unix.Iovec // of out; there is room for a batch
	segments [batch]segment
}

func (p *packets) init() {
	p.vectors = make([]unix.Iovec, 0, batch)
	for i := range batch {
		p.inVectors[i] = unix.Iovec{Base: &p.questions[i*questionSize], Len: questionSize}
		m := &p.in[i].header
		m.Name, m.Iov, m.Iovlen = (*byte)(unsafe.Pointer(&p.names[i])), &p.inVectors[i], 1
		p.segments[i].header.Level, p.segments[i].header.Type = unix.SOL_UDP, unix.UDP_SEGMENT
		p.segments[i].header.SetLen(unix.CmsgLen(2))
	}
}

// receive reads a batch.
func (p *packets) receive(fd int) (int, error) {
	p.count = 0
	for i := range p.in {
		p.in[i].header.Namelen = unix.SizeofSockaddrInet6
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&p.in)), batch, unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// question is what was read as the i-th of a batch.
func (p *packets) question(i int) []byte { return p.questions[i*questionSize:][:p.in[i].n] }

// room is where the next answer goes.
func (p *packets) room() []byte { return p.answers[p.count*answerSize:][:0:answerSize] }

// answer is what was added as the i-th of a batch.
func (p *packets) answer(i int) []byte { return p.answers[i*answerSize:][:p.lengths[i]] }

// add adds what was put in room as an answer to a question.
func (p *packets) add(question, length int) {
	p.to[p.count], p.lengths[p.count] = uint8(question), uint16(length)
	p.count++
}

// send sends the answers. With join, those to one client are given to the kernel as one
// packet, which it cuts where they arrive: most of the cost of a packet is its way
// there. It reports false if the kernel does not do that.
func (p *packets) send(fd int, join bool) bool {
	p.vectors = p.vectors[:0]
	groups := 0
	for left := ^uint64(0) >> (batch - p.count); left != 0; groups++ {
		first, at := bits.TrailingZeros64(left), len(p.vectors)
		size := p.lengths[first]
		if join && size <= joined {
			left, size = p.group(left, first)
		} else {
			left &^= p.take(first)
		}
		m, question := &p.out[groups].header, &p.in[p.to[first]].header
		m.Name, m.Namelen, m.Iov, m.Iovlen, m.Control, m.Controllen = question.Name, question.Namelen, &p.vectors[at], uint64(len(p.vectors)-at), nil, 0
		if m.Iovlen > 1 {
			s := &p.segments[groups]
			binary.NativeEndian.PutUint16(s.size[:], size)
			m.Control, m.Controllen = (*byte)(unsafe.Pointer(s)), uint64(unsafe.Sizeof(*s))
		}
	}
	return p.sendAll(fd, p.out[:groups])
}

// group takes the answers that leave with the first of those left, and gives those
// that are left then: to one client, of the length of the longest, and behind them one
// that is shorter.
func (p *packets) group(left uint64, first int) (_ uint64, size uint16) {
	mates := uint64(0)
	for rest := left; rest != 0; rest &= rest - 1 {
		j := bits.TrailingZeros64(rest)
		if p.lengths[j] <= joined && p.names[p.to[j]] == p.names[p.to[first]] {
			mates |= 1 << j
			size = max(size, p.lengths[j])
		}
	}
	shorter := -1
	for ; mates != 0; mates &= mates - 1 {
		if j := bits.TrailingZeros64(mates); p.lengths[j] == size {
			left &^= p.take(j)
		} else if shorter < 0 {
			shorter = j // the first itself, if it is one
		}
	}
	if shorter >= 0 {
		left &^= p.take(shorter)
	}
	return left, size
}

// take has an answer leave next, and gives its bit.
func (p *packets) take(i int) uint64 {
	p.vectors = append(p.vectors, unix.Iovec{Base: &p.answers[i*answerSize], Len: uint64(p.lengths[i])})
	return 1 << i
}

// sendAll sends messages. One that cannot be sent is lost, as any packet may be, but
// for joined ones, which are sent one by one then.
func (p *packets) sendAll(fd int, messages []message) (joins bool) {
	joins = true
	for waited := false; len(messages) > 0; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN && waited, errno == unix.EAGAIN && !writable(fd):
			return joins
		case errno == unix.EAGAIN:
			waited = true
		case errno != 0:
			if m := &messages[0].header; m.Iovlen > 1 {
				joins = joins && errno != unix.EINVAL && errno != unix.EIO && errno != unix.EOPNOTSUPP
				sendEach(fd, m)
			}
			messages = messages[1:]
		default:
			messages = messages[n:]
		}
	}
	return joins
}

// sendEach sends what was joined.
func sendEach(fd int, m *unix.Msghdr) {
	for _, v := range unsafe.Slice(m.Iov, m.Iovlen) {
		sendOne(fd, unsafe.Slice(v.Base, v.Len), unsafe.Pointer(m.Name), m.Namelen)
	}
}

// sendOne sends one answer.
func sendOne(fd int, answer []byte, name unsafe.Pointer, length uint32) {
	for waited := false; ; waited = true {
		_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(answer))), uintptr(len(answer)), unix.MSG_DONTWAIT, uintptr(name), uintptr(length))
		if errno != unix.EINTR && (errno != unix.EAGAIN || waited || !writable(fd)) {
			return
		}
	}
}

// writable waits for room in the send buffer of a socket.
func writable(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, patience)
	return err == nil && n > 0
}
