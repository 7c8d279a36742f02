// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// list finds what a Describe request asks for: the one that it names, or all that its filters
// let through; and cuts a page out of that.
func list[T any](q query, name *string, find func() (T, error), all func() []T, filters []shape.Filter, can properties[T], key func(T) string) ([]T, *string, error) {
	holds, err := can.compile(filters)
	if err != nil {
		return nil, nil, err
	}
	var rows []T
	if service.Value(name) != "" {
		row, err := find()
		if err != nil {
			return nil, nil, err
		}
		rows = []T{row}
	} else {
		rows = all()
	}
	rows = slices.DeleteFunc(rows, func(row T) bool { return !holds(row) })
	return paginate(q, rows, key)
}

// DescribeDBClusters lists clusters, or shows the one that is named.
func (a *API) DescribeDBClusters(ctx context.Context, in *shape.DescribeDBClustersInput) (*shape.DescribeDBClustersOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	type row = *model.DBCluster
	can := properties[row]{
		"clone-group-id":         func(row) []string { return nil },
		"db-cluster-id":          func(c row) []string { return []string{c.Identifier, c.ARN()} },
		"db-cluster-resource-id": func(c row) []string { return []string{c.ID} },
		"domain":                 func(row) []string { return nil },
		"engine":                 func(c row) []string { return []string{c.Engine} },
	}
	q := query{who, "DescribeDBClusters", []any{in.DBClusterIdentifier, in.Filters}, in.Marker, in.MaxRecords}
	page, marker, err := list(q, in.DBClusterIdentifier, func() (row, error) { return findClusterOrID(tx, who, *in.DBClusterIdentifier) },
		func() []row { return slices.Collect(view.All(tx, who, state.DBClusters)) }, in.Filters, can, func(c row) string { return c.Identifier })
	if err != nil {
		return nil, err
	}
	show := func(c row) shape.DBCluster { return a.clusterShape(tx, c) }
	return &shape.DescribeDBClustersOutput{DBClusters: service.Each(page, show), Marker: marker}, nil
}

// findClusterOrID is findCluster for who may name a cluster by its resource id too.
func findClusterOrID(tx *table.Txn, who access.View, name string) (*model.DBCluster, error) {
	if id, ok := resourceID("cluster-", name); ok {
		if c, ok := view.Get(tx, who, state.DBClusters, id); ok {
			return c, nil
		}
	}
	return findCluster(tx, who, name)
}

// findInstanceOrID is findInstance for who may name an instance by its resource id too.
func findInstanceOrID(tx *table.Txn, who access.View, name string) (*model.DBInstance, error) {
	if id, ok := resourceID("db-", name); ok {
		if i, ok := view.Get(tx, who, state.DBInstances, id); ok {
			return i, nil
		}
	}
	return findInstance(tx, who, name)
}

// resourceID gives a resource id the case that rows have it in.
func resourceID(prefix, text string) (string, bool) {
	rest, ok := strings.CutPrefix(strings.ToLower(text), prefix)
	return prefix + strings.ToUpper(rest), ok
}

// DescribeDBInstances lists instances, or shows the one that is named.
func (a *API) DescribeDBInstances(ctx context.Context, in *shape.DescribeDBInstancesInput) (*shape.DescribeDBInstancesOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	type row = *model.DBInstance
	can := properties[row]{
		"db-cluster-id": func(i row) []string {
			if c, ok := state.DBClusters.Get(tx, i.Account, i.Region, i.Cluster); ok {
				return []string{c.Identifier, c.ARN()}
			}
			return nil
		},
		"db-instance-id":  func(i row) []string { return []string{i.Identifier, i.ARN()} },
		"dbi-resource-id": func(i row) []string { return []string{i.ID} },
		"domain":          func(row) []string { return nil },
		"engine":          func(i row) []string { return []string{i.Engine} },
	}
	q := query{who, "DescribeDBInstances", []any{in.DBInstanceIdentifier, in.Filters}, in.Marker, in.MaxRecords}
	page, marker, err := list(q, in.DBInstanceIdentifier, func() (row, error) { return findInstanceOrID(tx, who, *in.DBInstanceIdentifier) },
		func() []row { return slices.Collect(view.All(tx, who, state.DBInstances)) }, in.Filters, can, func(i row) string { return i.Identifier })
	if err != nil {
		return nil, err
	}
	show := func(i row) shape.DBInstance { return a.instanceShape(tx, i) }
	return &shape.DescribeDBInstancesOutput{DBInstances: service.Each(page, show), Marker: marker}, nil
}
