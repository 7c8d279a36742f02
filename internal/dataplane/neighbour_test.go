// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/test/testnet"
)

// crowd is more than the neighbour tables of a host hold by default.
const crowd = 1600

// Any program may send to whom it likes. Whoever of them its kernel has to ask
// for takes a place in a table that all namespaces of the machine share.
func TestAWorkloadDoesNotFillTheNeighbourTables(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		index := device(s.t, s.client)
		addressed := func(i int, prefix ...byte) (a [16]byte) {
			copy(a[:], prefix)
			binary.BigEndian.PutUint16(a[14:], uint16(i+1000))
			return a
		}
		flood(s.t, s.client, unix.AF_INET, 0, func(i int) unix.Sockaddr {
			return &unix.SockaddrInet4{Port: 9, Addr: [4]byte{10, 0, byte(i >> 8), byte(i)}}
		})
		flood(s.t, s.client, unix.AF_INET, unix.MSG_DONTROUTE, func(i int) unix.Sockaddr {
			return &unix.SockaddrInet4{Port: 9, Addr: [4]byte{192, 0, byte(i >> 8), byte(i)}}
		})
		flood(s.t, s.client, unix.AF_INET6, 0, func(i int) unix.Sockaddr {
			return &unix.SockaddrInet6{Port: 9, Addr: addressed(i, 0xfe, 0x80), ZoneId: index}
		})
		flood(s.t, s.client, unix.AF_INET6, unix.MSG_DONTROUTE, func(i int) unix.Sockaddr {
			return &unix.SockaddrInet6{Port: 9, Addr: addressed(i, 0x20, 0x01, 0x0d, 0xb8), ZoneId: index}
		})
		flood(s.t, s.client, unix.AF_INET, 0, func(i int) unix.Sockaddr {
			return &unix.SockaddrInet4{Port: 9, Addr: [4]byte{239, 0, byte(i >> 8), byte(i)}}
		})
		flood(s.t, s.client, unix.AF_INET6, 0, func(i int) unix.Sockaddr {
			return &unix.SockaddrInet6{Port: 9, Addr: addressed(i, 0xff, 0x02), ZoneId: index}
		})
		if n := len(askedFor(s.t, s.client.Run)); n > 0 {
			s.t.Errorf("the workload's kernel asks for %d neighbours", n)
		}
		strangersMeet(s.t)
	})
}

