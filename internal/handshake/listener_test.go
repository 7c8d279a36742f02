// SPDX-License-Identifier: Apache-2.0

package handshake_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/handshake"
)

const patience = 5 * time.Minute

func configured(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}}}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}
}

// listen gives a listener at 127.0.0.1 that echoes one byte on each connection, and what
// its last Accept failed with.
func listen(t *testing.T, limits handshake.Limits) (*handshake.Listener, <-chan error) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := handshake.New(inner, configured(t), limits, handshake.Address)
	t.Cleanup(func() { l.Close() })
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			if _, ok := c.(*tls.Conn); !ok {
				t.Errorf("accepted a %T", c)
			}
			go func() {
				defer c.Close()
				_, _ = io.CopyN(c, c, 1)
			}()
		}
	}()
	return l, ended
}

// dial connects from an address of the loopback network.
func dial(t *testing.T, l net.Listener, from string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}).Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

func echoes(t *testing.T, c net.Conn) {
	t.Helper()
	secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true}) // what is shown is not the matter
	got := make([]byte, 1)
	_, err := secure.Write([]byte("x"))
	if err == nil {
		_, err = io.ReadFull(secure, got)
	}
	if err != nil || got[0] != 'x' {
		t.Errorf("echoed %q, %v", got, err)
	}
}

// closed waits until the other side has ended a connection.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.ReadAll(c)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("it is still open")
	}
}

// Who opens many and finishes none ends his own, and keeps nobody else waiting.
func TestHalfOpenStarveNobody(t *testing.T) {
	l, _ := listen(t, handshake.Limits{Most: 4, Patience: time.Hour, Parting: time.Hour})
	slow := dial(t, l, "127.0.0.3") // is older than all of the others'
	idle := make([]net.Conn, 12)
	for i := range idle {
		idle[i] = dial(t, l, "127.0.0.2")
	}
	for _, c := range idle[:len(idle)-4] {
		closed(t, c)
	}
	for range 8 {
		echoes(t, dial(t, l, "127.0.0.1"))
	}
	echoes(t, slow)
}

func TestHandshakesEndInTime(t *testing.T) {
	l, _ := listen(t, handshake.Limits{Most: 4, Patience: time.Millisecond, Parting: time.Hour})
	silent, begun := dial(t, l, "127.0.0.1"), dial(t, l, "127.0.0.1")
	_, _ = begun.Write([]byte{22, 3, 1, 2, 0, 1}) // the beginning of a first message
	closed(t, silent)
	closed(t, begun)
}

// What is under way when the listener closes may finish, and what does not is not waited for.
func TestClose(t *testing.T) {
	l, ended := listen(t, handshake.Limits{Most: 4, Patience: time.Hour, Parting: time.Millisecond})
	echoes(t, dial(t, l, "127.0.0.1"))
	silent := dial(t, l, "127.0.0.1")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept ends with %v", err)
		}
	case <-time.After(patience):
		t.Error("Accept does not end")
	}
	closed(t, silent)
}

func TestPlainRequestsAreTold(t *testing.T) {
	l, _ := listen(t, handshake.Limits{Most: 4, Patience: time.Hour, Parting: time.Hour})
	c := dial(t, l, "127.0.0.1")
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c) // which may end with a reset
	if !strings.HasPrefix(string(got), "HTTP/1.0 400 ") || !strings.Contains(string(got), "https") {
		t.Errorf("told %q", got)
	}
}
