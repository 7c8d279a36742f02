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

// Types of endpoints of clusters.
const (
	endpointWriter = "WRITER"
	endpointReader = "READER"
	endpointCustom = "CUSTOM"
	endpointAny    = "ANY"
)

// customType reads what a custom endpoint leads to: readers only, or any instance.
func customType(text string) (readers bool, err error) {
	switch strings.ToUpper(text) {
	case endpointReader:
		return true, nil
	case endpointAny:
		return false, nil
	}
	return false, invalid("EndpointType: a custom endpoint is of type READER or ANY, not %s", text)
}

// membersNamed finds instances of a cluster by their identifiers.
func membersNamed(tx *table.Txn, c *model.DBCluster, names []string) (ids []string, err error) {
	for _, name := range names {
		var found *model.DBInstance
		for i := range state.DBInstancesByIdentifier.Rows(tx, c.Sibling(strings.ToLower(name))) {
			found = i
		}
		switch {
		case found == nil:
			return nil, fault.RDS("DBInstanceNotFound", "DBInstance %s not found.", name)
		case found.Cluster != c.ID:
			return nil, fault.RDS("InvalidDBInstanceState", "DBInstance %s is not a member of DBCluster %s.", found.Identifier, c.Identifier)
		case !slices.Contains(ids, found.ID):
			ids = append(ids, found.ID)
		}
	}
	return ids, nil
}

// setMembers says which instances an endpoint leads to. Without either list all stays.
func setMembers(tx *table.Txn, e *model.DBClusterEndpoint, c *model.DBCluster, static, excluded []string) (err error) {
	switch {
	case len(static) > 0 && len(excluded) > 0:
		return conflicting("StaticMembers and ExcludedMembers cannot be given together")
	case len(static) > 0:
		e.Static, err = membersNamed(tx, c, static)
		e.Excluded = nil
	case len(excluded) > 0:
		e.Excluded, err = membersNamed(tx, c, excluded)
		e.Static = nil
	}
	return err
}

