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

// newCluster is a cluster that is being made: its row as far as the request says, and what is
// looked up in the state.
type newCluster struct {
	who    access.View
	row    *model.DBCluster
	p      version
	params *string
	group  *string // of subnets
	groups []string
}

// clusterMembers are what CreateDBCluster sees to.
var clusterMembers = []string{
	"AvailabilityZones", "BackupRetentionPeriod", "DatabaseName", "DBClusterIdentifier", "DBClusterParameterGroupName", "VpcSecurityGroupIds", "DBSubnetGroupName",
	"Engine", "EngineVersion", "Port", "MasterUsername", "MasterUserPassword", "PreferredBackupWindow", "PreferredMaintenanceWindow", "Tags", "StorageEncrypted",
	"StorageType", "AutoMinorVersionUpgrade", "DeletionProtection", "CopyTagsToSnapshot", "CACertificateIdentifier", "EngineLifecycleSupport", "ManageMasterUserPassword",
}

// CreateDBCluster makes a cluster, which has no server before it gets instances.
func (a *API) CreateDBCluster(ctx context.Context, in *shape.CreateDBClusterInput) (*shape.CreateDBClusterOutput, error) {
	if err := refuseUnserved(in, clusterMembers...); err != nil {
		return nil, err
	}
	n, err := a.beginCluster(access.From(ctx), in.DBClusterIdentifier, in.Engine, in.EngineVersion, in.AvailabilityZones, in.StorageType, in.Tags)
	if err != nil {
		return nil, err
	}
	d, err := a.newDatabase(n.row.ID, n.row.Identifier, n.p, wanted{
		name: in.DatabaseName, nameParameter: "DatabaseName", user: in.MasterUsername, password: in.MasterUserPassword, manage: in.ManageMasterUserPassword, port: in.Port,
		retention: in.BackupRetentionPeriod, leastDays: 1, backup: in.PreferredBackupWindow, maintenance: in.PreferredMaintenanceWindow, encrypted: in.StorageEncrypted,
		protection: in.DeletionProtection, copyTags: in.CopyTagsToSnapshot, minor: in.AutoMinorVersionUpgrade, authority: in.CACertificateIdentifier, support: in.EngineLifecycleSupport,
	})
	if err != nil {
		return nil, err
	}
	d.Zones, d.StorageType = n.row.Zones, n.row.StorageType
	n.row.Database = d
	n.params, n.group, n.groups = in.DBClusterParameterGroupName, in.DBSubnetGroupName, in.VpcSecurityGroupIds
	out, err := a.createCluster(ctx, n, func(*table.Txn) error { return nil })
	if err != nil {
		return nil, err
	}
	return &shape.CreateDBClusterOutput{DBCluster: out}, nil
}

// beginCluster reads what all new clusters have.
func (a *API) beginCluster(who access.View, name, engine, version *string, zones []string, storage *string, tags []shape.Tag) (*newCluster, error) {
	id, err := identifier("DBClusterIdentifier", service.Value(name), maxIdentifier)
	if err != nil {
		return nil, err
	}
	p, err := a.findVersion(engine, version)
	if err != nil {
		return nil, err
	}
	if !p.Cluster {
		return nil, conflicting("There are no clusters of %s: %s. CreateDBInstance makes an instance of it.", p.Engine, noClass)
	}
	now := a.Now()
	n := &newCluster{who: who, p: p, row: &model.DBCluster{
		Meta:     model.Meta{Account: who.Account, Region: who.Region, ID: a.NewDatabaseID("cluster-"), CreatedAt: now, UpdatedAt: now},
		Database: model.Database{Identifier: id, StorageType: service.Value(storage)},
	}}
	n.row.Engine = p.Engine
	if err := checkStorageType(&n.row.Database); err != nil {
		return nil, err
	}
	for _, name := range zones {
		z, ok := a.Zone(who.Region, name)
		if !ok {
			return nil, invalid("Invalid Availability Zone: %s", name)
		}
		if slices.Contains(n.row.Zones, z.Name) {
			return nil, invalid("AvailabilityZones: %s is named twice", name)
		}
		n.row.Zones = append(n.row.Zones, z.Name)
	}
	n.row.Tags, err = makeTags(tags)
	return n, err
}

// createCluster adds the cluster to the state. Begin may look at more in the transaction,
// before.
func (a *API) createCluster(ctx context.Context, n *newCluster, begin func(*table.Txn) error) (out *shape.DBCluster, err error) {
	_, err = a.DB.Update(ctx, func(tx *table.Txn) error {
		row := n.row.Clone()
		for range state.DBClustersByIdentifier.Rows(tx, n.who.Own(row.Identifier)) {
			return fault.RDS("DBClusterAlreadyExistsFault", "DB Cluster already exists")
		}
		if most := a.Quotas.DBClustersPerRegion; view.Count(tx, n.who, state.DBClusters) >= most {
			return fault.RDS("DBClusterQuotaExceededFault", "The request cannot be processed because it would exceed the maximum number of clusters: %d", most)
		}
		if err := begin(tx); err != nil {
			return err
		}
		if err := a.locate(tx, n.who, &row.Database, n.group, n.groups); err != nil {
			return err
		}
		var err error
		if row.ParameterGroup, err = parameterGroup(tx, n.who, clusterGroups, n.params, n.p.family(), "DBClusterParameterGroupNotFound"); err != nil {
			return err
		}
		if err := checkZones(tx, row); err != nil {
			return err
		}
		state.DBClusters.Put(tx, row)
		s := a.clusterShape(tx, row)
		out = &s
		return nil
	})
	return out, err
}

// checkZones sees that the subnets of a cluster are in each zone that was asked for.
func checkZones(tx *table.Txn, c *model.DBCluster) error {
	have := zonesOf(tx, c)
	for _, zone := range c.Zones {
		if !slices.Contains(have, zone) {
			return fault.RDS("InvalidVPCNetworkStateFault", "The DB subnet group '%s' has no subnet in Availability Zone %s; it has %s.", c.SubnetGroup, zone, strings.Join(have, ", "))
		}
	}
	return nil
}

// zonesOf gives the zones that the subnets of a cluster are in, sorted.
func zonesOf(tx *table.Txn, c *model.DBCluster) (zones []string) {
	g, ok := state.DBSubnetGroups.Get(tx, c.Account, c.Region, c.SubnetGroup)
	if !ok {
		return nil
	}
	for _, id := range g.Subnets {
		if s, ok := state.Subnets.Get(tx, g.Account, g.Region, id); ok {
			zones = append(zones, s.Zone)
		}
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

// findCluster finds a cluster of the caller's by its identifier or its ARN.
func findCluster(tx *table.Txn, who access.View, name string) (*model.DBCluster, error) {
	for c := range state.DBClustersByIdentifier.Rows(tx, who.Own(named(who, "cluster", name))) {
		return c, nil
	}
	return nil, fault.RDS("DBClusterNotFoundFault", "DBCluster %s not found.", name)
}

// membersOf gives the instances of a cluster by their identifiers.
func membersOf(tx *table.Txn, c *model.DBCluster) []*model.DBInstance {
	return slices.SortedFunc(state.DBInstancesByCluster.Rows(tx, c.Ref()), func(a, b *model.DBInstance) int {
		return strings.Compare(a.Identifier, b.Identifier)
	})
}
