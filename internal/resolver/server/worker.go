// SPDX-License-Identifier: Apache-2.0

package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/resolver/shelf"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// turns is how many batches are read of one socket before the others have theirs.
const turns = 4

// worker is a thread that reads the packets of some sockets and answers them. It has
// an epoll of its own, and room for one batch.
type worker struct {
	server *Server
	epoll  int
	wake   int // an eventfd that ends it
	ask    zone.Ask

	packets packets
	onwards []int // questions of the batch that the upstream is asked
	keeps   []keep
	note    shelf.Note
	ready   [64]unix.EpollEvent
}

func newWorker(s *Server) (*worker, error) {
	w := &worker{server: s, wake: -1}
	var err error
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = w.watch(w.wake)
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w.packets.init()
	return w, nil
}

func (w *worker) watch(fd int) error {
	return unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// unwatch ends what watch began. That fails only if there is nothing to end.
func (w *worker) unwatch(fd int) { _ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, fd, nil) }

// end has run return.
func (w *worker) end() {
	_, _ = unix.Write(w.wake, binary.NativeEndian.AppendUint64(nil, 1)) // it fails only if it is written already
}

func (w *worker) close() {
	_ = unix.Close(w.epoll)
	if w.wake >= 0 {
		_ = unix.Close(w.wake)
	}
}

// run serves sockets until end.
func (w *worker) run() {
	for {
		n, err := unix.EpollWait(w.epoll, w.ready[:], -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return // only if the descriptor is none
		}
		for _, e := range w.ready[:max(n, 0)] {
			if int(e.Fd) == w.wake {
				return
			}
			w.server.mu.Lock()
			k := w.server.sockets[int(e.Fd)]
			w.server.mu.Unlock()
			if k != nil {
				w.serve(k)
			}
		}
	}
}

// serve reads what a socket has, up to some batches: the others have their turn then.
func (w *worker) serve(k *socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for range turns {
		if k.gone {
			return
		}
		if k.Stream {
			w.accept(k)
			return
		}
		n, err := w.packets.receive(k.FD)
		if err != nil || n == 0 {
			if err != nil && err != unix.EAGAIN && err != unix.EINTR {
				_, _ = unix.GetsockoptInt(k.FD, unix.SOL_SOCKET, unix.SO_ERROR) // so that it is over
			}
			return
		}
		w.answer(k, n)
		if n < batch {
			return
		}
	}
}

// answer answers a batch. What the upstream is asked for comes after the rest is sent.
func (w *worker) answer(k *socket, n int) {
	version := w.version(k)
	world, p := w.server.world.Load(), &w.packets
	w.onwards, w.keeps = w.onwards[:0], w.keeps[:0]
	w.ask.VPC, w.ask.Answer.Authoritative = k.VPC, k.Authority != nil
	if k.Authority != nil {
		w.answerOutsiders(k, n)
		return
	}
	for i := range n {
		fate := w.ask.Question.Read(p.question(i))
		if fate == wire.Dropped {
			continue
		}
		w.ask.Answer.Begin(p.room(), &w.ask.Question, false)
		if fate == wire.Faulty {
			w.ask.Code = w.ask.Question.Code
		} else {
			w.ask.Client = address(&p.names[i])
			if world.Answer(&w.ask) == zone.Upstream {
				w.onwards = append(w.onwards, i)
				continue
			}
		}
		p.add(i, len(w.ask.Answer.End(w.ask.Code)))
		if version != 0 && fate == wire.Asked && w.ask.Source != "" {
			w.keeps = append(w.keeps, keep{i, p.count - 1, w.ask.Source, w.ask.Turning})
		}
	}
	k.single = !p.send(k.FD, !k.single) || k.single
	for _, a := range w.keeps {
		w.keep(k, version, a)
	}
	for _, i := range w.onwards {
		w.server.onward(k, p.question(i), p.names[i], p.in[i].header.Namelen)
	}
}

// keep is an answer of a batch that is put on the shelf.
type keep struct {
	question, answer int
	source           string
	turning          int
}

// version is that of the shelf before a World is taken; zero if there is no shelf for what
// comes from a socket.
func (w *worker) version(k *socket) uint64 {
	if w.server.shelf == nil || k.Router == 0 || !w.server.shelf.Has() {
		return 0
	}
	return w.server.shelf.Version()
}

// keep puts an answer on the shelf, once it has left: the next one who asks does not come
// here.
func (w *worker) keep(k *socket, version uint64, a keep) {
	q, p := &w.ask.Question, &w.packets
	if q.Read(p.question(a.question)) != wire.Asked {
		return
	}
	w.server.shelf.Keep(version, &w.note,
		shelf.Asked{Router: k.Router, Name: q.Name, Type: q.Type, Extended: q.Extended, Signed: q.Signed},
		shelf.Told{Message: p.answer(a.answer), Question: len(q.Name) + 4, Sources: [2]string{k.VPC, a.source}, Turning: a.turning})
}

// address is the address in a socket's address.
func address(name *unix.RawSockaddrInet6) netip.Addr {
	if name.Family == unix.AF_INET {
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr)
	}
	return netip.AddrFrom16(name.Addr).Unmap()
}

// onward asks the upstream for what was read, and sends the answer when it is there.
// The lock of the socket is held.
func (s *Server) onward(k *socket, packet []byte, name unix.RawSockaddrInet6, length uint32) {
	client := address(&name)
	if !s.take(k.share, client, use{questions: 1}) {
		if m := refusal(packet, wire.ServerFailure); m != nil {
			k.send(m, &name, length)
		}
		return
	}
	k.used++
	packet = slices.Clone(packet)
	go s.handle(packet, k.Socket, client, func(m []byte) {
		if m != nil {
			k.send(m, &name, length)
		}
		k.release()
		s.give(k.share, client, use{questions: 1})
	})
}

// refusal is an answer with nothing but a code.
func refusal(packet []byte, code int) []byte {
	var q wire.Question
	var a wire.Answer
	if q.Read(packet) == wire.Dropped {
		return nil
	}
	a.Begin(nil, &q, false)
	return a.End(code)
}

// send sends one answer.
func (k *socket) send(m []byte, name *unix.RawSockaddrInet6, length uint32) {
	sendOne(k.FD, m, unsafe.Pointer(name), length)
}

// accept takes the connections that wait at a listening socket.
func (w *worker) accept(k *socket) {
	for range batch {
		fd, from, err := unix.Accept4(k.FD, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		if err == unix.EMFILE || err == unix.ENFILE {
			_, _ = unix.Poll(nil, 1) // it stays ready: let others run who give some back
		}
		if err != nil {
			return
		}
		w.server.connect(k, os.NewFile(uintptr(fd), "tcp"), from)
	}
}
