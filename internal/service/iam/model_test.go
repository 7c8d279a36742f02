// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/state"
)

// world is what a state of IAM should have: by the names of users, groups, roles and
// policies.
type world struct {
	policies map[string]int                        // how many versions
	bearers  map[string]map[string]map[string]bool // kind, name, what it has: "policy p", "inline i", "group g", "key"
}

func newModel() *world {
	return &world{map[string]int{}, map[string]map[string]map[string]bool{"user": {}, "group": {}, "role": {}}}
}

// holds says whether somebody has something.
func (w *world) holds(what string) bool {
	for _, named := range w.bearers {
		for _, has := range named {
			if has[what] {
				return true
			}
		}
	}
	return false
}

// step is one request, with the code that it should be refused with; empty for none.
type step struct {
	call func() error
	want string
	then func()
}

// TestOperationsKeepWhatTheyName draws requests: each is answered as a simple model says,
// and every row that another one names exists after each.
func TestOperationsKeepWhatTheyName(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t)
		w := newModel()
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			kind := rapid.SampledFrom([]string{"user", "group", "role"}).Draw(rt, "kind")
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name")
			thing := rapid.SampledFrom([]string{"p", "q"}).Draw(rt, "thing")
			what := rapid.SampledFrom([]string{"make", "delete", "attach", "detach", "inline", "uninline", "join", "leave", "policy", "version", "unpolicy"}).Draw(rt, "what")
			s := f.draw(w, what, kind, name, thing)
			err := s.call()
			switch {
			case s.want == "" && err != nil:
				rt.Fatalf("%s %s %s %s: %v", what, kind, name, thing, err)
			case s.want != "" && !fault.Is(err, s.want):
				rt.Fatalf("%s %s %s %s: %v, want %s", what, kind, name, thing, err, s.want)
			case s.want == "":
				s.then()
			}
			f.whole(rt, w)
		}
	})
}

// whole wants every row that others name to exist, and as many rows as the model has.
func (f *fixture) whole(t *rapid.T, w *world) {
	tx := f.World.DB.Snapshot()
	for _, r := range state.Relations() {
		for row, ref := range r.Dangling(tx) {
			account, _, id := row.RowKey()
			t.Fatalf("%s of %s %s/%s names %s, which is not there", r.Name, r.From, account, id, ref.ID)
		}
	}
	versions := 0
	for _, n := range w.policies {
		versions += n
	}
	inline := 0
	for _, named := range w.bearers {
		for _, has := range named {
			for what := range has {
				if what[:2] == "in" {
					inline++
				}
			}
		}
	}
	got := []int{
		state.Users.CountScope(tx, mine, ""), state.Groups.CountScope(tx, mine, ""), state.Roles.CountScope(tx, mine, ""),
		state.Policies.CountScope(tx, mine, ""), state.PolicyVersions.CountScope(tx, mine, ""), state.InlinePolicies.CountScope(tx, mine, ""),
	}
	want := []int{len(w.bearers["user"]), len(w.bearers["group"]), len(w.bearers["role"]), len(w.policies), versions, inline}
	if !slices.Equal(got, want) {
		t.Fatalf("there are %v users, groups, roles, policies, versions and inline policies, want %v", got, want)
	}
}

