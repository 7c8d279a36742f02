// SPDX-License-Identifier: Apache-2.0

// Package testnet is a kit for tests that send real packets: network
// namespaces without processes in them, and sockets in those namespaces.
//
// Nothing made here is connected to the host's own network. Packets stay in
// the namespaces that a test makes and joins.
package testnet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/janitor"
)

// Patience bounds the wait for what must come. It is there for what never comes: no
// test depends on how fast a machine is.
const Patience = 2 * time.Minute

// AtOnce wants something to be done before a SYN that got lost would be sent again,
// which is a second. A busy machine is late now and then, and not so many times in
// turn.
func AtOnce(do func() error) error {
	const resent, tries = time.Second, 20
	var took time.Duration
	for range tries {
		begun := time.Now()
		if err := do(); err != nil {
			return err
		}
		if took = time.Since(begun); took < resent {
			return nil
		}
	}
	return fmt.Errorf("it takes %v each time", took)
}

// NS is a network namespace with a name under /run/netns and its loopback
// device up.
type NS struct {
	// Name is the name under /run/netns.
	Name   string
	file   *os.File
	forget func()
}

// Make makes a namespace of that name. The caller calls Close; should the
// process end before, the namespace goes with it.
func Make(name string) (*NS, error) {
	forget, err := janitor.Abandon(name)
	if err != nil {
		return nil, err
	}
	file, err := network.MakeNamespace(name, loopbackUp)
	if err != nil {
		forget()
		return nil, err
	}
	return &NS{Name: name, file: file, forget: forget}, nil
}

func loopbackUp() error {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
}

// Open opens a namespace that somebody else makes and takes away.
func Open(name string) (*NS, error) {
	file, err := network.OpenNamespace(name)
	if err != nil {
		return nil, err
	}
	return &NS{Name: name, file: file}, nil
}

// Close takes the namespace away, unless it is somebody else's. Sockets in it keep it alive
// until they are closed.
func (ns *NS) Close() error {
	ns.file.Close()
	if ns.forget == nil {
		return nil
	}
	defer ns.forget()
	return network.DeleteNamespace(ns.Name)
}

// Run runs fn on a thread that is in the namespace and returns its error. fn
// must not call t.FailNow, and goroutines that it starts run outside.
func (ns *NS) Run(fn func() error) error { return network.Inside(ns.file, fn) }

// Give gives the namespace's loopback device an address, so that servers can have it.
func (ns *NS) Give(addr netip.Addr) error {
	return ns.Run(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		whole := &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(addr.BitLen(), addr.BitLen())}
		if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: whole}); err != nil {
			return fmt.Errorf("give %s to %s: %w", addr, ns.Name, err)
		}
		return nil
	})
}

// FD is the descriptor of the namespace; it is the namespace's to close.
func (ns *NS) FD() int { return int(ns.file.Fd()) }

// Desired names the namespace as a workload's, with its inode.
func (ns *NS) Desired() desired.Namespace {
	inode, err := network.Inode(ns.file)
	if err != nil {
		panic(err) // fstat of an open file does not fail
	}
	return desired.Namespace{Name: ns.Name, Inode: inode}
}

// Dial connects from inside the namespace to an address literal. The
// connection may be used anywhere.
func (ns *NS) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return ns.DialWith(ctx, &net.Dialer{}, network, address)
}

// DialWith is Dial with a dialer of the caller's, for example for a source
// address.
func (ns *NS) DialWith(ctx context.Context, d *net.Dialer, network, address string) (conn net.Conn, err error) {
	err = ns.Run(func() (err error) {
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens inside the namespace; the listener may be used anywhere.
func (ns *NS) Listen(network, address string) (l net.Listener, err error) {
	err = ns.Run(func() (err error) {
		l, err = net.Listen(network, address)
		return err
	})
	return l, err
}

// ListenPacket is Listen for datagrams.
func (ns *NS) ListenPacket(network, address string) (c net.PacketConn, err error) {
	err = ns.Run(func() (err error) {
		c, err = net.ListenPacket(network, address)
		return err
	})
	return c, err
}

// Serve listens inside the namespace and answers every connection with one
// line, its remote address, and then with what it receives. Closing the
// listener ends the service; connections end with their clients.
func (ns *NS) Serve(network, address string) (net.Listener, error) {
	l, err := ns.Listen(network, address)
	if err != nil {
		return nil, err
	}
	go Answer(l)
	return l, nil
}

// Answer is what Serve does, with a listener wherever that is, until it is closed.
func Answer(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go echo(conn)
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	if _, err := fmt.Fprintln(conn, conn.RemoteAddr()); err != nil {
		return
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// Ask connects to a Serve address, sends a message, and returns the remote
// address that the server saw once the message has come back. The context bounds all of
// it: what a connection carries may be dropped although it was made.
func (ns *NS) Ask(ctx context.Context, network, address string) (saw string, err error) {
	conn, err := ns.Dial(ctx, network, address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	limit := time.Now().Add(Patience)
	if by, bounded := ctx.Deadline(); bounded && by.Before(limit) {
		limit = by
	}
	return askBy(conn, limit)
}

// AskOn is Ask on a new connection that the caller has made and keeps.
func AskOn(conn net.Conn) (saw string, err error) { return askBy(conn, time.Now().Add(Patience)) }

func askBy(conn net.Conn, limit time.Time) (saw string, err error) {
	if err := conn.SetDeadline(limit); err != nil {
		return "", err
	}
	defer conn.SetDeadline(time.Time{})
	line, err := readLine(conn)
	if err != nil {
		return "", fmt.Errorf("read what the server saw: %w", err)
	}
	return line, Echo(conn, RandomName(8))
}

// Echo sends a message of at least one byte over a connection that a Serve
// address answers, and checks that it comes back.
func Echo(conn net.Conn, message string) error {
	if _, err := conn.Write([]byte(message)); err != nil {
		return err
	}
	back := make([]byte, len(message))
	for got := 0; got < len(back); {
		n, err := conn.Read(back[got:])
		if err != nil {
			return fmt.Errorf("read the echo: %w", err)
		}
		got += n
	}
	if string(back) != message {
		return fmt.Errorf("echo is %q, want %q", back, message)
	}
	return nil
}

func readLine(conn net.Conn) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := conn.Read(b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		line = append(line, b[0])
	}
}

// RandomName returns n random hexadecimal digits; n is even.
func RandomName(n int) string {
	b := make([]byte, n/2)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
