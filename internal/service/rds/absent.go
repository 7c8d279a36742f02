// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"context"

	"github.com/posternhq/postern/internal/aws/fault"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/service"
)

// DescribeGlobalClusters says that there are none: a database is in one region. Clients ask
// after every look at a cluster.
func (a *API) DescribeGlobalClusters(_ context.Context, in *shape.DescribeGlobalClustersInput) (*shape.DescribeGlobalClustersOutput, error) {
	if name := service.Value(in.GlobalClusterIdentifier); name != "" {
		return nil, fault.RDS("GlobalClusterNotFoundFault", "Global cluster %s not found", name)
	}
	return &shape.DescribeGlobalClustersOutput{GlobalClusters: []shape.GlobalCluster{}}, nil
}

// DescribePendingMaintenanceActions says that none are pending: changes are made at once or
// with the next reboot, and never in a window.
func (a *API) DescribePendingMaintenanceActions(context.Context, *shape.DescribePendingMaintenanceActionsInput) (*shape.DescribePendingMaintenanceActionsOutput, error) {
	return &shape.DescribePendingMaintenanceActionsOutput{PendingMaintenanceActions: []shape.ResourcePendingMaintenanceActions{}}, nil
}

// DescribeReservedDBInstances says that none are reserved: nothing is paid for.
func (a *API) DescribeReservedDBInstances(context.Context, *shape.DescribeReservedDBInstancesInput) (*shape.DescribeReservedDBInstancesOutput, error) {
	return &shape.DescribeReservedDBInstancesOutput{ReservedDBInstances: []shape.ReservedDBInstance{}}, nil
}

// DescribeEventSubscriptions says that there are none: events are listed, and sent to nobody.
func (a *API) DescribeEventSubscriptions(_ context.Context, in *shape.DescribeEventSubscriptionsInput) (*shape.DescribeEventSubscriptionsOutput, error) {
	if name := service.Value(in.SubscriptionName); name != "" {
		return nil, fault.RDS("SubscriptionNotFound", "Subscription %s not found.", name)
	}
	return &shape.DescribeEventSubscriptionsOutput{EventSubscriptionsList: []shape.EventSubscription{}}, nil
}

// DescribeSourceRegions says that databases can have replicas of none: a database is in one
// region.
func (a *API) DescribeSourceRegions(context.Context, *shape.DescribeSourceRegionsInput) (*shape.DescribeSourceRegionsOutput, error) {
	return &shape.DescribeSourceRegionsOutput{SourceRegions: []shape.SourceRegion{}}, nil
}
