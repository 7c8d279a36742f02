// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// groupKind is what parameter groups of instances and those of clusters differ in.
type groupKind struct {
	rows *table.Table[*model.DBParameterGroup]
	// typeOfARN is their type in ARNs, noun what messages call one, parameter the member of
	// requests that names one.
	typeOfARN, noun, parameter string
	scope                      engine.Scope
	quota                      func(service.Quotas) int
	// users yields the identifiers of what has a group.
	users func(*table.Txn, *model.DBParameterGroup) iter.Seq[string]
	// hold changes what is held of a group's parameters by all that have it and are there.
	hold func(*table.Txn, *model.DBParameterGroup, func(model.HeldParameters) model.HeldParameters)
	// used is what those are called.
	used string
}

var instanceGroups = groupKind{
	rows: state.DBParameterGroups, typeOfARN: "pg", noun: "DBParameterGroup", parameter: "DBParameterGroupName", scope: engine.ScopeInstance, used: "database instances",
	quota: func(q service.Quotas) int { return q.DBParameterGroupsPerRegion },
	users: func(tx *table.Txn, g *model.DBParameterGroup) iter.Seq[string] {
		return identifiers(state.DBInstancesByParameterGroup.Rows(tx, g.Ref()), func(i *model.DBInstance) string { return i.Identifier })
	},
	hold: func(tx *table.Txn, g *model.DBParameterGroup, change func(model.HeldParameters) model.HeldParameters) {
		hold(tx, g, state.DBInstances, state.DBInstancesByParameterGroup.Rows(tx, g.Ref()), func(i *model.DBInstance) *model.HeldParameters { return &i.Held }, change)
	},
}

var clusterGroups = groupKind{
	rows: state.DBClusterParameterGroups, typeOfARN: "cluster-pg", noun: "DBClusterParameterGroup", parameter: "DBClusterParameterGroupName", scope: engine.ScopeCluster, used: "database clusters",
	quota: func(q service.Quotas) int { return q.DBClusterParameterGroupsPerRegion },
	users: func(tx *table.Txn, g *model.DBParameterGroup) iter.Seq[string] {
		return identifiers(state.DBClustersByParameterGroup.Rows(tx, g.Ref()), func(c *model.DBCluster) string { return c.Identifier })
	},
	hold: func(tx *table.Txn, g *model.DBParameterGroup, change func(model.HeldParameters) model.HeldParameters) {
		hold(tx, g, state.DBClusters, state.DBClustersByParameterGroup.Rows(tx, g.Ref()), func(c *model.DBCluster) *model.HeldParameters { return &c.Held }, change)
	},
}

// hold changes what rows of a table hold. Those of which no host has said anything have no
// server that something would be in force of.
func hold[T state.Resource[T]](tx *table.Txn, g *model.DBParameterGroup, rows *table.Table[T], users iter.Seq[T], of func(T) *model.HeldParameters, change func(model.HeldParameters) model.HeldParameters) {
	for _, row := range slices.Collect(users) {
		if next := change(*of(row)); stateOf(tx, row.Common()) != nil && !maps.Equal(next, *of(row)) {
			row = row.Clone()
			*of(row) = next
			row.Common().UpdatedAt = g.UpdatedAt
			rows.Put(tx, row)
		}
	}
}

// heldAs is a parameter of a group as it is held.
func heldAs(values map[string]model.DBParameter, name string) model.HeldParameter {
	p, ok := values[name]
	return model.HeldParameter{Value: p.Value, Default: !ok}
}

func identifiers[T any](rows iter.Seq[T], of func(T) string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for row := range rows {
			if !yield(of(row)) {
				return
			}
		}
	}
}

// defaultPrefix is what names of default groups begin with, which the family follows. Users
// cannot give such names.
const defaultPrefix = "default."

// family is one of an engine that is installed.
type family struct {
	name string
	engine.Offer
	engine.Installation
}

