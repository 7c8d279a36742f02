// SPDX-License-Identifier: Apache-2.0

package view

import (
	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// OthersSnapshot finds the snapshot of a database of another account, by the name in an ARN,
// which its owner lets the caller do an action of package share with. Like all of others it is
// without tags.
func OthersSnapshot(tx *table.Txn, who access.View, ref model.Ref, ofCluster bool, action string) (*model.DBSnapshot, bool) {
	if who.Owns(ref.Account) || !May(tx, who, ref, action) {
		return nil, false
	}
	for s := range state.DBSnapshotsByIdentifier.Rows(tx, ref) {
		if s.OfCluster == ofCluster {
			return bare([]*model.DBSnapshot{s})[0], true
		}
	}
	return nil, false
}

// OthersSnapshots gives the snapshots of databases that other accounts share with the caller,
// or with everybody.
func OthersSnapshots(tx *table.Txn, who access.View, everybody bool) (all []*model.DBSnapshot) {
	with := who.Account
	if everybody {
		with = model.Everybody
	}
	for s := range state.DBSnapshotsByShared.Rows(tx, with) {
		if s.Region == who.Region && !who.Owns(s.Account) && !s.Deleting() {
			all = append(all, s)
		}
	}
	return bare(all)
}
