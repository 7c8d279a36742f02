// SPDX-License-Identifier: Apache-2.0

// Package group is EC2's security groups and their rules.
package group

import (
	"context"
	"regexp"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/ec2/request"
	"github.com/posternhq/postern/internal/service/ec2/vpc"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// groupText is what names and descriptions of groups and rules may be.
var groupText = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}$`)

// Groups are the operations on security groups and their rules.
type Groups struct{ *service.Env }

// CreateSecurityGroup makes a group in a VPC, by default in the default VPC. It
// lets everything out, and nothing in.
func (a Groups) CreateSecurityGroup(ctx context.Context, in *shape.CreateSecurityGroupInput) (*shape.CreateSecurityGroupOutput, error) {
	who := access.From(ctx)
	name := strings.TrimSpace(service.Value(in.GroupName))
	if err := checkGroupTexts(name, service.Value(in.Description)); err != nil {
		return nil, err
	}
	tags, err := request.TagsFor(in.TagSpecifications, state.SecurityGroups.Kind())
	if err != nil {
		return nil, err
	}
	g := &model.SecurityGroup{Meta: request.Meta(a.Env, who, "sg", a.Now(), tags), Name: name, Description: service.Value(in.Description)}
	egress := vpc.AllEgress(a.Env, true)
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		v, err := chosenVPC(tx, who, service.Value(in.VpcId))
		if err != nil {
			return err
		}
		if err := a.mayAddGroup(tx, who, v, name); err != nil {
			return err
		}
		g.VPC, g.Network, g.Rules = v.ID, "", egress
		if !who.Owns(v.Account) {
			g.Network = v.Account
		}
		if len(v.CIDRs6) == 0 {
			g.Rules = egress[:1]
		}
		state.SecurityGroups.Put(tx, g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateSecurityGroupOutput{GroupId: new(g.ID), SecurityGroupArn: new(groupARN(g)), Tags: request.TagList(tags)}, nil
}

func checkGroupTexts(name, description string) error {
	const set = "a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*"
	switch {
	case name == "" || !groupText.MatchString(name):
		return fault.EC2("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. It must have 1 to 255 characters of: %s", name, set)
	case description == "" || !groupText.MatchString(description):
		return fault.EC2("InvalidParameterValue", "Value (%s) for parameter GroupDescription is invalid. It must have 1 to 255 characters of: %s", description, set)
	case strings.HasPrefix(name, "sg-"):
		return fault.EC2("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*.", name)
	case strings.EqualFold(name, vpc.DefaultGroup):
		return fault.EC2("InvalidGroup.Reserved", "The security group '%s' is reserved", name)
	}
	return nil
}

// chosenVPC gives the VPC with this id, or the default one when it is empty.
func chosenVPC(tx *table.Txn, who access.View, id string) (*model.VPC, error) {
	if id != "" {
		return request.VPC(tx, who, id, "ec2:CreateSecurityGroup")
	}
	if v := vpc.Default(tx, who.Account, who.Region); v != nil {
		return v, nil
	}
	return nil, fault.EC2("VPCIdNotSpecified", "No default VPC for this user: the request must contain the parameter vpcId")
}

func (a Groups) mayAddGroup(tx *table.Txn, who access.View, v *model.VPC, name string) error {
	if n := view.Count(tx, who, state.SecurityGroups); n >= a.Quotas.GroupsPerRegion {
		return fault.EC2("SecurityGroupLimitExceeded", "The maximum number of security groups (%d) has been reached.", a.Quotas.GroupsPerRegion)
	}
	for g := range state.SecurityGroupsByVPC.Rows(tx, v.Ref()) {
		if g.Name == name && who.Owns(g.Account) {
			return fault.EC2("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, v.ID)
		}
	}
	return nil
}

// DeleteSecurityGroup removes a group that nothing uses.
func (a Groups) DeleteSecurityGroup(ctx context.Context, in *shape.DeleteSecurityGroupInput) (*shape.DeleteSecurityGroupOutput, error) {
	who := access.From(ctx)
	var id string
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, err := chosenGroup(tx, who, groupChoice{in.GroupId, in.GroupName})
		if err != nil {
			return err
		}
		if g.Name == vpc.DefaultGroup {
			return fault.EC2("CannotDelete", "the specified group: \"%s\" name: \"%s\" cannot be deleted by a user", g.ID, g.Name)
		}
		if by := state.Held(tx, state.SecurityGroups, g); by != nil {
			return fault.EC2("DependencyViolation", "resource %s has a dependent object: %s", g.ID, by)
		}
		state.SecurityGroups.Delete(tx, g.Account, g.Region, g.ID)
		id = g.ID
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteSecurityGroupOutput{Return: new(true), GroupId: &id}, nil
}

func groupARN(g *model.SecurityGroup) string {
	return model.ARN("ec2", g.Region, g.Account, "security-group/"+g.ID)
}