// families gives those of all engines that are installed, for a kind of groups, by name:
// those of clusters are for engines whose instances are in clusters.
func (a *API) families(k groupKind) (all []family) {
	for _, v := range a.versions() {
		name := v.Family(v.Major)
		if (k.scope == engine.ScopeInstance || v.Cluster) && !slices.ContainsFunc(all, func(f family) bool { return f.name == name }) {
			all = append(all, family{name, v.Offer, v.Installation})
		}
	}
	slices.SortFunc(all, func(x, y family) int { return strings.Compare(x.name, y.name) })
	return all
}

// checkFamily refuses families of which no engine is installed: nothing could have a group
// of theirs.
func (a *API) checkFamily(k groupKind, name string) error {
	var known []string
	for _, f := range a.families(k) {
		if f.name == name {
			return nil
		}
		known = append(known, f.name)
	}
	if len(known) == 0 {
		return invalid("ParameterGroupFamily %s is not a valid parameter group family: no engine that has one is installed on this host.", name)
	}
	return invalid("ParameterGroupFamily %s is not a valid parameter group family. Of the engines that are installed on this host, the families are: %s", name, strings.Join(known, ", "))
}

// defaultGroupOf makes the default group of a family, which is no row: nobody can change it.
func defaultGroupOf(who access.View, family string) *model.DBParameterGroup {
	return &model.DBParameterGroup{
		Meta:   model.Meta{Account: who.Account, Region: who.Region, ID: defaultPrefix + family},
		Family: family, Description: "Default parameter group for " + family,
	}
}

// findGroup finds a group of the caller's, or a default one.
func (a *API) findGroup(tx *table.Txn, who access.View, k groupKind, name string) (*model.DBParameterGroup, error) {
	id := named(who, k.typeOfARN, name)
	if wanted, ok := strings.CutPrefix(id, defaultPrefix); ok {
		for _, f := range a.families(k) {
			if f.name == wanted {
				return defaultGroupOf(who, wanted), nil
			}
		}
	}
	if g, ok := view.Get(tx, who, k.rows, id); ok {
		return g, nil
	}
	return nil, fault.RDS("DBParameterGroupNotFound", "%s not found: %s", k.noun, name)
}

// findOwnGroup is findGroup for changes, which default groups do not take.
func (a *API) findOwnGroup(k groupKind, what string) service.Finder[*model.DBParameterGroup, string] {
	return func(tx *table.Txn, who access.View, name string) (*model.DBParameterGroup, error) {
		g, err := a.findGroup(tx, who, k, name)
		if err == nil && strings.HasPrefix(g.ID, defaultPrefix) {
			return nil, fault.RDS("InvalidDBParameterGroupState", "Default %s cannot be %s: %s", k.noun, what, g.ID)
		}
		return g, err
	}
}

// newGroup is a group that is to be made.
type newGroup struct {
	name, description string
	tags              []shape.Tag
	// fill sets family and parameters.
	fill func(*table.Txn, access.View, *model.DBParameterGroup) error
}

func (a *API) createGroup(ctx context.Context, k groupKind, parameter string, n newGroup) (*model.DBParameterGroup, error) {
	name, err := identifier(parameter, n.name, maxGroup)
	if err != nil {
		return nil, err
	}
	tags, err := makeTags(n.tags)
	if err != nil {
		return nil, err
	}
	who, now := access.From(ctx), a.Now()
	var made *model.DBParameterGroup
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		if _, ok := view.Get(tx, who, k.rows, name); ok {
			return fault.RDS("DBParameterGroupAlreadyExists", "Parameter group %s already exists", name)
		}
		if most := k.quota(a.Quotas); view.Count(tx, who, k.rows) >= most {
			return fault.RDS("DBParameterGroupQuotaExceeded", "The request cannot be processed because it would exceed the maximum number of parameter groups: %d", most)
		}
		made = &model.DBParameterGroup{
			Meta:        model.Meta{Account: who.Account, Region: who.Region, ID: name, CreatedAt: now, UpdatedAt: now, Tags: tags},
			Description: n.description,
		}
		if err := n.fill(tx, who, made); err != nil {
			return err
		}
		k.rows.Put(tx, made)
		return nil
	})
	return made, err
}

