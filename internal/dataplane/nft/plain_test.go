// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/test/lab"
	"github.com/posternhq/postern/test/testnet"
)

// options are packets that are not plain, by name: options of IPv4, and
// extension headers of IPv6 with the number of the first one. In these the
// number of what follows is filled in.
var options = map[string]map[string]testnet.Packet{
	"IPv4": {
		"record route":        {Options: []byte{7, 39, 4, 39: 0}},
		"timestamps":          {Options: []byte{68, 36, 5, 1, 39: 0}},
		"loose source route":  {Options: []byte{131, 7, 4, 10, 0, 1, 1, 0}},
		"strict source route": {Options: []byte{137, 7, 4, 10, 0, 1, 1, 0}},
		"router alert":        {Options: []byte{148, 4, 0, 0}},
		"security":            {Options: []byte{130, 11, 11: 0}},
		"nothing":             {Options: []byte{1, 1, 1, 0}},
		"unknown":             {Options: []byte{30, 4, 0, 0}},
		"wrong":               {Options: []byte{7, 99, 4, 0}},
	},
	"IPv6": {
		"hop by hop":          {First: 0, Options: []byte{0, 0, 1, 4, 0, 0, 0, 0}},
		"router alert":        {First: 0, Options: []byte{0, 0, 5, 2, 0, 0, 1, 0}},
		"source route":        {First: 43, Options: []byte{0, 2, 0, 0, 23: 0}},
		"mobile route":        {First: 43, Options: []byte{0, 2, 2, 0, 23: 0}},
		"segment route":       {First: 43, Options: []byte{0, 2, 4, 0, 23: 0}},
		"destination options": {First: 60, Options: []byte{0, 0, 1, 4, 0, 0, 0, 0}},
		"fragment of one, then destination options": {First: 44, Options: []byte{60, 0, 0, 0, 0, 0, 0, 9, 0, 0, 1, 4, 0, 0, 0, 0}},
		"mobility": {First: 135, Options: []byte{0, 0, 0, 0, 0, 0, 0, 0}},
	},
}

// unplain gives the packets that are not plain and are otherwise like p.
func unplain(p testnet.Packet, family string) map[string]testnet.Packet {
	all := map[string]testnet.Packet{}
	for name, o := range options[family] {
		q := p
		q.First, q.Options = o.First, append([]byte(nil), o.Options...)
		if family == "IPv6" {
			last := len(q.Options) - 8
			if q.First == 43 {
				last = 0
			}
			q.Options[last] = p.Protocol
		}
		all[name] = q
	}
	return all
}

// Options of IP would show the addresses of the routers on the way, and what an
// endpoint is translated to.
func TestOnlyPlainPacketsGoThrough(t *testing.T) {
	for _, m := range realms {
		t.Run(m.name, func(t *testing.T) {
			r := newRig(t)
			client, endpoint, gateway, server := live(t, r, m)
			far := netip.AddrPortFrom(addr(m.far), 9)
			syn := segment(client, netip.AddrPortFrom(endpoint.Addr(), 5432))
			syn.Body[13] = 2
			echo := testnet.Packet{From: client.Addr(), To: far.Addr(), Protocol: m.protocol, Body: append([]byte{128, 0, 0, 0, 0, 1, 0, 1}, secret...)}
			if m.name == "IPv4" {
				echo.Body[0] = 8
			}
			datagram := segment(client, far)
			datagram.Protocol, datagram.Body = unix.IPPROTO_UDP, append([]byte{0, 9, 0, 9, 0, 0, 0, 0}, secret...)
			datagram.Body[4], datagram.Body[5] = byte(len(datagram.Body)>>8), byte(len(datagram.Body))
			for _, c := range []struct {
				name     string
				from, to *lab.Namespace
				packet   testnet.Packet
			}{
				{"SYN", r.Client, r.Server, syn},
				{"segment of a live connection", r.Client, r.Server, segment(client, endpoint)},
				{"segment of the server", r.Server, r.Client, segment(server, gateway)},
				{"echo request", r.Client, r.Far, echo},
				{"datagram", r.Client, r.Far, datagram},
			} {
				tap := c.to.Tap(t)
				for name, p := range unplain(c.packet, m.name) {
					testnet.Send(t, c.from.NS, p)
					if tap.Next(0, ours) != nil {
						t.Errorf("%s with %s arrives", c.name, name)
					}
				}
				if m.name == "IPv6" && c.packet.Protocol == unix.IPPROTO_UDP {
					continue // which needs a checksum there
				}
				testnet.Send(t, c.from.NS, c.packet)
				if tap.Next(lab.Patience, ours) == nil {
					t.Errorf("%s without options does not arrive", c.name)
				}
			}
			if seen := r.A.Nft("list", "chain", "inet", "postern", "plain"); !regexp.MustCompile(`packets [1-9]`).MatchString(seen) {
				t.Errorf("what is dropped is not counted:\n%s", seen)
			}
		})
	}
}

// ours says whether a packet carries the secret.
func ours(packet []byte) bool { return strings.Contains(string(packet), string(secret)) }
