// SPDX-License-Identifier: Apache-2.0

// Package absence lists what is not there. Clients ask what a VPC might have
// before they change or delete it; of kinds that cannot be made here they get
// an empty list, and the errors that they would get if there were some.
//
// Kinds that belong to a noun, such as the reservations of subnets, are listed
// by that noun's package.
package absence

import (
	"context"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
)

// Lists are the operations that list what nothing here belongs to.
type Lists struct{ *service.Env }

// Kind is a kind of resource of which there are none.
type Kind struct {
	Operation string
	// Missing makes the error for an id; nil where AWS leaves out what does not
	// exist.
	Missing func(id string) error
	// Filters are the names of the filters, separated by spaces, without those by
	// tags, which all kinds have but the untagged ones.
	Filters  string
	Untagged bool
}

// Of answers a request about a kind of which there are none, when it would
// be answered if there were some.
func Of[T any](ctx context.Context, k Kind, q request.Query) (*T, error) {
	if len(q.IDs) > 0 && k.Missing != nil {
		return nil, k.Missing(q.IDs[0])
	}
	type row struct{}
	f := service.Filters[row]{Properties: make(map[string]func(row) []string)}
	for name := range strings.FieldsSeq(k.Filters) {
		f.Properties[name] = func(row) []string { return nil }
	}
	if !k.Untagged {
		f.Tags = func(row) map[string]string { return nil }
	}
	none := func(func(row) bool) {}
	_, _, err := request.Paginate(access.From(ctx), k.Operation, q, none, f, func(row) string { return "" })
	if err != nil {
		return nil, err
	}
	return new(T), nil
}
