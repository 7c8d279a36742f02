// SPDX-License-Identifier: Apache-2.0

package ram_test

import (
	"testing"

	"github.com/posternhq/postern/internal/access"
	"github.com/posternhq/postern/internal/aws/fault"
	lattice "github.com/posternhq/postern/internal/aws/shape/vpclattice"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/service/vpclattice"
	"github.com/posternhq/postern/internal/share"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// An account that made an endpoint while it could goes on seeing that one where it leads,
// and neither what it leads to nor those of others.
func TestEndpointsStayTheirMakersWhenNothingIsShared(t *testing.T) {
	w := newWorld(t)
	made := map[string]string{owner: "vpce-1", consumer: "vpce-2"}
	w.put(func(tx *table.Txn) {
		for account, id := range made {
			meta := model.Meta{Account: account, Region: servicetest.Region, ID: id}
			to := model.Ref{Account: owner, Region: servicetest.Region, ID: "rcfg-3"}
			state.VPCEndpoints.Put(tx, &model.VPCEndpoint{Meta: meta, Configuration: model.Ref{Account: owner, Region: to.Region, ID: "rcfg-9"}})
			state.EndpointAssociations.Put(tx, &model.EndpointAssociation{
				Meta: model.Meta{Account: owner, Region: to.Region, ID: "rea-" + id}, Endpoint: meta.Ref(), Configuration: to,
			})
		}
	})
	api := &vpclattice.API{Env: w.Env}
	list := func(account, region, configuration string) (ids []string, err error) {
		ctx := servicetest.As(t, account, region)
		who := access.From(ctx).Caller
		in := &lattice.ListResourceEndpointAssociationsInput{ResourceConfigurationIdentifier: new(arnOf(owner, configuration))}
		asks := access.Services["vpc-lattice"].Operations["ListResourceEndpointAssociations"].Ask(nil, &who, in)
		allowed := access.Decide(&access.Request{Asked: access.Asked{Caller: &who, Asks: asks}}, &access.Rules{Shares: share.In(w.DB.Snapshot())}).Allowed
		out, err := api.ListResourceEndpointAssociations(ctx, in)
		if region == servicetest.Region && allowed != (err == nil) {
			t.Fatalf("%s with %s: the decision is %v, and listing gives %v", account, configuration, allowed, err)
		}
		if err == nil {
			for _, item := range out.Items {
				ids = append(ids, *item.VpcEndpointId)
			}
		}
		return ids, err
	}
	for _, configuration := range []string{"rcfg-9", "rcfg-3"} { // the group, and its child
		if got, err := list(consumer, servicetest.Region, configuration); err != nil || len(got) != 1 || got[0] != made[consumer] {
			t.Errorf("of %s the consumer sees %v, %v", configuration, got, err)
		}
		if w.has(consumer, configuration) {
			t.Errorf("the consumer has %s, which is not shared", configuration)
		}
		if got, err := list(owner, servicetest.Region, configuration); err != nil || len(got) != 2 {
			t.Errorf("of %s the owner sees %v, %v", configuration, got, err)
		}
		if got, err := list(third, servicetest.Region, configuration); !fault.Is(err, "ResourceNotFoundException") {
			t.Errorf("of %s somebody else sees %v, %v", configuration, got, err)
		}
		if got, err := list(consumer, servicetest.OtherRegion, configuration); !fault.Is(err, "ResourceNotFoundException") {
			t.Errorf("of %s in another region the consumer sees %v, %v", configuration, got, err)
		}
	}
	if got, err := list(consumer, servicetest.Region, "rcfg-1"); !fault.Is(err, "ResourceNotFoundException") {
		t.Errorf("of what none leads to the consumer sees %v, %v", got, err)
	}
}
