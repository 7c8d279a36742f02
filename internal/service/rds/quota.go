// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"

	"github.com/posternhq/postern/internal/access"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/service/view"
	"github.com/posternhq/postern/internal/state"
)

// DescribeAccountAttributes shows the quotas of the account in the region, and how much of
// them is used. Those of parts, such as subnets of a group, show the most that one has.
func (a *API) DescribeAccountAttributes(ctx context.Context, _ *shape.DescribeAccountAttributesInput) (*shape.DescribeAccountAttributesOutput, error) {
	who := access.From(ctx)
	tx, err := a.DB.View(ctx)
	if err != nil {
		return nil, err
	}
	out := &shape.DescribeAccountAttributesOutput{}
	add := func(name string, used, most int) {
		out.AccountQuotas = append(out.AccountQuotas, shape.AccountQuota{AccountQuotaName: &name, Used: new(int64(used)), Max: new(int64(most))})
	}
	storage, snapshots, clusterSnapshots, subnets, replicas, endpoints := 0, 0, 0, 0, 0, 0
	for i := range view.All(tx, who, state.DBInstances) {
		storage += i.AllocatedStorage
		replicas = max(replicas, state.DBInstancesBySource.Count(tx, i.Ref()))
	}
	for c := range view.All(tx, who, state.DBClusters) {
		endpoints = max(endpoints, state.DBClusterEndpointsByCluster.Count(tx, c.Ref()))
	}
	for s := range view.All(tx, who, state.DBSnapshots) {
		if s.OfCluster {
			clusterSnapshots++
		} else {
			snapshots++
		}
	}
	for g := range view.All(tx, who, state.DBSubnetGroups) {
		subnets = max(subnets, len(g.Subnets))
	}
	q := a.Quotas
	add("DBInstances", view.Count(tx, who, state.DBInstances), q.DBInstancesPerRegion)
	add("ReservedDBInstances", 0, 0)
	add("AllocatedStorage", storage, mostStorage*q.DBInstancesPerRegion)
	add("DBSecurityGroups", 0, 0)
	add("AuthorizationsPerDBSecurityGroup", 0, 0)
	add("DBParameterGroups", view.Count(tx, who, state.DBParameterGroups), q.DBParameterGroupsPerRegion)
	add("ManualSnapshots", snapshots, q.DBSnapshotsPerRegion)
	add("EventSubscriptions", 0, 0)
	add("DBSubnetGroups", view.Count(tx, who, state.DBSubnetGroups), q.DBSubnetGroupsPerRegion)
	add("OptionGroups", 0, 0)
	add("SubnetsPerDBSubnetGroup", subnets, q.SubnetsPerDBSubnetGroup)
	add("ReadReplicasPerMaster", replicas, q.ReplicasPerDB)
	add("DBClusters", view.Count(tx, who, state.DBClusters), q.DBClustersPerRegion)
	add("DBClusterParameterGroups", view.Count(tx, who, state.DBClusterParameterGroups), q.DBClusterParameterGroupsPerRegion)
	add("DBClusterRoles", 0, 0)
	add("DBInstanceRoles", 0, 0)
	add("ManualClusterSnapshots", clusterSnapshots, q.DBSnapshotsPerRegion)
	add("CustomEndpointsPerDBCluster", endpoints, q.EndpointsPerDBCluster)
	return out, nil
}
