// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/posternhq/postern/internal/dataplane/flow"
	"github.com/posternhq/postern/internal/dataplane/nft/nfnl"
	"github.com/posternhq/postern/test/lab"
)

// Attributes of linux/netfilter/nfnetlink_conntrack.h that only making entries
// needs.
const (
	messageNew    = 0
	attrProtoInfo = 4
	attrTimeout   = 7
)

// track adds TCP flows from many ports to dest, as if they were established.
func track(b *testing.B, conn *nfnl.Conn, source, dest netip.Addr, flows int) {
	b.Helper()
	var batch nfnl.Builder
	tuple := func(typ uint16, from, to netip.Addr, fromPort, toPort int) {
		batch.Nest(typ, func() {
			batch.Nest(1, func() { batch.Bytes(1, from.AsSlice()); batch.Bytes(2, to.AsSlice()) })
			batch.Nest(2, func() {
				batch.Bytes(1, []byte{unix.IPPROTO_TCP})
				batch.Bytes(2, binary.BigEndian.AppendUint16(nil, uint16(fromPort)))
				batch.Bytes(3, binary.BigEndian.AppendUint16(nil, uint16(toPort)))
			})
		})
	}
	for i := range flows {
		batch.Message(unix.NFNL_SUBSYS_CTNETLINK, messageNew, nfnl.Create|nfnl.Exclusive, unix.AF_INET)
		tuple(1, source, dest, 1024+i, 5432)
		tuple(2, dest, source, 5432, 1024+i)
		batch.Uint32(attrTimeout, 600)
		batch.Nest(attrProtoInfo, func() {
			batch.Nest(1, func() { batch.Bytes(1, []byte{3}) }) // TCP_CONNTRACK_ESTABLISHED
		})
	}
	if failures, err := conn.Each(&batch); err != nil || len(failures) > 0 {
		b.Fatalf("track flows: %v, %d failures, first %v", err, len(failures), failures[:min(1, len(failures))])
	}
}

// BenchmarkCutOneOfMany cuts one flow among a hundred thousand others.
func BenchmarkCutOneOfMany(b *testing.B) { benchmarkCut(b, "10.0.1.101") }

// BenchmarkCutTwoOfMany cuts flows of two destinations, for which the kernel
// must describe all flows.
func BenchmarkCutTwoOfMany(b *testing.B) { benchmarkCut(b, "10.0.1.101", "10.0.1.102") }

// BenchmarkCutMany cuts ten thousand flows at once.
func BenchmarkCutMany(b *testing.B) {
	n := lab.NewNamespace(b)
	conn, err := nfnl.Dial(n.FD())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	dest := netip.MustParseAddr("10.0.1.100")
	const flows = 10_000
	for b.Loop() {
		track(b, conn, netip.MustParseAddr("10.0.1.10"), dest, flows)
		if cut, err := flow.Cut(b.Context(), flow.Alone(n.FD()), []flow.Match{{Dest: dest}}, nil); cut != flows || err != nil {
			b.Fatal(cut, err)
		}
	}
}

// benchmarkCut cuts one flow to each destination among a hundred thousand.
func benchmarkCut(b *testing.B, dests ...string) {
	n := lab.NewNamespace(b)
	conn, err := nfnl.Dial(n.FD())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	const perSource = 50_000
	client := netip.MustParseAddr("10.0.1.10")
	for _, source := range []netip.Addr{client, client.Next()} {
		track(b, conn, source, netip.MustParseAddr("10.0.1.100"), perSource)
	}
	for b.Loop() {
		var matches []flow.Match
		for _, dest := range dests {
			matches = append(matches, flow.Match{Dest: netip.MustParseAddr(dest)})
			track(b, conn, client, matches[len(matches)-1].Dest, 1)
		}
		if cut, err := flow.Cut(b.Context(), flow.Alone(n.FD()), matches, nil); cut != len(dests) || err != nil {
			b.Fatal(cut, err)
		}
	}
}
