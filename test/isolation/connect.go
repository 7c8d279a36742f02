// SPDX-License-Identifier: Apache-2.0

package isolation

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/testnet"
)

// patience is how long a connect may take before it counts as dropped; one
// that should have been answered is tried again with more of it, to morePatience in all.
const (
	patience     = 700 * time.Millisecond
	morePatience = testnet.Patience
)

// attempt is one TCP connect and what came of it.
type attempt struct {
	from *Interface
	to   netip.AddrPort
	want Verdict

	outcome  Outcome
	server   string     // the name of who answered
	observed netip.Addr // the source that it saw; nothing from the server that Postern runs
	err      error
}

// serve lets every workload answer on the served ports with its name and the
// address that it sees, until the test ends.
func (m *maker) serve() {
	m.p.T.Helper()
	for _, i := range m.w.senders() {
		for _, port := range servedPorts {
			l, err := i.Workload.Listen("tcp", fmt.Sprintf(":%d", port))
			if err != nil {
				m.p.T.Fatal(err)
			}
			m.p.T.Cleanup(func() { l.Close() })
			go greet(l, i.Name)
		}
	}
}

func greet(l net.Listener, name string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		// What cannot be written is missed by the one who reads.
		fmt.Fprintln(conn, name, conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap())
		conn.Close()
	}
}

// Connects tries every workload with every address and port, and returns what
// differs from the oracle.
func (w *World) Connects() (tried int, findings []string, err error) {
	var all []*attempt
	for _, from := range w.senders() {
		for _, to := range w.Tried {
			for _, port := range triedPorts {
				all = append(all, &attempt{from: from, to: netip.AddrPortFrom(to, port), want: w.Predict(from, "tcp", to, port)})
			}
		}
	}
	if err := connectAll(all, patience); err != nil {
		return 0, nil, err
	}
	// Errors of ICMP come so often in a second and no more: who waits for one that was left
	// out tries again, and does not wait for a system call that does so more and more seldom.
	for more := patience; more < morePatience/2; more *= 2 {
		again := slices.DeleteFunc(slices.Clone(all), func(a *attempt) bool {
			return a.outcome != Dropped || a.want.Outcome != Answered && a.want.Outcome != Refused
		})
		if err := connectAll(again, more); err != nil {
			return 0, nil, err
		}
	}
	for _, a := range all {
		if difference := a.difference(); difference != "" {
			findings = append(findings, difference)
		}
	}
	return len(all), findings, nil
}

// connectAll starts all connects at once, each in its workload's namespace, and
// waits for them.
func connectAll(all []*attempt, patience time.Duration) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	byWorkload := map[*Interface][]*attempt{}
	for _, a := range all {
		byWorkload[a.from] = append(byWorkload[a.from], a)
	}
	for from, attempts := range byWorkload {
		err := from.Workload.Run(func() error {
			for _, a := range attempts {
				fd, err := a.begin()
				if err != nil {
					return err
				}
				wg.Go(func() { a.finish(fd, patience) })
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// begin opens a socket in the current namespace and starts to connect.
func (a *attempt) begin() (fd int, err error) {
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(a.to.Port()), Addr: a.to.Addr().As16()})
	if a.to.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Port: int(a.to.Port()), Addr: a.to.Addr().As4()}
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make socket: %w", err)
	}
	if a.err = unix.Connect(fd, address); a.err == unix.EINPROGRESS {
		a.err = nil
	}
	return fd, nil
}

// finish waits for the outcome and closes the socket.
func (a *attempt) finish(fd int, patience time.Duration) {
	file := os.NewFile(uintptr(fd), "connection")
	defer file.Close()
	file.SetDeadline(time.Now().Add(patience))
	if a.err == nil {
		a.err = connected(file)
	}
	if a.err == nil {
		a.err = a.greeted(file)
	}
	switch {
	case a.err == nil:
		a.outcome = Answered
	case errors.Is(a.err, os.ErrDeadlineExceeded), errors.Is(a.err, unix.ETIMEDOUT):
		a.outcome = Dropped
	default:
		a.outcome = Refused
	}
}

// greeted learns who answers.
func (a *attempt) greeted(conn io.ReadWriter) (err error) {
	if a.to.Port() == managedPort {
		a.server, err = askServer(conn)
		return err
	}
	greeting, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	name, source, _ := strings.Cut(strings.TrimSpace(greeting), " ")
	a.server = name
	a.observed, err = netip.ParseAddr(source)
	return err
}

// connected waits until a connection is made or refused.
func connected(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var refusal error
	err = raw.Write(func(fd uintptr) bool {
		writable, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		if err == nil && writable == 0 {
			return false // wait
		}
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if refusal = err; err == nil && code != 0 {
			refusal = unix.Errno(code)
		}
		return true
	})
	return errors.Join(err, refusal)
}

// difference says how the outcome differs from the verdict; empty when it does
// not.
func (a *attempt) difference() string {
	got, want := string(a.outcome), string(a.want.Outcome)
	if a.outcome == Answered {
		got += " by " + a.server
	}
	if a.want.Outcome == Answered {
		server := a.from // who connects to its own address asks nobody else
		if a.want.Reaches != nil {
			server = a.want.Reaches
		}
		want += " by " + server.Name
	}
	switch {
	case a.want.Outcome == Unforetold, a.want.Outcome == Unanswered && a.outcome != Answered:
		return ""
	case got != want:
		return fmt.Sprintf("connect %s to %v: %s (%v), want %s", a.from.Name, a.to, got, a.err, want)
	case a.outcome == Answered && a.want.Reaches != nil && a.to.Port() != managedPort && !within(a.observed, a.want.Sources):
		return fmt.Sprintf("connect %s to %v: seen from %v, want one of %v", a.from.Name, a.to, a.observed, a.want.Sources)
	}
	return ""
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}
