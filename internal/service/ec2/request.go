// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/posternhq/postern/internal/alloc"
	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// pageLimit is the largest page of EC2's lists, and the size of one that was
// not asked to be smaller.
const pageLimit = 1000

// deref gives what p points to, or the zero value.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// optional gives a pointer to a copy of v, or nil when v is the zero value.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// one makes the values of a filter out of a single one, none of an empty one.
func one(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// yesNo is how filters spell a boolean.
func yesNo(b bool) []string {
	if b {
		return []string{"true"}
	}
	return []string{"false"}
}

// query is what the requests of all describe operations have in common.
type query struct {
	filters []shape.Filter
	ids     []string
	token   *string
	max     *int32
}

// listing says how one kind of resource is described.
type listing[T table.Row] struct {
	operation string
	table     *table.Table[T]
	// filters may look at other tables in the given view.
	filters func(*table.Txn) service.Filters[T]
	// missing makes the error for an id that does not exist.
	missing func(id string) error
}

// describe gives one page of the caller's rows that a query chooses, with the
// view that they were read from.
func describe[T table.Row](ctx context.Context, db *table.DB, l listing[T], q query) ([]T, *table.Txn, *string, error) {
	who := caller.From(ctx)
	tx, err := db.View(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	rows := l.table.Scope(tx, who.Account, who.Region)
	if len(q.ids) > 0 {
		if rows, err = l.byID(tx, who, q.ids); err != nil {
			return nil, nil, nil, err
		}
	}
	var filters service.Filters[T]
	if len(q.filters) > 0 {
		filters = l.filters(tx)
	}
	page, next, err := paginate(who, l.operation, q, rows, filters, rowID)
	return page, tx, next, err
}

// byID gives the rows with these ids, each once and in ascending order.
func (l listing[T]) byID(tx *table.Txn, who caller.Caller, ids []string) (iter.Seq[T], error) {
	var found []T
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		row, ok := l.table.Get(tx, who.Account, who.Region, id)
		if !ok {
			return nil, l.missing(id)
		}
		found = append(found, row)
	}
	return slices.Values(found), nil
}

// paginate gives one page of the items, which come in ascending order of their
// keys, that the filters of a query take.
func paginate[T any](who caller.Caller, operation string, q query, items iter.Seq[T], filters service.Filters[T], key func(T) string) ([]T, *string, error) {
	holds, err := filters.Compile(filtersOf(q.filters))
	if err != nil {
		return nil, nil, asFault(err)
	}
	page := service.NewPage(who, operation, []any{q.filters, q.ids}, q.token, q.max, pageLimit)
	out, next, err := service.Paginate(page, taken(items, holds), key)
	return out, optional(next), asFault(err)
}

func taken[T any](items iter.Seq[T], holds func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		for item := range items {
			if holds(item) && !yield(item) {
				return
			}
		}
	}
}

func filtersOf(in []shape.Filter) []service.Filter {
	out := make([]service.Filter, len(in))
	for i, f := range in {
		out[i] = service.Filter{Name: deref(f.Name), Values: f.Values}
	}
	return out
}

func rowID[T table.Row](row T) string {
	_, _, id := row.RowKey()
	return id
}

// asFault gives the errors of package service their EC2 codes; others it
// returns as they are.
func asFault(err error) error {
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

// tagsFor gives the tags that a request has for the resource it makes. A
// specification for a resource of another type is an error, as on AWS.
func tagsFor(specifications []shape.TagSpecification, resourceType string) (map[string]string, error) {
	var list []service.Tag
	for _, s := range specifications {
		if got := deref(s.ResourceType); got != resourceType {
			return nil, fault.EC2("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation, want '%s'", got, resourceType)
		}
		list = append(list, requestTags(s.Tags)...)
	}
	tags, err := service.MakeTags(list)
	return tags, asFault(err)
}

func requestTags(tags []shape.Tag) []service.Tag {
	list := make([]service.Tag, len(tags))
	for i, t := range tags {
		list[i] = service.Tag{Key: deref(t.Key), Value: deref(t.Value)}
	}
	return list
}

// tagList is the tags of a resource as replies have them, sorted by key.
func tagList(tags map[string]string) []shape.Tag {
	list := make([]shape.Tag, 0, len(tags))
	for _, key := range slices.SortedFunc(maps.Keys(tags), cmp.Compare[string]) {
		list = append(list, shape.Tag{Key: new(key), Value: new(tags[key])})
	}
	return list
}

// newMeta makes what all rows have, with a new id.
func newMeta(env *service.Env, who caller.Caller, prefix string, now time.Time, tags map[string]string) model.Meta {
	return model.Meta{Account: who.Account, Region: who.Region, ID: env.NewID(prefix), CreatedAt: now, UpdatedAt: now, Tags: tags}
}

// unserved is the error for what AWS has and this server does not.
func unserved(what string) error {
	return fault.EC2("UnsupportedOperation", "%s are not served here", what)
}

// missing makes errors for ids that do not exist.
func missing(code, noun string) func(string) error {
	return func(id string) error { return fault.EC2(code, "The %s ID '%s' does not exist", noun, id) }
}
