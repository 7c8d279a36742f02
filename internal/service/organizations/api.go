// SPDX-License-Identifier: Apache-2.0

// Package organizations is AWS Organizations, for the one organization that all accounts
// of the installation are in once the management account has made it: its units, the
// accounts, and service control policies.
package organizations

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/organizations"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// API implements the operations of AWS Organizations. That all but DescribeOrganization
// are for the management account is decided before they are called.
type API struct{ *service.Env }

var _ shape.API = (*API)(nil)

// Limits of AWS, but for those that Postern has in other places
// (https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html).
const (
	maxPage     = 20
	maxUnits    = 2000
	maxPolicies = 1000
	maxContent  = 5120 // characters of a service control policy
	maxAttached = 5
)

// controlType is the type of policies that there is.
const controlType = shape.PolicyTypeServiceControlPolicy

func notInUse() error {
	return fault.AWSJSON("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
}

// invalid is an InvalidInputException with its reason.
func invalid(reason, format string, args ...any) error {
	return reasoned("InvalidInputException", reason, format, args...)
}

// violates is a ConstraintViolationException with its reason.
func violates(reason, format string, args ...any) error {
	return reasoned("ConstraintViolationException", reason, format, args...)
}

func reasoned(code, reason, format string, args ...any) error {
	e := fault.AWSJSON(code, format, args...)
	e.Fields = map[string]string{"Reason": reason}
	return e
}

// read gives the organization in a state that has every change which was made before.
func (a *API) read(ctx context.Context) (*table.Txn, *model.Organization, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, nil, err
	}
	o := organization.In(tx)
	if o == nil {
		return nil, nil, notInUse()
	}
	return tx, o, nil
}

// change changes the organization and what it has, in an update that may run several times.
func (a *API) change(ctx context.Context, change func(*table.Txn, *model.Organization) error) error {
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		o := organization.In(tx)
		if o == nil {
			return notInUse()
		}
		return change(tx, o)
	})
	return err
}

// id makes the last part of an identifier: small letters and digits.
func (a *API) id(length int) string {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyz"
	b := make([]byte, length)
	for i := range b {
		b[i] = letters[a.Intn(len(letters))]
	}
	return string(b)
}

// paginate cuts a page out of a list; each item's key is unique.
func paginate[T any](ctx context.Context, operation string, parameters any, token *string, most *int32, items []T, key func(T) string) ([]T, *string, error) {
	page := service.NewPage(access.From(ctx), operation, parameters, token, most, maxPage)
	slices.SortFunc(items, func(x, y T) int {
		switch a, b := key(x), key(y); {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	})
	got, next, err := service.Paginate(page, slices.Values(items), key)
	if errors.Is(err, service.ErrPageToken) {
		return nil, nil, invalid("INVALID_NEXT_TOKEN", "You specified an invalid value for NextToken.")
	}
	return got, service.Optional(next), err
}

// units gives the units that are in one, or in the root.
func units(tx *table.Txn, o *model.Organization, parent string) (in []*model.OrganizationalUnit) {
	for u := range state.OrganizationalUnits.Scope(tx, o.Account, "") {
		if u.Parent == parent {
			in = append(in, u)
		}
	}
	return in
}

// accounts yields all accounts with what the organization knows of them.
func accounts(tx *table.Txn, o *model.Organization) iter.Seq2[*model.Account, *model.OrganizationAccount] {
	return func(yield func(*model.Account, *model.OrganizationAccount) bool) {
		for row := range state.Accounts.Scope(tx, "", "") {
			if !yield(row, organization.Account(tx, o, row.ID)) {
				return
			}
		}
	}
}
