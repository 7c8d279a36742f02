// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"fmt"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// bearer is a row that has policies: a user, a group or a role.
type bearer[T any] interface {
	state.Resource[T]
	ARN() string
	Called() (path, name string)
	Attached() *[]string
}

// kind is what the three kinds of bearers have in common.
type kind[T bearer[T]] struct {
	rows   *table.Table[T]
	byName table.Index[T, model.Ref]
	prefix string
	// noun is as ARNs and messages have it, and title begins a sentence or the name of a
	// quota.
	noun, title string
	most        func(*service.Quotas) int
	// inline is how many characters the inline policies of one can have together.
	inline int
}

// The quotas of inline policies are of all those of one bearer:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length
var (
	users = kind[*model.User]{state.Users, state.UsersByName, model.UserPrefix, "user", "User",
		func(q *service.Quotas) int { return q.UsersPerAccount }, 2048}
	groups = kind[*model.Group]{state.Groups, state.GroupsByName, model.GroupPrefix, "group", "Group",
		func(q *service.Quotas) int { return q.GroupsPerAccount }, 5120}
	roles = kind[*model.Role]{state.Roles, state.RolesByName, model.RolePrefix, "role", "Role",
		func(q *service.Quotas) int { return q.RolesPerAccount }, 10240}
)

// find finds one of the caller's by its name.
func (k kind[T]) find(tx *table.Txn, who access.View, name string) (T, error) {
	return k.named(tx, who.Own(model.FoldName(name)), name)
}

// named finds one of any account by a reference that has the name as its id.
func (k kind[T]) named(tx *table.Txn, by model.Ref, name string) (T, error) {
	for row := range k.byName.Rows(tx, by) {
		return row, nil
	}
	var none T
	return none, noSuchEntity(k.noun, name)
}

// free wants a name not to be taken. The account's own administrator has the ARN that a
// user of that name would have.
func (k kind[T]) free(tx *table.Txn, who access.View, name string) error {
	if _, err := k.find(tx, who, name); err == nil || k.noun == users.noun && model.FoldName(name) == account.Administrator {
		return exists(k.title, name)
	}
	return nil
}

// add writes a new one, if name and quota allow it.
func (k kind[T]) add(tx *table.Txn, a *API, who access.View, row T) error {
	_, name := row.Called()
	if err := k.free(tx, who, name); err != nil {
		return err
	}
	if most := k.most(&a.Quotas); view.Count(tx, who, k.rows) >= most {
		return exceeds(k.title+"sPerAccount", most)
	}
	return k.rows.Insert(tx, row)
}

// read finds one in a view of its own.
func (k kind[T]) read(ctx context.Context, a *API, name string) (*table.Txn, T, error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		var none T
		return nil, none, err
	}
	row, err := k.find(tx, access.From(ctx), name)
	return tx, row, err
}

// change changes the one with a name.
func (k kind[T]) change(ctx context.Context, a *API, name string, change func(*table.Txn, T) error) (T, error) {
	return service.Change(ctx, a.Env, k.rows, k.find, name, change)
}

// list gives a page of those below a path.
func (k kind[T]) list(ctx context.Context, a *API, prefix *string, q query) (page []T, truncated *bool, marker *string, err error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	q.who, q.operation, q.choice = access.From(ctx), "List"+k.title+"s", service.Value(prefix)
	var all []T
	for row := range view.All(tx, q.who, k.rows) {
		if path, _ := row.Called(); strings.HasPrefix(path, service.Value(prefix)) {
			all = append(all, row)
		}
	}
	return paginate(q, all, func(row T) string { return sortKey(row) })
}

// remove deletes one that nothing needs; more says what else is needed of it.
func (k kind[T]) remove(ctx context.Context, a *API, name string, more func(*table.Txn, T) error) error {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		row, err := k.find(tx, who, name)
		if err != nil {
			return err
		}
		if err := more(tx, row); err != nil {
			return err
		}
		if len(*row.Attached()) > 0 {
			return conflict("detach all policies")
		}
		if state.InlinePoliciesByOwner.Count(tx, row.Common().Ref()) > 0 {
			return conflict("delete policies")
		}
		k.rows.Delete(tx, row.Common().Account, "", row.Common().ID)
		state.LastUses.Delete(tx, row.Common().Account, "", row.Common().ID)
		return nil
	})
	return err
}

// meta begins a new row.
func (a *API) meta(who access.View, prefix string, tags map[string]string) (model.Meta, error) {
	id, err := model.NewUniqueID(a.Rand, prefix)
	if err != nil {
		return model.Meta{}, fmt.Errorf("make the row of a new %s: %w", prefix, err)
	}
	return model.Meta{Account: who.Account, ID: id, CreatedAt: a.Now(), Tags: tags}, nil
}
