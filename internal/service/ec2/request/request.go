// SPDX-License-Identifier: Apache-2.0

// Package request is what the requests of EC2 have in common, and their
// replies: optional parameters, attributes, filters, pages, tags and the codes of
// errors. The packages of the nouns stand on it; it knows none of them.
package request

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// pageLimit is the largest page of EC2's lists, and the size of one that was
// not asked to be smaller.
const pageLimit = 1000

// One makes the values of a filter out of a single one, none of an empty one.
func One(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// YesNo is how filters spell a boolean.
func YesNo(b bool) []string {
	if b {
		return []string{"true"}
	}
	return []string{"false"}
}

// Query is what the requests of all describe operations have in common.
type Query struct {
	Filters []shape.Filter
	IDs     []string
	Token   *string
	Max     *int32
}

// Listing says how one kind of resource is described.
type Listing[T state.Resource[T]] struct {
	Operation string
	Table     *table.Table[T]
	// Filters may look at other tables in the given view. They need none for tags,
	// which all resources have.
	Filters func(*table.Txn) service.Filters[T]
	// Others gives the rows of other accounts that the caller sees, in no particular order;
	// nil when there are none.
	Others func(*table.Txn, access.View) []T
	// Except says which rows of the table are none of these resources; nil is none of them.
	Except func(T) bool
}

// rows gives all rows that the caller sees, in the order of their ids.
func (l Listing[T]) rows(tx *table.Txn, who access.View) iter.Seq[T] {
	own := view.All(tx, who, l.Table)
	if l.Except != nil {
		own = Taken(own, func(row T) bool { return !l.Except(row) })
	}
	if l.Others == nil {
		return own
	}
	others := l.Others(tx, who)
	if len(others) == 0 {
		return own
	}
	all := slices.AppendSeq(others, own)
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(rowID(a), rowID(b)) })
	return slices.Values(all)
}

// row gives the row with an id that the caller sees.
func (l Listing[T]) row(tx *table.Txn, who access.View, id string) (T, error) {
	row, err := Get(tx, who, l.Table, id)
	if err == nil && l.Except != nil && l.Except(row) {
		err = Unknown(l.Table.Kind(), id)
	}
	if err == nil || l.Others == nil {
		return row, err
	}
	for _, other := range l.Others(tx, who) {
		if rowID(other) == id {
			return other, nil
		}
	}
	return row, err
}