// maxGroup is how long names of parameter groups can be.
const maxGroup = 255

// ofFamily makes a group without parameters.
func (a *API) ofFamily(k groupKind, text string) func(*table.Txn, access.View, *model.DBParameterGroup) error {
	return func(_ *table.Txn, _ access.View, g *model.DBParameterGroup) error {
		g.Family = strings.ToLower(text)
		return a.checkFamily(k, g.Family)
	}
}

// copyOf makes a group like another.
func (a *API) copyOf(k groupKind, source string) func(*table.Txn, access.View, *model.DBParameterGroup) error {
	return func(tx *table.Txn, who access.View, g *model.DBParameterGroup) error {
		from, err := a.findGroup(tx, who, k, source)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(from.ID, defaultPrefix):
			return invalid("Default %s cannot be copied: %s. Create a group of its family instead.", k.noun, from.ID)
		}
		g.Family, g.Parameters = from.Family, maps.Clone(from.Parameters)
		return nil
	}
}

func (a *API) deleteGroup(ctx context.Context, k groupKind, name string) error {
	who, find := access.From(ctx), a.findOwnGroup(k, "deleted")
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		g, err := find(tx, who, name)
		if err != nil {
			return err
		}
		if by := slices.Sorted(k.users(tx, g)); len(by) > 0 {
			return fault.RDS("InvalidDBParameterGroupState", "One or more %s are still members of this parameter group %s, so the group cannot be deleted: %s", k.used, g.ID, strings.Join(by, ", "))
		}
		k.rows.Delete(tx, g.Account, g.Region, g.ID)
		return nil
	})
	return err
}

// listGroups gives a page of groups, the default ones among them, or the one that is named.
func (a *API) listGroups(ctx context.Context, k groupKind, operation string, name *string, filters []shape.Filter, marker *string, max *int32) (page []*model.DBParameterGroup, next *string, err error) {
	if _, err := (properties[*model.DBParameterGroup]{}).compile(filters); err != nil {
		return nil, nil, err
	}
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, nil, err
	}
	var rows []*model.DBParameterGroup
	if name != nil && *name != "" {
		g, err := a.findGroup(tx, who, k, *name)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, g)
	} else {
		rows = slices.Collect(view.All(tx, who, k.rows))
		for _, f := range a.families(k) {
			rows = append(rows, defaultGroupOf(who, f.name))
		}
	}
	return paginate(query{who, operation, name, marker, max}, rows, func(g *model.DBParameterGroup) string { return g.ID })
}

// CreateDBParameterGroup adds a group of parameters for instances.
func (a *API) CreateDBParameterGroup(ctx context.Context, in *shape.CreateDBParameterGroupInput) (*shape.CreateDBParameterGroupOutput, error) {
	g, err := a.createGroup(ctx, instanceGroups, instanceGroups.parameter, newGroup{*in.DBParameterGroupName, *in.Description, in.Tags, a.ofFamily(instanceGroups, *in.DBParameterGroupFamily)})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBParameterGroupOutput{DBParameterGroup: new(groupShape(g))}, nil
}

// CopyDBParameterGroup adds a group of parameters like another.
func (a *API) CopyDBParameterGroup(ctx context.Context, in *shape.CopyDBParameterGroupInput) (*shape.CopyDBParameterGroupOutput, error) {
	g, err := a.createGroup(ctx, instanceGroups, "TargetDBParameterGroupIdentifier", newGroup{
		*in.TargetDBParameterGroupIdentifier, *in.TargetDBParameterGroupDescription, in.Tags, a.copyOf(instanceGroups, *in.SourceDBParameterGroupIdentifier),
	})
	if err != nil {
		return nil, err
	}
	return &shape.CopyDBParameterGroupOutput{DBParameterGroup: new(groupShape(g))}, nil
}

// DeleteDBParameterGroup removes a group that no instance has.
func (a *API) DeleteDBParameterGroup(ctx context.Context, in *shape.DeleteDBParameterGroupInput) (*shape.DeleteDBParameterGroupOutput, error) {
	if err := a.deleteGroup(ctx, instanceGroups, *in.DBParameterGroupName); err != nil {
		return nil, err
	}
	return &shape.DeleteDBParameterGroupOutput{}, nil
}

