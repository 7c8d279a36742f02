// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// databaseRow names the row of what ARNs of RDS name: those of databases have other ids.
func (r resources) databaseRow(of access.Resource) model.Ref {
	return state.DatabaseNamed(r.tx, of.Kind.Type, of.Ref)
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
