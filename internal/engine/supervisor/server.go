// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/engine"
)

// Pauses before a server is started again that ended by itself: they double from the first
// on, and begin anew when one has run for as long as calm.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 30 * time.Second
	calm       = time.Minute
)

// logTime is how long the end of a server may be told later for its last words.
const logTime = 50 * time.Millisecond

// server is the one that is supervised.
type server struct {
	nursery *nursery
	log     *journal

	// turn is whose who starts, kills or buries the server; mu guards what is told of it.
	turn sync.Mutex

	mu      sync.Mutex
	process engine.Process
	order   order
	pid     int
	pause   time.Duration
	again   *time.Timer
	changed chan struct{} // closed at the next change
}

func newServer(n *nursery, log *journal) *server {
	return &server{nursery: n, log: log, changed: make(chan struct{})}
}

// state tells how the server is, and gives a channel that is closed when it is otherwise.
func (s *server) state() (engine.Process, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.process
	p.Words, _ = s.log.last()
	return p, s.changed
}

// change changes what is told.
func (s *server) change(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	close(s.changed)
	s.changed = make(chan struct{})
}

// start starts the server, whatever the policy of the one before.
func (s *server) start(o order) error {
	s.hold()
	s.turn.Lock()
	defer s.turn.Unlock()
	s.change(func() { s.order, s.pause = o, firstPause })
	return s.begin(o)
}

// begin starts a life. The caller has the turn.
func (s *server) begin(o order) error {
	if p, _ := s.state(); p.Running {
		return fmt.Errorf("start the server: %w", engine.ErrRunning)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer write.Close()
	s.log.begin()
	pid, ended, err := s.nursery.start(o, null, write, write)
	if err != nil {
		read.Close()
		return err
	}
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		defer read.Close()
		_, _ = io.Copy(s.log, read) // until the last process that has the other end is gone
	}()
	s.change(func() {
		s.pid = pid
		s.process.Running, s.process.Asked, s.process.Exit = true, false, ""
		s.process.Life++
		s.process.Started = time.Now()
	})
	go func() { s.ended(<-ended, logged) }()
	return nil
}

// ended sees to what is left of a server whose first process has ended, and tells of it
// when nothing is: then no one else can write to its data any more. Its last words are
// there by then, unless the disk of the log hangs.
func (s *server) ended(how syscall.WaitStatus, logged <-chan struct{}) {
	s.turn.Lock()
	defer s.turn.Unlock()
	err := s.nursery.killAll(context.Background())
	select {
	case <-logged:
	case <-time.After(logTime):
	}
	s.change(func() {
		p := &s.process
		p.Running, p.Ended = false, time.Now()
		if p.Exit = saying(how); err != nil {
			p.Exit = err.Error() // of this process not being the first one of its namespace
		}
		s.pid = 0
		if s.order.Restart && !p.Asked {
			s.plan()
		}
	})
}

// plan has the server started again after a pause. The caller has mu.
func (s *server) plan() {
	if s.process.Ended.Sub(s.process.Started) >= calm {
		s.pause = firstPause
	}
	o := s.order
	s.again = time.AfterFunc(s.pause, func() {
		s.turn.Lock()
		defer s.turn.Unlock()
		s.mu.Lock()
		wanted := s.order.Restart && s.again != nil
		s.mu.Unlock()
		if !wanted {
			return
		}
		if err := s.begin(o); err != nil && !errors.Is(err, engine.ErrRunning) {
			fmt.Fprintln(s.log, "postern:", err)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.plan()
		}
	})
	s.pause = min(2*s.pause, lastPause)
}

// hold ends the policy of restart.
func (s *server) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order.Restart = false
	if s.again != nil {
		s.again.Stop()
		s.again = nil
	}
}

// signal sends a signal to the first process of the server, which then counts as told to
// end if it ends.
func (s *server) signal(n syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid == 0 {
		return fmt.Errorf("signal the server: %w", engine.ErrDown)
	}
	if n == unix.SIGTERM || n == unix.SIGINT || n == unix.SIGQUIT || n == unix.SIGKILL {
		s.process.Asked = true
	}
	return s.nursery.signal(s.pid, n)
}

// kill kills all there is, and returns when nothing is left and the end was told.
func (s *server) kill(ctx context.Context) error {
	s.hold()
	s.turn.Lock() // whoever starts it has done so
	s.mu.Lock()
	s.process.Asked = s.process.Asked || s.process.Running
	s.mu.Unlock()
	s.turn.Unlock()
	if err := s.nursery.killAll(ctx); err != nil {
		return err
	}
	return s.down(ctx)
}

// stop ends the server cleanly, or at once when it does not within some time.
func (s *server) stop(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.hold()
	s.mu.Lock()
	n := s.order.Stop
	s.mu.Unlock()
	if n != 0 && s.signal(syscall.Signal(n)) == nil && s.down(ctx) == nil {
		return
	}
	_ = s.kill(context.Background())
}

// down waits until the server does not run.
func (s *server) down(ctx context.Context) error {
	for {
		p, changed := s.state()
		if !p.Running {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the server: %w", ctx.Err())
		}
	}
}
