// SPDX-License-Identifier: Apache-2.0

package front_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/front"
	"github.com/posternhq/postern/test/testnet"
)

const patience = 5 * time.Minute

// Who answers follows a name from one namespace to the next, tries again what failed, and
// leaves nothing behind.
func TestStayFollowsAName(t *testing.T) {
	testnet.Require(t)
	name := testnet.RandomName(8)
	ctx, stop := context.WithCancel(t.Context())
	begun, ended, done := make(chan net.Listener), make(chan struct{}), make(chan struct{})
	failed := false
	go func() {
		defer close(done)
		front.Stay(ctx, name, nil, slog.New(slog.DiscardHandler), func(ctx context.Context, ns *os.File) error {
			if !failed {
				failed = true
				return errors.New("the first time it fails")
			}
			l, err := front.Listen(ctx, ns, 443)
			if err != nil {
				return err
			}
			go testnet.Answer(l)
			begun <- l
			<-ctx.Done()
			ended <- struct{}{}
			return l.Close()
		})
	}()
	for range 2 {
		ns, err := testnet.Make(name)
		if err != nil {
			t.Fatal(err)
		}
		within(t, begun)
		for _, address := range []string{"127.0.0.1:443", "[::1]:443"} {
			if _, err := ns.Ask(t.Context(), "tcp", address); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
		if err := ns.Close(); err != nil {
			t.Fatal(err)
		}
		within(t, ended)
	}
	ns, err := testnet.Make(name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	within(t, begun)
	stop()
	within(t, ended)
	within(t, done)
	if _, err := ns.Ask(t.Context(), "tcp", "127.0.0.1:443"); err == nil {
		t.Error("it listens when it has left")
	}
}

func within[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing happens")
	}
	return v
}

// Who comes by an endpoint is let in and known; many of one source end their own, those of
// an endpoint that is gone end, and who comes by none is turned away.
func TestHall(t *testing.T) {
	inner, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	port := inner.Addr().(*net.TCPAddr).Port
	hall := front.NewHall(inner, 4, func(at netip.Addr) (front.Entrance, bool) {
		return front.Entrance{Of: at.String(), Source: at}, at != netip.MustParseAddr("127.0.0.9")
	})
	defer hall.Close()
	guests := make(chan *front.Guest, 100)
	go func() {
		for {
			c, err := hall.Accept()
			if err != nil {
				return
			}
			guests <- front.GuestIn(c)
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	dial := func(at string) net.Conn {
		t.Helper()
		c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", at, port), patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		return c
	}
	ends := func(c net.Conn) {
		t.Helper()
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("it is still open")
		}
	}
	ends(dial("127.0.0.9"))
	quiet := dial("127.0.0.1")
	if g := within(t, guests); g.Of != "127.0.0.1" {
		t.Errorf("it came by %v", g.Of)
	}
	many := []net.Conn{dial("127.0.0.2"), dial("127.0.0.2"), dial("127.0.0.2")}
	for i := range many {
		if g := within(t, guests); i == 0 {
			g.Used() // and then others are
		}
	}
	for range 8 {
		many = append(many, dial("127.0.0.2"))
		within(t, guests)
	}
	for _, c := range many[:len(many)-3] {
		ends(c)
	}
	for _, c := range []net.Conn{quiet, many[len(many)-1]} {
		if err := testnet.Echo(c, "here\n"); err != nil {
			t.Error(err)
		}
	}
	hall.Sweep(func(of any) bool { return of == "127.0.0.1" })
	ends(many[len(many)-1])
	if err := testnet.Echo(quiet, "here\n"); err != nil {
		t.Error(err)
	}
}
