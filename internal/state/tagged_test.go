// SPDX-License-Identifier: Apache-2.0

package state

import (
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/store/memstore"
	"github.com/posternhq/postern/internal/table"
)

// TestEveryTableSaysWhatHasTags fills a row of each kind: what has tags in it, wherever in
// the row they are, has to be declared with the table, and is found, listed and changed
// by that declaration alone.
func TestEveryTableSaysWhatHasTags(t *testing.T) {
	for _, rows := range Tables() {
		row := empty(rows)
		fill(reflect.ValueOf(row).Elem(), "", map[string]bool{})
		want := map[string]bool{}
		label(t, reflect.ValueOf(row).Elem(), "", want)
		db, err := Open(t.Context(), memstore.New(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		put := reflect.ValueOf(rows).MethodByName("Put")
		update(t, db, func(tx *table.Txn) { put.Call([]reflect.Value{reflect.ValueOf(tx), reflect.ValueOf(row)}) })
		account, region, _ := row.RowKey()
		for _, k := range taggable {
			if k.Table != rows.Kind() {
				continue
			}
			for id, tags := range k.Scope(db.Snapshot(), account, region) {
				ref := model.Ref{Account: account, Region: region, ID: id}
				delete(want, tags["place"])
				update(t, db, func(tx *table.Txn) { retagAndBack(t, tx, k, ref, tags) })
			}
		}
		for place := range want {
			t.Errorf("%s: %s are users' tags; declare with the table whose they are", rows.Kind(), place)
		}
	}
}

// label puts their place into all tags of a row.
func label(t *testing.T, v reflect.Value, place string, places map[string]bool) {
	switch v.Kind() {
	case reflect.Map:
		if _, ok := v.Interface().(map[string]string); ok && strings.HasSuffix(place, "Tags") {
			v.Set(reflect.ValueOf(map[string]string{"place": place}))
			places[place] = true
		}
	case reflect.Slice:
		for i := range v.Len() {
			label(t, v.Index(i), fmt.Sprintf("%s[%d]", place, i), places)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				label(t, v.Field(i), strings.TrimPrefix(place+"."+f.Name, "."), places)
			}
		}
	}
}

// retagAndBack changes the tags of a resource, and nothing of others with them.
func retagAndBack(t *testing.T, tx *table.Txn, k *Tagged, ref model.Ref, had map[string]string) {
	others := func() map[string]string {
		all := map[string]string{}
		for _, other := range taggable {
			for id, tags := range other.Scope(tx, ref.Account, ref.Region) {
				if other != k || id != ref.ID {
					all[other.Type+" "+id] = fmt.Sprint(tags)
				}
			}
		}
		return all
	}
	before := others()
	for _, next := range []map[string]string{{"new": "tag"}, had} {
		found, err := k.Retag(tx, ref, func(map[string]string) (map[string]string, error) { return next, nil })
		if err != nil || !found {
			t.Errorf("retag %s %s: found %v, %v", k.Type, ref.ID, found, err)
		}
		if got, ok := k.Tags(tx, ref); !ok || !maps.Equal(got, next) {
			t.Errorf("%s %s has the tags %v, want %v", k.Type, ref.ID, got, next)
		}
	}
	if after := others(); !maps.Equal(before, after) {
		t.Errorf("retagging %s %s changed others: %v, before %v", k.Type, ref.ID, after, before)
	}
	ref.ID += "-none"
	if found, _ := k.Retag(tx, ref, nil); found {
		t.Errorf("%s %s has tags and does not exist", k.Type, ref.ID)
	}
}

func update(t *testing.T, db *table.DB, do func(*table.Txn)) {
	t.Helper()
	if _, err := db.Update(t.Context(), func(tx *table.Txn) error { do(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestIdsTellWhatHasTags wants no id to be of two kinds of a service.
func TestIdsTellWhatHasTags(t *testing.T) {
	for _, service := range []string{EC2, Lattice} {
		kinds := TaggedIn(service)
		for _, k := range kinds {
			same := slices.DeleteFunc(slices.Clone(kinds), func(other *Tagged) bool {
				return k.Prefix != other.Prefix && k.Type != other.Type
			})
			if len(same) != 1 || !strings.HasSuffix(k.Prefix, "-") {
				t.Errorf("%s %s: ids with %s can be of %d kinds", service, k.Type, k.Prefix, len(same))
			}
		}
	}
}
