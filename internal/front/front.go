// SPDX-License-Identifier: Apache-2.0

// Package front is where connections arrive that endpoints lead to the host itself: at an
// address for each endpoint, in a network namespace that may come later than who answers
// there, go, and come again.
package front

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/posternhq/postern/internal/dataplane/network"
)

// look is how often it is looked which namespace has the name, if nothing says that it may
// be another one.
const look = time.Second

// Stay has visit run for the network namespace that has a name, as long as it has it: the
// context ends when the name is gone or is another namespace's, for which visit runs anew. A
// visit that fails is repeated after a while, and what it failed with is said once. What comes
// from changed, which may be nil, has it look at once. Stay returns when the context has ended,
// and with it all visits.
func Stay(ctx context.Context, name string, changed <-chan struct{}, log *slog.Logger, visit func(ctx context.Context, ns *os.File) error) {
	s := stay{name: name, log: log, visit: visit}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			s.leave()
			s.visits.Wait()
			return
		case <-tick.C:
		case <-changed:
		}
	}
}

// stay is what Stay knows.
type stay struct {
	name  string
	log   *slog.Logger
	visit func(context.Context, *os.File) error

	inode  uint64             // of where the visit is; zero for nowhere
	cancel context.CancelFunc // of the visit
	ended  chan error         // has one value when the visit has ended
	visits sync.WaitGroup
	said   string
}

// look begins and ends visits.
func (s *stay) look(ctx context.Context) {
	if s.inode != 0 {
		select {
		case err := <-s.ended:
			s.say(err)
			s.leave()
		default:
		}
	}
	ns, err := network.OpenNamespace(s.name)
	if err != nil { // which is that it is not there
		s.leave()
		return
	}
	inode, err := network.Inode(ns)
	if err != nil {
		s.say(err)
	}
	if err != nil || inode == s.inode || ctx.Err() != nil {
		ns.Close()
		return
	}
	s.leave()
	visit, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	s.inode, s.cancel, s.ended = inode, cancel, ended
	s.visits.Go(func() {
		defer ns.Close()
		ended <- s.visit(visit, ns)
	})
}

// leave ends the visit, which may take a while to know.
func (s *stay) leave() {
	if s.cancel != nil {
		s.cancel()
	}
	s.inode, s.cancel = 0, nil
}

// say says what a visit failed with, once.
func (s *stay) say(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != s.said && err != nil {
		s.log.Error("what endpoints lead to on this host is not served; it is tried again", "error", err)
	}
	s.said = text
}

// Listen listens at all addresses of a namespace.
func Listen(ctx context.Context, ns *os.File, port uint16) (l *net.TCPListener, err error) {
	err = network.Inside(ns, func() error {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
		if err == nil {
			l = listener.(*net.TCPListener)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen at port %d in %s: %w", port, ns.Name(), err)
	}
	return l, nil
}
