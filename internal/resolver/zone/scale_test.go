// SPDX-License-Identifier: Apache-2.0

package zone_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/resolver/wire"
	"github.com/posternhq/postern/internal/resolver/zone"
)

// large has n records in zones of ten thousand, and VPCs that see all of them.
func large(t testing.TB, n, vpcs int) *zone.World {
	t.Helper()
	var put []desired.Entry
	for v := range vpcs {
		r := resolver
		r.VPC = fmt.Sprintf("vpc-%d", v+1)
		put = append(put, r)
		for z := range (n + 9999) / 10000 {
			put = append(put, desired.View{VPC: r.VPC, Zone: fmt.Sprintf("Z%d", z)})
		}
	}
	for i := range n {
		zone := i / 10000
		if i%10000 == 0 {
			put = append(put, desired.NameZone{ID: fmt.Sprintf("Z%d", zone), Name: fmt.Sprintf("zone%d.example.com.", zone), Negative: 5})
		}
		put = append(put, record(i))
	}
	w, failed := (&zone.World{}).With(put, nil)
	for _, err := range failed {
		t.Fatal(err)
	}
	return w
}

func record(i int) desired.NameRecord {
	addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	return desired.NameRecord{Zone: fmt.Sprintf("Z%d", i/10000), Name: fmt.Sprintf("host%d.zone%d.example.com.", i, i/10000), Type: "A", TTL: 60, Data: []string{addr.String()}}
}

// packets asks for the first n names.
func packets(n int) (list [][]byte) {
	for i := range n {
		name, err := wire.AppendName(nil, record(i).Name)
		if err != nil {
			panic(err)
		}
		list = append(list, wire.AppendQuestion(nil, uint16(i), name, wire.TypeA))
	}
	return list
}

func TestAnswersAllocateNothing(t *testing.T) {
	w := families(t)
	for _, c := range []struct {
		name string
		kind uint16
	}{
		{"www.example.com.", wire.TypeA}, {"example.com.", wire.TypeAAAA}, {"near.example.com.", wire.TypeA}, {"c1.example.com.", wire.TypeA}, {"a.b.c.wild.example.com.", wire.TypeA},
		{"none.of.these.names.that.are.long.is.here.example.com.", wire.TypeA}, {"www.example.com.", wire.TypeAAAA}, {"none.other.org.", wire.TypeA},
		{"ip-10-0-0-1.ec2.internal.", wire.TypeA}, {"1.0.0.10.in-addr.arpa.", wire.TypePTR}, {"9.9.168.192.in-addr.arpa.", wire.TypePTR}, {"out.example.com.", wire.TypeA},
		{"loop1.example.com.", wire.TypeA}, {"www.example.com.", wire.TypeANY},
	} {
		name, err := wire.AppendName(nil, c.name)
		if err != nil {
			t.Fatal(err)
		}
		packet, buffer, a := wire.AppendQuestion(nil, 1, name, c.kind), make([]byte, 0, 4096), zone.Ask{VPC: vpc, Client: client}
		if n := testing.AllocsPerRun(100, func() {
			a.Question.Read(packet)
			a.Answer.Begin(buffer, &a.Question, false)
			w.Answer(&a)
			a.Answer.End(a.Code)
		}); n != 0 {
			t.Errorf("%s, type %d: %v allocations", c.name, c.kind, n)
		}
	}
}

// One record among many is changed without a look at the others: in as many
// allocations and bytes as a small world needs, but for a step more in the tries.
func TestAChangeCostsWhatItChanges(t *testing.T) {
	cost := func(w *zone.World) (allocations, bytes uint64) {
		change := record(77)
		change.Data = []string{"10.9.9.9"}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const runs = 100
		for range runs {
			if _, failed := w.With([]desired.Entry{change}, nil); failed != nil {
				t.Fatal(failed)
			}
		}
		runtime.ReadMemStats(&after)
		return (after.Mallocs - before.Mallocs) / runs, (after.TotalAlloc - before.TotalAlloc) / runs
	}
	allocations, bytes := cost(large(t, 100_000, 100))
	t.Logf("%d allocations of %d bytes in all", allocations, bytes)
	if allocations > 60 || bytes > 16<<10 {
		t.Errorf("a change among 100,000 records takes %d allocations of %d bytes in all", allocations, bytes)
	}
}

func TestAHundredThousandRecordsFitIntoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	w := large(t, 100_000, 1000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d MiB", used>>20)
	if used > 64<<20 {
		t.Errorf("100,000 records in 1,000 VPCs take %d MiB", used>>20)
	}
	runtime.KeepAlive(w)
}

func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, list, buffer, a := large(b, n, 1), packets(n), make([]byte, 0, 4096), zone.Ask{VPC: vpc, Client: client}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a.Question.Read(list[i*7919%n])
				a.Answer.Begin(buffer, &a.Question, false)
				w.Answer(&a)
				a.Answer.End(a.Code)
			}
		})
	}
}

func BenchmarkWith(b *testing.B) {
	w, start := large(b, 100_000, 1000), time.Now()
	b.ReportAllocs()
	i := 0
	for ; b.Loop(); i++ {
		r := record(i * 7919 % 100_000)
		r.TTL = uint32(61 + i)
		w, _ = w.With([]desired.Entry{r}, nil)
	}
	b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(i), "ns/change")
}
