// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
)

// forwarded has the targets of the lab translate port 5999 to others of the server.
func forwarded(to ...uint16) (list []desired.Entry) {
	for target, at := range map[string][2]string{lab.Target4.String(): {"10.0.1.10", "10.0.1.50"}, lab.Target6.String(): {"2001:db8:0:1::10", "2001:db8:0:1::50"}} {
		f := desired.Forward{Port: 5999}
		for _, port := range to {
			f.To = append(f.To, netip.AddrPortFrom(netip.MustParseAddr(at[0]), port))
		}
		list = append(list, desired.Target{
			VPC: "vpc-b", Addr: netip.MustParseAddr(target), Gateway: netip.MustParseAddr(at[1]),
			Forwards: []desired.Forward{f, {Port: 5432, To: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(at[0]), 9000)}}},
		})
	}
	return list
}

// TestATargetTranslatesPorts has connections to one port come to others, in both families, each
// of several getting its part. What has no forward is refused, and what was open goes on
// when its forward is gone.
func TestATargetTranslatesPorts(t *testing.T) {
	r := newRig(t)
	r.OpenPort(5999)
	doors := map[string]string{"10.0.1.100": "10.0.1.10", "2001:db8:0:1::100": "2001:db8:0:1::10"}
	r.Put(r.TableB, forwarded(8005, 5433)...)
	for door := range doors {
		address := net.JoinHostPort(door, "5999")
		for _, alone := range []uint16{8005, 5433} {
			r.Put(r.TableB, forwarded(alone)...)
			r.works(r.Client, address)
			r.works(r.Far, address)
		}
		r.works(r.Client, net.JoinHostPort(door, "5432"))
		r.refused(r.Client, net.JoinHostPort(door, "9000"))
		_, conn, err := lab.Greeting(r.Client, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r.Put(r.TableB, forwarded()...)
		r.refused(r.Client, address)
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Errorf("an open connection: %v", err)
		} else if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Errorf("an open connection: %v", err)
		}
	}
}

// TestPortsAreReachedInTurn has both of two ports be drawn.
func TestPortsAreReachedInTurn(t *testing.T) {
	r := newRig(t)
	r.OpenPort(5999)
	one, other := r.Server.Accept(7001), r.Server.Accept(7002)
	r.Put(r.TableB, forwarded(7001, 7002)...)
	seen := map[string]bool{}
	for range 200 { // all on one side: one of 2^199
		conn, err := r.Client.Dial("tcp", "10.0.1.100:5999", nil, lab.Patience)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case c := <-one:
			seen["one"] = true
			c.Close()
		case c := <-other:
			seen["other"] = true
			c.Close()
		case <-t.Context().Done():
		}
		conn.Close()
		if len(seen) == 2 {
			return
		}
	}
	t.Errorf("only reached: %v", seen)
}
