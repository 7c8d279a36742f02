// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
)

var nameserver = desired.NewNameserver("vpc-a", netip.MustParsePrefix("10.0.0.0/16"))

// names gives router A the VPC's resolver: it has its addresses, and something
// listens there, which sends back what it receives.
func (r rig) names() {
	r.t.Helper()
	r.A.Greet(53)
	for _, a := range nameserver.Addrs {
		nodad := ""
		if a.Is6() {
			nodad = " nodad"
		}
		r.A.IP("address add " + a.String() + " dev lo" + nodad)
		r.echo(net.JoinHostPort(a.String(), "53"))
	}
	r.Put(r.TableA, nameserver)
}

// echo sends datagrams back that come to an address of router A.
func (r rig) echo(address string) {
	r.t.Helper()
	conn, err := r.A.ListenPacket("udp", address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			conn.WriteTo(buffer[:n], from)
		}
	}()
}

// asks sends a datagram and waits for it to come back, from where it went. Datagrams
// may be lost on a busy machine: like a client of names it sends another one then.
func (r rig) asks(from *lab.Namespace, address string, patience time.Duration) error {
	conn, err := from.Dial("udp", address, nil, lab.Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	for end := time.Now().Add(patience); ; {
		if _, err = conn.Write([]byte("?")); err == nil {
			conn.SetReadDeadline(time.Now().Add(min(time.Second, patience)))
			_, err = conn.Read(make([]byte, 1))
		}
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// Whatever security groups say, a workload reaches port 53 of the resolver's addresses
// over UDP and TCP. Nothing else of the router is open to it.
func TestTheRouterAnswersNamesAndEchoesOnly(t *testing.T) {
	r := newRig(t)
	r.names()
	r.A.Greet(80)
	r.echo("10.0.1.1:53")
	r.Put(r.TableA, lab.Class("vpc-a", "c-work", nil, nil))
	for _, a := range nameserver.Addrs {
		address := net.JoinHostPort(a.String(), "53")
		r.works(r.Client, address, "10.0.1.10", "2001:db8:0:1::10")
		if err := r.asks(r.Client, address, lab.Patience); err != nil {
			t.Errorf("ask %s: %v", address, err)
		}
	}
	r.silent(r.Client, "10.0.1.1:53")
	r.silent(r.Client, "10.0.2.11:53")
	r.Put(r.TableA, lab.Class("vpc-a", "c-work", lab.AnyRules, lab.AnyRules))
	for _, closed := range []string{"10.0.0.2:80", "169.254.169.253:80", "[fd00:ec2::253]:80", "10.0.1.1:53", "10.0.1.1:80"} {
		r.refused(r.Client, closed)
	}
	if err := r.asks(r.Client, "10.0.1.1:53", silence); err == nil {
		t.Error("the gateway's address answers names")
	}
	if !r.Client.Ping("10.0.1.1", lab.Patience) || !r.Client.Ping("169.254.169.253", lab.Patience) {
		t.Error("the router does not answer echo requests")
	}
	r.Remove(r.TableA, nameserver)
	for _, a := range nameserver.Addrs {
		r.refused(r.Client, net.JoinHostPort(a.String(), "53"))
		if err := r.asks(r.Client, net.JoinHostPort(a.String(), "53"), silence); err == nil {
			t.Errorf("%s answers when the resolver has gone", a)
		}
	}
}

// Nobody comes to a VPC's resolver by way of an association, even when a
// configuration names its address.
func TestTheResolverIsNotForOtherVPCs(t *testing.T) {
	r := newRig(t)
	r.A.Greet(53) // the endpoint's port leads to the same one
	r.B.Greet(5432)
	r.B.IP("address add 169.254.169.253/32 dev lo")
	r.Put(r.TableB, desired.Nameserver{VPC: "vpc-b", Addrs: nameserver.Addrs[1:2]})
	target := lab.TargetEntry4
	target.Dest = netip.MustParseAddr("169.254.169.253")
	r.Put(r.TableB, target)
	door := lab.Endpoint4
	door.Ports, door.PortSet = []desired.PortRange{{From: 53, To: 53}, {From: 5432, To: 5432}}, ""
	r.Put(r.TableA, door)
	r.B.Greet(53)
	r.refused(r.Client, "10.0.1.100:5432")
	r.refused(r.Client, "10.0.1.100:53")
}

// Questions over UDP take no place among the connections that are tracked, and do not
// count for a client's share.
func TestQuestionsAreNotTracked(t *testing.T) {
	r := newRig(t)
	a, _ := r.share(nft.Shares{Client: few, Queries: 1 << 20})
	r.names()
	before := use(t, a).Connections
	for range 3 * few {
		for _, of := range nameserver.Addrs {
			if err := r.asks(r.Client, net.JoinHostPort(of.String(), "53"), lab.Patience); err != nil {
				t.Fatal(err)
			}
		}
	}
	if after := use(t, a); after.Connections > before || after.Refused.Client > 0 {
		t.Errorf("%d connections are tracked after %d before, refused %+v", after.Connections, before, after.Refused)
	}
	r.works(r.Client, endpoint4)
}

// An interface gets so many answers a second, whichever address it asks, and the
// others theirs.
func TestOneClientsFloodLeavesOthersTheirAnswers(t *testing.T) {
	const pace, flood = 80, 2000
	r := newRig(t)
	a, _ := r.share(nft.Shares{Queries: pace})
	r.names()
	answers, begin := 0, time.Now()
	conns := make([]net.Conn, len(nameserver.Addrs))
	for i, of := range nameserver.Addrs {
		conn, err := r.Client.Dial("udp", net.JoinHostPort(of.String(), "53"), nil, lab.Patience)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	for i := range flood {
		if _, err := conns[i%len(conns)].Write([]byte("?")); err != nil {
			t.Fatal(err)
		}
		if i%(flood/8) == 0 {
			if err := r.asks(r.Near, "10.0.0.2:53", lab.Patience); err != nil {
				t.Errorf("a neighbour asks: %v", err)
			}
		}
	}
	for _, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(silence))
		for {
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				break
			}
			answers++
		}
	}
	took, refused := time.Since(begin), int(use(t, a).Refused.Queries)
	most := pace/4 + int(took.Seconds()*pace) + 1
	if answers == 0 || answers > most || refused < flood-most || refused > flood-answers {
		t.Errorf("of %d packets in %v %d were answered and %d refused, want at most %d answers", flood, took, answers, refused, most)
	}
	if got := use(t, a).Refused.Sum(); got > 0 {
		t.Errorf("%d connections are refused", got)
	}
}

// Packets of TCP count as others do, and a pace that is changed holds at once.
func TestThePaceIsThatOfTheRules(t *testing.T) {
	r := newRig(t)
	a, _ := r.share(nft.Shares{Queries: 1})
	r.names()
	for use(t, a).Refused.Queries == 0 && !t.Failed() {
		conn, err := r.Client.Dial("tcp", "10.0.0.2:53", nil, silence)
		if err == nil {
			conn.Close()
		}
		if t.Context().Err() != nil {
			t.Fatal("no packet of TCP was beyond the pace")
		}
	}
	r.share(nft.Shares{Queries: 1 << 20})
	for range 20 {
		r.works(r.Client, "10.0.0.2:53")
	}
}

// A question in a packet with options of IP is refused as any other packet.
func TestQuestionsArePlain(t *testing.T) {
	r := newRig(t)
	r.names()
	conn, err := r.Client.Dial("udp", "10.0.0.2:53", nil, lab.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			err = unix.SetsockoptString(int(fd), unix.IPPROTO_IP, unix.IP_OPTIONS, "\x94\x04\x00\x00") // router alert (RFC 2113)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("?"))
	conn.SetReadDeadline(time.Now().Add(silence))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a question with options of IP is answered")
	}
}
