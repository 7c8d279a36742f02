// SPDX-License-Identifier: Apache-2.0

// Package lab builds two VPC routers with workloads from plain ip commands, for
// the tests of the packages that write rules into them. Both VPCs use the same
// addresses. It has no rules of its own and knows nothing of them.
package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/test/testnet"
)

// The transit addresses of the two VPCs.
var (
	SourceA4 = netip.MustParsePrefix("240.0.0.0/26")
	SourceB4 = netip.MustParsePrefix("240.0.0.64/26")
	SourceA6 = netip.MustParsePrefix("fd70:6f73:7400:1::/64")
	SourceB6 = netip.MustParsePrefix("fd70:6f73:7400:2::/64")
	Target4  = netip.MustParseAddr("240.8.0.1")
	Target6  = netip.MustParseAddr("fd70:6f73:7400:8000::1")
)

// Namespace is a network namespace of the test.
type Namespace struct {
	*testnet.NS
	t testing.TB
}

// Lab is a consumer's router A with workloads and a provider's router B with a
// server; the routers are joined by a fabric link.
type Lab struct {
	A, B *Namespace
	// Client is 10.0.1.10, Near 10.0.1.74 and Far 10.0.2.11, all in A; Client
	// and Near have the same last six bits. Server is 10.0.1.10 in B. All have
	// an IPv6 address 2001:db8:0:S::H with the subnet and host of the IPv4 one.
	Client, Near, Far, Server *Namespace
}

// NewNamespace makes a namespace that goes with the test.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	return &Namespace{testnet.New(t), t}
}

// IP runs ip commands in the namespace, one a line.
func (n *Namespace) IP(commands string) {
	n.t.Helper()
	cmd := exec.Command("ip", "-n", n.Name, "-batch", "-")
	cmd.Stdin = strings.NewReader(commands)
	if out, err := cmd.CombinedOutput(); err != nil {
		n.t.Fatalf("ip -n %s: %v\n%s\n%s", n.Name, err, out, commands)
	}
}

// Sysctl sets net.KEY=VALUE pairs in the namespace.
func (n *Namespace) Sysctl(pairs ...string) {
	n.t.Helper()
	err := n.Run(func() error {
		for _, pair := range pairs {
			key, value, _ := strings.Cut(pair, "=")
			path := "/proc/sys/net/" + key
			if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		n.t.Fatalf("sysctl: %v", err)
	}
}

// Nft runs the nft program in the namespace and returns what it prints.
func (n *Namespace) Nft(args ...string) string {
	n.t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", n.Name, "nft"}, args...)...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("nft %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Dial opens a connection from the namespace.
func (n *Namespace) Dial(network, address string, local net.Addr, timeout time.Duration) (net.Conn, error) {
	var conn net.Conn
	err := n.Run(func() (err error) {
		conn, err = (&net.Dialer{Timeout: timeout, LocalAddr: local, KeepAlive: -1}).Dial(network, address)
		return err
	})
	return conn, err
}

// Greet listens on a TCP port and tells each that connects whom it sees, then
// echoes. It ends with the test.
func (n *Namespace) Greet(port int) {
	n.t.Helper()
	accepted := n.Accept(port)
	go func() {
		for conn := range accepted {
			go greet(conn)
		}
	}()
}

// Accept listens on a TCP port until the test ends and hands over what connects.
func (n *Namespace) Accept(port int) <-chan net.Conn {
	n.t.Helper()
	var listener net.Listener
	err := n.Run(func() (err error) {
		listener, err = (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		n.t.Fatalf("listen on %d: %v", port, err)
	}
	n.t.Cleanup(func() { listener.Close() })
	accepted := make(chan net.Conn)
	ended := n.t.Context().Done()
	go func() {
		defer close(accepted)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			select {
			case accepted <- conn:
			case <-ended:
				conn.Close()
				return
			}
		}
	}()
	return accepted
}

func greet(conn net.Conn) {
	defer conn.Close()
	host, port, _ := net.SplitHostPort(conn.RemoteAddr().String())
	fmt.Fprintf(conn, "%s %s\n", host, port)
	buffer := make([]byte, 32<<10)
	for {
		k, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if _, err := conn.Write(buffer[:k]); err != nil {
			return
		}
	}
}

// Ping reports whether an echo request is answered within the time.
func (n *Namespace) Ping(host string, patience time.Duration) bool {
	network, request := "ip4:icmp", []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0} // RFC 792; the sum of a message of zeros
	if strings.Contains(host, ":") {
		network, request = "ip6:ipv6-icmp", []byte{128, 0, 0, 0, 0, 0, 0, 0} // RFC 4443; the kernel adds the sum
	}
	conn, err := n.Dial(network, host, nil, patience)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(request); err != nil {
		return false
	}
	for answer := make([]byte, 1500); ; {
		k, err := conn.Read(answer)
		if err != nil {
			return false
		}
		message := answer[:k]
		if k > 20 && answer[0]>>4 == 4 { // IPv4 sockets show the header
			message = answer[20:k]
		}
		if len(message) > 0 && (message[0] == 0 || message[0] == 129) { // an echo reply
			return true
		}
	}
}
