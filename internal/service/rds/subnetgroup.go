// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// defaultGroup is the subnet group of databases for which none is named; it is made with the
// first of them.
const defaultGroup = "default"

// CreateDBSubnetGroup adds a group of subnets in which databases may be.
func (a *API) CreateDBSubnetGroup(ctx context.Context, in *shape.CreateDBSubnetGroupInput) (*shape.CreateDBSubnetGroupOutput, error) {
	name, err := subnetGroupName(service.Value(in.DBSubnetGroupName))
	if err != nil {
		return nil, err
	}
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	who, now := access.From(ctx), a.Now()
	var out shape.DBSubnetGroup
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		if _, ok := view.Get(tx, who, state.DBSubnetGroups, name); ok {
			return fault.RDS("DBSubnetGroupAlreadyExists", "The DB subnet group '%s' already exists.", name)
		}
		if most := a.Quotas.DBSubnetGroupsPerRegion; view.Count(tx, who, state.DBSubnetGroups) >= most {
			return fault.RDS("DBSubnetGroupQuotaExceeded", "The request cannot be processed because it would exceed the maximum number of DB subnet groups: %d", most)
		}
		vpc, err := a.checkSubnets(tx, who, in.SubnetIds)
		if err != nil {
			return err
		}
		g := &model.DBSubnetGroup{
			Meta:        model.Meta{Account: who.Account, Region: who.Region, ID: name, CreatedAt: now, UpdatedAt: now, Tags: tags},
			Description: service.Value(in.DBSubnetGroupDescription), VPC: vpc, Subnets: in.SubnetIds,
		}
		state.DBSubnetGroups.Put(tx, g)
		out = subnetGroupShape(tx, g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBSubnetGroupOutput{DBSubnetGroup: &out}, nil
}

// subnetGroupName reads the name of a new group, which has no case.
func subnetGroupName(text string) (string, error) {
	name := strings.ToLower(text)
	switch {
	case name == "" || len(name) > 255 || name[0] < 'a' || name[0] > 'z' || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789._ -") != "":
		return "", invalid("The parameter DBSubnetGroupName is not a valid identifier: it must begin with a letter, have at most 255 characters, and only letters, digits, periods, underscores, spaces, and hyphens.")
	case name == defaultGroup:
		return "", invalid("The parameter DBSubnetGroupName must not be %s.", defaultGroup)
	}
	return name, nil
}

// checkSubnets finds the VPC of subnets, which must be in at least two zones.
func (a *API) checkSubnets(tx *table.Txn, who access.View, ids []string) (vpc string, err error) {
	if most := a.Quotas.SubnetsPerDBSubnetGroup; len(ids) > most {
		return "", fault.RDS("DBSubnetQuotaExceededFault", "The request cannot be processed because it would exceed the maximum number of subnets in a DB subnet group: %d", most)
	}
	var bad, zones []string
	for i, id := range ids {
		s, ok := view.Get(tx, who, state.Subnets, id)
		switch {
		case !ok:
			bad = append(bad, id)
			continue
		case slices.Contains(ids[:i], id):
			return "", invalid("SubnetIds: %s is named twice.", id)
		case vpc != "" && vpc != s.VPC:
			return "", fault.RDS("InvalidSubnet", "SubnetIds: the subnets are in different VPCs, %s and %s.", vpc, s.VPC)
		case !s.CIDR.IsValid():
			return "", fault.RDS("InvalidSubnet", "SubnetIds: %s has no IPv4 block, which databases have their address from.", id)
		}
		vpc = s.VPC
		if !slices.Contains(zones, s.Zone) {
			zones = append(zones, s.Zone)
		}
	}
	switch {
	case len(bad) > 0:
		return "", fault.RDS("InvalidSubnet", "Some input subnets in :[%s] are invalid.", strings.Join(bad, ", "))
	case len(zones) < 2:
		return "", fault.RDS("DBSubnetGroupDoesNotCoverEnoughAZs", "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: %s. Add subnets to cover at least 2 AZs.", strings.Join(zones, ", "))
	}
	return vpc, nil
}

// findSubnetGroup finds a group of the caller's by its name, in whatever case.
func findSubnetGroup(tx *table.Txn, who access.View, name string) (*model.DBSubnetGroup, error) {
	if g, ok := view.Get(tx, who, state.DBSubnetGroups, named(who, "subgrp", name)); ok {
		return g, nil
	}
	return nil, fault.RDS("DBSubnetGroupNotFoundFault", "DB subnet group '%s' does not exist.", name)
}

// ModifyDBSubnetGroup gives a group other subnets, and another description if there is one.
func (a *API) ModifyDBSubnetGroup(ctx context.Context, in *shape.ModifyDBSubnetGroupInput) (*shape.ModifyDBSubnetGroupOutput, error) {
	who := access.From(ctx)
	var out shape.DBSubnetGroup
	_, err := service.Change(ctx, a.Env, state.DBSubnetGroups, findSubnetGroup, service.Value(in.DBSubnetGroupName), func(tx *table.Txn, g *model.DBSubnetGroup) error {
		vpc, err := a.checkSubnets(tx, who, in.SubnetIds)
		switch {
		case err != nil:
			return err
		case vpc != g.VPC:
			return fault.RDS("InvalidSubnet", "The new Subnets are not in the same Vpc as the existing subnet group")
		}
		for _, id := range g.Subnets {
			if !slices.Contains(in.SubnetIds, id) && subnetTaken(tx, g, id) {
				return fault.RDS("SubnetAlreadyInUse", "Some of the subnets to be deleted are currently in use: %s", id)
			}
		}
		g.Subnets = in.SubnetIds
		if in.DBSubnetGroupDescription != nil {
			g.Description = *in.DBSubnetGroupDescription
		}
		out = subnetGroupShape(tx, g)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.ModifyDBSubnetGroupOutput{DBSubnetGroup: &out}, nil
}

// inGroup gives the instances whose database has the group.
func inGroup(tx *table.Txn, g *model.DBSubnetGroup) (all []*model.DBInstance) {
	all = slices.Collect(state.DBInstancesBySubnetGroup.Rows(tx, g.Ref()))
	for c := range state.DBClustersBySubnetGroup.Rows(tx, g.Ref()) {
		all = slices.AppendSeq(all, state.DBInstancesByCluster.Rows(tx, c.Ref()))
	}
	return all
}

// subnetTaken reports whether an instance that has the group is in one of its subnets.
func subnetTaken(tx *table.Txn, g *model.DBSubnetGroup, id string) bool {
	return slices.ContainsFunc(inGroup(tx, g), func(i *model.DBInstance) bool { return i.Subnet == id })
}

// DeleteDBSubnetGroup removes a group that no database has.
func (a *API) DeleteDBSubnetGroup(ctx context.Context, in *shape.DeleteDBSubnetGroupInput) (*shape.DeleteDBSubnetGroupOutput, error) {
	who, name := access.From(ctx), service.Value(in.DBSubnetGroupName)
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, err := findSubnetGroup(tx, who, name)
		if err != nil {
			return err
		}
		for _, i := range inGroup(tx, g) {
			return subnetGroupTaken(g, "database instance", i.Identifier)
		}
		for c := range state.DBClustersBySubnetGroup.Rows(tx, g.Ref()) {
			return subnetGroupTaken(g, "database cluster", c.Identifier)
		}
		state.DBSubnetGroups.Delete(tx, g.Account, g.Region, g.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &shape.DeleteDBSubnetGroupOutput{}, nil
}

func subnetGroupTaken(g *model.DBSubnetGroup, kind, by string) error {
	return fault.RDS("InvalidDBSubnetGroupStateFault", "Cannot delete the subnet group '%s' because at least one %s: %s is still using it.", g.ID, kind, by)
}

// DescribeDBSubnetGroups lists groups, or shows the one that is named.
func (a *API) DescribeDBSubnetGroups(ctx context.Context, in *shape.DescribeDBSubnetGroupsInput) (*shape.DescribeDBSubnetGroupsOutput, error) {
	if _, err := (properties[*model.DBSubnetGroup]{}).compile(in.Filters); err != nil {
		return nil, err
	}
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	rows := slices.Collect(view.All(tx, who, state.DBSubnetGroups))
	if in.DBSubnetGroupName != nil {
		g, err := findSubnetGroup(tx, who, *in.DBSubnetGroupName)
		if err != nil {
			return nil, err
		}
		rows = []*model.DBSubnetGroup{g}
	}
	q := query{who, "DescribeDBSubnetGroups", in.DBSubnetGroupName, in.Marker, in.MaxRecords}
	page, marker, err := paginate(q, rows, func(g *model.DBSubnetGroup) string { return g.ID })
	if err != nil {
		return nil, err
	}
	show := func(g *model.DBSubnetGroup) shape.DBSubnetGroup { return subnetGroupShape(tx, g) }
	return &shape.DescribeDBSubnetGroupsOutput{DBSubnetGroups: service.Each(page, show), Marker: marker}, nil
}

func subnetGroupShape(tx *table.Txn, g *model.DBSubnetGroup) shape.DBSubnetGroup {
	out := shape.DBSubnetGroup{
		DBSubnetGroupName: &g.ID, DBSubnetGroupDescription: &g.Description, VpcId: &g.VPC, DBSubnetGroupArn: new(g.ARN()),
		SubnetGroupStatus: new("Complete"), SupportedNetworkTypes: []string{"IPV4"}, Subnets: []shape.Subnet{},
	}
	for _, id := range g.Subnets {
		zone := ""
		if s, ok := state.Subnets.Get(tx, g.Account, g.Region, id); ok {
			zone = s.Zone
		}
		out.Subnets = append(out.Subnets, shape.Subnet{
			SubnetIdentifier: &id, SubnetAvailabilityZone: &shape.AvailabilityZone{Name: &zone}, SubnetOutpost: &shape.Outpost{}, SubnetStatus: new("Active"),
		})
	}
	return out
}
