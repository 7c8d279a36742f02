// SPDX-License-Identifier: Apache-2.0

// Package table keeps typed, indexed rows in memory that follow a store, and
// offers transactions on them.
//
// # Rows and tables
//
// A row is a pointer to a struct that says its own key and is stored as JSON. A
// [Table] is all rows of one kind; [Define] makes one, [NewIndex] adds a way to
// find rows ([Index]), and [Open] connects tables to a store. The tables hold every row in memory, as
// immutable trees of which each change makes a new version: reading takes no
// locks and no input or output, and a [Txn] sees one revision of everything.
//
// # Rows of other versions
//
// Fields that this version does not know stay in the store when it writes a row
// ([rest]), and rows of an older form are converted on reading ([Table.Converted]).
// A row that cannot be read is set aside ([Txn.SetAside]): no table has it, it
// keeps its place in the store, and all else goes on.
//
// # Transactions
//
// [DB.Update] runs a function on the newest version known here, and commits
// what it wrote on the condition that nothing it read has changed since; else
// it runs the function again on newer state. Rows are compared by their
// revision in the store. Ranges (Scope, and rows and counts of indexes) are compared by the revision
// of a guard: a key of the range, which every transaction that adds, changes or
// removes a row of the range puts too. So transactions are strictly
// serializable, with any number of servers and without locks.
//
// The guard of a range that becomes empty is deleted, on the condition that no
// other transaction touched the range, because an absent guard with an empty
// range cannot be confused with an absent guard and rows in the range: whoever
// adds a row puts the guard.
//
// A database that is the only writer ([DB.OnlyWriter]) needs no guards and no
// comparisons but that of the head, a key that every commit puts.
//
// Updates that come while a commit is on its way are carried out one after the
// other, each on what those before it wrote, and committed together: one
// transaction of the store, one wait for the disk, one new version of the tables.
//
// All servers on one store must define a kind with the same indexes. When an
// index is added by an upgrade, servers of the old version must be stopped
// first, because they do not put the guards of the new index.
package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
)

// scopeIndex is the name of the range of an account and region, which every
// table has as its first index.
const scopeIndex = "scope"

// ErrExists is the cause when Insert meets a row with the same key.
var ErrExists = errors.New("row exists")

// Row is a resource as it is stored: a pointer to a struct that
// encoding/json can write and read back. A row that was read from a table is
// shared by all readers and must never be changed; change a copy and Put that.
type Row interface {
	// RowKey returns the parts of the row's key below its kind, which is the
	// table's. They must depend on the row's stored fields only. Rows need not
	// know this package.
	RowKey() (account, region, id string)
}

// Any is a table of whatever row type, as [Open] takes it.
type Any interface {
	// Kind returns the kind of the table's rows.
	Kind() string
	definition() *definition
}

// Table is all rows of one kind. The value holds the definition only, so it
// can be package-level and used with several databases. Methods that take a
// [Txn] must get one of a database that was opened with this table; they panic
// otherwise.
type Table[T Row] struct {
	def *definition
}

// definition is what a Table is for code that does not know its row type.
type definition struct {
	kind   string
	names  []string // of the indexes; names[0] is scopeIndex
	values []func(Row) []string
	// unguarded are indexes that the store does not know: timelines.
	unguarded []bool
	opened    atomic.Bool // there is a database of it, so indexes are too late
	decoder   func([]byte) (Row, error)
	// copied gives an entry with a copy of a row as it would be read back; false says
	// that it must be, to know.
	copied func(Row, *words) (*entry, bool)
	shape  *shape
	// conversions lead from each older version of stored rows to the next one.
	conversions []Conversion
	stamp       string // how rows begin that are stored in a later version than the first
	// apart tells which rows are of the last versions; nil means that all are of the last one.
	apart []grade
}

// Define describes the table of a kind; [NewIndex] adds indexes to it. It panics
// when the kind cannot be part of a key, or when T is not a pointer to a struct.
func Define[T Row](kind string) *Table[T] {
	rowType := reflect.TypeFor[T]()
	if rowType.Kind() != reflect.Pointer || rowType.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("table %s: %v is not a pointer to a struct", kind, rowType))
	}
	mustBeName(kind)
	each := copierOf(rowType.Elem(), false)
	both := reflect.StructOf([]reflect.StructField{ // in one piece of memory
		{Name: "Entry", Type: reflect.TypeFor[entry]()}, {Name: "Row", Type: rowType.Elem()},
	})
	def := &definition{
		kind:      kind,
		names:     []string{scopeIndex},
		values:    []func(Row) []string{nil},
		unguarded: []bool{false},
		decoder: func(data []byte) (Row, error) {
			row := reflect.New(rowType.Elem()).Interface().(T)
			err := json.Unmarshal(data, row)
			return row, err
		},
		copied: func(row Row, w *words) (*entry, bool) {
			if each == nil {
				return nil, false
			}
			out := reflect.New(both).Elem()
			known := each(out.Field(1), reflect.ValueOf(row).Elem(), w)
			e := out.Field(0).Addr().Interface().(*entry)
			e.row = out.Field(1).Addr().Interface().(T)
			return e, known
		},
		shape: shapeOf(rowType),
	}
	if _, taken := def.shape.fields[versionField]; taken {
		panic(fmt.Sprintf("table %s: field %q is taken", kind, versionField))
	}
	return &Table[T]{def: def}
}

