// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/engine"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// maxParameters is how many parameters a request can change
// (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBParameterGroup.html).
const maxParameters = 20

// Where the value of a parameter comes from.
const (
	sourceUser    = "user"
	sourceSystem  = "system"
	sourceDefault = "engine-default"
)

// parametersOf gives the parameters that groups of a family and kind have, by name. Those
// which all members of a cluster must have alike are in the cluster's groups only.
func parametersOf(k groupKind, family string) (all []engine.Parameter) {
	ofCluster := false
	for _, o := range engine.Offers() {
		if major, ok := strings.CutPrefix(family, o.Family("")); ok && major != "" {
			ofCluster = ofCluster || o.Cluster
		}
	}
	for _, p := range engine.Parameters(family) {
		if p.Scope == engine.ScopeInstance || k.scope == engine.ScopeCluster || !ofCluster {
			all = append(all, p)
		}
	}
	return all
}

func findParameter(k groupKind, family, name string) (engine.Parameter, error) {
	for _, p := range parametersOf(k, family) {
		if p.Name == name {
			return p, nil
		}
	}
	return engine.Parameter{}, invalid("Could not find parameter with name: %s", name)
}

// checkChanges refuses lists of parameters that are too long, or name one twice or none.
func checkChanges(list []shape.Parameter) error {
	if len(list) > maxParameters {
		return invalid("Parameters: %d are too many, a request can change at most %d", len(list), maxParameters)
	}
	seen := map[string]bool{}
	for _, p := range list {
		name := service.Value(p.ParameterName)
		switch {
		case name == "":
			return missing("ParameterName")
		case seen[name]:
			return invalid("Parameters: %s is named twice", name)
		case service.Value(p.ApplyMethod) == "":
			return missing("ApplyMethod")
		}
		seen[name] = true
	}
	return nil
}

// modifyGroup sets parameters of a group, all or none.
func (a *API) modifyGroup(ctx context.Context, k groupKind, name string, list []shape.Parameter) (*model.DBParameterGroup, error) {
	if len(list) == 0 {
		return nil, missing("Parameters")
	}
	if err := checkChanges(list); err != nil {
		return nil, err
	}
	return service.Change(ctx, a.Env, k.rows, a.findOwnGroup(k, "modified"), name, func(tx *table.Txn, g *model.DBParameterGroup) error {
		values := maps.Clone(g.Parameters)
		if values == nil {
			values = map[string]model.DBParameter{}
		}
		for _, change := range list {
			p, err := findParameter(k, g.Family, *change.ParameterName)
			if err != nil {
				return err
			}
			if change.ParameterValue == nil {
				return missing("ParameterValue")
			}
			atReboot := *change.ApplyMethod == shape.ApplyMethodPendingReboot
			if p.Static && !atReboot {
				return conflicting("cannot use immediate apply method for static parameter: %s", p.Name)
			}
			if err := checkValue(p, *change.ParameterValue); err != nil {
				return err
			}
			values[p.Name] = model.DBParameter{Value: *change.ParameterValue, AtReboot: atReboot}
			k.changed(tx, g, p, values, atReboot)
			a.groupChanged(tx, k, g, "Updated parameter "+p.Name+" to "+*change.ParameterValue+" with apply method "+*change.ApplyMethod)
		}
		g.Parameters = values
		return nil
	})
}

// changed has a parameter be in force at once or with the next reboot, which static ones wait
// for by themselves; g is the group before the change, values are those after it.
func (k groupKind) changed(tx *table.Txn, g *model.DBParameterGroup, p engine.Parameter, values map[string]model.DBParameter, atReboot bool) {
	from, to := heldAs(g.Parameters, p.Name), heldAs(values, p.Name)
	k.hold(tx, g, func(held model.HeldParameters) model.HeldParameters {
		return held.Change(p.Name, from, to, atReboot && !p.Static)
	})
}

func checkValue(p engine.Parameter, value string) error {
	err := p.Check(value)
	var wrong *engine.ParameterError
	switch {
	case err == nil:
		return nil
	case strings.Contains(value, "{") || strings.Contains(value, "("):
		return invalid("Invalid parameter value: %s for: %s. Formulas are not served: give a value.", value, p.Name)
	case p.Allowed != "":
		return invalid("Invalid parameter value: %s for: %s allowed values are: %s", value, p.Name, p.Allowed)
	case errors.As(err, &wrong):
		return invalid("Invalid parameter value: %s for: %s, %s", value, p.Name, wrong.Reason)
	}
	return invalid("Invalid parameter value: %s", err)
}

