// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/posternhq/postern/internal/desired"
)

// openedBits are the lengths of prefixes of subnets that the rules ask for
// (docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html).
var openedBits = []int{44, 48, 52, 56, 60, 64}

func encodePublic(p *parts, e desired.Public, _ numbers) error {
	if err := valid(e.Addr, e.Private); err != nil {
		return err
	}
	if !e.Addr.Is4() {
		return errors.New("public addresses are of IPv4")
	}
	note := e.Addr.String()
	p.add(element{set: setPrivate, key: raw(e.Addr), value: raw(e.Private)},
		element{set: setPublic, key: raw(e.Private), value: raw(e.Addr)},
		element{set: setKnown, key: raw(e.Private), note: note})
	return nil
}

// publicOwner says to which entry an element of public addresses belongs.
func publicOwner(e element) (owner, bool) {
	text := e.note
	switch e.set {
	case setPrivate:
		text = e.key
	case setPublic:
		text = e.value
	}
	if e.set == setKnown {
		return owner{desired.KindPublic, text}, text != ""
	}
	a, ok := netip.AddrFromSlice([]byte(text))
	return owner{desired.KindPublic, a.String()}, ok
}

func decodePublic(vpc string, o owner, p *parts, _ names) desired.Entry {
	a, _ := netip.ParseAddr(o.id)
	e := desired.Public{VPC: vpc, Addr: a, Private: p.addr(setPrivate)}
	for _, part := range p.elements {
		if part.set != setPrivate && !e.Private.IsValid() {
			e.Private, _ = netip.AddrFromSlice([]byte(part.key))
		}
	}
	return e
}

func encodeOpened(p *parts, e desired.Opened, _ numbers) error {
	if !e.Prefix.IsValid() || !e.Prefix.Addr().Is6() || e.Prefix != e.Prefix.Masked() || !slices.Contains(openedBits, e.Prefix.Bits()) {
		return fmt.Errorf("%s is not the IPv6 prefix of a subnet, which has one of %v bits", e.Prefix, openedBits)
	}
	p.add(element{set: setOpened + strconv.Itoa(e.Prefix.Bits()), key: raw(e.Prefix.Addr())})
	return nil
}

// openedOwner says to which entry an element of opened prefixes belongs; ok is false for
// those of other sets.
func openedOwner(e element) (owner, bool) {
	length, ok := strings.CutPrefix(e.set, setOpened)
	bits, err := strconv.Atoi(length)
	if !ok || err != nil {
		return owner{}, false
	}
	a, ok := netip.AddrFromSlice([]byte(e.key))
	return owner{desired.KindOpened, netip.PrefixFrom(a, bits).String()}, ok
}

func decodeOpened(vpc string, o owner, _ *parts, _ names) desired.Entry {
	p, _ := netip.ParsePrefix(o.id)
	return desired.Opened{VPC: vpc, Prefix: p}
}
