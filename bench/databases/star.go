// SPDX-License-Identifier: Apache-2.0

package databases

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/posternhq/postern/bench/scope"
	"github.com/posternhq/postern/bench/wiring"
	"github.com/posternhq/postern/test/testnet"
)

// star is a client and places for servers behind a plain router.
type star struct {
	scope.Scope
	router, client *testnet.NS
	places         []*testnet.NS
}

// newStar makes one, which the caller closes also when it is not whole.
func newStar(places int) (s *star, err error) {
	s = &star{}
	if s.router, err = s.Namespace(); err != nil {
		return s, err
	}
	if err := wiring.Forward(s.router); err != nil {
		return s, err
	}
	for link := range places + 1 {
		ns, err := s.Namespace()
		if err != nil {
			return s, err
		}
		err = errors.Join(
			wiring.Wire(wiring.End{NS: s.router, Device: fmt.Sprintf("to%d", link), Address: spoke(link, near)}, wiring.End{NS: ns, Device: "eth1", Address: spoke(link, far)}, wiring.WorkloadMTU),
			wiring.Route(ns, "192.168.0.0/16", spoke(link, near)),
		)
		if err != nil {
			return s, err
		}
		if link == 0 {
			s.client = ns
		} else {
			s.places = append(s.places, ns)
		}
	}
	return s, nil
}

// The ends of a link of a star: the router's and the other one.
const near, far = 1, 2

// spoke is the address of an end of a link: 0 is the client's, the others are of places, in
// their order.
func spoke(link, end int) netip.Addr {
	return netip.AddrFrom4([4]byte{192, 168, byte(10 + link), byte(end)})
}
