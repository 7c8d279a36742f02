// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"runtime"
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// many is a world of ten thousand endpoints that lead to one configuration.
func many(b testing.TB) *world {
	w := newWorld(b)
	rows := connection()
	for i := range 10_000 {
		rows = append(rows, moreEndpoint(i)...)
	}
	w.commit(b, rows, false)
	w.last = w.db.Snapshot()
	w.plan.Change(w.last, everything(w.last))
	return w
}

func BenchmarkOneEndpointAmongTenThousand(b *testing.B) {
	w := many(b)
	benchmarkBothWays(b, w, moreEndpoint(10_001))
}

// BenchmarkTagOfAConfiguration changes what no endpoint depends on, in a row that
// ten thousand depend on.
func BenchmarkTagOfAConfiguration(b *testing.B) {
	w := many(b)
	row := find[*model.ResourceConfiguration](b, connection())
	row.Tags = map[string]string{"a": "b"}
	benchmarkBothWays(b, w, []table.Row{row})
}

// BenchmarkPortsOfAConfiguration changes what ten thousand endpoints depend on.
func BenchmarkPortsOfAConfiguration(b *testing.B) {
	w := many(b)
	row := find[*model.ResourceConfiguration](b, connection())
	row.Ports = []model.PortRange{{From: 1, To: 65535}}
	benchmarkBothWays(b, w, []table.Row{row})
}

// benchmarkBothWays has the plan take in what writing the rows changes, and then
// that it is undone.
func benchmarkBothWays(b *testing.B, w *world, rows []table.Row) {
	before := w.last
	w.commit(b, rows, false)
	after := w.db.Snapshot()
	there := changesBetween(before, after)
	back := slices.Clone(there)
	for i, c := range there {
		back[i].Old, back[i].New = c.New, c.Old
	}
	b.ReportAllocs()
	for b.Loop() {
		w.plan.Change(after, there)
		w.plan.Change(before, back)
	}
}

// BenchmarkTenThousandEndpoints computes the whole plan, as a start does, and
// tells how much memory it holds for an endpoint then.
func BenchmarkTenThousandEndpoints(b *testing.B) {
	w := many(b)
	changes := everything(w.last)
	b.ReportAllocs()
	var kept *Plan
	before, objects := heap()
	for b.Loop() {
		kept = New(w.plan.host, w.plan.domains, w.plan.outside)
		if r := kept.Change(w.last, changes); len(r.Put) < 10_000 {
			b.Fatalf("only %d entries", len(r.Put))
		}
	}
	after, more := heap()
	b.ReportMetric((float64(after)-float64(before))/10_000, "B-kept")
	b.ReportMetric((float64(more)-float64(objects))/10_000, "objects-kept")
	runtime.KeepAlive(kept)
	runtime.KeepAlive(w)
	runtime.KeepAlive(changes)
}

// heap is how much memory is in use, and by how many objects.
func heap() (bytes, objects uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.HeapObjects
}

// find gives the first row of a kind.
func find[T table.Row](t testing.TB, rows []table.Row) T {
	for _, row := range rows {
		if row, ok := row.(T); ok {
			return row
		}
	}
	t.Fatal("there is no such row")
	panic("unreachable")
}
