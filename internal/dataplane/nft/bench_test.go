// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"net/netip"
	"runtime"
	"testing"

	"github.com/posternhq/postern/internal/dataplane/nft"
	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/test/lab"
)

// many makes n endpoints with their addresses.
func many(n int) []desired.Entry {
	entries := []desired.Entry{lab.Class(vpc, "c-1", lab.AnyRules, nil)}
	for i := range n {
		entries = append(entries, one(i)...)
	}
	return entries
}

func one(i int) []desired.Entry {
	a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	target := netip.AddrFrom4([4]byte{240, byte(i >> 16), byte(i >> 8), byte(i)})
	return []desired.Entry{
		desired.Address{VPC: vpc, Addr: a, Class: "c-1"},
		desired.Endpoint{VPC: vpc, Addr: a, Target: target, Ports: []desired.PortRange{{From: 5432, To: 5432}}},
	}
}

const size = 10_000

func filled(b *testing.B) *nft.Table {
	b.Helper()
	table, _ := newTable(b)
	if failed := table.Apply(b.Context(), many(size), nil); failed != nil {
		b.Fatal(failed)
	}
	return table
}

// BenchmarkKept tells what a table keeps in memory of each endpoint, with its address.
func BenchmarkKept(b *testing.B) {
	table, _ := newTable(b)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		if failed := table.Apply(b.Context(), many(size), nil); failed != nil {
			b.Fatal(failed)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if failed := table.Apply(b.Context(), nil, many(size)); failed != nil {
			b.Fatal(failed)
		}
	}
	b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/size, "B-kept")
	b.ReportMetric((float64(after.HeapObjects)-float64(before.HeapObjects))/size, "objects-kept")
}

// BenchmarkApplyOne puts and deletes one endpoint among ten thousand.
func BenchmarkApplyOne(b *testing.B) {
	table := filled(b)
	entries := one(size + 1)
	for b.Loop() {
		if failed := table.Apply(b.Context(), entries, nil); failed != nil {
			b.Fatal(failed)
		}
		if failed := table.Apply(b.Context(), nil, entries); failed != nil {
			b.Fatal(failed)
		}
	}
}

// BenchmarkApplyClass changes the rules of a class that all addresses have.
func BenchmarkApplyClass(b *testing.B) {
	table := filled(b)
	for i := 0; b.Loop(); i++ {
		rules := lab.AnyRules[:i%2]
		if failed := table.Apply(b.Context(), []desired.Entry{lab.Class(vpc, "c-1", rules, nil)}, nil); failed != nil {
			b.Fatal(failed)
		}
	}
}

// BenchmarkApplyAll puts ten thousand endpoints into an empty table.
func BenchmarkApplyAll(b *testing.B) {
	entries := many(size)
	table, _ := newTable(b)
	for b.Loop() {
		if failed := table.Apply(b.Context(), entries, nil); failed != nil {
			b.Fatal(failed)
		}
		b.StopTimer()
		if failed := table.Apply(b.Context(), nil, entries); failed != nil {
			b.Fatal(failed)
		}
		b.StartTimer()
	}
}

// BenchmarkDump reads ten thousand endpoints back.
func BenchmarkDump(b *testing.B) {
	table := filled(b)
	for b.Loop() {
		content, err := table.Dump(b.Context(), vpc)
		if err != nil || len(content.Entries) != 2*size+1 {
			b.Fatal(len(content.Entries), err)
		}
	}
}

// BenchmarkLoad loads the skeleton into a namespace that has it.
func BenchmarkLoad(b *testing.B) {
	table, _ := newTable(b)
	for b.Loop() {
		if err := table.Load(b.Context(), router); err != nil {
			b.Fatal(err)
		}
	}
}
