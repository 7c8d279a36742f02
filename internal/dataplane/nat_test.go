// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/network"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/testnet"
)

// natRig is a NAT gateway at a router that knows of nothing but routes: what clients
// send leads to the gateway, and what comes from there to the server. The gateway's
// interface is made by hand.
type natRig struct {
	t                      testing.TB
	host                   *dataplane.Host
	config                 dataplane.Config
	want                   desired.NAT
	router, client, server *testnet.NS
}

const (
	gatewayID = "nat-0ccccccccccccccc3"
	natServer = "198.51.100.10"
)

// natClients are the addresses of the one client.
var natClients = []netip.Addr{addr("10.0.2.10"), addr("10.0.2.11"), addr("10.0.2.12"), addr("10.0.2.13"), addr("10.0.2.14"), addr("10.0.2.15")}

func newNATRig(t testing.TB, config dataplane.Config, addresses ...netip.Addr) *natRig {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		testnet.Unable(t, "this test uses the program ip of iproute2")
	}
	h, instance := newHost(t)
	h.Close()
	config.Instance = instance
	r := &natRig{
		t: t, config: config, router: testnet.New(t), client: testnet.New(t), server: testnet.New(t),
		want: desired.NAT{ID: gatewayID, VPC: provider, Addresses: addresses},
	}
	r.start()
	r.put(r.want)
	r.join()
	return r
}

// start starts a host, as another process would.
func (r *natRig) start() {
	r.t.Helper()
	if r.host != nil {
		r.host.Close()
	}
	h, err := dataplane.New(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { h.Close() })
	r.host = h
}

func (r *natRig) realm() desired.Realm { return desired.NATRealm(gatewayID) }

func (r *natRig) name() string { return network.NamespaceName(r.config.Instance, gatewayID) }

func (r *natRig) put(n desired.NAT) {
	r.t.Helper()
	r.want = n
	for key, err := range r.host.Apply(r.t.Context(), r.realm(), []desired.Entry{n}, nil) {
		r.t.Errorf("put %s: %v", key, err)
	}
}

// dump is what the host finds of the gateway.
func (r *natRig) dump() string {
	r.t.Helper()
	entries, err := r.host.Dump(r.t.Context(), r.realm())
	if err != nil {
		r.t.Fatal(err)
	}
	return desired.Text(entries)
}

// checkDump wants the gateway to be there as it should be.
func (r *natRig) checkDump(when string) {
	r.t.Helper()
	if got, want := r.dump(), desired.Text([]desired.Entry{r.want}); got != want {
		r.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

// join connects the gateway, the client and the server with the router.
func (r *natRig) join() {
	r.t.Helper()
	own := slices.Concat(r.want.Addresses, r.want.Draining)
	lines := []string{
		"R ip link add n0 type veth peer name eth0 netns N", "R ip link add c0 type veth peer name eth0 netns C", "R ip link add s0 type veth peer name eth0 netns S",
		"R ip addr add 10.0.1.1/24 dev n0", "R ip addr add 10.0.2.1/24 dev c0", "R ip addr add 198.51.100.1/24 dev s0",
		"R ip link set n0 up", "R ip link set c0 up", "R ip link set s0 up", "R sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.all.send_redirects=0",
		"N ip link set eth0 up", "C ip link set eth0 up", "S ip link set eth0 up",
		"S ip addr add " + natServer + "/24 dev eth0", "S ip route add default via 198.51.100.1",
	}
	for _, a := range natClients {
		lines = append(lines, "C ip addr add "+a.String()+"/24 dev eth0")
	}
	for _, a := range own {
		lines = append(lines, "N ip addr add "+a.String()+"/24 dev eth0")
	}
	lines = append(lines, "C ip route add default via 10.0.2.1", "N ip route add default via 10.0.1.1",
		"R ip route add default via "+own[0].String()+" table 100", "R ip rule add iif c0 table 100")
	for _, line := range lines {
		where, line, _ := strings.Cut(line, " ")
		names := map[string]string{"R": r.router.Name, "C": r.client.Name, "S": r.server.Name, "N": r.name()}
		line = strings.NewReplacer(" netns N", " netns "+names["N"], " netns C", " netns "+names["C"], " netns S", " netns "+names["S"]).Replace(line)
		run(r.t, names[where], line)
	}
}

// serve has the server answer on a port.
func (r *natRig) serve(port string) {
	r.t.Helper()
	l, err := r.server.Serve("tcp4", net.JoinHostPort(natServer, port))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
}

// dial connects from one of the client's addresses, and says as whom the server saw it.
func (r *natRig) dial(from netip.Addr, port string, patience time.Duration) (conn net.Conn, saw netip.AddrPort, err error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}, KeepAlive: -1}
	if conn, err = r.client.DialWith(ctx, d, "tcp4", net.JoinHostPort(natServer, port)); err != nil {
		return nil, saw, err
	}
	r.t.Cleanup(func() { conn.Close() })
	text, err := testnet.AskOn(conn)
	if err != nil {
		r.t.Fatal(err)
	}
	return conn, netip.MustParseAddrPort(text), nil
}

