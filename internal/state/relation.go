// SPDX-License-Identifier: Apache-2.0

package state

import (
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Rule says what becomes of a row when one that it names is to be deleted.
type Rule int

const (
	// Holds: the one that is named cannot be deleted while the row is there.
	Holds Rule = iota
	// Follows: the row goes with the one that it names.
	Follows
	// Has: the one that is named is a part of the row, and goes with it.
	Has
	// Relies: the one that is named stays because of another row that this one
	// names too, such as an endpoint's subnets because of its interfaces.
	Relies
	// Loses: the row stays when the one that is named goes, and whoever deletes that one
	// takes its name out of the row.
	Loses
	// Outlives: the row stays when the one that is named goes, and still names it.
	Outlives
)

// Relation is that the rows of one table name rows of others. It is declared
// with the table, once: indexes, what may be deleted and what is checked of a state
// follow from it.
type Relation struct {
	// Name is unique among the relations of a table.
	Name string
	// From is the kind of rows that name others, and To the kinds that these can be
	// of; the id tells which.
	From string
	To   []string
	Rule Rule

	named   func(table.Row) []model.Ref
	targets []target
	all     func(*table.Txn) iter.Seq[table.Row]
	// holders finds the rows that name one; nil unless the rule is Holds.
	holders func(*table.Txn, model.Ref) iter.Seq[table.Row]
}

// declared are all relations, in no particular order. It grows while the package
// is initialized, as the tables' indexes do, and does not change afterwards.
var declared []*Relation

// Relations gives all relations, in the order of Tables. The slice is shared by
// all callers, who must not change it.
func Relations() []*Relation { return ordered() }

var ordered = sync.OnceValue(func() []*Relation {
	place := make(map[string]int)
	for i, t := range Tables() {
		place[t.Kind()] = i
	}
	return slices.SortedStableFunc(slices.Values(declared), func(a, b *Relation) int { return place[a.From] - place[b.From] })
})

// Named gives the rows that a row of From names.
func (r *Relation) Named(row table.Row) []model.Ref { return r.named(row) }

// Dangling yields the rows of From with those that they name and that do not
// exist, but should. The view must be no Update's.
func (r *Relation) Dangling(tx *table.Txn) iter.Seq2[table.Row, model.Ref] {
	return func(yield func(table.Row, model.Ref) bool) {
		if r.Rule == Outlives {
			return
		}
		for row := range r.all(tx) {
			for _, ref := range r.named(row) {
				exists := slices.ContainsFunc(r.targets, func(t target) bool { return t.exists(tx, ref) })
				if !exists && !yield(row, ref) {
					return
				}
			}
		}
	}
}

// Holders are the rows that keep another one from being deleted by one relation: at
// least one, in the order of their index.
type Holders struct {
	By   *Relation
	rows iter.Seq[table.Row]
}

// Held gives the first relation by which something keeps a row of a table from being
// deleted, nil when nothing does. What is a part of the row, or the row itself, holds
// nothing. The result belongs to the transaction.
func Held[T table.Row](tx *table.Txn, t *table.Table[T], row T) *Holders {
	held := refOf(row)
	own := parts(t.Kind(), row)
	for _, r := range Relations() {
		if r.Rule != Holds || !slices.Contains(r.To, t.Kind()) {
			continue
		}
		others := func(yield func(table.Row) bool) {
			for holder := range r.holders(tx, held) {
				ref := refOf(holder)
				itself := r.From == t.Kind() && ref == held
				if !itself && !slices.Contains(own, ref) && !yield(holder) {
					return
				}
			}
		}
		for range others {
			return &Holders{r, others}
		}
	}
	return nil
}

// Count is how many rows they are, which it goes through.
func (h *Holders) Count() (n int) {
	for range h.rows {
		n++
	}
	return n
}

// Noun is how errors call one of them, without its id.
func (h *Holders) Noun() string { return nouns.Replace(h.By.From) }

// String names the first of them, as errors call it.
func (h *Holders) String() string {
	for row := range h.rows {
		if claim, ok := row.(*model.AddressClaim); ok {
			return "address " + claim.Addr.String()
		}
		text := h.Noun() + " " + refOf(row).ID
		if h.By.From == SecurityGroups.Kind() && h.By.Name == "referenced" {
			return "a rule of " + text
		}
		return text
	}
	return ""
}

// nouns makes the kinds of tables words.
var nouns = strings.NewReplacer("endpoint-association", "resource endpoint association", "db-", "DB ", "vpc", "VPC", "acl", "ACL", "-", " ")

// parts gives what goes with a row.
func parts(kind string, row table.Row) (all []model.Ref) {
	for _, r := range declared {
		if r.Rule == Has && r.From == kind {
			all = append(all, r.named(row)...)
		}
	}
	return all
}

func refOf(row table.Row) model.Ref {
	account, region, id := row.RowKey()
	return model.Ref{Account: account, Region: region, ID: id}
}

// target is a table whose rows others can name.
type target struct {
	kind   string
	exists func(*table.Txn, model.Ref) bool
}

func to[T table.Row](t *table.Table[T]) target {
	return target{kind: t.Kind(), exists: func(tx *table.Txn, ref model.Ref) bool {
		_, ok := t.Get(tx, ref.Account, ref.Region, ref.ID)
		return ok
	}}
}

// name declares a relation that nothing is looked for by.
func name[T table.Row](from *table.Table[T], as string, rule Rule, named func(T) []model.Ref, targets ...target) *Relation {
	if slices.ContainsFunc(declared, func(r *Relation) bool { return r.From == from.Kind() && r.Name == as }) {
		panic("state: two relations of " + from.Kind() + " are called " + as)
	}
	r := &Relation{
		Name: as, From: from.Kind(), Rule: rule, targets: targets,
		named: func(row table.Row) []model.Ref { return named(row.(T)) },
		all:   func(tx *table.Txn) iter.Seq[table.Row] { return anyRows(from.All(tx)) },
	}
	for _, t := range targets {
		r.To = append(r.To, t.kind)
	}
	declared = append(declared, r)
	return r
}

// refer declares a relation and the index that finds rows by it.
func refer[T table.Row](from *table.Table[T], as string, rule Rule, named func(T) []model.Ref, targets ...target) table.Index[T, model.Ref] {
	index := byRef(from, as, named)
	r := name(from, as, rule, named, targets...)
	r.holders = func(tx *table.Txn, ref model.Ref) iter.Seq[table.Row] { return anyRows(index.Rows(tx, ref)) }
	return index
}

// keyed declares a relation of rows that have the key of the one that they name.
func keyed[T table.Row](from *table.Table[T], as string, rule Rule, target target) *Relation {
	r := name(from, as, rule, func(row T) []model.Ref { return []model.Ref{refOf(row)} }, target)
	r.holders = func(tx *table.Txn, ref model.Ref) iter.Seq[table.Row] {
		return func(yield func(table.Row) bool) {
			if row, ok := from.Get(tx, ref.Account, ref.Region, ref.ID); ok {
				yield(row)
			}
		}
	}
	return r
}

func anyRows[T table.Row](rows iter.Seq[T]) iter.Seq[table.Row] {
	return func(yield func(table.Row) bool) {
		for row := range rows {
			if !yield(row) {
				return
			}
		}
	}
}
