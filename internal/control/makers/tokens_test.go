// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/table"
)

const (
	account = "111122223333"
	region  = "us-east-1"
)

func token(name string, at time.Time) *model.ClientToken {
	return &model.ClientToken{Account: account, Region: region, Operation: "CreateVpcEndpoint", Token: name, CreatedAt: at}
}

// tokens gives the names of those that there are.
func (w *world) tokens() string {
	var names []string
	for row := range state.ClientTokens.All(w.db.Snapshot()) {
		names = append(names, row.Token)
	}
	return strings.Join(names, " ")
}

// TestTokensGoWhenTheyExpire, on the second, whether or not anything else happens, and
// also those that expired while nobody ran; one that is used again stays.
func TestTokensGoWhenTheyExpire(t *testing.T) {
	const life = 24 * time.Hour
	run(t, nil, func(w *world) {
		start := time.Now()
		w.update(func(tx *table.Txn) {
			for i, name := range []string{"a", "b", "c"} {
				state.ClientTokens.Put(tx, token(name, start.Add(time.Duration(i)*time.Hour)))
			}
		})
		_, stop := w.start(w.db, nil, Tokens{})
		expect := func(when, want string) {
			w.Helper()
			if got := w.tokens(); got != want {
				w.Errorf("%s tokens %q are left, want %q", when, got, want)
			}
		}
		w.elapse(life - time.Second)
		expect("before the first expires", "a b c")
		w.elapse(time.Second)
		expect("when the first expires", "b c")
		w.update(func(tx *table.Txn) { state.ClientTokens.Put(tx, token("b", time.Now())) })
		w.elapse(time.Hour)
		expect("when one was used again", "b c")
		stop()
		w.elapse(12 * time.Hour)
		expect("while nobody runs", "b c")
		_, stop = w.start(w.db, nil, Tokens{})
		expect("when somebody runs again", "b")
		w.elapse(life)
		expect("after everything", "")
		stop()
	})
}

// TestManyTokensGoInPieces: no commit has more operations than a cluster takes, and
// what else is written meanwhile waits for two others at most.
func TestManyTokensGoInPieces(t *testing.T) {
	const many = 10_000
	const commit = time.Millisecond // of the bubble: nothing else takes time there
	var largest atomic.Int64
	watch := func(txn store.Txn) error {
		largest.Store(max(largest.Load(), int64(max(len(txn.Compare), len(txn.Put)+len(txn.Delete)))))
		time.Sleep(commit)
		return nil
	}
	run(t, watch, func(w *world) {
		putTokens(w, many)
		late := w.open()
		defer late.Close()
		w.elapse(48 * time.Hour)
		left := func() int { return state.ClientTokens.CountScope(late.Snapshot(), account, region) }
		var others sync.WaitGroup
		updates := 0
		others.Go(func() {
			for ; left() > 0 && w.Context().Err() == nil; updates++ {
				before := time.Now()
				if _, err := late.Update(w.Context(), func(tx *table.Txn) error { dones.Put(tx, &done{"other", updates}); return nil }); err != nil {
					w.Error(err)
				}
				if waited := time.Since(before) / commit; waited > 3 { // with its own
					w.Errorf("an update of somebody else waited for %d commits", waited-1)
				}
			}
		})
		r, stop := w.start(late, nil, Tokens{})
		defer stop()
		others.Wait()
		w.elapse(time.Second)
		if n := left(); n != 0 || len(r.Troubles()) > 0 || updates < many/together/3 {
			w.Errorf("%d tokens are left of %d, with troubles %v and %d updates meanwhile", n, many, r.Troubles(), updates)
		}
	})
	if largest.Load() > 127 {
		t.Errorf("a commit has %d operations, want at most 127", largest.Load())
	}
}

// putTokens puts tokens into the store, past its tables.
func putTokens(w *world, many int) {
	w.Helper()
	var rows store.Txn
	for i := range many {
		row := token(fmt.Sprintf("%06d", i), time.Now().Add(time.Duration(i%3)*time.Hour))
		value, err := json.Marshal(row)
		if err != nil {
			w.Fatal(err)
		}
		_, _, id := row.RowKey()
		path := account + "/" + region + "/" + strings.NewReplacer("%", "%25", "/", "%2F").Replace(id)
		rows.Put = append(rows.Put, store.KeyValue{Key: table.StoredRows + "client-token/" + path, Value: value})
	}
	if _, _, err := w.kv.(*watched).Store.Commit(w.Context(), rows); err != nil {
		w.Fatal(err)
	}
}

// An answer has a bound, however many tokens there are.
func TestAnswersAreBounded(t *testing.T) {
	run(t, nil, func(w *world) {
		w.update(func(tx *table.Txn) {
			for i := range 2 * atOnce {
				state.ClientTokens.Put(tx, token(fmt.Sprint(i), time.Unix(1, 0)))
			}
		})
		a := Tokens{}.Ask(w.db.Snapshot(), time.Now())
		if len(a.Changes) != atOnce || !a.Again.IsZero() {
			w.Errorf("%d changes, again at %v; want %d and to be asked when they are made", len(a.Changes), a.Again, atOnce)
		}
	})
}

func block(id string) model.CIDRAssociation { return model.CIDRAssociation{ID: id} }

// TestFormerBlocksGo out of the rows of VPCs and subnets an hour after they were taken
// away, and leave what else was changed.
func TestFormerBlocksGo(t *testing.T) {
	run(t, nil, func(w *world) {
		vpc := &model.VPC{Meta: model.Meta{Account: account, Region: region, ID: "vpc-1"}}
		subnet := &model.Subnet{Meta: model.Meta{Account: account, Region: region, ID: "subnet-1"}, CIDR6: block("c")}
		vpc.Drop(block("a"), time.Now())
		vpc.Drop(block("b"), time.Now().Add(time.Minute))
		subnet.Drop6(time.Now().Add(2 * time.Minute))
		w.update(func(tx *table.Txn) { state.VPCs.Put(tx, vpc); state.Subnets.Put(tx, subnet) })
		_, stop := w.start(w.db, nil, FormerBlocks{})
		defer stop()
		former := func() (ids []string) {
			v, _ := state.VPCs.Get(w.db.Snapshot(), account, region, "vpc-1")
			s, _ := state.Subnets.Get(w.db.Snapshot(), account, region, "subnet-1")
			for _, b := range slices.Concat(v.FormerCIDRs, s.FormerCIDRs) {
				ids = append(ids, b.ID)
			}
			return ids
		}
		w.elapse(time.Hour - time.Second)
		for _, want := range []string{"a b c", "b c", "c", ""} {
			if got := strings.Join(former(), " "); got != want {
				w.Errorf("former blocks %q, want %q", got, want)
			}
			w.elapse(time.Minute)
		}
	})
}
