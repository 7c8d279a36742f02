// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const (
	mine  = servicetest.Account
	other = servicetest.OtherAccount
	// readVPCs is a small policy, with blanks that must come back.
	readVPCs = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"ec2:DescribeVpcs\", \"Resource\": \"*\"}]\n}\n"
	readOnly = "arn:aws:iam::aws:policy/ReadOnlyAccess"
)

// trusting is a trust policy that names a principal.
func trusting(principal string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"}]}`
}

type fixture struct {
	*servicetest.World
	*API
	// ctx is that of an account's administrator, and other of another account's.
	ctx, other context.Context
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	w := servicetest.New(t)
	f := &fixture{w, &API{w.Env}, servicetest.As(t, mine, ""), servicetest.As(t, other, "")}
	f.put(t, func(tx *table.Txn) {
		for _, id := range []string{mine, other} {
			state.Accounts.Put(tx, &model.Account{ID: id, CreatedAt: servicetest.Now, Management: id == mine})
		}
	})
	return f
}

func (f *fixture) put(t testing.TB, write func(*table.Txn)) {
	t.Helper()
	if _, err := f.World.DB.Update(t.Context(), func(tx *table.Txn) error { write(tx); return nil }); err != nil {
		t.Fatal(err)
	}
}

// as gives the context of a user's request.
func (f *fixture) as(t testing.TB, u *shape.User) context.Context {
	return access.With(t.Context(), &access.View{Caller: access.Caller{
		Account: mine, Kind: policy.User, ARN: *u.Arn, UserID: *u.UserId, Entity: *u.Arn, EntityID: *u.UserId, EntityName: *u.UserName,
	}})
}

// must gives the answer of a call that has to go well.
func must[T any](t testing.TB) func(T, error) T {
	return func(out T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func (f *fixture) user(t testing.TB, name string) *shape.User {
	t.Helper()
	return must[*shape.CreateUserOutput](t)(f.CreateUser(f.ctx, &shape.CreateUserInput{UserName: &name})).User
}

func (f *fixture) group(t testing.TB, name string) *shape.Group {
	t.Helper()
	return must[*shape.CreateGroupOutput](t)(f.CreateGroup(f.ctx, &shape.CreateGroupInput{GroupName: &name})).Group
}

func (f *fixture) role(t testing.TB, name, trust string) *shape.Role {
	t.Helper()
	return must[*shape.CreateRoleOutput](t)(f.CreateRole(f.ctx, &shape.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})).Role
}

func (f *fixture) policy(t testing.TB, name, document string) string {
	t.Helper()
	return *must[*shape.CreatePolicyOutput](t)(f.CreatePolicy(f.ctx, &shape.CreatePolicyInput{PolicyName: &name, PolicyDocument: &document})).Policy.Arn
}

func decoded(t testing.TB, document *string) string {
	t.Helper()
	text, err := url.PathUnescape(*document)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func failure[T any](_ T, err error) error { return err }

// refused wants a call to fail with a code and a message, and to change nothing.
func (f *fixture) refused(t *testing.T, code, message string, call func() error) {
	t.Helper()
	before := f.Dump(t)
	err := call()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != code || message != "" && e.Message != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
	if diff := cmp.Diff(before, f.Dump(t)); diff != "" {
		t.Errorf("a request that was refused changed something:\n%s", diff)
	}
}