// draw gives a request and what becomes of it.
func (f *fixture) draw(w *world, what, kind, name, thing string) step {
	has, there := w.bearers[kind][name]
	_, policy := w.policies[thing]
	missing := func(ok bool, want string) string {
		if !there {
			return "NoSuchEntity"
		}
		if !ok {
			return want
		}
		return ""
	}
	arn := "arn:aws:iam::" + mine + ":policy/" + thing
	switch what {
	case "make":
		return step{f.makes(kind, name), map[bool]string{true: "EntityAlreadyExists"}[there], func() { w.bearers[kind][name] = map[string]bool{} }}
	case "delete":
		held := len(has) > 0 || kind == "group" && w.holds("group "+name)
		return step{f.deletes(kind, name), missing(!held, "DeleteConflict"), func() { delete(w.bearers[kind], name) }}
	case "attach":
		return step{f.attaches(kind, name, arn), missing(policy, "NoSuchEntity"), func() { has["policy "+thing] = true }}
	case "detach":
		return step{f.detaches(kind, name, arn), missing(has["policy "+thing], "NoSuchEntity"), func() { delete(has, "policy "+thing) }}
	case "inline":
		return step{f.puts(kind, name, thing), missing(true, ""), func() { has["inline "+thing] = true }}
	case "uninline":
		return step{f.unputs(kind, name, thing), missing(has["inline "+thing], "NoSuchEntity"), func() { delete(has, "inline "+thing) }}
	case "join", "leave":
		user, is := w.bearers["user"][name]
		_, exists := w.bearers["group"]["a"]
		want := map[bool]string{true: "", false: "NoSuchEntity"}[is && exists]
		if what == "join" {
			return step{func() error {
				return failure(f.AddUserToGroup(f.ctx, &shape.AddUserToGroupInput{UserName: &name, GroupName: new("a")}))
			}, want, func() { user["group a"] = true }}
		}
		return step{func() error {
			return failure(f.RemoveUserFromGroup(f.ctx, &shape.RemoveUserFromGroupInput{UserName: &name, GroupName: new("a")}))
		}, want, func() { delete(user, "group a") }}
	case "policy":
		return step{func() error {
			return failure(f.CreatePolicy(f.ctx, &shape.CreatePolicyInput{PolicyName: &thing, PolicyDocument: new(readVPCs)}))
		}, map[bool]string{true: "EntityAlreadyExists"}[policy], func() { w.policies[thing] = 1 }}
	case "version":
		want := map[bool]string{false: "NoSuchEntity"}[policy]
		if w.policies[thing] == 5 {
			want = "LimitExceeded"
		}
		return step{func() error {
			return failure(f.CreatePolicyVersion(f.ctx, &shape.CreatePolicyVersionInput{PolicyArn: &arn, PolicyDocument: new(readVPCs)}))
		}, want, func() { w.policies[thing]++ }}
	}
	want := map[bool]string{false: "NoSuchEntity"}[policy]
	if policy && (w.holds("policy "+thing) || w.policies[thing] > 1) {
		want = "DeleteConflict"
	}
	return step{func() error { return failure(f.DeletePolicy(f.ctx, &shape.DeletePolicyInput{PolicyArn: &arn})) }, want, func() { delete(w.policies, thing) }}
}

// by gives the request of a kind.
func by(kind string, calls map[string]func() error) func() error {
	if calls[kind] == nil {
		panic(fmt.Sprint("no call for ", kind, " among ", slices.Sorted(maps.Keys(calls))))
	}
	return calls[kind]
}

func (f *fixture) makes(kind, name string) func() error {
	return by(kind, map[string]func() error{
		"user":  func() error { return failure(f.CreateUser(f.ctx, &shape.CreateUserInput{UserName: &name})) },
		"group": func() error { return failure(f.CreateGroup(f.ctx, &shape.CreateGroupInput{GroupName: &name})) },
		"role": func() error {
			return failure(f.CreateRole(f.ctx, &shape.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: new(trusting(mine))}))
		},
	})
}

func (f *fixture) deletes(kind, name string) func() error {
	return by(kind, map[string]func() error{
		"user":  func() error { return failure(f.DeleteUser(f.ctx, &shape.DeleteUserInput{UserName: &name})) },
		"group": func() error { return failure(f.DeleteGroup(f.ctx, &shape.DeleteGroupInput{GroupName: &name})) },
		"role":  func() error { return failure(f.DeleteRole(f.ctx, &shape.DeleteRoleInput{RoleName: &name})) },
	})
}

func (f *fixture) attaches(kind, name, arn string) func() error {
	return by(kind, map[string]func() error{
		"user":  func() error { return attach(f.ctx, f.API, users, name, arn) },
		"group": func() error { return attach(f.ctx, f.API, groups, name, arn) },
		"role":  func() error { return attach(f.ctx, f.API, roles, name, arn) },
	})
}

func (f *fixture) detaches(kind, name, arn string) func() error {
	return by(kind, map[string]func() error{
		"user":  func() error { return detach(f.ctx, f.API, users, name, arn) },
		"group": func() error { return detach(f.ctx, f.API, groups, name, arn) },
		"role":  func() error { return detach(f.ctx, f.API, roles, name, arn) },
	})
}

func (f *fixture) puts(kind, name, thing string) func() error {
	return by(kind, map[string]func() error{
		"user":  func() error { return putInline(f.ctx, f.API, users, name, thing, readVPCs) },
		"group": func() error { return putInline(f.ctx, f.API, groups, name, thing, readVPCs) },
		"role":  func() error { return putInline(f.ctx, f.API, roles, name, thing, readVPCs) },
	})
}

func (f *fixture) unputs(kind, name, thing string) func() error {
	return by(kind, map[string]func() error{
		"user":  func() error { return deleteInline(f.ctx, f.API, users, name, thing) },
		"group": func() error { return deleteInline(f.ctx, f.API, groups, name, thing) },
		"role":  func() error { return deleteInline(f.ctx, f.API, roles, name, thing) },
	})
}