// open is dial that must do.
func (r *natRig) open(from netip.Addr) (net.Conn, netip.AddrPort) {
	r.t.Helper()
	conn, saw, err := r.dial(from, "443", testnet.Patience)
	if err != nil {
		r.t.Fatal(err)
	}
	return conn, saw
}

// use is what the gateway says that it has.
func (r *natRig) use() dataplane.NATUse {
	r.t.Helper()
	all, err := r.host.NATs(r.t.Context())
	if err != nil || len(all) != 1 {
		r.t.Fatalf("%+v, %v, want one nat gateway", all, err)
	}
	return all[0]
}

var natAddress = addr("10.0.1.9")

// TCP, UDP and ping go out by the gateway's address and a port of its own, and the
// answers come back. Nothing comes in.
func TestANATGatewayLetsOutAndNobodyIn(t *testing.T) {
	r := newNATRig(t, dataplane.Config{}, natAddress)
	r.checkDump("made")
	r.serve("443")
	conn, saw := r.open(natClients[0])
	if saw.Addr() != natAddress || saw.Port() < 10536 {
		t.Errorf("the server saw %s, want %s and a port from 10536 up", saw, natAddress)
	}
	if err := testnet.Echo(conn, "and again"); err != nil {
		t.Error(err)
	}
	r.asksOverUDP()
	r.pings()

	l, err := r.client.Listen("tcp4", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tap := r.server.Tap(t)
	run(t, r.server.Name, "ip route add 10.0.2.0/24 via 198.51.100.1")
	from := netip.MustParseAddrPort(natServer + ":3000")
	testnet.Send(t, r.server,
		testnet.Segment{From: from, To: netip.AddrPortFrom(natAddress, 80), Flags: testnet.SYN},
		testnet.Segment{From: from, To: saw, Flags: testnet.SYN},
		testnet.Segment{From: from, To: netip.AddrPortFrom(natAddress, 80), Flags: testnet.ACK},
		echoRequest(addr(natServer), natAddress, 7),
		testnet.Packet{From: addr(natServer), To: natAddress, Protocol: unix.IPPROTO_UDP, Body: []byte{0, 9, 0, 9, 0, 8, 0, 0}})
	stranger := func(p []byte) bool { return p[9] != unix.IPPROTO_TCP || binary.BigEndian.Uint16(p[22:]) == from.Port() }
	if p := tap.Next(200*time.Millisecond, func(p []byte) bool { return bytes.Equal(p[12:16], natAddress.AsSlice()) && stranger(p) }); p != nil {
		t.Errorf("the gateway answers a stranger: % x", p)
	}
	eventually(t, "what strangers send", func() bool { return r.use().Dropped >= 5 })
	if u := r.use(); u.Attempts != 3 || u.Dropped != 5 || u.ID != gatewayID || u.VPC != provider || u.Packets < 12 || u.Bytes < 40*u.Packets/2 || u.Lost != 0 {
		t.Errorf("%+v, want 3 connections let out and 5 packets dropped", u)
	}
}

// asksOverUDP sends a datagram and wants an answer.
func (r *natRig) asksOverUDP() {
	r.t.Helper()
	s, err := r.server.ListenPacket("udp4", natServer+":53")
	if err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	c, err := r.client.ListenPacket("udp4", ":5353")
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	for _, conn := range []net.PacketConn{s, c} {
		conn.SetDeadline(time.Now().Add(testnet.Patience))
	}
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(natServer + ":53"))
	if _, err := c.WriteTo([]byte("what"), to); err != nil {
		r.t.Fatal(err)
	}
	buffer := make([]byte, 10)
	n, saw, err := s.ReadFrom(buffer)
	if from := netip.MustParseAddrPort(saw.String()); err != nil || string(buffer[:n]) != "what" || from.Addr() != natAddress || from.Port() < 10536 {
		r.t.Errorf("the server got %q from %s, %v", buffer[:n], saw, err)
	}
	if _, err := s.WriteTo([]byte("that"), saw); err != nil {
		r.t.Fatal(err)
	}
	if n, from, err := c.ReadFrom(buffer); err != nil || string(buffer[:n]) != "that" || from.String() != to.String() {
		r.t.Errorf("the client got %q from %s, %v", buffer[:n], from, err)
	}
}