func mustBeName(name string) {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	if name == "" || name == "-" || strings.Trim(name, allowed) != "" {
		panic(fmt.Sprintf("table: %q cannot name a kind or an index", name))
	}
}

func (t *Table[T]) definition() *definition { return t.def }

// Kind returns the kind of the table's rows.
func (t *Table[T]) Kind() string { return t.def.kind }

// Get returns the row with that key; false says that there is none.
func (t *Table[T]) Get(tx *Txn, account, region, id string) (T, bool) {
	if e := tx.find(t.def, account, region, id); e != nil {
		return e.row.(T), true
	}
	var none T
	return none, false
}

// All yields all rows of the table in the order of their keys, of all accounts
// and regions. It panics in an Update: no transaction can be made conditional
// on a whole table. Use an index, if need be one with a single value.
func (t *Table[T]) All(tx *Txn) iter.Seq[T] {
	return rowsOf[T](tx.all(t.def))
}

// Scope yields all rows of an account and region in the order of their keys.
// In an Update the loop may change the table; it yields what was there when
// Scope was called.
func (t *Table[T]) Scope(tx *Txn, account, region string) iter.Seq[T] {
	return rowsOf[T](tx.scan(t.def, 0, scopePath(account, region)))
}

// CountScope returns how many rows Scope would yield, without visiting them.
func (t *Table[T]) CountScope(tx *Txn, account, region string) int {
	return tx.count(t.def, 0, scopePath(account, region))
}

// Put writes the row, whether or not one with its key exists. The transaction
// keeps a copy; a row that cannot be encoded makes the Update fail. A row that is
// set aside stays as it is in the store, and nothing is written. It panics outside
// of an Update.
func (t *Table[T]) Put(tx *Txn, row T) {
	tx.put(t.def, row)
}

// Insert writes the row if there is none with its key; otherwise it returns
// ErrExists with the key and changes nothing, also when the one that is there is
// set aside. Otherwise it is like Put.
func (t *Table[T]) Insert(tx *Txn, row T) error {
	tx.mustWrite(t.def, "put")
	key := t.def.key(row)
	path := key.path()
	if tx.get(t.def, path) != nil {
		return fmt.Errorf("insert %s: %w", key, ErrExists)
	}
	if reason := tx.aside(t.def, path); reason != nil {
		return fmt.Errorf("insert %s: %w, and is set aside: %w", key, ErrExists, reason)
	}
	tx.replace(t.def, path, nil, row)
	return nil
}

// Delete removes the row with that key and says whether there was one. It
// panics outside of an Update.
func (t *Table[T]) Delete(tx *Txn, account, region, id string) bool {
	return tx.delete(t.def, rowPath(account, region, id))
}

func (d *definition) key(row Row) Key {
	account, region, id := row.RowKey()
	return Key{Kind: d.kind, Account: account, Region: region, ID: id}
}

func rowsOf[T Row](entries iter.Seq[*entry]) iter.Seq[T] {
	return func(yield func(T) bool) {
		for e := range entries {
			if !yield(e.row.(T)) {
				return
			}
		}
	}
}

// encode returns the row as it is stored, with what an earlier form of it had that
// is not known here, and the entry that reading it back gives, so that what a
// transaction sees and what others will see cannot differ.
func (d *definition) encode(path string, row Row, r *rest, w *words) ([]byte, placed, error) {
	data, err := d.write(row, r)
	if err != nil {
		return nil, placed{}, fmt.Errorf("encode row %s: %w", d.key(row), err)
	}
	if r == nil {
		path = w.begin(path)
		if e, ok := d.copied(row, w); ok {
			e, err := d.entry(path, e, nil, 0, w)
			return data, e, err
		}
	}
	e, err := d.decode(path, data, 0, w)
	return data, e, err
}

// decode makes the entry of a row that was stored at path and revision rev. The path
// may be a part of a longer text.
func (d *definition) decode(path string, data []byte, rev int64, w *words) (placed, error) {
	row, r, err := d.read(data)
	if err != nil {
		return placed{}, fmt.Errorf("decode row %s: %w", rowKey(d.kind, path), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	path = w.begin(w.share(path))
	e, ok := d.copied(row, w)
	if !ok {
		e = &entry{row: row}
	}
	return d.entry(path, e, r, rev, w)
}

// entry completes the entry of a row that says that it belongs at path.
func (d *definition) entry(path string, e *entry, r *rest, rev int64, w *words) (placed, error) {
	if key := d.key(e.row); !key.is(path) {
		return placed{}, fmt.Errorf("decode row %s: the row says that its key is %s", rowKey(d.kind, path), key)
	}
	e.def, e.path, e.rest, e.rev = d, path, r, rev
	return placed{e, d.places(e.row, w)}, nil
}

// places gives the places of a row.
func (d *definition) places(row Row, w *words) []place {
	if len(d.names) == 1 {
		return nil
	}
	places := make([]place, 0, 2*len(d.names))
	for i := 1; i < len(d.names); i++ {
		for _, value := range d.values[i](row) {
			places = append(places, place{w.share(value), i})
		}
	}
	slices.SortFunc(places, place.compare)
	return slices.Compact(places)
}
