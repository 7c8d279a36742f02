// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// held are rows that others can name, by their kind, and how users delete them.
var held = map[string]struct {
	id     string
	put    func(*table.Txn, model.Meta)
	remove func(*fixture) error
}{
	"user": {"AIDA1", func(tx *table.Txn, m model.Meta) { state.Users.Put(tx, &model.User{Meta: m, Name: "held", Path: "/"}) }, func(f *fixture) error {
		return failure(f.DeleteUser(f.ctx, &shape.DeleteUserInput{UserName: new("held")}))
	}},
	"group": {"AGPA1", func(tx *table.Txn, m model.Meta) {
		state.Groups.Put(tx, &model.Group{Meta: m, Name: "held", Path: "/"})
	}, func(f *fixture) error {
		return failure(f.DeleteGroup(f.ctx, &shape.DeleteGroupInput{GroupName: new("held")}))
	}},
	"role": {"AROA1", func(tx *table.Txn, m model.Meta) { state.Roles.Put(tx, &model.Role{Meta: m, Name: "held", Path: "/"}) }, func(f *fixture) error {
		return failure(f.DeleteRole(f.ctx, &shape.DeleteRoleInput{RoleName: new("held")}))
	}},
	"policy": {"ANPA1", func(tx *table.Txn, m model.Meta) {
		state.Policies.Put(tx, &model.Policy{Meta: m, Name: "held", Path: "/", Default: 1, Last: 1})
		state.PolicyVersions.Put(tx, &model.PolicyVersion{Account: mine, Policy: m.ID, Number: 1, Document: readVPCs})
	}, func(f *fixture) error {
		return failure(f.DeletePolicy(f.ctx, &shape.DeletePolicyInput{PolicyArn: new("arn:aws:iam::" + mine + ":policy/held")}))
	}},
}

// holders make a row for each relation that holds what it names.
var holders = map[string]func(tx *table.Txn, m model.Meta, id string){
	"user group": func(tx *table.Txn, m model.Meta, id string) {
		state.Users.Put(tx, &model.User{Meta: m, Name: "x", Groups: []string{id}})
	},
	"user policy": func(tx *table.Txn, m model.Meta, id string) {
		state.Users.Put(tx, &model.User{Meta: m, Name: "x", Policies: []string{id}})
	},
	"user boundary": func(tx *table.Txn, m model.Meta, id string) {
		state.Users.Put(tx, &model.User{Meta: m, Name: "x", Boundary: id})
	},
	"group policy": func(tx *table.Txn, m model.Meta, id string) {
		state.Groups.Put(tx, &model.Group{Meta: m, Name: "x", Policies: []string{id}})
	},
	"role policy": func(tx *table.Txn, m model.Meta, id string) {
		state.Roles.Put(tx, &model.Role{Meta: m, Name: "x", Policies: []string{id}})
	},
	"role boundary": func(tx *table.Txn, m model.Meta, id string) {
		state.Roles.Put(tx, &model.Role{Meta: m, Name: "x", Boundary: id})
	},
	"access-key user": func(tx *table.Txn, _ model.Meta, id string) {
		state.AccessKeys.Put(tx, &model.AccessKey{ID: "AKIA1", Account: mine, User: id})
	},
	"policy-version policy": func(tx *table.Txn, _ model.Meta, id string) {
		state.PolicyVersions.Put(tx, &model.PolicyVersion{Account: mine, Policy: id, Number: 2})
	},
	"inline-policy owner": func(tx *table.Txn, _ model.Meta, id string) {
		state.InlinePolicies.Put(tx, &model.InlinePolicy{Account: mine, Owner: id, Name: "x"})
	},
}

// TestWhatIsHeldIsNotDeleted walks the relations of all tables, as the test of this name of
// EC2 does.
func TestWhatIsHeldIsNotDeleted(t *testing.T) {
	for _, r := range state.Relations() {
		for _, kind := range r.To {
			target, ok := held[kind]
			if r.Rule != state.Holds || !ok {
				continue
			}
			hold := holders[r.From+" "+r.Name]
			if hold == nil {
				t.Errorf("nothing here holds by %s of %s", r.Name, r.From)
				continue
			}
			t.Run(r.From+" "+r.Name+" "+kind, func(t *testing.T) {
				f := newFixture(t)
				f.put(t, func(tx *table.Txn) {
					target.put(tx, model.Meta{Account: mine, ID: target.id})
					hold(tx, model.Meta{Account: mine, ID: "holder"}, target.id)
				})
				f.refused(t, "DeleteConflict", "", func() error { return target.remove(f) })
			})
		}
	}
	for kind, target := range held {
		f := newFixture(t)
		f.put(t, func(tx *table.Txn) { target.put(tx, model.Meta{Account: mine, ID: target.id}) })
		if err := target.remove(f); err != nil {
			t.Errorf("%s that nothing holds: %v", kind, err)
		}
	}
}