// echoRequest is a ping.
func echoRequest(from, to netip.Addr, id uint16) testnet.Packet {
	body := binary.BigEndian.AppendUint16([]byte{8, 0, 0, 0}, id)
	return testnet.Packet{From: from, To: to, Protocol: unix.IPPROTO_ICMP, Body: append(body, 0, 1, 'p', 'i', 'n', 'g')}
}

// pings sends a ping and wants its answer.
func (r *natRig) pings() {
	r.t.Helper()
	tap, there := r.client.Tap(r.t), r.server.Tap(r.t)
	testnet.Send(r.t, r.client, echoRequest(natClients[0], addr(natServer), 7))
	if there.Next(testnet.Patience, func(p []byte) bool { return p[9] == unix.IPPROTO_ICMP && bytes.Equal(p[12:16], natAddress.AsSlice()) }) == nil {
		r.t.Error("the ping does not come to the server from the gateway's address")
	}
	answer := tap.Next(testnet.Patience, func(p []byte) bool { return p[9] == unix.IPPROTO_ICMP && p[20] == 0 })
	if answer == nil || !bytes.Equal(answer[16:20], natClients[0].AsSlice()) || binary.BigEndian.Uint16(answer[24:]) != 7 || string(answer[28:32]) != "ping" {
		r.t.Errorf("the answer is % x", answer)
	}
}

// An address has so many connections to one destination, and as many to another one.
// One more fails and is counted; with one less there is a place again.
func TestANATGatewayHasSoManyPortsForADestination(t *testing.T) {
	const ports = 8
	r := newNATRig(t, dataplane.Config{NATPorts: ports}, natAddress)
	r.serve("443")
	r.serve("444")
	var conns []net.Conn
	used := map[netip.AddrPort]bool{}
	for i := range ports {
		conn, saw := r.open(natClients[i%len(natClients)])
		conns = append(conns, conn)
		used[saw] = true
	}
	if len(used) != ports {
		t.Errorf("%d connections came from %d ports", ports, len(used))
	}
	if _, saw, err := r.dial(natClients[0], "443", 300*time.Millisecond); err == nil {
		t.Errorf("there is one more, from %s", saw)
	}
	if u := r.use(); u.Lost == 0 || u.Connections != ports {
		t.Errorf("%+v, want %d connections and some lost", u, ports)
	}
	if _, _, err := r.dial(natClients[0], "444", testnet.Patience); err != nil {
		t.Errorf("to another port: %v", err)
	}
	conns[3].(*net.TCPConn).SetLinger(0)
	conns[3].Close()
	r.open(natClients[0])
}

