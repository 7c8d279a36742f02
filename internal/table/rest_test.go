// SPDX-License-Identifier: Apache-2.0

package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/store"
	"github.com/posternhq/postern/internal/store/memstore"
)

// head is what a gadget embeds.
type head struct {
	ID   string            `json:"id"`
	Tags map[string]string `json:"tags,omitempty"`
	At   time.Time         `json:"at,omitzero"`
}

// gadget is a row with everything that rows have.
type gadget struct {
	head
	Count int             `json:"count,omitempty"`
	Inner inner           `json:"inner,omitzero"`
	Next  *inner          `json:"next,omitempty"`
	Rules []rule          `json:"rules,omitempty"`
	By    map[string]rule `json:"by,omitempty"`
	Raw   []byte          `json:"raw,omitempty"`
}

type inner struct {
	Prefix netip.Prefix `json:"prefix,omitzero"`
	Words  []string     `json:"words,omitempty"`
}

type rule struct {
	ID   string `json:"id,omitempty"`
	Port int    `json:"port"`
}

func (g *gadget) RowKey() (account, region, id string) { return "", "", g.ID }

var gadgets = Define[*gadget]("gadget")

const laterGadget = `{"id":"g","new":{"a":[1,2.50]},"count":7,"inner":{"prefix":"10.0.0.0/8","deep":true},"next":{"words":["w"],"more":null},` +
	`"rules":[{"id":"r1","port":1,"note":"one"},{"port":2,"note":"two"},{"id":"r3","port":3}],"by":{"k":{"port":9,"q":"\"}"}},"at":"2026-01-02T03:04:05Z"}`

