// SPDX-License-Identifier: Apache-2.0

// Package system holds the black-box tests of the running binary: what it does
// to real connections when it is killed, damaged and changed, its command line,
// and the calls that other tools make.
package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/posternhq/postern/test/postern"
	"github.com/posternhq/postern/test/testnet"
)

func TestMain(m *testing.M) { os.Exit(postern.Main(m)) }

// pair is the smallest set-up: a client in one VPC reaches a server in another
// through an endpoint. Both VPCs, and both workloads, have the same addresses.
type pair struct {
	*postern.Postern
	t                  *testing.T
	consumer, provider *postern.VPC
	clients, servers   *postern.Subnet
	client, server     *postern.Workload
	// open are groups that admit everything, in consumer and provider.
	openClient, openServer string
	gateway                *postern.Gateway
	resource               *postern.Configuration
	endpoint               *postern.Endpoint
}

// newPair makes a pair whose server answers on port 5432 and 5433; the resource
// has 5432 only.
func newPair(t *testing.T, flags ...string) *pair {
	t.Helper()
	s := &pair{Postern: postern.Start(t, flags...), t: t}
	s.consumer, s.provider = s.VPC("10.0.0.0/16"), s.VPC("10.0.0.0/16")
	s.clients, s.servers = s.consumer.Subnet(0, "10.0.1.0/24"), s.provider.Subnet(0, "10.0.1.0/24")
	s.openClient, s.openServer = s.consumer.OpenGroup(), s.provider.OpenGroup()
	s.client, s.server = s.clients.Workload("10.0.1.10", s.openClient), s.servers.Workload("10.0.1.10", s.openServer)
	s.server.Serve(5432)
	s.server.Serve(5433)
	s.gateway = s.provider.Gateway("gateway", []*postern.Subnet{s.servers}, []string{s.openServer})
	s.resource = s.gateway.Configuration(s.server.IP, "5432")
	s.endpoint = s.consumer.Endpoint(s.resource, []*postern.Subnet{s.clients}, s.openClient)
	return s
}

// at is an address with the port of databases.
func at(a netip.Addr) string { return netip.AddrPortFrom(a, 5432).String() }

func hostPort(a netip.Addr, port int) string {
	return net.JoinHostPort(a.String(), strconv.Itoa(port))
}

// ask connects once and says what the server saw.
func ask(from *postern.Workload, address string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(context.Background(), testnet.Patience)
	defer cancel()
	saw, err := from.Ask(ctx, "tcp", address)
	if err != nil {
		return netip.Addr{}, err
	}
	source, err := netip.ParseAddrPort(saw)
	return source.Addr().Unmap(), err
}

// answers connects once with little patience.
func answers(from *postern.Workload, address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := from.Ask(ctx, "tcp", address)
	return err == nil
}

// expectAnswer asks once and ends the test when there is no answer.
func expectAnswer(t *testing.T, from *postern.Workload, address string) netip.Addr {
	t.Helper()
	source, err := ask(from, address)
	if err != nil {
		t.Fatalf("ask %s: %v", address, err)
	}
	return source
}

// expectRefusal connects and wants to be refused at once.
func expectRefusal(t *testing.T, from *postern.Workload, address string) {
	t.Helper()
	if err := testnet.AtOnce(func() error { return refusal(from, address) }); err != nil {
		t.Errorf("connect to %s: %v", address, err)
	}
}

// refusal connects once, and has an error unless that is refused.
func refusal(from *postern.Workload, address string) error {
	if _, err := ask(from, address); !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%v, want a refusal", err)
	}
	return nil
}

// expectSilence connects and wants no answer at all.
func expectSilence(t *testing.T, from *postern.Workload, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	conn, err := from.Dial(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("connect to %s: %v, want no answer", address, err)
	}
}

// dial opens a connection to a Serve address and checks that it works; it is
// closed with the test.
func dial(t *testing.T, from *postern.Workload, address string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testnet.Patience)
	defer cancel()
	conn, err := from.Dial(ctx, "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := testnet.AskOn(conn); err != nil {
		t.Fatal(err)
	}
	return conn
}