// A client has one address of the gateway, whatever it asks for, and clients have
// different ones.
func TestClientsKeepTheirAddressOfANATGateway(t *testing.T) {
	r := newNATRig(t, dataplane.Config{}, natAddress, addr("10.0.1.20"), addr("10.0.1.21"))
	r.checkDump("made")
	r.serve("443")
	all := map[netip.Addr]bool{}
	for _, c := range natClients {
		_, first := r.open(c)
		_, second := r.open(c)
		if first.Addr() != second.Addr() {
			t.Errorf("%s leaves from %s and from %s", c, first, second)
		}
		all[first.Addr()] = true
	}
	if len(all) < 2 {
		t.Errorf("%d clients all leave from %v", len(natClients), all)
	}
}

// What is idle for too long is forgotten: who sends on it learns it, and whoever is
// outside hears nothing. With UDP it is a new connection.
func TestANATGatewayForgetsWhatIsIdle(t *testing.T) {
	const idle = 2 * time.Second
	r := newNATRig(t, dataplane.Config{Idle: idle}, natAddress)
	r.serve("443")
	conn, _ := r.open(natClients[0])
	for begun, last := time.Now(), time.Now(); time.Since(begun) < 3*idle/2; last = time.Now() { // in use it stays
		time.Sleep(idle / 8)
		err := testnet.Echo(conn, "x")
		if err != nil && time.Since(last) < idle {
			t.Fatal(err)
		}
		if err != nil { // the machine was too busy to use it
			conn, _ = r.open(natClients[0])
			begun = time.Now()
		}
	}
	r.forgotten()
	late := r.use().Late // of a busy machine
	tap := r.server.Tap(t)
	if _, err := conn.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client reads %v, want a reset", err)
	}
	if s, ok := tap.Segment(200*time.Millisecond, func(s testnet.Segment) bool { return s.From.Addr() == natAddress }); ok {
		t.Errorf("the server hears %+v", s)
	}
	if u := r.use(); u.Late != late+1 {
		t.Errorf("%+v, want one that is late beside %d", u, late)
	}
}

// forgotten waits until the gateway knows no connection.
func (r *natRig) forgotten() {
	r.t.Helper()
	ns, err := network.OpenNamespace(r.name())
	if err != nil {
		r.t.Fatal(err)
	}
	defer ns.Close()
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		var all []*netlink.ConntrackFlow
		err := network.Inside(ns, func() (err error) {
			all, err = netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
			return err
		})
		if err != nil || time.Since(begun) > testnet.Patience {
			r.t.Fatalf("%d connections are not forgotten, %v", len(all), err)
		}
		if len(all) == 0 {
			return
		}
	}
}

// Another set of addresses leaves connections alone that leave from one that stays, or
// that drains. What leaves from one that is gone is cut.
func TestAddressesOfANATGatewayDrainAndGo(t *testing.T) {
	second := addr("10.0.1.20")
	r := newNATRig(t, dataplane.Config{}, natAddress, second)
	r.serve("443")
	by := map[netip.Addr]net.Conn{}
	clientOf := map[netip.Addr]netip.Addr{}
	for _, c := range natClients {
		conn, saw := r.open(c)
		by[saw.Addr()], clientOf[saw.Addr()] = conn, c
	}
	if by[natAddress] == nil || by[second] == nil {
		t.Fatalf("all clients leave from %v", by)
	}
	r.put(desired.NAT{ID: gatewayID, VPC: provider, Addresses: []netip.Addr{natAddress}, Draining: []netip.Addr{second}})
	r.checkDump("draining")
	for a, conn := range by {
		if err := testnet.Echo(conn, "still"); err != nil {
			t.Errorf("a connection from %s: %v", a, err)
		}
	}
	if _, saw := r.open(clientOf[second]); saw.Addr() != natAddress {
		t.Errorf("a new connection leaves from %s, which drains", saw)
	}
	r.put(desired.NAT{ID: gatewayID, VPC: provider, Addresses: []netip.Addr{natAddress}})
	r.checkDump("drained")
	by[second].SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := by[second].Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client of an address that is gone reads %v, want a reset", err)
	}
	if err := testnet.Echo(by[natAddress], "still"); err != nil {
		t.Error(err)
	}
	// What is cut after a restart is what would have been cut before.
	r.start()
	r.checkDump("after a restart")
	if err := testnet.Echo(by[natAddress], "still"); err != nil {
		t.Error(err)
	}
}

