// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// zero is when the worlds of the law begin; an hour and a day later things are due.
var zero = time.Unix(1_800_000_000, 0).UTC()

// drawRows gives rows that makers have to do with, of all ages.
func drawRows(t *rapid.T) func(*table.Txn) {
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return zero.Add(time.Duration(rapid.IntRange(0, 30*60).Draw(t, "minutes")) * time.Minute)
	})
	meta := func(id string) model.Meta { return model.Meta{Account: account, Region: region, ID: id} }
	drops := func(drop func(model.CIDRAssociation, time.Time)) {
		times := rapid.SliceOfN(at, 0, 4).Draw(t, "former blocks")
		slices.SortFunc(times, time.Time.Compare)
		for i, when := range times {
			drop(block(fmt.Sprint(i)), when)
		}
	}
	var writes []func(*table.Txn)
	for i := range rapid.IntRange(0, 40).Draw(t, "tokens") {
		row := token(fmt.Sprint(i), at.Draw(t, "token"))
		writes = append(writes, func(tx *table.Txn) { state.ClientTokens.Put(tx, row) })
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "networks") {
		v, s := &model.VPC{Meta: meta(fmt.Sprint("vpc-", i))}, &model.Subnet{Meta: meta(fmt.Sprint("subnet-", i))}
		drops(v.Drop)
		drops(func(b model.CIDRAssociation, when time.Time) { s.CIDR6 = b; s.Drop6(when) })
		writes = append(writes, func(tx *table.Txn) { state.VPCs.Put(tx, v); state.Subnets.Put(tx, s) })
	}
	writes = append(writes, drawGroups(t), drawDatabases(t))
	writes = append(writes, drawZoneChanges(t, at), drawVerifications(t, at))
	return func(tx *table.Txn) {
		for _, write := range writes {
			write(tx)
		}
	}
}

// drawZoneChanges gives changes of all ages, which are in sync, or not.
func drawZoneChanges(t *rapid.T, at *rapid.Generator[time.Time]) func(*table.Txn) {
	var writes []func(*table.Txn)
	for i := range rapid.IntRange(0, 20).Draw(t, "zone changes") {
		c := &model.ZoneChange{Account: account, ID: fmt.Sprint("C", i), SubmittedAt: at.Draw(t, "zone change")}
		said := rapid.SampledFrom([]model.StatusState{"", model.StatusReady, model.StatusFailed}).Draw(t, "state")
		writes = append(writes, func(tx *table.Txn) {
			state.ZoneChanges.Put(tx, c)
			if said != "" {
				state.Statuses.Put(tx, &model.Status{Account: account, ID: c.ID, State: said})
			}
		})
	}
	return func(tx *table.Txn) {
		for _, write := range writes {
			write(tx)
		}
	}
}

// TestLawOfMakers: a maker is a function, whose changes can be made in any order, in
// any pieces and more than once, with the same end; and then there is nothing more to
// do until the time that it has named.
func TestLawOfMakers(t *testing.T) {
	for _, m := range All(Means{Alloc: first(), DatabaseSuffix: suffix, Texts: wavering}) {
		t.Run(m.Name(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				write := drawRows(rt)
				now := zero.Add(time.Duration(rapid.IntRange(0, 60*60).Draw(rt, "now")) * time.Minute)
				before := ask(rt, m, write, nil, now)
				again := ask(rt, m, write, nil, now)
				if diff := cmp.Diff(before, again); diff != "" {
					rt.Fatalf("asked twice:\n%s", diff)
				}
				order := rapid.SliceOfN(rapid.IntRange(0, 1000), 0, 2*len(before.About)).Draw(rt, "order")
				plain, drawn := ask(rt, m, write, []int{}, now), ask(rt, m, write, order, now)
				if diff := cmp.Diff(plain, drawn); diff != "" {
					rt.Fatalf("in another order:\n%s", diff)
				}
				if len(plain.About) > 0 || !plain.Again.IsZero() && !plain.Again.After(now) {
					rt.Fatalf("after its changes %d are left, and it wants to be asked at %v; it is %v", len(plain.About), plain.Again, now)
				}
				if len(before.About) == 0 && before.Again.IsZero() != plain.Again.IsZero() {
					rt.Fatalf("with nothing to do it is to be asked at %v and %v", before.Again, plain.Again)
				}
			})
		})
	}
}

// seen is what a maker says of a world, and the world.
type seen struct {
	About []string
	Again time.Time
	Rows  map[string]string
}

// ask makes a world and asks a maker about it; when there is an order, after its changes
// were made: each one, and before that those of the order, some of them repeatedly.
func ask(t *rapid.T, m Maker, write func(*table.Txn), order []int, now time.Time) seen {
	kv := memstore.New()
	db, err := state.Open(context.Background(), kv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	update := func(fn func(*table.Txn) error) {
		if _, err := db.Update(context.Background(), fn); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *table.Txn) error { write(tx); return nil })
	answer := m.Ask(db.Snapshot(), now)
	changes := append(answer.Changes, see(context.Background(), answer.Looks)...)
	if order != nil {
		for _, i := range order {
			update(changes[i%len(changes)].Make)
		}
		for _, c := range changes {
			update(c.Make)
		}
		answer = m.Ask(db.Snapshot(), now)
		changes = append(answer.Changes, see(context.Background(), answer.Looks)...)
	}
	s := seen{Again: answer.Again, Rows: rows(t, kv)}
	for _, c := range changes {
		s.About = append(s.About, c.About)
	}
	return s
}

func rows(t *rapid.T, kv store.Store) map[string]string {
	all, _, err := kv.Range(context.Background(), table.StoredRows)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, kv := range all {
		out[kv.Key] = string(kv.Value)
	}
	return out
}
