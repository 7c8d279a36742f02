// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"fmt"
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