// Without addresses nobody new is let out, and told so.
func TestANATGatewayWithoutAddressesRefuses(t *testing.T) {
	r := newNATRig(t, dataplane.Config{}, natAddress)
	r.serve("443")
	conn, _ := r.open(natClients[0])
	r.put(desired.NAT{ID: gatewayID, VPC: provider, Draining: []netip.Addr{natAddress}})
	if _, _, err := r.dial(natClients[0], "443", testnet.Patience); !refused(err) {
		t.Errorf("%v, want a refusal", err)
	}
	if err := testnet.Echo(conn, "still"); err != nil {
		t.Error(err)
	}
}

// What is damaged of a gateway is seen and repaired, and connections live on where
// their namespace does.
func TestDamageOfANATGatewayIsRepaired(t *testing.T) {
	r := newNATRig(t, dataplane.Config{}, natAddress)
	r.serve("443")
	conn, _ := r.open(natClients[0])
	for _, line := range []string{
		"nft flush chain inet postern srcnat", "nft delete table inet postern", "nft add rule inet postern forward accept", "nft flush chain inet postern said",
		"sysctl -qw net.ipv4.ip_forward=0", "sysctl -qw net.ipv4.conf.all.rp_filter=0", "ip link set lo down",
	} {
		run(t, r.name(), line)
		if got := r.dump(); !strings.Contains(got, "damaged") {
			t.Errorf("%s: it is not seen: %q", line, got)
		}
		r.put(r.want)
		r.checkDump(line)
		if err := testnet.Echo(conn, "still"); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		r.open(natClients[1])
	}
	if err := network.DeleteNamespace(r.name()); err != nil {
		t.Fatal(err)
	}
	if got := r.dump(); !strings.Contains(got, "damaged") {
		t.Errorf("its name is gone: it is not seen: %q", got)
	}
	r.put(r.want)
	r.checkDump("named again")
	if err := testnet.Echo(conn, "still"); err != nil {
		t.Fatal(err)
	}
}

// A gateway that is taken away cuts its connections, and leaves nothing. Only the key
// of what is deleted counts, and deleting the absent is fine.
func TestARemovedNATGatewayCuts(t *testing.T) {
	r := newNATRig(t, dataplane.Config{}, natAddress)
	r.serve("443")
	conn, _ := r.open(natClients[0])
	r.start()
	for range 2 {
		for key, err := range r.host.Apply(t.Context(), r.realm(), nil, []desired.Entry{desired.NAT{ID: gatewayID}}) {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	conn.SetReadDeadline(time.Now().Add(testnet.Patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client reads %v, want a reset", err)
	}
	if realms, err := r.host.Realms(t.Context()); err != nil || len(realms) > 0 {
		t.Errorf("left: %v, %v", realms, err)
	}
	if got := r.dump(); got != "" {
		t.Errorf("left: %s", got)
	}
}

// An address has 55,000 connections to one destination, no more, and 55,000 can be had.
func TestANATGatewayHas55000ConnectionsForADestination(t *testing.T) {
	const most = 55000
	r := newNATRig(t, dataplane.Config{SlowPathOnly: true}, natAddress)
	err := r.client.Run(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		to := addr(natServer)
		for _, from := range natClients[:2] {
			for port := 1; port <= 65535; port++ {
				body := binary.BigEndian.AppendUint16(nil, uint16(port))
				packet := testnet.Packet{From: from, To: to, Protocol: unix.IPPROTO_UDP, Body: append(body, 0, 9, 0, 8, 0, 0)}
				if err := unix.Sendto(fd, packet.Bytes(), 0, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
					return fmt.Errorf("send from port %d: %w", port, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	u := r.use()
	if u.Connections > most || u.Connections < most-5 || u.Lost < 2*65535-most {
		t.Errorf("%+v, want %d connections and the others lost", u, most)
	}
}
