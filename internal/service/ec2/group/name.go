// SPDX-License-Identifier: Apache-2.0

package group

import (
	"context"
	"slices"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// A security group can be told by its name in the default VPC, and nowhere else:
// names are unique within a VPC only.

// groupChoice is how requests name the group that they are about.
type groupChoice struct{ id, name *string }

// chosenGroup gives the caller's group with this id or, in the default VPC, with
// this name.
func chosenGroup(tx *table.Txn, who access.View, choice groupChoice) (*model.SecurityGroup, error) {
	switch {
	case service.Value(choice.id) != "":
		return request.Get(tx, who, state.SecurityGroups, *choice.id)
	case service.Value(choice.name) != "":
		return groupNamed(tx, who, *choice.name)
	}
	return nil, fault.EC2("MissingParameter", "The request must contain the parameter groupName or groupId")
}

// groupNamed gives the group of the default VPC with this name.
func groupNamed(tx *table.Txn, who access.View, name string) (*model.SecurityGroup, error) {
	in := "none"
	if v := vpc.Default(tx, who.Account, who.Region); v != nil {
		in = v.ID
		for g := range state.SecurityGroupsByVPC.Rows(tx, v.Ref()) {
			if g.Name == name && who.Owns(g.Account) {
				return g, nil
			}
		}
	}
	return nil, fault.EC2("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, in)
}

// groupsByName gives the ids of groups of the default VPC.
func (a Groups) groupsByName(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, name := range names {
		g, err := groupNamed(tx, access.From(ctx), name)
		if err != nil {
			return nil, err
		}
		found = append(found, g.ID)
	}
	return found, nil
}

// withGroupIDs gives permissions in which groups that are told by their names
// have their ids. What is not named is left as it is.
func (a Groups) withGroupIDs(ctx context.Context, permissions []shape.IpPermission) ([]shape.IpPermission, error) {
	byName := func(pair shape.UserIdGroupPair) bool {
		return service.Value(pair.GroupId) == "" && service.Value(pair.GroupName) != ""
	}
	out := slices.Clone(permissions)
	for i, p := range out {
		if !slices.ContainsFunc(p.UserIdGroupPairs, byName) {
			continue
		}
		out[i].UserIdGroupPairs = slices.Clone(p.UserIdGroupPairs)
		for j, pair := range p.UserIdGroupPairs {
			if !byName(pair) {
				continue
			}
			if err := checkGroupOwner(access.From(ctx), *pair.GroupName, pair.UserId); err != nil {
				return nil, err
			}
			ids, err := a.groupsByName(ctx, []string{*pair.GroupName})
			if err != nil {
				return nil, err
			}
			out[i].UserIdGroupPairs[j].GroupId = &ids[0]
		}
	}
	return out, nil
}

// checkGroupOwner refuses groups of other accounts, which only peered VPCs can
// refer to.
func checkGroupOwner(who access.View, group string, owner *string) error {
	if owner == nil || who.Owns(*owner) {
		return nil
	}
	return fault.EC2("InvalidGroup.NotFound", "The security group '%s' of account %s cannot be referred to: the VPCs are not peered", group, *owner)
}