// flood sends a datagram to each of a crowd, from the workload's device.
func flood(t testing.TB, ns *testnet.NS, family, flags int, to func(i int) unix.Sockaddr) {
	t.Helper()
	err := ns.Run(func() error {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "eth0"); err != nil {
			return err
		}
		for i := range crowd {
			unix.Sendto(fd, []byte("x"), flags, to(i)) // which may be refused
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func device(t testing.TB, ns *testnet.NS) (index uint32) {
	t.Helper()
	err := ns.Run(func() error {
		link, err := net.InterfaceByName("eth0")
		if err == nil {
			index = uint32(link.Index)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// askedFor lists the neighbours of a namespace that hold a place: those that are
// not permanent, not multicast groups, and not given up.
func askedFor(t testing.TB, inside func(func() error) error) (list []netlink.Neigh) {
	t.Helper()
	err := inside(func() error {
		all, err := netlink.NeighList(0, netlink.FAMILY_ALL)
		for _, n := range all {
			if n.State&(netlink.NUD_PERMANENT|netlink.NUD_NOARP|netlink.NUD_FAILED) == 0 {
				list = append(list, n)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// strangersMeet joins two namespaces that have nothing to do with Postern by a
// veth pair, and has them ask for each other.
func strangersMeet(t testing.TB) {
	t.Helper()
	a, b := testnet.New(t), testnet.New(t)
	run(t, a.Name, "ip link add s0 type veth peer name s0 netns "+b.Name)
	for _, end := range []struct {
		ns              *testnet.NS
		address, other6 string
	}{{a, "192.0.2.1/24", "2001:db8:9::1/64"}, {b, "192.0.2.2/24", "2001:db8:9::2/64"}} {
		run(t, end.ns.Name, "ip addr add "+end.address+" dev s0")
		run(t, end.ns.Name, "ip addr add "+end.other6+" dev s0 nodad")
		run(t, end.ns.Name, "ip link set s0 up")
	}
	for _, address := range []string{"192.0.2.2:80", "[2001:db8:9::2]:80"} {
		l, err := b.Serve("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), testnet.Patience)
		if _, err := a.Ask(ctx, "tcp", address); err != nil {
			t.Errorf("strangers cannot reach each other at %s: %v", address, err)
		}
		cancel()
		l.Close()
	}
}

// Frames of ARP and neighbour discovery that name others, or nobody, make no
// neighbours in the router.
func TestTheRouterHasNoNeighboursButItsWorkloads(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		s.serve()
		frames := requests4()
		if s.network == "tcp6" {
			frames = requests6(s)
		}
		transmit(s.t, s.client, frames)
		s.checkTraffic() // which comes after them
		router := network.NamespaceName(s.instance, consumer)
		ns, err := network.OpenNamespace(router)
		if err != nil {
			s.t.Fatal(err)
		}
		defer ns.Close()
		list := askedFor(s.t, func(fn func() error) error { return network.Inside(ns, fn) })
		if len(list) > 0 {
			s.t.Errorf("the router has %d neighbours that it was told of, such as %v", len(list), list[0])
		}
		s.checkDump()
	})
}

const frameCount = 200

// requests4 are frames of ARP (RFC 826) from everybody.
func requests4() (frames [][]byte) {
	for i := range frameCount {
		someone := []byte{10, 0, 7, byte(i)}
		own, nobody := []byte{10, 0, 1, 10}, []byte{0, 0, 0, 0}
		for _, c := range []struct {
			operation    byte
			sender, asks []byte
		}{
			{1, someone, []byte{10, 0, 1, 1}}, {1, someone, []byte{10, 0, 1, 200}}, {1, someone, someone},
			{1, nobody, someone}, {1, []byte{192, 0, 2, byte(i)}, []byte{10, 0, 1, 1}},
			{2, someone, []byte{10, 0, 1, 1}}, {2, someone, someone}, {1, own, []byte{10, 0, 1, byte(i)}},
		} {
			hardware := []byte{2, 0, 0, 0, 9, byte(i)}
			f := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, hardware...)
			f = append(f, 8, 6, 0, 1, 8, 0, 6, 4, 0, c.operation)
			f = append(append(append(f, hardware...), c.sender...), 0, 0, 0, 0, 0, 0)
			frames = append(frames, append(f, c.asks...))
		}
	}
	return frames
}

// requests6 are frames of neighbour discovery (RFC 4861) from everybody.
func requests6(s *scenario) (frames [][]byte) {
	mac := nearMAC(s)
	router, all, routers := addr("fe80::1"), addr("ff02::1"), addr("ff02::2")
	target := func(kind byte, flags byte, a netip.Addr) []byte {
		return append([]byte{kind, 0, 0, 0, flags, 0, 0, 0}, a.AsSlice()...)
	}
	for i := range frameCount {
		link := addr("fe80::7").As16()
		global := addr("2001:db8:0:7::7").As16()
		link[15], global[15] = byte(i), byte(i)
		hardware := []byte{2, 0, 0, 0, 9, byte(i)}
		option := append([]byte{1, 1}, hardware...)
		for _, from := range []netip.Addr{netip.AddrFrom16(link), netip.AddrFrom16(global), netip.IPv6Unspecified()} {
			for to, body := range map[netip.Addr][]byte{
				router:                  append(target(135, 0, router), option...),
				addr("ff02::1:ff00:1"):  append(target(135, 0, router), option...),
				all:                     append(target(136, 0x20, from), append([]byte{2, 1}, hardware...)...),
				routers:                 append([]byte{133, 0, 0, 0, 0, 0, 0, 0}, option...),
				addr("2001:db8:0:1::1"): append(append([]byte{137, 0, 0, 0, 0, 0, 0, 0}, append(global[:], link[:]...)...), option...),
			} {
				p := testnet.Packet{From: from, To: to, Protocol: unix.IPPROTO_ICMPV6, Hops: 255, Body: body}
				f := append([]byte{0x33, 0x33, 0, 0, 0, 1}, hardware...)
				if !to.IsMulticast() {
					copy(f, mac)
				}
				frames = append(frames, append(append(f, 0x86, 0xdd), p.Bytes()...))
			}
		}
	}
	return frames
}

// nearMAC is the hardware address of the router at the client's interface.
func nearMAC(s *scenario) (mac net.HardwareAddr) {
	s.t.Helper()
	err := s.client.Run(func() error {
		list, err := netlink.NeighList(0, netlink.FAMILY_ALL)
		for _, n := range list {
			if n.State&netlink.NUD_PERMANENT != 0 {
				mac = n.HardwareAddr
			}
		}
		return err
	})
	if err != nil || mac == nil {
		s.t.Fatalf("no permanent neighbour: %v", err)
	}
	return mac
}

// transmit sends frames from the device of a workload.
func transmit(t testing.TB, ns *testnet.NS, frames [][]byte) {
	t.Helper()
	index := device(t, ns)
	err := ns.Run(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: int(index)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The router answers for itself, at the link-local address too.
func TestTheRouterAnswersItsWorkloads(t *testing.T) {
	s := scenario6(t)
	s.apply()
	s.echoes()
	// It can be asked for, should the workload have forgotten it.
	run(t, s.client.Name, "ip neigh del fe80::1 dev eth0")
	run(t, s.client.Name, "sysctl -w net.ipv6.neigh.eth0.mcast_solicit=3")
	s.echoes()
}

// echoes has the client's router answer an echo request (RFC 4443 §4).
func (s *scenario) echoes() {
	s.t.Helper()
	conn, err := s.client.Dial(s.t.Context(), "ip6:ipv6-icmp", fmt.Sprintf("fe80::1%%%d", device(s.t, s.client)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{128, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	for answer := make([]byte, 1500); answer[0] != 129; {
		if _, err := conn.Read(answer); err != nil {
			s.t.Fatalf("no answer to an echo request: %v", err)
		}
	}
}

// An earlier version gave workloads their IPv4 subnet, and the router all that is
// link-local. What is there is changed in place, under live connections.
func TestTheFormerFormOfAWorkloadIsAdopted(t *testing.T) {
	each(t, func(s *scenario) {
		s.apply()
		conn, server := s.connect()
		defer conn.Close()
		defer server.Close()
		router, own := network.NamespaceName(s.instance, consumer), s.client.Name
		near := "w0aaaaaaaaaaaaa"
		before := device(s.t, s.client)
		for _, line := range [][2]string{
			{router, "ip addr del fe80::1/128 dev " + near}, {router, "ip addr add fe80::1/64 dev " + near + " nodad"},
			{own, "sysctl -w net.ipv4.neigh.eth0.mcast_solicit=3"},
		} {
			run(s.t, line[0], line[1])
		}
		if s.network == "tcp4" {
			run(s.t, router, "ip link set "+near+" alias postern:"+s.instance+":workload:eni-0aaaaaaaaaaaaaaa1:10.0.1.1:"+s.client.Desired().String())
			for _, line := range []string{"addr add 10.0.1.10/24 dev eth0", "addr del 10.0.1.10/32 dev eth0", "route del 10.0.1.0/24 via 10.0.1.1"} {
				run(s.t, own, "ip "+line)
			}
		}
		if rounds := s.repair(); rounds == 0 {
			s.t.Error("the former form is taken for the present one")
		}
		s.checkDump()
		if after := device(s.t, s.client); after != before {
			s.t.Errorf("the interface was made anew: index %d, was %d", after, before)
		}
		if _, err := io.WriteString(conn, "y"); err != nil {
			s.t.Error(err)
		}
		server.SetReadDeadline(time.Now().Add(testnet.Patience))
		if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
			s.t.Errorf("a connection that was open: %v", err)
		}
	})
}