// DescribeDBParameterGroups lists groups, or shows the one that is named.
func (a *API) DescribeDBParameterGroups(ctx context.Context, in *shape.DescribeDBParameterGroupsInput) (*shape.DescribeDBParameterGroupsOutput, error) {
	page, next, err := a.listGroups(ctx, instanceGroups, "DescribeDBParameterGroups", in.DBParameterGroupName, in.Filters, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBParameterGroupsOutput{DBParameterGroups: service.Each(page, groupShape), Marker: next}, nil
}

func groupShape(g *model.DBParameterGroup) shape.DBParameterGroup {
	return shape.DBParameterGroup{
		DBParameterGroupName: &g.ID, DBParameterGroupFamily: &g.Family, Description: &g.Description, DBParameterGroupArn: new(groupARN(instanceGroups, g)),
	}
}

func groupARN(k groupKind, g *model.DBParameterGroup) string {
	return model.ARN("rds", g.Region, g.Account, k.typeOfARN+":"+g.ID)
}

// CreateDBClusterParameterGroup adds a group of parameters for clusters.
func (a *API) CreateDBClusterParameterGroup(ctx context.Context, in *shape.CreateDBClusterParameterGroupInput) (*shape.CreateDBClusterParameterGroupOutput, error) {
	g, err := a.createGroup(ctx, clusterGroups, clusterGroups.parameter, newGroup{*in.DBClusterParameterGroupName, *in.Description, in.Tags, a.ofFamily(clusterGroups, *in.DBParameterGroupFamily)})
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBClusterParameterGroupOutput{DBClusterParameterGroup: new(clusterGroupShape(g))}, nil
}

// CopyDBClusterParameterGroup adds a group of parameters like another.
func (a *API) CopyDBClusterParameterGroup(ctx context.Context, in *shape.CopyDBClusterParameterGroupInput) (*shape.CopyDBClusterParameterGroupOutput, error) {
	g, err := a.createGroup(ctx, clusterGroups, "TargetDBClusterParameterGroupIdentifier", newGroup{
		*in.TargetDBClusterParameterGroupIdentifier, *in.TargetDBClusterParameterGroupDescription, in.Tags, a.copyOf(clusterGroups, *in.SourceDBClusterParameterGroupIdentifier),
	})
	if err != nil {
		return nil, err
	}
	return &shape.CopyDBClusterParameterGroupOutput{DBClusterParameterGroup: new(clusterGroupShape(g))}, nil
}

// DeleteDBClusterParameterGroup removes a group that no cluster has.
func (a *API) DeleteDBClusterParameterGroup(ctx context.Context, in *shape.DeleteDBClusterParameterGroupInput) (*shape.DeleteDBClusterParameterGroupOutput, error) {
	if err := a.deleteGroup(ctx, clusterGroups, *in.DBClusterParameterGroupName); err != nil {
		return nil, err
	}
	return &shape.DeleteDBClusterParameterGroupOutput{}, nil
}

// DescribeDBClusterParameterGroups lists groups, or shows the one that is named.
func (a *API) DescribeDBClusterParameterGroups(ctx context.Context, in *shape.DescribeDBClusterParameterGroupsInput) (*shape.DescribeDBClusterParameterGroupsOutput, error) {
	page, next, err := a.listGroups(ctx, clusterGroups, "DescribeDBClusterParameterGroups", in.DBClusterParameterGroupName, in.Filters, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBClusterParameterGroupsOutput{DBClusterParameterGroups: service.Each(page, clusterGroupShape), Marker: next}, nil
}

func clusterGroupShape(g *model.DBParameterGroup) shape.DBClusterParameterGroup {
	return shape.DBClusterParameterGroup{
		DBClusterParameterGroupName: &g.ID, DBParameterGroupFamily: &g.Family, Description: &g.Description, DBClusterParameterGroupArn: new(groupARN(clusterGroups, g)),
	}
}