func openGadgets(t *testing.T, s store.Store, tables ...Any) *DB {
	t.Helper()
	if len(tables) == 0 {
		tables = []Any{gadgets}
	}
	db, err := Open(t.Context(), s, slog.New(slog.DiscardHandler), tables...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func putRaw(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	if _, _, err := s.Commit(t.Context(), store.Txn{Put: []store.KeyValue{{Key: rowPrefix + key, Value: []byte(value)}, {Key: headKey}}}); err != nil {
		t.Fatal(err)
	}
}

// stored is a row of the store as generic JSON.
func stored(t *testing.T, s store.Store, key string) any {
	t.Helper()
	kv, _, err := s.Get(t.Context(), rowPrefix+key)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(kv.Value, &v); err != nil {
		t.Fatalf("%s: %v", kv.Value, err)
	}
	return v
}

func change(t *testing.T, db *DB, edit func(*gadget)) {
	t.Helper()
	_, err := db.Update(t.Context(), func(tx *Txn) error {
		g, ok := gadgets.Get(tx, "", "", "g")
		if !ok {
			return errors.New("no row")
		}
		c := *g
		c.Rules = append([]rule(nil), g.Rules...)
		edit(&c)
		gadgets.Put(tx, &c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Fields that a later version has written, at any depth, are there after this one
// has changed the row; those of an element of a list follow it.
func TestUnknownFieldsSurviveARewrite(t *testing.T) {
	s := memstore.New()
	putRaw(t, s, "gadget/-/-/g", laterGadget)
	for restart := range 2 {
		db := openGadgets(t, s)
		change(t, db, func(g *gadget) {
			g.Count++
			g.Rules[0], g.Rules[1] = g.Rules[1], g.Rules[0]
			for i := range g.Rules {
				if g.Rules[i].ID == "r1" {
					g.Rules[i].Port = 100 + restart
				}
			}
		})
		var want any
		text := strings.Replace(laterGadget, `"count":7`, `"count":`+string("89"[restart]), 1)
		if r1, two := `{"id":"r1","port":10`+string("01"[restart])+`,"note":"one"}`, `{"port":2,"note":"two"}`; restart == 0 {
			text = strings.Replace(text, `{"id":"r1","port":1,"note":"one"},{"port":2,"note":"two"}`, two+","+r1, 1)
		} else {
			text = strings.Replace(text, `{"id":"r1","port":1,"note":"one"},{"port":2,"note":"two"}`, r1+","+two, 1)
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, stored(t, s, "gadget/-/-/g")); diff != "" {
			t.Errorf("row after change %d (-want +got):\n%s", restart, diff)
		}
		db.Close()
	}
	db := openGadgets(t, s)
	change(t, db, func(g *gadget) { g.Rules, g.By = nil, nil })
	if got, ok := stored(t, s, "gadget/-/-/g").(map[string]any); !ok || got["rules"] != nil || got["by"] != nil || got["new"] == nil {
		t.Errorf("row whose lists were emptied: %v", got)
	}
	before := db.Snapshot().Revision()
	change(t, db, func(*gadget) {})
	if rev := db.Snapshot().Revision(); rev != before {
		t.Errorf("a write of the row as it was made revision %d of %d", rev, before)
	}
}

// A row of an older version is converted when it is read, and stored in the new
// form by the next change; the old program, started again, sets it aside.
func TestOlderRowsAreConverted(t *testing.T) {
	s := memstore.New()
	putRaw(t, s, "gadget/-/-/g", `{"id":"g","amount":"6","kept":1}`)
	putRaw(t, s, "gadget/-/-/other", `{"id":"other","amount":"many"}`)
	renamed := func(fields map[string]any) error {
		fields["tally"] = fields["amount"]
		delete(fields, "amount")
		return nil
	}
	numbered := func(fields map[string]any) error {
		text, _ := fields["tally"].(string)
		if text == "many" {
			return errors.New("no number")
		}
		fields["count"] = json.Number(text)
		delete(fields, "tally")
		return nil
	}
	v3 := Define[*gadget]("gadget").Converted(renamed, numbered)
	db := openGadgets(t, s, v3)
	g, ok := v3.Get(db.Snapshot(), "", "", "g")
	if !ok || g.Count != 6 {
		t.Fatalf("converted row: %+v, %v", g, ok)
	}
	if _, err := db.Update(t.Context(), func(tx *Txn) error {
		v3.Put(tx, &gadget{head: head{ID: "g"}, Count: 7})
		return v3.Insert(tx, &gadget{head: head{ID: "fresh"}})
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"rowVersion": 3.0, "id": "g", "count": 7.0, "kept": 1.0}
	if diff := cmp.Diff(any(want), stored(t, s, "gadget/-/-/g")); diff != "" {
		t.Errorf("stored row (-want +got):\n%s", diff)
	}
	again := openGadgets(t, s, v3)
	for id, count := range map[string]int{"g": 7, "fresh": 0} {
		if g, ok := v3.Get(again.Snapshot(), "", "", id); !ok || g.Count != count {
			t.Errorf("row %s read again: %+v, %v", id, g, ok)
		}
	}
	expectAside(t, again, "gadget/-/-/other: convert it from version 2: no number")
	expectAside(t, openGadgets(t, s), "gadget/-/-/fresh: it has version 3, of a later Postern", "gadget/-/-/g: it has version 3, of a later Postern")
}

func expectAside(t *testing.T, db *DB, reasons ...string) {
	t.Helper()
	var got []string
	for a := range db.Snapshot().SetAside() {
		got = append(got, a.Reason.Error())
	}
	if len(got) != len(reasons) {
		t.Fatalf("set aside: %q, want %q", got, reasons)
	}
	for i, want := range reasons {
		if !strings.Contains(got[i], want) {
			t.Errorf("set aside: %q, want %q", got[i], want)
		}
	}
}

// A row that cannot be read stops nobody: neither at the start nor later, neither
// those who look for it nor those who want its key. It stays as it is until
// somebody mends it in the store.
func TestUnreadableRowIsSetAside(t *testing.T) {
	s := memstore.New()
	putRaw(t, s, "gadget/-/-/g", `{"id":"g","count":"x"}`)
	putRaw(t, s, "gadget/-/-/h", `{"id":"h"}`)
	putRaw(t, s, "gadget/malformed", `{`)
	db := openGadgets(t, s)
	expectAside(t, db, "gadget/-/-/g")
	putRaw(t, s, "gadget/-/-/h", "\x00")
	putRaw(t, s, "gadget/-/-/i", `{"id":"another"}`)
	if _, err := db.Update(t.Context(), func(tx *Txn) error { return gadgets.Insert(tx, &gadget{head: head{ID: "fine"}}) }); err != nil {
		t.Fatal(err)
	}
	expectAside(t, db, "gadget/-/-/g", "gadget/-/-/h", "gadget/-/-/i")
	_, err := db.Update(t.Context(), func(tx *Txn) error {
		if _, ok := gadgets.Get(tx, "", "", "g"); ok || gadgets.Delete(tx, "", "", "h") {
			t.Error("a row that is set aside is in its table")
		}
		gadgets.Put(tx, &gadget{head: head{ID: "g"}})
		gadgets.Put(tx, &gadget{head: head{ID: "beside"}})
		if err := gadgets.Insert(tx, &gadget{head: head{ID: "h"}}); !errors.Is(err, ErrExists) {
			t.Errorf("insert a row that is set aside: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if kv, _, _ := s.Get(t.Context(), rowPrefix+"gadget/-/-/g"); string(kv.Value) != `{"id":"g","count":"x"}` {
		t.Errorf("row that was set aside is now %q", kv.Value)
	}
	if _, ok := gadgets.Get(db.Snapshot(), "", "", "beside"); !ok {
		t.Error("what was written beside it is missing")
	}
	putRaw(t, s, "gadget/-/-/g", `{"id":"g","count":5}`)
	if _, _, err := s.Commit(t.Context(), store.Txn{Delete: []string{rowPrefix + "gadget/-/-/h", rowPrefix + "gadget/-/-/i"}, Put: []store.KeyValue{{Key: headKey}}}); err != nil {
		t.Fatal(err)
	}
	change(t, db, func(g *gadget) { g.Count++ })
	expectAside(t, db)
	if g, ok := gadgets.Get(db.Snapshot(), "", "", "g"); !ok || g.Count != 6 {
		t.Errorf("row that was mended: %+v, %v", g, ok)
	}
}

// FuzzStrange compares the walk over a row with what encoding/json says of it.
func FuzzStrange(f *testing.F) {
	f.Add([]byte(laterGadget))
	f.Add([]byte(`{"id":"g","rules":[{"port":1},{"port":2,"x":[]}]}`))
	f.Add([]byte("{ \"id\" : \"a\\\"\\\\\" , \"tags\":{\"x\":\"y\"},\n\"rules\": [ ] , \"by\":{\"q\":{\"port\":1}} }"))
	f.Add([]byte(`{"inner":{"words":["{\"z\":1}"]},"raw":"AAA=","next":null,"by":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) || json.Unmarshal(text, &gadget{}) != nil {
			return // nobody asks
		}
		strict := json.NewDecoder(bytes.NewReader(text))
		strict.DisallowUnknownFields()
		want := strict.Decode(&gadget{}) != nil
		got := gadgets.def.shape.strange(text)
		if want && !got { // the walk may say so of fields in other letters too, or with escapes
			t.Errorf("%s has unknown fields, and the walk finds none", text)
		}
		if again, err := json.Marshal(&gadget{}); err != nil || gadgets.def.shape.strange(again) {
			t.Errorf("%s is strange", again)
		}
	})
}

// A few rows of a table are of a version that programs of before set aside. The others
// are stored as those programs know them, and both are read.
func TestRowsApartAreOfALaterVersion(t *testing.T) {
	s := memstore.New()
	defer s.Close()
	apart := Define[*gadget]("gadget").Apart(func(g *gadget) bool { return g.Count > 1 })
	db := openGadgets(t, s, apart)
	for id, count := range map[string]int{"one": 1, "two": 2} {
		if _, err := db.Update(t.Context(), func(tx *Txn) error { apart.Put(tx, &gadget{head: head{ID: id}, Count: count}); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if row, ok := apart.Get(db.Snapshot(), "", "", "two"); !ok || row.Count != 2 {
		t.Errorf("who wrote it reads %v", row)
	}
	again := openGadgets(t, s, apart)
	for id, count := range map[string]int{"one": 1, "two": 2} {
		if row, ok := apart.Get(again.Snapshot(), "", "", id); !ok || row.Count != count {
			t.Errorf("row %s is read as %v", id, row)
		}
	}
	before := openGadgets(t, s, gadgets)
	if _, ok := gadgets.Get(before.Snapshot(), "", "", "one"); !ok {
		t.Error("a program of before does not have the row that it knows")
	}
	if row, ok := gadgets.Get(before.Snapshot(), "", "", "two"); ok {
		t.Errorf("a program of before reads %v", row)
	}
	for row := range before.Snapshot().SetAside() {
		if row.ID != "two" || !strings.Contains(row.Reason.Error(), "version 2") {
			t.Errorf("set aside is %v: %v", row.Key, row.Reason)
		}
	}
	putRaw(t, s, "gadget/-/-/three", `{"rowVersion":3,"id":"three"}`)
	if _, ok := apart.Get(openGadgets(t, s, apart).Snapshot(), "", "", "three"); ok {
		t.Error("a row of a still later version is read")
	}
}

// What came apart after others is of a version of its own: programs that know the others
// read those, and set it aside.
func TestRowsApartAreGraded(t *testing.T) {
	s := memstore.New()
	defer s.Close()
	more := func(n int) func(*gadget) bool { return func(g *gadget) bool { return g.Count > n } }
	one := Define[*gadget]("gadget").Apart(more(1))
	two := Define[*gadget]("gadget").Apart(more(1)).Apart(more(2))
	db := openGadgets(t, s, two)
	for count := 1; count <= 3; count++ {
		if _, err := db.Update(t.Context(), func(tx *Txn) error { two.Put(tx, &gadget{head: head{ID: fmt.Sprint(count)}, Count: count}); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		table *Table[*gadget]
		knows int
	}{{"of before", gadgets, 1}, {"of between", one, 2}, {"of now", two, 3}} {
		reads := openGadgets(t, s, c.table)
		for count := 1; count <= 3; count++ {
			if row, ok := c.table.Get(reads.Snapshot(), "", "", fmt.Sprint(count)); ok != (count <= c.knows) {
				t.Errorf("a program %s reads %v of the row of grade %d", c.name, row, count)
			}
		}
	}
}
