// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// resolved is a VPC whose router has the resolver's addresses, with a workload that
// has addresses of both families and no rule of a security group.
type resolved struct {
	*scenario
	names desired.Nameserver
}

func newResolved(t *testing.T) resolved {
	s := base(t)
	r := resolved{s, desired.NewNameserver(consumer, prefix("10.0.1.0/24"))}
	router := desired.Router{
		VPC: consumer, Networks: []netip.Prefix{prefix("10.0.1.0/24"), prefix("2001:db8::/56")}, Gateways: []netip.Addr{addr("10.0.1.1")},
		Source4: prefix("240.0.0.0/26"), Source6: prefix("fd70:6f73:7400:1::/64"),
	}
	w := s.workload(consumer, s.client, addr("10.0.1.1"), prefix("10.0.1.10/24"), prefix("2001:db8:0:1::10/128"))
	s.put(consumer, []desired.Entry{router, r.names, w})
	return r
}

// within does something in the router's namespace.
func (r resolved) within(do func() error) {
	r.t.Helper()
	ns, err := network.OpenNamespace(network.NamespaceName(r.instance, consumer))
	if err == nil {
		defer ns.Close()
		err = network.Inside(ns, do)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// serve answers on port 53 of an address of the router's, over UDP and TCP.
func (r resolved) serve(a netip.Addr) {
	r.t.Helper()
	address := net.JoinHostPort(a.String(), "53")
	r.within(func() error {
		packets, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		r.t.Cleanup(func() { packets.Close() })
		go func() {
			buffer := make([]byte, 4096)
			for {
				n, from, err := packets.ReadFrom(buffer)
				if err != nil {
					return
				}
				packets.WriteTo(buffer[:n], from)
			}
		}()
		streams, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		r.t.Cleanup(func() { streams.Close() })
		go func() {
			for {
				conn, err := streams.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					buffer := make([]byte, 4096)
					for n, err := conn.Read(buffer); err == nil; n, err = conn.Read(buffer) {
						conn.Write(buffer[:n])
					}
				}()
			}
		}()
		return nil
	})
}

// ask sends so many bytes to an address from the workload, and waits for all of them
// to come back from there.
func (r resolved) ask(network, address string, size int, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	conn, err := r.client.Dial(ctx, network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(make([]byte, size)); err != nil {
		return err
	}
	for got := 0; got < size; {
		n, err := conn.Read(make([]byte, 4096))
		if err != nil {
			return err
		}
		got += n
	}
	return nil
}

// asks is ask of one who asks again when a datagram was lost, as on a busy machine.
func (r resolved) asks(network, address string, size int) (err error) {
	for end := time.Now().Add(testnet.Patience); ; {
		if err = r.ask(network, address, size, time.Second); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// A workload reaches the resolver at each of its addresses, also where that is one of
// its own subnet, over UDP, in fragments too, and TCP; and no other address of the
// blocks that they are of.
func TestWorkloadsReachTheResolver(t *testing.T) {
	r := newResolved(t)
	for _, a := range slices.Concat(r.names.Addrs, []netip.Addr{addr("10.0.1.1")}) {
		r.serve(a)
	}
	for _, a := range r.names.Addrs {
		address := net.JoinHostPort(a.String(), "53")
		for _, network := range []string{"udp", "tcp"} {
			for _, size := range []int{1, 4096} {
				if err := r.asks(network, address, size); err != nil {
					t.Errorf("%d bytes to %s over %s: %v", size, address, network, err)
				}
			}
		}
	}
	const silence = 250 * time.Millisecond
	for _, address := range []string{"10.0.1.1:53", "169.254.169.254:53", "169.254.169.254:80", "[fd00:ec2::254]:53", "[fd00:ec2::254]:80"} {
		for _, network := range []string{"udp", "tcp"} {
			if err := r.ask(network, address, 1, silence); err == nil {
				t.Errorf("%s answers over %s", address, network)
			}
		}
	}
	if failed := r.host.Apply(t.Context(), consumer, nil, []desired.Entry{r.names}); failed != nil {
		t.Fatal(failed)
	}
	for _, a := range r.names.Addrs {
		r.within(func() error {
			if l, err := net.Listen("tcp", net.JoinHostPort(a.String(), "8053")); err == nil {
				l.Close()
				return errors.New("the router still has the address " + a.String())
			}
			return nil
		})
		if err := r.ask("udp", net.JoinHostPort(a.String(), "53"), 1, silence); err == nil {
			t.Errorf("%s answers when the resolver has gone", a)
		}
	}
}

// The addresses follow the entry, and what others have given the router stays.
func TestTheResolversAddressesFollowTheEntry(t *testing.T) {
	r := newResolved(t)
	run(t, network.NamespaceName(r.instance, consumer), "ip addr add 10.9.9.9/32 dev lo")
	other := desired.Nameserver{VPC: consumer, Addrs: []netip.Addr{addr("10.0.1.3"), addr("fd00:ec2::254")}}
	for _, want := range []desired.Nameserver{r.names, other, r.names} {
		r.put(consumer, []desired.Entry{want})
		var got []desired.Entry
		there, err := r.host.Dump(t.Context(), consumer)
		for _, e := range there {
			if e.Key().Kind == desired.KindNameserver {
				got = append(got, e)
			}
		}
		if err != nil || desired.Text(got) != want.String()+"\n" {
			t.Errorf("want %s, have %s %v", want, desired.Text(got), err)
		}
	}
	for _, bad := range []desired.Nameserver{{VPC: consumer}, {VPC: consumer, Addrs: []netip.Addr{addr("2001:db8::2")}}} {
		if failed := r.host.Apply(t.Context(), consumer, []desired.Entry{bad}, nil); len(failed) != 1 {
			t.Errorf("%s is put: %v", bad, failed)
		}
	}
	r.put(consumer, []desired.Entry{r.names})
	if failed := r.host.Apply(t.Context(), consumer, nil, []desired.Entry{r.names}); failed != nil {
		t.Fatal(failed)
	}
	r.within(func() error {
		l, err := net.Listen("tcp", "10.9.9.9:0")
		if err == nil {
			l.Close()
		}
		return err
	})
}
