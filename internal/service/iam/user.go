// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"strings"
	"time"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// listedUser is a user as lists have it: without tags and boundary.
func listedUser(u *model.User) shape.User {
	return shape.User{Path: &u.Path, UserName: &u.Name, UserId: &u.ID, Arn: new(u.ARN()), CreateDate: &u.CreatedAt}
}

func userShape(tx *table.Txn, u *model.User) *shape.User {
	s := listedUser(u)
	s.PermissionsBoundary, s.Tags = boundaryShape(tx, u.Meta, u.Boundary), tagShapes(u.Tags)
	return &s
}

// CreateUser makes a user, who may do nothing yet.
func (a *API) CreateUser(ctx context.Context, in *shape.CreateUserInput) (*shape.CreateUserOutput, error) {
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	meta, err := a.meta(who, model.UserPrefix, tags)
	if err != nil {
		return nil, err
	}
	out := &shape.CreateUserOutput{}
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		u := &model.User{Meta: meta, Name: *in.UserName, Path: path(in.Path)}
		if u.Boundary, err = boundary(tx, who, in.PermissionsBoundary); err != nil {
			return err
		}
		if err := users.add(tx, a, who, u); err != nil {
			return err
		}
		out.User = userShape(tx, u)
		return nil
	})
	return out, err
}

// GetUser shows a user, and the caller when it names none.
func (a *API) GetUser(ctx context.Context, in *shape.GetUserInput) (*shape.GetUserOutput, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	u, err := a.selfOr(tx, who, in.UserName)
	switch {
	case err != nil:
		return nil, err
	case u == nil:
		return &shape.GetUserOutput{User: administratorShape(tx, who)}, nil
	}
	return &shape.GetUserOutput{User: userShape(tx, u)}, nil
}

// selfOr finds the user with a name, or the caller when there is none; nil for an
// account's own administrator.
func (a *API) selfOr(tx *table.Txn, who access.View, name *string) (*model.User, error) {
	if name != nil {
		return users.find(tx, who, *name)
	}
	switch who.Kind {
	case policy.Root:
		return nil, nil
	case policy.User:
		u, ok := state.Users.Get(tx, who.Own("").Account, "", who.EntityID)
		if !ok {
			return nil, noSuchEntity(users.noun, who.EntityName)
		}
		return u, nil
	}
	return nil, validation("Must specify userName when calling with non-User credentials")
}

// administratorShape shows who is no row.
func administratorShape(tx *table.Txn, who access.View) *shape.User {
	s := &shape.User{Path: new("/"), UserName: administratorName(who), UserId: &who.UserID, Arn: &who.ARN, CreateDate: new(time.Time{})}
	if account, ok := state.Accounts.Get(tx, "", "", who.Account); ok {
		s.CreateDate = &account.CreatedAt
	}
	return s
}

// administratorName is the user of the caller's ARN; nil for arn:aws:iam::ACCOUNT:root.
func administratorName(who access.View) *string {
	_, name, ok := strings.Cut(who.ARN, ":user/")
	if !ok {
		return nil
	}
	return &name
}

// ListUsers lists the users below a path.
func (a *API) ListUsers(ctx context.Context, in *shape.ListUsersInput) (*shape.ListUsersOutput, error) {
	page, truncated, marker, err := users.list(ctx, a, in.PathPrefix, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.ListUsersOutput{Users: service.Each(page, listedUser), IsTruncated: truncated, Marker: marker}, nil
}

// UpdateUser changes name and path of a user, whose ARN changes with them.
func (a *API) UpdateUser(ctx context.Context, in *shape.UpdateUserInput) (*shape.UpdateUserOutput, error) {
	who := access.From(ctx)
	_, err := users.change(ctx, a, *in.UserName, func(tx *table.Txn, u *model.User) error {
		if in.NewUserName != nil {
			// AWS refuses another case of the same name too.
			if err := users.free(tx, who, *in.NewUserName); err != nil && u.Name != *in.NewUserName {
				return err
			}
			u.Name = *in.NewUserName
		}
		if in.NewPath != nil {
			u.Path = *in.NewPath
		}
		return nil
	})
	return &shape.UpdateUserOutput{}, err
}

// DeleteUser deletes a user who has nothing any more, and is in no group.
func (a *API) DeleteUser(ctx context.Context, in *shape.DeleteUserInput) (*shape.DeleteUserOutput, error) {
	err := users.remove(ctx, a, *in.UserName, func(tx *table.Txn, u *model.User) error {
		switch {
		case state.AccessKeysByUser.Count(tx, u.Ref()) > 0:
			return conflict("delete access keys")
		case len(u.Groups) > 0:
			return conflict("remove users from group")
		}
		return nil
	})
	return &shape.DeleteUserOutput{}, err
}

// PutUserPermissionsBoundary sets the boundary of a user, or another one.
func (a *API) PutUserPermissionsBoundary(ctx context.Context, in *shape.PutUserPermissionsBoundaryInput) (*shape.PutUserPermissionsBoundaryOutput, error) {
	return &shape.PutUserPermissionsBoundaryOutput{}, bound(ctx, a, users, *in.UserName, in.PermissionsBoundary)
}

// DeleteUserPermissionsBoundary takes the boundary off a user, if it has one.
func (a *API) DeleteUserPermissionsBoundary(ctx context.Context, in *shape.DeleteUserPermissionsBoundaryInput) (*shape.DeleteUserPermissionsBoundaryOutput, error) {
	return &shape.DeleteUserPermissionsBoundaryOutput{}, bound(ctx, a, users, *in.UserName, nil)
}

// bounded is a bearer that can have a boundary.
type bounded[T any] interface {
	bearer[T]
	Bounded() *string
}

// bound sets or takes off a boundary.
func bound[T bounded[T]](ctx context.Context, a *API, k kind[T], name string, arn *string) error {
	who := access.From(ctx)
	_, err := k.change(ctx, a, name, func(tx *table.Txn, row T) (err error) {
		*row.Bounded(), err = boundary(tx, who, arn)
		return err
	})
	return err
}

// boundary finds the policy that a request names as a boundary; empty for none.
func boundary(tx *table.Txn, who access.View, arn *string) (string, error) {
	if arn == nil {
		return "", nil
	}
	p, err := managedPolicy(tx, who, *arn)
	if err != nil {
		return "", err
	}
	if p == nil {
		return "", invalidScope(*arn)
	}
	return p.id, nil
}

func boundaryShape(tx *table.Txn, m model.Meta, id string) *shape.AttachedPermissionsBoundary {
	if id == "" {
		return nil
	}
	return &shape.AttachedPermissionsBoundary{
		PermissionsBoundaryType: new(shape.PermissionsBoundaryAttachmentTypePermissionsBoundaryPolicy),
		PermissionsBoundaryArn:  service.Optional(policyARN(tx, m, id)),
	}
}
