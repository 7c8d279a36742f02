// SPDX-License-Identifier: Apache-2.0

package iam

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/iam"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func groupShape(g *model.Group) shape.Group {
	return shape.Group{Path: &g.Path, GroupName: &g.Name, GroupId: &g.ID, Arn: new(g.ARN()), CreateDate: &g.CreatedAt}
}

// CreateGroup makes a group without members.
func (a *API) CreateGroup(ctx context.Context, in *shape.CreateGroupInput) (*shape.CreateGroupOutput, error) {
	who := access.From(ctx)
	meta, err := a.meta(who, model.GroupPrefix, nil)
	if err != nil {
		return nil, err
	}
	g := &model.Group{Meta: meta, Name: *in.GroupName, Path: path(in.Path)}
	if _, err := a.DB.Update(ctx, func(tx *table.Txn) error { return groups.add(tx, a, who, g) }); err != nil {
		return nil, err
	}
	return &shape.CreateGroupOutput{Group: new(groupShape(g))}, nil
}

// GetGroup shows a group, and a page of its members.
func (a *API) GetGroup(ctx context.Context, in *shape.GetGroupInput) (*shape.GetGroupOutput, error) {
	tx, g, err := groups.read(ctx, a, *in.GroupName)
	if err != nil {
		return nil, err
	}
	members := slices.Collect(state.UsersByGroup.Rows(tx, g.Ref()))
	page, truncated, marker, err := paginate(query{access.From(ctx), "GetGroup", g.ID, in.Marker, in.MaxItems}, members,
		func(u *model.User) string { return sortKey(u) })
	if err != nil {
		return nil, err
	}
	return &shape.GetGroupOutput{Group: new(groupShape(g)), Users: service.Each(page, listedUser), IsTruncated: truncated, Marker: marker}, nil
}

// ListGroups lists the groups below a path.
func (a *API) ListGroups(ctx context.Context, in *shape.ListGroupsInput) (*shape.ListGroupsOutput, error) {
	page, truncated, marker, err := groups.list(ctx, a, in.PathPrefix, query{marker: in.Marker, max: in.MaxItems})
	if err != nil {
		return nil, err
	}
	return &shape.ListGroupsOutput{Groups: service.Each(page, groupShape), IsTruncated: truncated, Marker: marker}, nil
}

// ListGroupsForUser lists the groups that a user is in.
func (a *API) ListGroupsForUser(ctx context.Context, in *shape.ListGroupsForUserInput) (*shape.ListGroupsForUserOutput, error) {
	tx, u, err := users.read(ctx, a, *in.UserName)
	if err != nil {
		return nil, err
	}
	page, truncated, marker, err := paginate(query{access.From(ctx), "ListGroupsForUser", u.ID, in.Marker, in.MaxItems}, groupsOf(tx, u),
		func(g *model.Group) string { return sortKey(g) })
	if err != nil {
		return nil, err
	}
	return &shape.ListGroupsForUserOutput{Groups: service.Each(page, groupShape), IsTruncated: truncated, Marker: marker}, nil
}

func groupsOf(tx *table.Txn, u *model.User) (all []*model.Group) {
	for _, id := range u.Groups {
		if g, ok := state.Groups.Get(tx, u.Account, "", id); ok {
			all = append(all, g)
		}
	}
	return all
}

// UpdateGroup changes name and path of a group, whose ARN changes with them.
func (a *API) UpdateGroup(ctx context.Context, in *shape.UpdateGroupInput) (*shape.UpdateGroupOutput, error) {
	who := access.From(ctx)
	_, err := groups.change(ctx, a, *in.GroupName, func(tx *table.Txn, g *model.Group) error {
		if in.NewGroupName != nil {
			if err := groups.free(tx, who, *in.NewGroupName); err != nil && g.Name != *in.NewGroupName {
				return err
			}
			g.Name = *in.NewGroupName
		}
		if in.NewPath != nil {
			g.Path = *in.NewPath
		}
		return nil
	})
	return &shape.UpdateGroupOutput{}, err
}

// DeleteGroup deletes a group that has neither members nor policies.
func (a *API) DeleteGroup(ctx context.Context, in *shape.DeleteGroupInput) (*shape.DeleteGroupOutput, error) {
	err := groups.remove(ctx, a, *in.GroupName, func(tx *table.Txn, g *model.Group) error {
		if state.UsersByGroup.Count(tx, g.Ref()) > 0 {
			return conflict("remove users from group")
		}
		return nil
	})
	return &shape.DeleteGroupOutput{}, err
}

// AddUserToGroup makes a user a member, who may be one already.
func (a *API) AddUserToGroup(ctx context.Context, in *shape.AddUserToGroupInput) (*shape.AddUserToGroupOutput, error) {
	err := a.member(ctx, *in.UserName, *in.GroupName, func(u *model.User, group string) error {
		if slices.Contains(u.Groups, group) {
			return nil
		}
		if most := a.Quotas.GroupsPerUser; len(u.Groups) >= most {
			return exceeds("GroupsPerUser", most)
		}
		u.Groups = append(u.Groups, group)
		return nil
	})
	return &shape.AddUserToGroupOutput{}, err
}

// RemoveUserFromGroup takes a member out of a group; who is none stays none.
func (a *API) RemoveUserFromGroup(ctx context.Context, in *shape.RemoveUserFromGroupInput) (*shape.RemoveUserFromGroupOutput, error) {
	err := a.member(ctx, *in.UserName, *in.GroupName, func(u *model.User, group string) error {
		u.Groups = slices.DeleteFunc(u.Groups, func(id string) bool { return id == group })
		return nil
	})
	return &shape.RemoveUserFromGroupOutput{}, err
}

// member changes what groups a user is in.
func (a *API) member(ctx context.Context, user, group string, change func(u *model.User, group string) error) error {
	who := access.From(ctx)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, err := groups.find(tx, who, group)
		if err != nil {
			return err
		}
		u, err := users.find(tx, who, user)
		if err != nil {
			return err
		}
		u = u.Clone()
		if err := change(u, g.ID); err != nil {
			return err
		}
		state.Users.Put(tx, u)
		return nil
	})
	return err
}
