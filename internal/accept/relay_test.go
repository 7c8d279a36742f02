// SPDX-License-Identifier: Apache-2.0

package accept_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/posternhq/postern/internal/accept"
)

// script is a listener that fails, accepts, and is closed, as it is told.
type script struct {
	net.Listener
	next chan error // nil for a connection
}

func (s *script) Accept() (net.Conn, error) {
	if err := <-s.next; err != nil {
		return nil, err
	}
	c, _ := net.Pipe()
	return c, nil
}

func (s *script) Close() error {
	s.next <- net.ErrClosed
	return nil
}

// TestRelay has one connection that is given late, an error that is given at once, and what
// comes after the end.
func TestRelay(t *testing.T) {
	s := &script{next: make(chan error, 3)}
	taken, last := make(chan net.Conn, 1), make(chan struct{})
	r := accept.New(s, func(c net.Conn) { taken <- c }, func() { close(last) })
	failed := errors.New("too many open files")
	s.next <- nil
	s.next <- failed
	if c, err := r.Accept(); !errors.Is(err, failed) || c != nil {
		t.Fatalf("accepted %v, %v", c, err)
	}
	c := <-taken
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if r.Give(gone, c) {
		t.Error("given to nobody")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	<-last
	go r.Give(t.Context(), c)
	if got, err := r.Accept(); err != nil || got != c {
		t.Errorf("accepted %v, %v", got, err)
	}
	r.End()
	r.End()
	if _, err := r.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
