// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"cmp"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
)

// How many records a page of RDS can have.
const (
	leastRecords = 20
	mostRecords  = 100
)

// query is what the lists of RDS have in common.
type query struct {
	who       access.View
	operation string
	// choice is the parameters that choose items.
	choice any
	marker *string
	max    *int32
}

// paginate sorts the items by their keys, which are unique, and cuts a page out of them.
func paginate[T any](q query, items []T, key func(T) string) (page []T, marker *string, err error) {
	return paginateTo(mostRecords, q, items, key)
}

// paginateTo is paginate of a list whose pages can have more.
func paginateTo[T any](most int32, q query, items []T, key func(T) string) (page []T, marker *string, err error) {
	limit := mostRecords
	if q.max != nil {
		if *q.max < leastRecords || *q.max > most {
			return nil, nil, invalid("Invalid value %d for MaxRecords. Must be between %d and %d", *q.max, leastRecords, most)
		}
		limit = int(*q.max)
	}
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	page, next, err := service.Paginate(service.NewPage(q.who, q.operation, q.choice, q.marker, nil, limit), slices.Values(items), key)
	if err != nil {
		return nil, nil, asFault(err)
	}
	return page, service.Optional(next), nil
}

// properties are what a list can be filtered by: the values that an item has for a filter,
// one of which must be named. Identifiers of RDS have no case.
type properties[T any] map[string]func(T) []string

// compile makes the condition that the filters of a request all hold.
func (p properties[T]) compile(filters []shape.Filter) (func(T) bool, error) {
	for _, f := range filters {
		if p[service.Value(f.Name)] == nil {
			return nil, invalid("Unrecognized filter name: %s", service.Value(f.Name))
		}
	}
	return func(item T) bool {
		for _, f := range filters {
			has := p[*f.Name](item)
			if !slices.ContainsFunc(f.Values, func(v string) bool {
				return slices.ContainsFunc(has, func(h string) bool { return h != "" && strings.EqualFold(h, v) })
			}) {
				return false
			}
		}
		return true
	}, nil
}

// named gives the id in a name that is an identifier or the ARN of a kind of the caller's,
// in lower case, as identifiers of RDS are kept. An ARN of anything else it gives as it is:
// nothing has that for an identifier.
func named(who access.View, kind, text string) string {
	if arn, err := model.ParseARN(text); err == nil && arn.Service == "rds" && arn.Type == kind && view.Own(who, model.Ref{Account: arn.Account, Region: arn.Region, ID: arn.ID}) {
		text = arn.ID
	}
	return strings.ToLower(text)
}

// makeTags reads the tags of a request.
func makeTags(list []shape.Tag) (map[string]string, error) {
	tags, err := service.MakeTags(service.Each(list, func(t shape.Tag) service.Tag {
		return service.Tag{Key: service.Value(t.Key), Value: service.Value(t.Value)}
	}))
	return tags, asFault(err)
}

// tagList shows tags, sorted by key; never nil.
func tagList(tags map[string]string) []shape.Tag {
	list := make([]shape.Tag, 0, len(tags))
	for key, value := range tags {
		list = append(list, shape.Tag{Key: &key, Value: &value})
	}
	slices.SortFunc(list, func(a, b shape.Tag) int { return cmp.Compare(*a.Key, *b.Key) })
	return list
}