// Describe gives one page of the caller's rows that a query chooses, with the
// view that they were read from.
func Describe[T state.Resource[T]](ctx context.Context, db *table.DB, l Listing[T], q Query) ([]T, *table.Txn, *string, error) {
	who := access.From(ctx)
	tx, err := db.View(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	rows := func() iter.Seq[T] { return l.rows(tx, who) }
	if len(q.IDs) > 0 {
		found, err := l.find(tx, who, q.IDs)
		if err != nil || len(q.Filters) == 0 && q.Token == nil && q.Max == nil && len(found) <= pageLimit {
			return found, tx, nil, err
		}
		rows = func() iter.Seq[T] { return slices.Values(found) }
	}
	var filters service.Filters[T]
	if len(q.Filters) > 0 {
		filters = l.Filters(tx)
		filters.Tags = func(row T) map[string]string { return row.Common().Tags }
	}
	page, next, err := Paginate(who, l.Operation, q, rows(), filters, rowID)
	return page, tx, next, err
}

// ByID gives the rows with these ids, each once and in ascending order.
func (l Listing[T]) ByID(tx *table.Txn, who access.View, ids []string) (iter.Seq[T], error) {
	found, err := l.find(tx, who, ids)
	return slices.Values(found), err
}

func (l Listing[T]) find(tx *table.Txn, who access.View, ids []string) ([]T, error) {
	if len(ids) > 1 {
		ids = slices.Clone(ids)
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	found := make([]T, len(ids))
	for i, id := range ids {
		row, err := l.row(tx, who, id)
		if err != nil {
			return nil, err
		}
		found[i] = row
	}
	return found, nil
}

// Paginate gives one page of the items, which come in ascending order of their
// keys, that the filters of a query take.
func Paginate[T any](who access.View, operation string, q Query, items iter.Seq[T], filters service.Filters[T], key func(T) string) ([]T, *string, error) {
	holds, err := filters.Compile(FiltersOf(q.Filters))
	if err != nil {
		return nil, nil, Fault(err)
	}
	page := service.NewPage(who, operation, []any{q.Filters, q.IDs}, q.Token, q.Max, pageLimit)
	out, next, err := service.Paginate(page, Taken(items, holds), key)
	return out, service.Optional(next), Fault(err)
}

// Taken gives the items that a condition takes.
func Taken[T any](items iter.Seq[T], holds func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		for item := range items {
			if holds(item) && !yield(item) {
				return
			}
		}
	}
}

// FiltersOf gives the filters of a request in the form of package service.
func FiltersOf(in []shape.Filter) []service.Filter {
	out := make([]service.Filter, len(in))
	for i, f := range in {
		out[i] = service.Filter{Name: service.Value(f.Name), Values: f.Values}
	}
	return out
}

func rowID[T table.Row](row T) string {
	_, _, id := row.RowKey()
	return id
}

// Fault gives the errors of package service their EC2 codes; others it
// returns as they are.
func Fault(err error) error {
	var tag *service.TagError
	var filter *service.FilterError
	switch {
	case errors.As(err, &tag) && tag.Limit:
		return fault.EC2("TagLimitExceeded", "%s", tag.Problem)
	case errors.As(err, &tag):
		return fault.EC2("InvalidParameterValue", "%s", tag.Problem)
	case errors.As(err, &filter):
		return fault.EC2("InvalidParameterValue", "%s", filter.Error())
	case errors.Is(err, service.ErrPageToken):
		return fault.EC2("InvalidNextToken", "NextToken: %v", service.ErrPageToken)
	case errors.Is(err, service.ErrTokenReused):
		return fault.EC2("IdempotentParameterMismatch", "ClientToken: %v", service.ErrTokenReused)
	case errors.Is(err, alloc.ErrTransitFull):
		return fault.EC2("InsufficientCapacity", "this installation has no room in its transit realm for another one: %v", err)
	}
	return err
}

// TagsFor gives the tags that a request has for the resource it makes. A
// specification for a resource of another type is an error, as on AWS.
func TagsFor(specifications []shape.TagSpecification, resourceType string) (map[string]string, error) {
	var list []service.Tag
	for _, s := range specifications {
		if got := service.Value(s.ResourceType); got != resourceType {
			return nil, fault.EC2("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation, want '%s'", got, resourceType)
		}
		list = append(list, Tags(s.Tags)...)
	}
	tags, err := service.MakeTags(list)
	return tags, Fault(err)
}

// Tags gives the tags of a request in the form of package service.
func Tags(tags []shape.Tag) []service.Tag {
	list := make([]service.Tag, len(tags))
	for i, t := range tags {
		list[i] = service.Tag{Key: service.Value(t.Key), Value: service.Value(t.Value)}
	}
	return list
}

// TagList is the tags of a resource as replies have them, sorted by key.
func TagList(tags map[string]string) []shape.Tag {
	list := make([]shape.Tag, 0, len(tags))
	if len(tags) == 0 {
		return list
	}
	for _, key := range slices.SortedFunc(maps.Keys(tags), cmp.Compare[string]) {
		list = append(list, shape.Tag{Key: new(key), Value: new(tags[key])})
	}
	return list
}

// Meta makes what all rows have, with a new id.
func Meta(env *service.Env, who access.View, prefix string, now time.Time, tags map[string]string) model.Meta {
	return model.Meta{Account: who.Account, Region: who.Region, ID: env.NewID(prefix), CreatedAt: now, UpdatedAt: now, Tags: tags}
}

// Unserved is the error for what AWS has and this server does not.
func Unserved(what string) error {
	return fault.EC2("UnsupportedOperation", "%s are not served here", what)
}

// Missing makes errors for ids that do not exist.
func Missing(code, noun string) func(string) error {
	return func(id string) error { return fault.EC2(code, "The %s ID '%s' does not exist", noun, id) }
}
