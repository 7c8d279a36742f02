// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
)

// routeTables wants each VPC to have the main table that says so, and the tables of a VPC
// that have routes to be told apart by their numbers.
func (a *auditor) routeTables() {
	for v := range state.VPCs.All(a.tx) {
		object := name(state.VPCs, v)
		numbers := map[int]string{}
		for r := range state.RouteTablesByVPC.Rows(a.tx, v.Ref()) {
			if main := r.ID == v.MainTable; main != r.Main || main != (r.MainAssociation != "") {
				a.wrong(object, "its main table is %s, and %s says that it is: %v, by the association %q", v.MainTable, r.ID, r.Main, r.MainAssociation)
			}
			a.tableNumber(r, numbers)
		}
	}
}

func (a *auditor) tableNumber(r *model.RouteTable, numbers map[int]string) {
	object := name(state.RouteTables, r)
	switch {
	case r.Number == 0 && len(r.Routes) > 0:
		a.wrong(object, "it has routes and no number")
	case r.Number < 0 || r.Number > model.MaxRouteTableNumber:
		a.wrong(object, "no table can have the number %d", r.Number)
	case r.Number > 0 && numbers[r.Number] != "":
		a.wrong(object, "it has the number %d of %s", r.Number, numbers[r.Number])
	}
	if r.Number > 0 {
		numbers[r.Number] = r.ID
	}
}
