// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/policy"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func describe(key string) ask {
	return ask{key: key, service: "ec2", operation: "DescribeVpcs", in: &ec2.DescribeVpcsInput{}}
}

func TestKeysOfAccountsAreTheirOwn(t *testing.T) {
	w := newWorld(t)
	for of, key := range w.root {
		c, ok, err := w.Lookup(t.Context(), key, "")
		if err != nil || !ok || c.Disabled {
			t.Fatalf("%s: %v, %v, disabled %v", key, ok, err, c.Disabled)
		}
		who := c.Caller
		if who.Account != of || who.ARN != "arn:aws:iam::"+of+":user/admin" || who.Kind != policy.Root || who.Management != (of == mine) {
			t.Errorf("the key of %s is of %+v", of, who)
		}
		row, _ := state.AccessKeys.Get(w.DB.Snapshot(), "", "", key)
		if secret, _ := account.Secret(w.Seal, row); c.Secret != secret {
			t.Error("the secret is another one")
		}
		w.allowed("everything in the account", describe(key))
	}
	if _, ok, err := w.Lookup(t.Context(), "AKIAUNKNOWN", ""); ok || err != nil {
		t.Errorf("unknown key: %t, %v", ok, err)
	}
}

// TestUsersHaveWhatTheirPoliciesAllow attaches policies in every way there is, and takes
// them away again: each is used at once.
func TestUsersHaveWhatTheirPoliciesAllow(t *testing.T) {
	w := newWorld(t)
	key := w.user(mine, "ANN")
	denied := "User: arn:aws:iam::111122223333:user/staff/ANN is not authorized to perform: ec2:DescribeVpcs on resource: *"
	nobody := denied + " because no identity-based policy allows the ec2:DescribeVpcs action"
	w.refused("without policies", nobody, describe(key))
	user := func(tx *table.Txn) *model.User {
		u, _ := state.Users.Get(tx, mine, "", "AIDAANN")
		return u.Clone()
	}
	managed := func(tx *table.Txn, id, text string) {
		state.Policies.Put(tx, &model.Policy{Meta: w.meta(mine, id), Name: id, Path: "/", Default: 1, Last: 1})
		state.PolicyVersions.Put(tx, &model.PolicyVersion{Account: mine, Policy: id, Number: 1, Document: text})
	}
	w.change(func(tx *table.Txn) {
		managed(tx, "ANPALOOK", statement("Allow", "ec2:Describe*", "*", ""))
		managed(tx, "ANPAVPC", statement("Allow", "vpc-lattice:*", "*", ""))
		managed(tx, "ANPABLIND", statement("Deny", "ec2:Describe*", "*", ""))
		state.Groups.Put(tx, &model.Group{Meta: w.meta(mine, "AGPAALL"), Name: "all", Path: "/", Policies: []string{"ANPALOOK"}})
	})
	for _, way := range []struct {
		name      string
		give      func(*table.Txn, *model.User)
		take      func(*table.Txn)
		otherwise string
	}{
		{"attached", func(_ *table.Txn, u *model.User) { u.Policies = []string{"ANPALOOK"} }, nil, nobody},
		{"of a group", func(_ *table.Txn, u *model.User) { u.Groups = []string{"AGPAALL"} }, nil, nobody},
		{
			"inline", func(tx *table.Txn, _ *model.User) {
				w.inline(tx, mine, "AIDAANN", []string{statement("Allow", "*", "*", "")})
			},
			func(tx *table.Txn) { state.InlinePolicies.Delete(tx, mine, "", model.InlinePolicyID("AIDAANN", "a")) }, nobody,
		},
	} {
		w.change(func(tx *table.Txn) { u := user(tx); way.give(tx, u); state.Users.Put(tx, u) })
		w.allowed(way.name, describe(key))
		w.change(func(tx *table.Txn) { u := user(tx); u.Boundary = "ANPAVPC"; state.Users.Put(tx, u) })
		w.refused(way.name+", out of bounds", denied+" because no permissions boundary allows the ec2:DescribeVpcs action", describe(key))
		w.change(func(tx *table.Txn) {
			u := user(tx)
			u.Boundary, u.Policies = "", append(u.Policies, "ANPABLIND")
			state.Users.Put(tx, u)
		})
		w.refused(way.name+", and denied", denied+" with an explicit deny in an identity-based policy: arn:aws:iam::111122223333:policy/ANPABLIND", describe(key))
		w.change(func(tx *table.Txn) {
			u := user(tx)
			u.Policies, u.Groups = nil, nil
			state.Users.Put(tx, u)
			if way.take != nil {
				way.take(tx)
			}
		})
		w.refused(way.name+", and taken away", way.otherwise, describe(key))
	}
	w.change(func(tx *table.Txn) {
		u := user(tx)
		u.Groups = []string{"AGPAGONE"}
		u.Policies = []string{"ANPALOOK"}
		state.Users.Put(tx, u)
	})
	w.refused("a group that cannot be read may deny", "", describe(key))
}

