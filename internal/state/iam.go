// SPDX-License-Identifier: Apache-2.0

package state

import (
	"strings"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/table"
)

// Tables of IAM. They are in no region. Indexes by name take it as an id, as
// model.FoldName gives it.
var (
	Users       = tagged(IAM, table.Define[*model.User]("user"), "user", model.UserPrefix)
	UsersByName = byRef(Users, "name", func(u *model.User) []model.Ref { return siblings(u.Meta, model.FoldName(u.Name)) })
	// UsersByGroup finds the members of a group.
	UsersByGroup = refer(Users, "group", Holds, func(u *model.User) []model.Ref { return siblings(u.Meta, u.Groups...) }, to(Groups))
	// UsersByPolicy finds those that a managed policy of the account is attached to, and
	// UsersByBoundary those that it bounds.
	UsersByPolicy   = refer(Users, "policy", Holds, func(u *model.User) []model.Ref { return u.OwnPolicies(u.Policies...) }, to(Policies))
	UsersByBoundary = refer(Users, "boundary", Holds, func(u *model.User) []model.Ref { return u.OwnPolicies(u.Boundary) }, to(Policies))

	// AccessKeysByUser finds the keys of a user of IAM.
	AccessKeysByUser = refer(AccessKeys, "user", Holds, func(k *model.AccessKey) []model.Ref {
		return optional(model.Meta{Account: k.Account}, k.User)
	}, to(Users))

	Groups         = tagged(IAM, table.Define[*model.Group]("group"), "group", model.GroupPrefix)
	GroupsByName   = byRef(Groups, "name", func(g *model.Group) []model.Ref { return siblings(g.Meta, model.FoldName(g.Name)) })
	GroupsByPolicy = refer(Groups, "policy", Holds, func(g *model.Group) []model.Ref { return g.OwnPolicies(g.Policies...) }, to(Policies))

	Roles           = tagged(IAM, table.Define[*model.Role]("role"), "role", model.RolePrefix)
	RolesByName     = byRef(Roles, "name", func(r *model.Role) []model.Ref { return siblings(r.Meta, model.FoldName(r.Name)) })
	RolesByPolicy   = refer(Roles, "policy", Holds, func(r *model.Role) []model.Ref { return r.OwnPolicies(r.Policies...) }, to(Policies))
	RolesByBoundary = refer(Roles, "boundary", Holds, func(r *model.Role) []model.Ref { return r.OwnPolicies(r.Boundary) }, to(Policies))

	Policies       = tagged(IAM, table.Define[*model.Policy]("policy"), "policy", model.PolicyPrefix)
	PoliciesByName = byRef(Policies, "name", func(p *model.Policy) []model.Ref { return siblings(p.Meta, model.FoldName(p.Name)) })

	// PolicyVersions are in the order of their numbers. The default one is a part of its
	// policy.
	PolicyVersions         = table.Define[*model.PolicyVersion]("policy-version")
	PolicyVersionsByPolicy = refer(PolicyVersions, "policy", Holds, func(v *model.PolicyVersion) []model.Ref {
		return []model.Ref{{Account: v.Account, ID: v.Policy}}
	}, to(Policies))

	InlinePolicies        = table.Define[*model.InlinePolicy]("inline-policy")
	InlinePoliciesByOwner = refer(InlinePolicies, "owner", Holds, func(p *model.InlinePolicy) []model.Ref {
		return []model.Ref{{Account: p.Account, ID: p.Owner}}
	}, to(Users), to(Groups), to(Roles))

	// LastUses are keyed by the account and what was used, of access keys too.
	LastUses = table.Define[*model.LastUse]("last-use")
)

// What rows of IAM name and nothing looks for them by.
var _ = []*Relation{
	name(Policies, "default", Has, func(p *model.Policy) []model.Ref { return []model.Ref{p.Version(p.Default)} }, to(PolicyVersions)),
	// Whoever is gone is still named, and trusted no more.
	name(Roles, "trusted", Outlives, func(r *model.Role) (all []model.Ref) {
		for _, t := range r.Trusted {
			all = append(all, t.Entity)
		}
		return all
	}, to(Users), to(Roles)),
	name(LastUses, "used", Follows, func(u *model.LastUse) []model.Ref {
		if strings.HasPrefix(u.ID, model.KeyPrefix) {
			return []model.Ref{{ID: u.ID}}
		}
		return []model.Ref{{Account: u.Account, ID: u.ID}}
	}, to(AccessKeys), to(Roles)),
}
