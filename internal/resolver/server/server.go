// SPDX-License-Identifier: Apache-2.0

// Package server answers questions over sockets that it is given: those of all VPCs,
// with a few threads. What a World has is answered at once, the rest by an Upstream.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/resolver/shelf"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// Socket is a socket that questions come from.
type Socket struct {
	// FD is bound to the address that is served: a datagram socket, or with Stream a
	// listening one. It is no file of Go's network poller, which would wake up for each
	// packet too. It is the server's from Add on, which closes it. As long as it is
	// open, the network namespace that it was made in stays.
	FD     int
	Stream bool
	// VPC is whose names are answered.
	VPC string
	// Router is the cookie of that namespace. Answers are put on the shelf of a router; zero
	// says that this one has none.
	Router uint64
	// Authority, in the place of a VPC, is what is answered for to whoever asks, and
	// alone: nobody else is asked. How much is answered is bounded for each client and
	// its neighbours, see Pace.
	Authority *zone.Authority
}

// Options say how a Server works.
type Options struct {
	Upstream Upstream
	// Limits that are zero are the usual ones.
	Limits Limits
	// Shelf is where answers are put that are the same whoever asks; nil is nowhere.
	Shelf *shelf.Shelf
	// Pace bounds what is answered to outsiders; the zero one is the usual.
	Pace Pace
	// Workers is how many threads read packets; zero is as many as run at a time, up to
	// four.
	Workers int
}

// Limits keep one client, and one VPC, from taking what others need.
type Limits struct {
	// Questions is how many of a VPC may wait for the upstream at one time, and
	// ClientQuestions how many of one client. More are answered SERVFAIL.
	Questions, ClientQuestions int
	// Streams and ClientStreams are the same for connections over TCP. More are closed.
	Streams, ClientStreams int
}

func (l Limits) orUsual() Limits {
	return Limits{cmp.Or(l.Questions, 1024), cmp.Or(l.ClientQuestions, 256), cmp.Or(l.Streams, 256), cmp.Or(l.ClientStreams, 32)}
}

// Server answers questions. Its methods may be called by several goroutines.
type Server struct {
	upstream Upstream
	limits   Limits
	shelf    *shelf.Shelf
	pace     *pace
	world    atomic.Pointer[zone.World]
	workers  []*worker
	running  sync.WaitGroup // workers

	mu       sync.Mutex
	sockets  map[int]*socket
	vpcs     map[string]*share
	streams  map[*stream]struct{}
	draining bool
	closed   bool
	next     int           // the worker of the next socket
	open     int           // questions that wait, and streams
	idle     chan struct{} // closed when there are none and the server drains
}

// socket is a Socket that is served. It is closed when nobody needs it any more: its
// worker, or who has an answer to send.
type socket struct {
	Socket
	worker *worker
	share  *share

	mu     sync.Mutex // held while its packets are read and answered
	gone   bool       // no longer read
	single bool       // the kernel takes no joined answers for it
	used   int        // by the server, and by questions that wait
}

// New starts a server without sockets, which answers from an empty World.
func New(o Options) (*Server, error) {
	s := &Server{
		upstream: o.Upstream, limits: o.Limits.orUsual(), pace: newPace(o.Pace), shelf: o.Shelf, sockets: map[int]*socket{}, vpcs: map[string]*share{}, streams: map[*stream]struct{}{}, idle: make(chan struct{}),
	}
	s.world.Store(&zone.World{})
	for range cmp.Or(o.Workers, min(runtime.GOMAXPROCS(0), 4)) {
		w, err := newWorker(s)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("start resolver: %w", err)
		}
		s.workers = append(s.workers, w)
		s.running.Go(w.run)
	}
	return s, nil
}

// Swap puts another World in place of the one that is answered from, of which it is made.
// Questions that wait for the upstream are not asked again. Nothing is answered from the
// one before after it, from the shelf neither.
func (s *Server) Swap(w *zone.World) {
	s.world.Store(w)
	if s.shelf != nil {
		s.shelf.Changed(w.Changed())
	}
}

// Sockets is how many are served.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets)
}

var errClosed = errors.New("the server is closed, or gives its sockets away")

// Add serves a socket from now on.
func (s *Server) Add(given Socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining || s.closed {
		return fmt.Errorf("serve socket of %s: %w", given.VPC, errClosed)
	}
	if err := unix.SetNonblock(given.FD, true); err != nil {
		return fmt.Errorf("serve socket of %s: %w", given.VPC, err)
	}
	sock := &socket{Socket: given, worker: s.workers[s.next%len(s.workers)], used: 1, share: s.shareOf(given.VPC)}
	s.next++
	s.sockets[given.FD] = sock
	if err := sock.worker.watch(given.FD); err != nil {
		delete(s.sockets, given.FD)
		s.leave(sock.share)
		return fmt.Errorf("serve socket of %s: %w", given.VPC, err)
	}
	return nil
}

// Remove stops serving a socket. It returns when no more is read; the socket is closed
// when all that was read is answered, and so are connections that came from it.
func (s *Server) Remove(fd int) {
	s.mu.Lock()
	sock := s.sockets[fd]
	delete(s.sockets, fd)
	s.mu.Unlock()
	if sock == nil {
		return
	}
	sock.stop()
	sock.release()
	s.mu.Lock()
	for t := range s.streams {
		if t.socket == sock {
			t.hurry()
		}
	}
	s.leave(sock.share)
	s.mu.Unlock()
}

// stop has no more read from a socket, once what is being read is answered.
func (k *socket) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.gone {
		k.gone = true
		k.worker.unwatch(k.FD)
	}
}

// release gives up a use of the socket.
func (k *socket) release() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.used--; k.used == 0 {
		_ = unix.Close(k.FD) // nothing is written that could be lost
	}
}

// Drain stops reading all sockets, which stay open for whoever else has them: packets
// that were not read are theirs. It returns when all that was read is answered, or with
// the context's error. Nothing is read after it.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.open++ // so that nothing looks idle before all sockets are stopped
	sockets := make([]*socket, 0, len(s.sockets))
	for _, k := range s.sockets {
		sockets = append(sockets, k)
	}
	s.mu.Unlock()
	for _, k := range sockets {
		k.stop()
	}
	s.mu.Lock()
	for t := range s.streams {
		t.hurry()
	}
	s.less()
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("answer what was asked: %w", ctx.Err())
	}
}

// Close ends the server at once, and closes its sockets and connections.
func (s *Server) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	sockets, streams := s.sockets, s.streams
	s.sockets, s.streams = map[int]*socket{}, map[*stream]struct{}{}
	s.mu.Unlock()
	for _, k := range sockets {
		k.stop()
		k.release()
	}
	for t := range streams {
		t.conn.Close()
	}
	for _, w := range s.workers {
		w.end()
	}
	s.running.Wait()
	for _, w := range s.workers {
		w.close()
	}
}
