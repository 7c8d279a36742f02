// SPDX-License-Identifier: Apache-2.0

package postern

import (
	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/table"
)

// setAside gives the rows that cannot be read as resources in error, whatever
// they are of.
func setAside(tx *table.Txn) []shape.Resource {
	var out []shape.Resource
	for row := range tx.SetAside() {
		out = append(out, shape.Resource{
			Kind: &row.Kind, Id: &row.ID, Account: service.Optional(row.Account), Region: service.Optional(row.Region),
			State: new(string(model.Failed)), Reason: new("set aside: " + row.Reason.Error()),
		})
	}
	return out
}
