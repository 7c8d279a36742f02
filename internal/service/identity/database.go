// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// databaseRow names the row of what ARNs of RDS name: those of databases have other ids.
func (r resources) databaseRow(of access.Resource) model.Ref {
	ref := of.Ref
	switch of.Kind.Type {
	case "cluster":
		ref = first(state.DBClustersByIdentifier.Rows(r.tx, ref))
	case "db":
		ref = first(state.DBInstancesByIdentifier.Rows(r.tx, ref))
	case "snapshot", "cluster-snapshot":
		for s := range state.DBSnapshotsByIdentifier.Rows(r.tx, ref) {
			if s.OfCluster == (of.Kind.Type == "cluster-snapshot") {
				return s.Ref()
			}
		}
		return model.Ref{}
	}
	return ref
}

func first[T interface{ Ref() model.Ref }](rows func(func(T) bool)) model.Ref {
	for row := range rows {
		return row.Ref()
	}
	return model.Ref{}
}

// ofInstance reads a key of the instance that an ARN names.
func ofInstance(read func(resources, *model.DBInstance) []string) func(resources, model.Ref) []string {
	return func(r resources, ref model.Ref) []string {
		for i := range state.DBInstancesByIdentifier.Rows(r.tx, ref) {
			return read(r, i)
		}
		return nil
	}
}

// whole is the database that an instance is of: its cluster's, or its own.
func (r resources) whole(i *model.DBInstance) *model.Database {
	if c, ok := state.DBClusters.Get(r.tx, i.Account, i.Region, i.Cluster); ok {
		return &c.Database
	}
	return &i.Database
}
