// SPDX-License-Identifier: Apache-2.0

// Package ram is AWS Resource Access Manager: accounts share resources with others, which
// accept. What a share lets its principals do is decided by package share, from the rows
// that are made here.
//
// References are to the RAM API Reference, https://docs.aws.amazon.com/ram/latest/APIReference/,
// and the user guide, https://docs.aws.amazon.com/ram/latest/userguide/.
package ram

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// API implements the operations of RAM on the tables of its environment.
type API struct{ *service.Env }

var _ shape.API = (*API)(nil)

// The types of RAM's ARNs.
const (
	typeShare      = "resource-share"
	typeInvitation = "resource-share-invitation"
	typePermission = "permission"
)

func problem(code, format string, args ...any) *fault.Error {
	return fault.New(code, 400, format, args...)
}

func invalid(format string, args ...any) *fault.Error {
	return problem("InvalidParameterException", format, args...)
}

func unknown(format string, args ...any) *fault.Error {
	return problem("UnknownResourceException", format, args...)
}

func notPermitted(format string, args ...any) *fault.Error {
	return problem("OperationNotPermittedException", format, args...)
}

// asFault gives the errors of package service their RAM form; others it returns as they are.
func asFault(err error) error {
	var tag *service.TagError
	switch {
	case errors.As(err, &tag) && tag.Limit:
		return problem("TagLimitExceededException", "tags: %s", tag.Problem)
	case errors.As(err, &tag):
		return invalid("tags: %s", tag.Problem)
	case errors.Is(err, service.ErrTokenReused):
		return problem("IdempotentParameterMismatchException", "clientToken: %v", service.ErrTokenReused)
	case errors.Is(err, service.ErrPageToken):
		return problem("InvalidNextTokenException", "nextToken: %v", service.ErrPageToken)
	}
	return err
}

// newID makes the random UUID that identifiers of RAM are.
func (a *API) newID() string {
	id, err := uuid.NewRandomFromReader(a.Rand)
	if err != nil {
		panic(fmt.Sprintf("read random bytes: %v", err)) // the contract of Rand excludes it
	}
	return id.String()
}

// parse gives what an ARN of RAM's names.
func parse(typeOfARN, text string) (model.Ref, error) {
	arn, err := model.ParseARN(text)
	if err != nil || arn.Service != "ram" || arn.Type != typeOfARN || arn.ID == "" || arn.Account == "" {
		return model.Ref{}, problem("MalformedArnException", "%s is not the ARN of a %s", text, strings.ReplaceAll(typeOfARN, "-", " "))
	}
	return model.Ref{Account: arn.Account, Region: arn.Region, ID: arn.ID}, nil
}

// ownShare finds a share of the caller's.
func ownShare(tx *table.Txn, who access.View, arn string) (*model.ResourceShare, error) {
	ref, err := parse(typeShare, arn)
	if err != nil {
		return nil, err
	}
	if row, ok := view.Get(tx, who, state.ResourceShares, ref.ID); ok && row.Ref() == ref {
		return row, nil
	}
	return nil, unknown("ResourceShare %s could not be found.", arn)
}

// liveShare finds a share of the caller's that was not deleted.
func liveShare(tx *table.Txn, who access.View, arn string) (*model.ResourceShare, error) {
	row, err := ownShare(tx, who, arn)
	if err == nil && row.Deleting() {
		return nil, problem("InvalidStateTransitionException", "ResourceShare %s has been deleted.", arn)
	}
	return row, err
}

// anyShare finds a share of the caller's, or one that it has from others.
func anyShare(tx *table.Txn, who access.View, arn string) (*model.ResourceShare, error) {
	ref, err := parse(typeShare, arn)
	if err != nil {
		return nil, err
	}
	if row, ok := view.At(tx, who, state.ResourceShares, ref); ok {
		return row, nil
	}
	return nil, unknown("ResourceShare %s could not be found.", arn)
}

// chosenShares gives the shares of the caller's, or those that it has from others: all, or
// those that are named, each of which must be one of them.
func chosenShares(tx *table.Txn, who access.View, owner string, arns []string) ([]*model.ResourceShare, error) {
	var rows []*model.ResourceShare
	if owner == shape.ResourceOwnerSelf {
		rows = slices.Collect(view.All(tx, who, state.ResourceShares))
	} else {
		rows = slices.SortedFunc(share.In(tx).With(who.Account, who.Region), byARN)
		rows = slices.CompactFunc(rows, func(a, b *model.ResourceShare) bool { return a.Ref() == b.Ref() })
	}
	if len(arns) == 0 {
		return rows, nil
	}
	for _, arn := range arns {
		ref, err := parse(typeShare, arn)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(rows, func(s *model.ResourceShare) bool { return s.Ref() == ref }) {
			return nil, unknown("ResourceShare %s could not be found.", arn)
		}
	}
	return slices.DeleteFunc(rows, func(s *model.ResourceShare) bool { return !slices.Contains(arns, s.ARN()) }), nil
}

func byARN(a, b *model.ResourceShare) int { return strings.Compare(a.ARN(), b.ARN()) }

// pageLimit is the largest page of RAM's lists.
const pageLimit = 500

// paginate gives one page of items, in the order of their keys.
func paginate[T any](who access.View, operation string, parameters any, token *string, limit *int32, items []T, key func(T) string) ([]T, *string, error) {
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	page := service.NewPage(who, operation, parameters, token, limit, pageLimit)
	out, next, err := service.Paginate(page, slices.Values(items), key)
	return out, service.Optional(next), asFault(err)
}

// lastUpdated is the time of the last change, which creation is one of.
func lastUpdated(created, updated time.Time) *time.Time {
	if updated.IsZero() {
		return &created
	}
	return &updated
}

// allows reports whether a filter lets something through: without a value it lets everything.
func allows(filter *string, value string) bool { return filter == nil || *filter == value }

// anyOf is allows for a filter with several values.
func anyOf(filter []string, value string) bool {
	return len(filter) == 0 || slices.Contains(filter, value)
}

// regional reports whether a filter lets resources of a region through, which all are here.
func regional(scope *string) bool {
	return scope == nil || *scope != shape.ResourceRegionScopeFilterGlobal
}

func collect[T, Out any](rows iter.Seq[T], show func(T) Out) []Out {
	out := []Out{}
	for row := range rows {
		out = append(out, show(row))
	}
	return out
}
