// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"fmt"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// unused is the state of an uplink that no VPC has a way to: nobody lives where there is
// a gateway.
const unused = "unused"

// describeOutside shows the uplink, and how much of the pool of public addresses is
// claimed. An address that was given up counts until the data plane has let go of it.
func (a *API) describeOutside(tx *table.Txn, out *shape.GetStatusOutput, edge EdgeStatus) {
	if u := a.Outside.Uplink; u.There() {
		out.Resources = append(out.Resources, shape.Resource{
			Kind: new("uplink"), Id: &u.Name, Name: &u.Device, State: new(edge.state()), Reason: service.Optional(edge.Problem),
		})
	}
	claimed := map[int]int64{}
	elsewhere := int64(0)
	for c := range state.PublicClaims.All(tx) {
		if i := a.Outside.PoolOf(c.Addr); i >= 0 {
			claimed[i]++
		} else {
			elsewhere++
		}
	}
	for i, p := range a.Outside.Pool {
		out.Resources = append(out.Resources, shape.Resource{
			Kind: new("public-pool"), Id: new(p.String()), State: new(string(model.Ready)),
			Reason: new(fmt.Sprintf("%d of %d addresses are claimed", claimed[i], int64(1)<<(p.Addr().BitLen()-p.Bits()))),
		})
	}
	if elsewhere > 0 {
		out.Resources = append(out.Resources, shape.Resource{
			Kind: new("public-pool"), Id: new("-"), State: new(string(model.Failed)),
			Reason: new(fmt.Sprintf("%d addresses are claimed that are in no --public-pool any more", elsewhere)),
		})
	}
}

func (e EdgeStatus) state() string {
	switch {
	case e.Problem != "":
		return string(model.Failed)
	case !e.Wanted:
		return unused
	case !e.Done:
		return "creating"
	}
	return string(model.Ready)
}

// leading shows a gateway to the outside. One that is attached says so when there is
// nothing behind it.
func (a *API) leading(kind string, m *model.Meta, vpc string, edge EdgeStatus) shape.Resource {
	r := always(kind, m)
	switch u := a.Outside.Uplink; {
	case vpc == "":
	case !u.There():
		r.Reason = new("nothing is behind it: this installation has no uplink (postern up --uplink)")
	case edge.Problem != "":
		r.Reason = new(fmt.Sprintf("nothing is behind it: uplink %s is in error", u.Name))
	}
	return r
}
