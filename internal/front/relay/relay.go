// SPDX-License-Identifier: Apache-2.0

package relay

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posternhq/postern/internal/front"
	"github.com/posternhq/postern/internal/model"
)

const (
	// dialTime is how long a target may take to answer before the next one is tried.
	dialTime = 5 * time.Second
	// mostOf is how many connections an endpoint may have.
	mostOf = 4096
)

// Relay hands connections on. Ways may change at any time; connections stay on theirs.
type Relay struct {
	log  *slog.Logger
	idle time.Duration

	ways             atomic.Pointer[map[int]*way]
	relayed, refused atomic.Int64

	mu       sync.Mutex
	problems map[string]string // by endpoints
	open     map[string]int    // connections, by endpoints
	guests   sync.WaitGroup
}

// way is a Way in use.
type way struct {
	Way
	ports map[uint16]bool
	next  atomic.Uint32 // target
}

// New makes a relay without ways.
func New(log *slog.Logger, idle time.Duration) *Relay {
	r := &Relay{log: log, idle: idle, problems: map[string]string{}, open: map[string]int{}}
	r.ways.Store(&map[int]*way{})
	return r
}

// Lead has new connections take these ways.
func (r *Relay) Lead(ways []Way) {
	next, kept := map[int]*way{}, map[string]bool{}
	for _, w := range ways {
		ports := map[uint16]bool{}
		for _, p := range w.Ports {
			ports[p] = true
		}
		next[w.Index] = &way{Way: w, ports: ports}
		kept[w.Endpoint] = true
	}
	r.ways.Store(&next)
	r.mu.Lock()
	defer r.mu.Unlock()
	for endpoint := range r.problems {
		if !kept[endpoint] {
			delete(r.problems, endpoint)
		}
	}
}

// Ports are all that connections come to.
func (r *Relay) Ports() map[uint16]bool {
	all := map[uint16]bool{}
	for _, w := range *r.ways.Load() {
		for p := range w.ports {
			all[p] = true
		}
	}
	return all
}

// Serve hands on what comes to a listener until that is closed.
func (r *Relay) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // such as too many open files
			time.Sleep(10 * time.Millisecond)
			continue
		}
		conn := c.(*net.TCPConn)
		w, at := r.wayOf(conn)
		if w == nil || !r.enter(w) {
			reset(conn)
			continue
		}
		r.guests.Go(func() {
			defer r.leave(w)
			r.hand(conn, w, at.Port())
		})
	}
}

// wayOf finds the way of a connection by the address that it came to.
func (r *Relay) wayOf(c net.Conn) (*way, netip.AddrPort) {
	at, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return nil, at
	}
	index, ok := model.RelayIndex(at.Addr())
	if w := (*r.ways.Load())[index]; ok && w != nil && w.ports[at.Port()] {
		return w, at
	}
	return nil, at
}

// enter counts a connection; false says that its endpoint has too many.
func (r *Relay) enter(w *way) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[w.Endpoint] >= mostOf {
		r.refused.Add(1)
		r.problems[w.Endpoint] = "it has as many connections as an endpoint may have"
		return false
	}
	r.open[w.Endpoint]++
	return true
}

func (r *Relay) leave(w *way) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[w.Endpoint]--; r.open[w.Endpoint] == 0 {
		delete(r.open, w.Endpoint)
	}
}

// reset ends a connection so that its client knows that nobody answers.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// hand connects a connection to one of its targets, and copies until both sides have ended.
func (r *Relay) hand(c *net.TCPConn, w *way, port uint16) {
	to, err := r.dial(w, port)
	if err != nil {
		r.refused.Add(1)
		r.trouble(w.Endpoint, err)
		reset(c)
		return
	}
	r.relayed.Add(1)
	r.trouble(w.Endpoint, nil)
	join(c, to, r.idle)
}

// trouble notes why connections of an endpoint are refused, and says it when it is new.
func (r *Relay) trouble(endpoint string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	r.mu.Lock()
	before := r.problems[endpoint]
	if r.problems[endpoint] = text; text == "" {
		delete(r.problems, endpoint)
	}
	r.mu.Unlock()
	if text != "" && before == "" {
		r.log.Warn("connections of an endpoint are refused: no target of its service answers", "endpoint", endpoint, "error", err)
	}
}

// dial connects to one of the targets, in turn. One that does not answer is passed over.
func (r *Relay) dial(w *way, port uint16) (*net.TCPConn, error) {
	if len(w.Targets) == 0 {
		return nil, errors.New("the service has no target")
	}
	first := int(w.next.Add(1) - 1)
	var errs []error
	for i := range w.Targets {
		t := w.Targets[(first+i)%len(w.Targets)]
		c, err := dialTarget(t, port)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func dialTarget(t Target, port uint16) (*net.TCPConn, error) {
	if t.Port != 0 {
		port = t.Port
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTime)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(t.Host, itoa(port)))
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// Status says how it is done.
func (r *Relay) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{PID: os.Getpid(), Relayed: r.relayed.Load(), Refused: r.refused.Load(), Problems: map[string]string{}}
	for _, n := range r.open {
		s.Connections += n
	}
	for endpoint, text := range r.problems {
		s.Problems[endpoint] = text
	}
	return s
}

// Wait waits until no connection is left. Nothing may be served any more.
func (r *Relay) Wait() { r.guests.Wait() }

// Within serves in a namespace until the context ends: at all ports of the ways, which may
// change when changed says so.
func (r *Relay) Within(ctx context.Context, ns *os.File, changed <-chan struct{}) error {
	listeners := map[uint16]net.Listener{}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	for {
		wanted := r.Ports()
		for port, l := range listeners {
			if !wanted[port] {
				_ = l.Close()
				delete(listeners, port)
			}
		}
		for port := range wanted {
			if listeners[port] != nil {
				continue
			}
			l, err := front.Listen(ctx, ns, port)
			if err != nil {
				return err
			}
			listeners[port] = l
			serving.Go(func() { _ = r.Serve(l) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