// CreateDBClusterEndpoint adds a name for some of a cluster's instances.
func (a *API) CreateDBClusterEndpoint(ctx context.Context, in *shape.CreateDBClusterEndpointInput) (*shape.CreateDBClusterEndpointOutput, error) {
	name, err := identifier("DBClusterEndpointIdentifier", *in.DBClusterEndpointIdentifier, maxIdentifier)
	if err != nil {
		return nil, err
	}
	readers, err := customType(*in.EndpointType)
	if err != nil {
		return nil, err
	}
	tags, err := makeTags(in.Tags)
	if err != nil {
		return nil, err
	}
	who, now := access.From(ctx), a.Now()
	var out shape.DBClusterEndpoint
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		c, err := findCluster(tx, who, *in.DBClusterIdentifier)
		if err != nil {
			return err
		}
		if err := changeableCluster(c); err != nil {
			return err
		}
		if _, ok := view.Get(tx, who, state.DBClusterEndpoints, name); ok {
			return fault.RDS("DBClusterEndpointAlreadyExistsFault", "The DBClusterEndpoint %s already exists.", name)
		}
		if most := a.Quotas.EndpointsPerDBCluster; state.DBClusterEndpointsByCluster.Count(tx, c.Ref()) >= most {
			return fault.RDS("DBClusterEndpointQuotaExceededFault", "The DBCluster %s already has %d custom endpoints.", c.Identifier, most)
		}
		e := &model.DBClusterEndpoint{
			Meta:    model.Meta{Account: who.Account, Region: who.Region, ID: name, CreatedAt: now, UpdatedAt: now, Tags: tags},
			Cluster: c.ID, Readers: readers,
		}
		if err := setMembers(tx, e, c, in.StaticMembers, in.ExcludedMembers); err != nil {
			return err
		}
		state.DBClusterEndpoints.Put(tx, e)
		out = a.endpointShape(tx, c, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	made := shape.CreateDBClusterEndpointOutput(out)
	return &made, nil
}

// findEndpoint finds a custom endpoint of the caller's.
func findEndpoint(tx *table.Txn, who access.View, name string) (*model.DBClusterEndpoint, error) {
	if e, ok := view.Get(tx, who, state.DBClusterEndpoints, named(who, "cluster-endpoint", name)); ok {
		return e, nil
	}
	return nil, fault.RDS("DBClusterEndpointNotFoundFault", "DBClusterEndpoint %s not found.", name)
}

// clusterOf gives the cluster of an endpoint, which ends with it.
func clusterOf(tx *table.Txn, e *model.DBClusterEndpoint) (*model.DBCluster, error) {
	if c, ok := state.DBClusters.Get(tx, e.Account, e.Region, e.Cluster); ok {
		return c, changeableCluster(c)
	}
	return nil, fault.RDS("InvalidDBClusterStateFault", "The DBCluster of DBClusterEndpoint %s is deleted.", e.ID)
}

// ModifyDBClusterEndpoint says anew what an endpoint leads to.
func (a *API) ModifyDBClusterEndpoint(ctx context.Context, in *shape.ModifyDBClusterEndpointInput) (*shape.ModifyDBClusterEndpointOutput, error) {
	var out shape.DBClusterEndpoint
	_, err := service.Change(ctx, a.Env, state.DBClusterEndpoints, findEndpoint, *in.DBClusterEndpointIdentifier, func(tx *table.Txn, e *model.DBClusterEndpoint) error {
		c, err := clusterOf(tx, e)
		if err != nil {
			return err
		}
		if service.Value(in.EndpointType) != "" {
			if e.Readers, err = customType(*in.EndpointType); err != nil {
				return err
			}
		}
		if err := setMembers(tx, e, c, in.StaticMembers, in.ExcludedMembers); err != nil {
			return err
		}
		out = a.endpointShape(tx, c, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	changed := shape.ModifyDBClusterEndpointOutput(out)
	return &changed, nil
}

// DeleteDBClusterEndpoint removes a custom endpoint, and with it the name.
func (a *API) DeleteDBClusterEndpoint(ctx context.Context, in *shape.DeleteDBClusterEndpointInput) (*shape.DeleteDBClusterEndpointOutput, error) {
	who := access.From(ctx)
	var out shape.DBClusterEndpoint
	_, err := a.DB.Update(ctx, func(tx *table.Txn) error {
		e, err := findEndpoint(tx, who, *in.DBClusterEndpointIdentifier)
		if err != nil {
			return err
		}
		c, err := clusterOf(tx, e)
		if err != nil {
			return err
		}
		out = a.endpointShape(tx, c, e)
		out.Status = new(deleting)
		state.DBClusterEndpoints.Delete(tx, e.Account, e.Region, e.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	gone := shape.DeleteDBClusterEndpointOutput(out)
	return &gone, nil
}

var endpointProperties = properties[shape.DBClusterEndpoint]{
	"db-cluster-id": func(e shape.DBClusterEndpoint) []string { return []string{*e.DBClusterIdentifier} },
	"db-cluster-endpoint-id": func(e shape.DBClusterEndpoint) []string {
		return []string{service.Value(e.DBClusterEndpointIdentifier)}
	},
	"db-cluster-endpoint-type":        func(e shape.DBClusterEndpoint) []string { return []string{*e.EndpointType} },
	"db-cluster-endpoint-custom-type": func(e shape.DBClusterEndpoint) []string { return []string{service.Value(e.CustomEndpointType)} },
	"db-cluster-endpoint-status":      func(e shape.DBClusterEndpoint) []string { return []string{*e.Status} },
}

// DescribeDBClusterEndpoints lists the names of clusters: those of writer and readers, and
// the custom ones. An endpoint that is not there is an empty list, and no error.
func (a *API) DescribeDBClusterEndpoints(ctx context.Context, in *shape.DescribeDBClusterEndpointsInput) (*shape.DescribeDBClusterEndpointsOutput, error) {
	holds, err := endpointProperties.compile(in.Filters)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	clusters := slices.Collect(view.All(tx, who, state.DBClusters))
	if name := service.Value(in.DBClusterIdentifier); name != "" {
		c, err := findCluster(tx, who, name)
		if err != nil {
			return nil, err
		}
		clusters = []*model.DBCluster{c}
	}
	wanted := named(who, "cluster-endpoint", service.Value(in.DBClusterEndpointIdentifier))
	var items []shape.DBClusterEndpoint
	for _, c := range clusters {
		for _, e := range a.endpointsOf(tx, c) {
			if (wanted == "" || wanted == service.Value(e.DBClusterEndpointIdentifier)) && holds(e) {
				items = append(items, e)
			}
		}
	}
	choice := []any{in.DBClusterIdentifier, in.DBClusterEndpointIdentifier, in.Filters}
	key := func(e shape.DBClusterEndpoint) string {
		return *e.DBClusterIdentifier + " " + *e.EndpointType + " " + service.Value(e.DBClusterEndpointIdentifier)
	}
	page, marker, err := paginate(query{who, "DescribeDBClusterEndpoints", choice, in.Marker, in.MaxRecords}, items, key)
	if err != nil {
		return nil, err
	}
	return &shape.DescribeDBClusterEndpointsOutput{DBClusterEndpoints: slices.Concat([]shape.DBClusterEndpoint{}, page), Marker: marker}, nil
}

// endpointsOf gives all names of a cluster. A registered one may lack some.
func (a *API) endpointsOf(tx *table.Txn, c *model.DBCluster) (all []shape.DBClusterEndpoint) {
	add := func(kind, name string) {
		if name != "" {
			all = append(all, shape.DBClusterEndpoint{
				DBClusterIdentifier: &c.Identifier, Endpoint: new(strings.TrimSuffix(name, ".")), EndpointType: &kind, Status: new(endpointStatus(c)),
				StaticMembers: []string{}, ExcludedMembers: []string{},
			})
		}
	}
	add(endpointWriter, c.WriterName(a.DatabaseSuffix))
	add(endpointReader, c.ReaderName(a.DatabaseSuffix))
	for e := range state.DBClusterEndpointsByCluster.Rows(tx, c.Ref()) {
		all = append(all, a.endpointShape(tx, c, e))
	}
	return all
}

// endpointStatus is how names of a cluster are: they follow it.
func endpointStatus(c *model.DBCluster) string {
	if c.Deleting() {
		return deleting
	}
	return string(model.DatabaseAvailable)
}

func (a *API) endpointShape(tx *table.Txn, c *model.DBCluster, e *model.DBClusterEndpoint) shape.DBClusterEndpoint {
	kind := endpointAny
	if e.Readers {
		kind = endpointReader
	}
	return shape.DBClusterEndpoint{
		DBClusterEndpointIdentifier: &e.ID, DBClusterIdentifier: &c.Identifier, DBClusterEndpointArn: new(e.ARN()),
		DBClusterEndpointResourceIdentifier: new(c.ID + "-" + e.ID), Endpoint: new(strings.TrimSuffix(e.NameIn(a.DatabaseSuffix), ".")), Status: new(endpointStatus(c)),
		EndpointType: new(endpointCustom), CustomEndpointType: &kind, StaticMembers: memberNames(tx, e, e.Static), ExcludedMembers: memberNames(tx, e, e.Excluded),
	}
}

// memberNames gives the identifiers of instances, without those that are gone.
func memberNames(tx *table.Txn, e *model.DBClusterEndpoint, ids []string) []string {
	names := []string{}
	for _, id := range ids {
		if i, ok := state.DBInstances.Get(tx, e.Account, e.Region, id); ok {
			names = append(names, i.Identifier)
		}
	}
	slices.Sort(names)
	return names
}
