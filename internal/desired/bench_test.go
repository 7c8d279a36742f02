// SPDX-License-Identifier: Apache-2.0

package desired

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// many gives as many entries as ten thousand endpoints have, in a random order.
func many() []Entry {
	vpcs := make([]string, 50)
	for i := range vpcs {
		vpcs[i] = "vpc-0123456789abcde" + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	target := netip.MustParseAddr("240.8.0.1")
	var entries []Entry
	for i := range 10_000 {
		vpc := vpcs[i%len(vpcs)]
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		entries = append(entries, Address{VPC: vpc, Addr: addr, Class: "c-0123456789ab"},
			Endpoint{VPC: vpc, Addr: addr, Target: target, Ports: []PortRange{{5432, 5432}}})
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	return entries
}

func BenchmarkText(b *testing.B) {
	entries := many()
	b.ReportAllocs()
	for b.Loop() {
		if Text(entries) == "" {
			b.Fatal("no text")
		}
	}
}

func BenchmarkString(b *testing.B) {
	e := Endpoint{VPC: "vpc-0123456789abcdef0", Addr: netip.MustParseAddr("10.0.1.100"), Target: netip.MustParseAddr("240.8.0.1"),
		Ports: []PortRange{{5432, 5432}}}
	b.ReportAllocs()
	for b.Loop() {
		_ = e.String()
	}
}
