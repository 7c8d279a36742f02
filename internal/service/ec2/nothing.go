// SPDX-License-Identifier: Apache-2.0

package ec2

import (
	"context"
	"github.com/posternhq/postern/internal/aws/caller"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"strings"
)

// absence is a kind of resource of which there are none.
type absence struct {
	operation string
	// missing makes the error for an id; nil where AWS leaves out what does not
	// exist.
	missing func(id string) error
	// filters are the names of the filters, separated by spaces, without those by
	// tags, which all kinds have but the untagged ones.
	filters  string
	untagged bool
}

// nothing answers a request about a kind of which there are none, when it would
// be answered if there were some.
func nothing[T any](ctx context.Context, k absence, q request.Query) (*T, error) {
	if len(q.IDs) > 0 && k.missing != nil {
		return nil, k.missing(q.IDs[0])
	}
	type row struct{}
	f := service.Filters[row]{Properties: make(map[string]func(row) []string)}
	for name := range strings.FieldsSeq(k.filters) {
		f.Properties[name] = func(row) []string { return nil }
	}
	if !k.untagged {
		f.Tags = func(row) map[string]string { return nil }
	}
	none := func(func(row) bool) {}
	_, _, err := request.Paginate(caller.From(ctx), k.operation, q, none, f, func(row) string { return "" })
	if err != nil {
		return nil, err
	}
	return new(T), nil
}