// TestWhatIsTakenAwayWhileUnderWay begins a request, and lets somebody take away what it is
// allowed by before its handler changes something.
func TestWhatIsTakenAwayWhileUnderWay(t *testing.T) {
	for name, take := range map[string]func(w *world, tx *table.Txn){
		"policy": func(_ *world, tx *table.Txn) {
			state.InlinePolicies.Delete(tx, mine, "", model.InlinePolicyID("AIDAANN", "a"))
		},
		"policy changed": func(w *world, tx *table.Txn) {
			w.inline(tx, mine, "AIDAANN", []string{statement("Deny", "*", "*", "")})
		},
		"key": func(w *world, tx *table.Txn) {
			for k := range state.AccessKeysByUser.Rows(tx, model.Ref{Account: mine, ID: "AIDAANN"}) {
				k = k.Clone()
				k.Disabled = true
				state.AccessKeys.Put(tx, k)
			}
		},
		"user": func(_ *world, tx *table.Txn) { state.Users.Delete(tx, mine, "", "AIDAANN") },
		"account": func(_ *world, tx *table.Txn) {
			a, _ := state.Accounts.Get(tx, "", "", mine)
			a = a.Clone()
			a.Disabled = true
			state.Accounts.Put(tx, a)
		},
		"nothing": func(*world, *table.Txn) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			key := w.user(mine, "ANN", statement("Allow", "ec2:*", "*", ""))
			ctx, err := w.begin(ask{key: key, service: "ec2", operation: "CreateVpc", in: &ec2.CreateVpcInput{}})
			if err != nil {
				t.Fatal(err)
			}
			w.change(func(tx *table.Txn) { take(w, tx) })
			before := w.Dump(t)
			_, err = w.DB.Update(ctx, func(tx *table.Txn) error {
				state.VPCs.Put(tx, &model.VPC{Meta: model.Meta{Account: mine, Region: region, ID: "vpc-1"}})
				return nil
			})
			var refused *access.Refused
			if name == "nothing" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &refused) || refused.Unknown == strings.HasPrefix(name, "policy") {
				t.Errorf("the change is answered %v", err)
			}
			if after := w.Dump(t); len(after) != len(before) {
				t.Error("the change is there")
			}
		})
	}
}

// TestDisabledAccountsKnowNobody disables an account, whose own key, users and sessions,
// those that they have in other accounts too, are as good as unknown then, and good again when it is enabled.
func TestDisabledAccountsKnowNobody(t *testing.T) {
	w := newWorld(t)
	all := statement("Allow", "*", "*", "")
	user := w.user(theirs, "BOB", all)
	w.role(theirs, "OPS", trusting(`"*"`, ""), all)
	w.role(mine, "GUEST", trusting(`"*"`, ""), all)
	callers := []ask{describe(w.root[theirs]), describe(user)}
	for _, s := range []access.Session{
		{Account: theirs, Kind: policy.Role, Entity: "AROAOPS", Name: "s"},
		{Account: theirs, Kind: policy.User, Entity: "AIDABOB", Parent: user},
		{Account: theirs, Kind: policy.Root, Parent: w.root[theirs]},
		{Account: mine, Kind: policy.Role, Entity: "AROAGUEST", Name: "s", Through: []string{theirs}},
	} {
		a := describe("")
		a.key, a.token = w.session(s)
		callers = append(callers, a)
	}
	disable := func(yes bool) {
		w.change(func(tx *table.Txn) {
			a, _ := state.Accounts.Get(tx, "", "", theirs)
			a = a.Clone()
			a.Disabled = yes
			state.Accounts.Put(tx, a)
		})
	}
	for range 2 {
		for _, a := range callers {
			w.allowed("enabled "+a.key, a)
		}
		disable(true)
		for _, a := range callers {
			w.refused("disabled "+a.key, "unknown", a)
		}
		w.allowed("another account", describe(w.root[mine]))
		disable(false)
	}
}

