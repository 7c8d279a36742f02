// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/reconcile"
)

// null is a kernel that does everything and has nothing.
type null struct{}

func (null) Realms(context.Context) ([]desired.Realm, error)              { return nil, nil }
func (null) Dump(context.Context, desired.Realm) ([]desired.Entry, error) { return nil, nil }
func (null) Apply(context.Context, desired.Realm, []desired.Entry, []desired.Entry) map[desired.Key]error {
	return nil
}

// BenchmarkOneChangeAmongMany measures from a delta of one entry to the report
// that says it is done, with 50,000 entries on the host.
func BenchmarkOneChangeAmongMany(b *testing.B) {
	var all []desired.Entry
	for i := range 50 {
		vpc := fmt.Sprintf("vpc-%02d", i)
		all = append(all, desired.Router{VPC: vpc})
		for j := range 1000 {
			all = append(all, desired.Class{VPC: vpc, Name: fmt.Sprintf("c-%d", j)})
		}
	}
	l := newLedger()
	r := reconcile.New(null{}, reconcile.Config{Report: l.add, VerifyInterval: 1 << 60})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go r.Run(ctx)
	revision := int64(1)
	send := func(d desired.Delta) {
		if err := r.Apply(d); err != nil {
			b.Fatal(err)
		}
		if err := l.wait(func(rep reconcile.Report) bool { return rep.Revision >= revision }); err != nil {
			b.Fatal(err)
		}
	}
	send(desired.Delta{Full: true, Revision: revision, Put: all})
	for b.Loop() {
		revision++
		rule := desired.Rule{Protocol: 6, From: int(revision), To: int(revision), Group: "sg-1"}
		send(desired.Delta{Revision: revision, Put: []desired.Entry{
			desired.Class{VPC: "vpc-00", Name: "c-0", In: []desired.Rule{rule}},
		}})
	}
}

// BenchmarkKept tells what is kept of an entry that is done.
func BenchmarkKept(b *testing.B) {
	const size = 50_000
	var all []desired.Entry
	for i := range size {
		all = append(all, desired.Class{VPC: fmt.Sprintf("vpc-%02d", i%50), Name: fmt.Sprintf("c-%d", i)})
	}
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		l := newLedger()
		r := reconcile.New(null{}, reconcile.Config{Report: l.add, VerifyInterval: 1 << 60})
		ctx, cancel := context.WithCancel(b.Context())
		go r.Run(ctx)
		if err := r.Apply(desired.Delta{Full: true, Revision: 1, Put: all}); err != nil {
			b.Fatal(err)
		}
		if err := l.wait(func(rep reconcile.Report) bool { return rep.Revision == 1 }); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(r)
		cancel()
	}
	b.ReportMetric((float64(after.HeapAlloc)-float64(before.HeapAlloc))/size, "B-kept")
	b.ReportMetric((float64(after.HeapObjects)-float64(before.HeapObjects))/size, "objects-kept")
}
