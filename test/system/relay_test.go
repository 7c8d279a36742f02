// SPDX-License-Identifier: Apache-2.0

package system

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

// TestRegisteredServicesAreRelayed has a server on the host's loopback be a service, which a
// VPC reaches by an endpoint. Connections outlive a daemon that is killed, and end with the
// endpoint; a target that is down is told of.
func TestRegisteredServicesAreRelayed(t *testing.T) {
	p := postern.Start(t)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go testnet.Answer(server)
	port := server.Addr().(*net.TCPAddr).Port
	target := server.Addr().String()
	expectCommand(t, p, 0, "com.example.store", "service", "register", "com.example.store", "--target", target, "--port", "443")
	vpc := p.VPC("10.0.0.0/16")
	subnet := vpc.Subnet(0, "10.0.1.0/24")
	open := vpc.OpenGroup()
	dual := ec2.IpAddressTypeDualstack
	e, err := vpc.EndpointTo(&ec2.CreateVpcEndpointInput{
		ServiceName: new("com.example.store"), SubnetIds: []string{subnet.ID}, SecurityGroupIds: []string{open},
		IpAddressType: &dual, PrivateDnsEnabled: new(false),
	})
	if err != nil {
		t.Fatal(err)
	}
	w := subnet.Workload("10.0.1.10", open)
	dial := func(addr string) net.Conn {
		t.Helper()
		return dialRelay(t, w, addr)
	}
	var kept []net.Conn
	for _, addr := range e.Addresses[subnet.Zone] {
		c := dial(addr.String())
		if saw, err := testnet.AskOn(c); err != nil || !strings.HasPrefix(saw, "127.0.0.1:") {
			t.Errorf("%s: the server saw %q, %v", addr, saw, err)
		}
		kept = append(kept, c)
	}
	if len(kept) != 2 {
		t.Errorf("the endpoint has the addresses %v, want one of each family", e.Addresses)
	}
	alive := func(when string) {
		t.Helper()
		for _, c := range kept {
			if err := testnet.Echo(c, "still here\n"); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
	}
	before := p.Status().Counters["relay: process"]
	p.Kill()
	alive("while there is no daemon")
	if _, err := testnet.AskOn(dial(e.Address().String())); err != nil {
		t.Errorf("a new connection while there is no daemon: %v", err)
	}
	p.Up()
	p.Verify() // so that it has looked at all connections
	alive("with another daemon")
	if after := p.Status().Counters["relay: process"]; after != before || after == 0 {
		t.Errorf("process %d relays, and before it was %d", after, before)
	}
	if err := syscall.Kill(int(before), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, c := range kept {
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection outlives the process that relayed it")
		}
	}
	late := dial(e.Address().String())
	if _, err := testnet.AskOn(late); err != nil {
		t.Errorf("by another process: %v", err)
	}
	p.Verify()

	server.Close()
	c := dial(e.Address().String())
	if _, err := io.ReadAll(c); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("without a server a connection ends with %v, want a reset", err)
	}
	p.Await("what is wrong", func() (bool, error) {
		return strings.Contains(*p.Status().Hosts[0].State, "connections of "+e.ID+" are refused: dial tcp 127.0.0.1:"+strconv.Itoa(port)), nil
	})
	e.Delete()
	if _, err := io.ReadAll(late); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a connection outlives its endpoint")
	}
	p.Await("the end of the endpoint", func() (bool, error) { return p.Command("service", "deregister", "com.example.store").Status == 0, nil })
	p.Verify()
}

// dialRelay connects from a workload to an address of an endpoint, as soon as the relay listens.
func dialRelay(t *testing.T, w *postern.Workload, addr string) (conn net.Conn) {
	t.Helper()
	if err := instance.Poll(t.Context(), testnet.Patience, "the relay", func() (bool, error) {
		c, err := w.Dial(t.Context(), "tcp", net.JoinHostPort(addr, "443"))
		conn = c
		return err == nil, nil
	}); err != nil {
		t.Fatalf("%s: %v", addr, err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(testnet.Patience))
	return conn
}