// TestSessionsEnd ends sessions in all ways, and moves the clock: one that was set back to
// before a session began does not make it last.
func TestSessionsEnd(t *testing.T) {
	all := statement("Allow", "*", "*", "")
	for name, end := range map[string]func(w *world){
		"by time":             func(w *world) { w.now = w.now.Add(time.Hour) },
		"by a clock set back": func(w *world) { w.now = w.now.Add(-time.Hour) },
		"with their role":     func(w *world) { w.change(func(tx *table.Txn) { state.Roles.Delete(tx, mine, "", "AROAOPS") }) },
		"with their role anew": func(w *world) {
			w.change(func(tx *table.Txn) { state.Roles.Delete(tx, mine, "", "AROAOPS") })
			w.change(func(tx *table.Txn) {
				state.Roles.Put(tx, &model.Role{Meta: w.meta(mine, "AROANEXT"), Name: "OPS", Path: "/", Trust: trusting(`"*"`, "")})
				w.inline(tx, mine, "AROANEXT", []string{all})
			})
		},
		"revoked": func(w *world) {
			w.change(func(tx *table.Txn) {
				w.inline(tx, mine, "AROAOPS", []string{statement("Deny", "*", "*", `"DateLessThan":{"aws:TokenIssueTime":"2030-01-01T00:00:00Z"}`)})
			})
		},
	} {
		w := newWorld(t)
		w.role(mine, "OPS", trusting(`"*"`, ""), all)
		a := describe("")
		a.key, a.token = w.session(access.Session{Account: mine, Kind: policy.Role, Entity: "AROAOPS", Name: "s"})
		w.allowed("before it ends "+name, a)
		ctx, err := w.begin(a)
		if err != nil {
			t.Fatal(err)
		}
		end(w)
		w.refused("ended "+name, "", a)
		if _, err := w.DB.View(ctx); err == nil {
			t.Errorf("a request that was under way as a session ended %s goes on", name)
		}
		stolen := a
		stolen.key = "ASIAQQQQQQQQQQQQQQQQ"
		w.refused("the token with another key", "unknown", stolen)
		a.token = ""
		w.refused("without a token", "unknown", a)
	}
}

// TestSessionPoliciesBound has a session that may do what both its role and its own
// policies allow.
func TestSessionPoliciesBound(t *testing.T) {
	w := newWorld(t)
	w.role(mine, "OPS", trusting(`"*"`, ""), statement("Allow", "ec2:*", "*", ""))
	for _, test := range []struct {
		name    string
		session access.Session
		allowed bool
	}{
		{"no policies", access.Session{}, true},
		{"one that allows", access.Session{Bounded: true, Policies: []string{statement("Allow", "ec2:DescribeVpcs", "*", "")}}, true},
		{"one for something else", access.Session{Bounded: true, Policies: []string{statement("Allow", "iam:*", "*", "")}}, false},
		{"a managed one that is not there", access.Session{Bounded: true, PolicyARNs: []string{"arn:aws:iam::111122223333:policy/gone"}}, false},
		{"one that cannot be read", access.Session{Bounded: true, Policies: []string{"{"}}, false},
		{"bounded by nothing", access.Session{Bounded: true}, false},
	} {
		s := test.session
		s.Account, s.Kind, s.Entity, s.Name = mine, policy.Role, "AROAOPS", "s"
		a := describe("")
		a.key, a.token = w.session(s)
		if err := w.may(a); (err == nil) != test.allowed {
			t.Errorf("%s: %v, want allowed: %v", test.name, err, test.allowed)
		}
	}
}

// TestAnotherServersChangesCountAtOnce asks a server that has not heard of a change of another one.
func TestAnotherServersChangesCountAtOnce(t *testing.T) {
	w := newWorld(t)
	db, err := state.Open(t.Context(), w.Store, w.Log)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	key := w.user(mine, "ANN")
	for i := range 50 {
		put := func(ctx context.Context) error {
			_, err := db.Update(ctx, func(tx *table.Txn) error {
				effect := [...]string{"Allow", "Deny"}[i%2]
				w.inline(tx, mine, "AIDAANN", []string{statement(effect, "*", "*", "")})
				return nil
			})
			return err
		}
		if err := put(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.may(describe(key)); (err == nil) != (i%2 == 0) {
			t.Fatalf("change %d of another server: %v", i, err)
		}
	}
}
