// SPDX-License-Identifier: Apache-2.0

package dataplane_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/dataplane"
	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/test/testnet"
)

// outsideShare is what the router of a VPC says of the share of the outside.
func (r *outsideRig) outsideShare(vpc string) (found dataplane.Share) {
	r.t.Helper()
	all, err := r.host.Shares(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range all {
		if s.VPC == vpc && s.Of == "outside" {
			found = s
		}
	}
	return found
}

// fillOutside holds so many connections from the outside to an address.
func (r *outsideRig) fillOutside(to string, count int) (open []net.Conn) {
	r.t.Helper()
	for range count {
		ctx, cancel := context.WithTimeout(r.t.Context(), testnet.Patience)
		conn, err := r.internet.Dial(ctx, "tcp", net.JoinHostPort(to, "80"))
		cancel()
		if err != nil {
			r.t.Fatalf("connection %d to %s: %v", len(open)+1, to, err)
		}
		r.t.Cleanup(func() { conn.Close() })
		open = append(open, conn)
	}
	return open
}

// Whoever is outside opens all that he can, by both families, and is refused at the share
// of the VPC that he comes to. The VPC's own go on, and so do other VPCs; when there is
// room, he is let in again.
func TestTheOutsideHasAShareOfARouter(t *testing.T) {
	const share, own6 = 60, "2001:db8:0:101::10"
	r := newOutsideRig(t, dataplane.Config{Shares: nft.Shares{Outside: share}})
	r.serve(r.internet)
	r.serve(r.one)
	r.serve(r.two)
	open := r.fillOutside(publicOne, share/2)
	r.fillOutside(own6, share/2)
	for what, to := range map[string]string{"beyond the share": publicOne, "beyond the share by IPv6": own6} {
		r.sees(what, r.internet, to, "refused")
	}
	r.sees("beyond it from another VPC", r.two, publicOne, "refused")
	r.sees("out of the VPC", r.one, webServer, publicOne)
	r.sees("out of the VPC by IPv6", r.one, webServer6, own6)
	r.sees("from the VPC to another one", r.one, publicTwo, publicOne)
	r.sees("into the other one", r.internet, publicTwo, webServer)
	if s := r.outsideShare(consumer); s.Limit != share || s.Refused < 3 {
		t.Errorf("the router says %+v, want what was refused", s)
	}
	if s := r.outsideShare(provider); s.Refused > 0 {
		t.Errorf("the other router says %+v", s)
	}
	for _, conn := range open {
		conn.Close()
	}
	for deadline := time.Now().Add(testnet.Patience); r.saw(r.internet, publicOne) != webServer; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the share is not open again")
		}
	}
}

// At its real size: somebody outside with as many addresses as he likes opens more
// connections than there are in a share, and answers none. The router goes on for all
// others, and nothing is lost in silence.
func TestAFloodFromOutsideFillsNothingButItsShare(t *testing.T) {
	const share = 2000 // a slow machine fills it before the kernel forgets the first packets
	r := newOutsideRig(t, dataplane.Config{Shares: nft.Shares{Outside: share}})
	r.serve(r.internet)
	r.serve(r.one)
	uses := func() dataplane.RouterUse {
		t.Helper()
		all, err := r.host.Uses(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range all {
			if u.VPC == consumer {
				return u
			}
		}
		t.Fatal("the router says nothing")
		return dataplane.RouterUse{}
	}
	flood := make([]testnet.Writable, 0, 5*share)
	for i := range cap(flood) {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(20 + i/60000)}), uint16(1024+i%60000))
		flood = append(flood, testnet.Segment{From: from, To: netip.AddrPortFrom(addr(publicOne), 80), Sequence: 1, Flags: testnet.SYN})
	}
	for rounds := 0; r.outsideShare(consumer).Refused == 0; rounds++ {
		if rounds == 10 {
			t.Fatal("nothing is refused")
		}
		testnet.Send(t, r.internet, flood...)
	}
	r.sees("into the VPC", r.internet, publicOne, "refused")
	r.sees("out of the VPC", r.one, webServer, publicOne)
	r.sees("out of the VPC by IPv6", r.one, webServer6, "2001:db8:0:101::10")
	use := uses()
	t.Logf("%d first packets, share %d: %+v, %+v", len(flood), share, use, r.outsideShare(consumer))
	if most := int64(share) * 5 / 4; use.Connections > most+use.Limit/20 || use.Lost > 0 {
		t.Errorf("%+v, want no more than %d connections and nothing lost", use, most)
	}
}
