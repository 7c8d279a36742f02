// SPDX-License-Identifier: Apache-2.0

// Package iam is the part of AWS Identity and Access Management that says who may do
// what: users, groups, roles, their policies and access keys. What it says counts from
// the next request on; package identity reads it there.
//
// References are to the IAM API Reference, https://docs.aws.amazon.com/IAM/latest/APIReference/,
// and the user guide, https://docs.aws.amazon.com/IAM/latest/UserGuide/.
package iam

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
)

// API implements the operations of IAM on the tables of its environment.
type API struct{ *service.Env }

var _ shape.API = (*API)(nil)

// What messages of IAM have in common. Clients such as Terraform look at the codes, and
// people at what tools print of the texts.

func noSuchEntity(noun, name string) error {
	return fault.IAM("NoSuchEntity", "The %s with name %s cannot be found.", noun, name)
}

func exists(noun, name string) error {
	return fault.IAM("EntityAlreadyExists", "%s with name %s already exists.", noun, name)
}

func noSuchPolicy(arn string) error {
	return fault.IAM("NoSuchEntity", "Policy %s was not found.", arn)
}

func exceeds(quota string, most int) error {
	return fault.IAM("LimitExceeded", "Cannot exceed quota for %s: %d", quota, most)
}

func conflict(first string) error {
	return fault.IAM("DeleteConflict", "Cannot delete entity, must %s first.", first)
}

func invalid(format string, args ...any) error { return fault.IAM("InvalidInput", format, args...) }

// validation is a request that the model would not have allowed, if it could say so.
func validation(format string, args ...any) error {
	return fault.IAM("ValidationError", format, args...)
}

// asFault gives the errors of package service the form of IAM; others it returns as they
// are.
func asFault(err error) error {
	var tag *service.TagError
	switch {
	case errors.As(err, &tag) && tag.Limit:
		return exceeds("TagsPerResource", service.MaxTags)
	case errors.As(err, &tag):
		return invalid("%s", tag.Problem)
	case errors.Is(err, service.ErrPageToken):
		return validation("Invalid Marker.")
	}
	return err
}

// encoded is a document as answers have it (RFC 3986):
// https://docs.aws.amazon.com/IAM/latest/APIReference/API_PolicyVersion.html
func encoded(document string) *string {
	return new(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}

// perPage is how many items a page has when the request does not say.
const perPage = 100

// query is what the lists of IAM have in common.
type query struct {
	who       access.View
	operation string
	// choice is the parameters that choose items.
	choice any
	marker *string
	max    *int32
}

// paginate sorts the items by their keys and cuts a page out of them.
func paginate[T any](q query, items []T, key func(T) string) (page []T, truncated *bool, marker *string, err error) {
	limit := perPage
	if q.max != nil {
		limit = int(*q.max)
	}
	slices.SortFunc(items, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	page, next, err := service.Paginate(service.NewPage(q.who, q.operation, q.choice, q.marker, nil, limit), slices.Values(items), key)
	if err != nil {
		return nil, nil, nil, asFault(err)
	}
	return page, new(next != ""), service.Optional(next), nil
}

// sortKey is the order of lists: by name, and no two have the same.
func sortKey(row interface{ Called() (path, name string) }) string {
	_, name := row.Called()
	return model.FoldName(name)
}

// path gives the path of what is made.
func path(text *string) string { return cmp.Or(service.Value(text), "/") }