// resetGroup takes parameters of a group back to their defaults: all, or those that are
// named.
func (a *API) resetGroup(ctx context.Context, k groupKind, name string, all *bool, list []shape.Parameter) (*model.DBParameterGroup, error) {
	if service.Value(all) && len(list) > 0 {
		return nil, conflicting("Parameters and ResetAllParameters cannot be given together")
	}
	if all != nil && !*all && len(list) == 0 {
		return nil, missing("Parameters")
	}
	if err := checkChanges(list); err != nil {
		return nil, err
	}
	return service.Change(ctx, a.Env, k.rows, a.findOwnGroup(k, "modified"), name, func(tx *table.Txn, g *model.DBParameterGroup) error {
		if len(list) == 0 {
			k.hold(tx, g, func(model.HeldParameters) model.HeldParameters { return nil })
			g.Parameters = nil
			a.groupChanged(tx, k, g, "Reset all parameters")
			return nil
		}
		values := maps.Clone(g.Parameters)
		for _, change := range list {
			p, err := findParameter(k, g.Family, *change.ParameterName)
			if err != nil {
				return err
			}
			if p.Static && *change.ApplyMethod != shape.ApplyMethodPendingReboot {
				return conflicting("cannot use immediate apply method for static parameter: %s", p.Name)
			}
			delete(values, p.Name)
			k.changed(tx, g, p, values, *change.ApplyMethod == shape.ApplyMethodPendingReboot)
			a.groupChanged(tx, k, g, "Reset parameter "+p.Name)
		}
		g.Parameters = values
		return nil
	})
}

// groupChanged adds an event of a group of instances'; RDS has none of clusters' groups.
func (a *API) groupChanged(tx *table.Txn, k groupKind, g *model.DBParameterGroup, message string) {
	if k.scope == engine.ScopeInstance {
		AddEvent(tx, a.Env, Source{g.Account, g.Region, shape.SourceTypeDbParameterGroup, g.ID, groupARN(k, g)}, a.Now(), message, EventConfiguration)
	}
}

// parameterQuery is a request for parameters, of a group or of a family.
type parameterQuery struct {
	operation, name string
	source          *string
	filters         []shape.Filter
	marker          *string
	max             *int32
}

func (a *API) listParameters(ctx context.Context, k groupKind, q parameterQuery, g *model.DBParameterGroup) (page []shape.Parameter, next *string, err error) {
	switch service.Value(q.source) {
	case "", sourceUser, sourceSystem, sourceDefault:
	default:
		return nil, nil, invalid("Source: %s is none of user, system and engine-default", *q.source)
	}
	holds, err := properties[shape.Parameter]{"parameter-name": func(p shape.Parameter) []string { return []string{*p.ParameterName} }}.compile(q.filters)
	if err != nil {
		return nil, nil, err
	}
	var items []shape.Parameter
	for _, p := range parametersOf(k, g.Family) {
		shown := parameterShape(k, p, g.Parameters)
		if (service.Value(q.source) == "" || *q.source == *shown.Source) && holds(shown) {
			items = append(items, shown)
		}
	}
	choice := []any{q.name, q.source, q.filters}
	return paginate(query{access.From(ctx), q.operation, choice, q.marker, q.max}, items, func(p shape.Parameter) string { return *p.ParameterName })
}

func parameterShape(k groupKind, p engine.Parameter, values map[string]model.DBParameter) shape.Parameter {
	out := shape.Parameter{
		ParameterName: &p.Name, Description: &p.Description, Source: new(sourceDefault), ApplyType: new("dynamic"), DataType: new(string(p.Type)),
		AllowedValues: service.Optional(p.Allowed), IsModifiable: new(true), ApplyMethod: new(shape.ApplyMethodPendingReboot), ParameterValue: service.Optional(p.Default),
	}
	if p.Static {
		out.ApplyType = new("static")
	}
	if k.scope == engine.ScopeCluster {
		out.SupportedEngineModes = []string{engineMode}
	}
	if own, ok := values[p.Name]; ok {
		out.Source, out.ParameterValue = new(sourceUser), &own.Value
		if !own.AtReboot {
			out.ApplyMethod = new(shape.ApplyMethodImmediate)
		}
	}
	return out
}

// describeGroup lists the parameters of a group.
func (a *API) describeGroup(ctx context.Context, k groupKind, q parameterQuery) (page []shape.Parameter, next *string, err error) {
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, nil, err
	}
	g, err := a.findGroup(tx, access.From(ctx), k, q.name)
	if err != nil {
		return nil, nil, err
	}
	return a.listParameters(ctx, k, q, g)
}

// describeDefaults lists the parameters of a family.
func (a *API) describeDefaults(ctx context.Context, k groupKind, q parameterQuery) (*shape.EngineDefaults, error) {
	if err := a.checkFamily(k, q.name); err != nil {
		return nil, err
	}
	page, next, err := a.listParameters(ctx, k, q, &model.DBParameterGroup{Family: q.name})
	if err != nil {
		return nil, err
	}
	return &shape.EngineDefaults{DBParameterGroupFamily: &q.name, Parameters: page, Marker: next}, nil
}

