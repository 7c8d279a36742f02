// SPDX-License-Identifier: Apache-2.0

package share

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// What may be done with a snapshot of another account's database that is shared.
const (
	SeeSnapshot            = "rds:DescribeDBSnapshots"
	CopySnapshot           = "rds:CopyDBSnapshot"
	RestoreSnapshot        = "rds:RestoreDBInstanceFromDBSnapshot"
	SeeClusterSnapshot     = "rds:DescribeDBClusterSnapshots"
	CopyClusterSnapshot    = "rds:CopyDBClusterSnapshot"
	RestoreClusterSnapshot = "rds:RestoreDBClusterFromSnapshot"
)

// ofClusters says of these actions whether they are for snapshots of clusters, which may have
// the names of others.
var ofClusters = map[string]bool{
	SeeSnapshot: false, CopySnapshot: false, RestoreSnapshot: false, SeeClusterSnapshot: true, CopyClusterSnapshot: true, RestoreClusterSnapshot: true,
}

// snapshot asks the attribute of a snapshot that an ARN names by its identifier.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ShareSnapshot.html
func (s Shares) snapshot(with, action string, r model.Ref) bool {
	ofCluster, ok := ofClusters[action]
	if !ok {
		return false
	}
	for row := range state.DBSnapshotsByIdentifier.Rows(s.tx, r) {
		if row.OfCluster == ofCluster {
			return row.IsSharedWith(with) && !row.Deleting()
		}
	}
	return false
}