// ModifyDBParameterGroup sets parameters of a group of instances'.
func (a *API) ModifyDBParameterGroup(ctx context.Context, in *shape.ModifyDBParameterGroupInput) (*shape.ModifyDBParameterGroupOutput, error) {
	g, err := a.modifyGroup(ctx, instanceGroups, *in.DBParameterGroupName, in.Parameters)
	if err != nil {
		return nil, err
	}
	return &shape.ModifyDBParameterGroupOutput{DBParameterGroupName: &g.ID}, nil
}

// ResetDBParameterGroup takes parameters of a group of instances' back to their defaults.
func (a *API) ResetDBParameterGroup(ctx context.Context, in *shape.ResetDBParameterGroupInput) (*shape.ResetDBParameterGroupOutput, error) {
	g, err := a.resetGroup(ctx, instanceGroups, *in.DBParameterGroupName, in.ResetAllParameters, in.Parameters)
	if err != nil {
		return nil, err
	}
	return &shape.ResetDBParameterGroupOutput{DBParameterGroupName: &g.ID}, nil
}

// DescribeDBParameters lists the parameters of a group of instances'.
func (a *API) DescribeDBParameters(ctx context.Context, in *shape.DescribeDBParametersInput) (*shape.DescribeDBParametersOutput, error) {
	page, next, err := a.describeGroup(ctx, instanceGroups, parameterQuery{"DescribeDBParameters", *in.DBParameterGroupName, in.Source, in.Filters, in.Marker, in.MaxRecords})
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBParametersOutput{Parameters: page, Marker: next}, nil
}

// DescribeEngineDefaultParameters lists the parameters that groups of instances' of a family
// have.
func (a *API) DescribeEngineDefaultParameters(ctx context.Context, in *shape.DescribeEngineDefaultParametersInput) (*shape.DescribeEngineDefaultParametersOutput, error) {
	defaults, err := a.describeDefaults(ctx, instanceGroups, parameterQuery{"DescribeEngineDefaultParameters", *in.DBParameterGroupFamily, nil, in.Filters, in.Marker, in.MaxRecords})
	if err != nil {
		return nil, err
	}
	return &shape.DescribeEngineDefaultParametersOutput{EngineDefaults: defaults}, nil
}

// ModifyDBClusterParameterGroup sets parameters of a group of clusters'.
func (a *API) ModifyDBClusterParameterGroup(ctx context.Context, in *shape.ModifyDBClusterParameterGroupInput) (*shape.ModifyDBClusterParameterGroupOutput, error) {
	g, err := a.modifyGroup(ctx, clusterGroups, *in.DBClusterParameterGroupName, in.Parameters)
	if err != nil {
		return nil, err
	}
	return &shape.ModifyDBClusterParameterGroupOutput{DBClusterParameterGroupName: &g.ID}, nil
}

// ResetDBClusterParameterGroup takes parameters of a group of clusters' back to their
// defaults.
func (a *API) ResetDBClusterParameterGroup(ctx context.Context, in *shape.ResetDBClusterParameterGroupInput) (*shape.ResetDBClusterParameterGroupOutput, error) {
	g, err := a.resetGroup(ctx, clusterGroups, *in.DBClusterParameterGroupName, in.ResetAllParameters, in.Parameters)
	if err != nil {
		return nil, err
	}
	return &shape.ResetDBClusterParameterGroupOutput{DBClusterParameterGroupName: &g.ID}, nil
}

// DescribeDBClusterParameters lists the parameters of a group of clusters'.
func (a *API) DescribeDBClusterParameters(ctx context.Context, in *shape.DescribeDBClusterParametersInput) (*shape.DescribeDBClusterParametersOutput, error) {
	page, next, err := a.describeGroup(ctx, clusterGroups, parameterQuery{"DescribeDBClusterParameters", *in.DBClusterParameterGroupName, in.Source, in.Filters, in.Marker, in.MaxRecords})
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBClusterParametersOutput{Parameters: page, Marker: next}, nil
}

// DescribeEngineDefaultClusterParameters lists the parameters that groups of clusters' of a
// family have.
func (a *API) DescribeEngineDefaultClusterParameters(ctx context.Context, in *shape.DescribeEngineDefaultClusterParametersInput) (*shape.DescribeEngineDefaultClusterParametersOutput, error) {
	defaults, err := a.describeDefaults(ctx, clusterGroups, parameterQuery{"DescribeEngineDefaultClusterParameters", *in.DBParameterGroupFamily, nil, in.Filters, in.Marker, in.MaxRecords})
	if err != nil {
		return nil, err
	}
	return &shape.DescribeEngineDefaultClusterParametersOutput{EngineDefaults: defaults}, nil
}
