// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"fmt"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/postern"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/account"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/store/etcdstore"
	"github.com/posternhq/postern/test/cluster"
)

// TestAccountsInManyRegions: an account gets its default VPCs also where a cluster does
// not take them all at once, at first start and later.
func TestAccountsInManyRegions(t *testing.T) {
	kv, err := etcdstore.Open(t.Context(), etcdstore.Config{Endpoints: []string{cluster.Start(t, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kv.Close(); err != nil {
			t.Error(err)
		}
	})
	w := servicetest.NewOn(t, kv)
	const regions = 17
	w.DefaultVPC, w.Regions = true, nil
	for i := range regions {
		w.Regions = append(w.Regions, fmt.Sprintf("us-east-%d", i+1))
	}
	w.Zones = func(region string) (zones []service.Zone) {
		for _, zone := range "abcdef" {
			zones = append(zones, service.Zone{Name: region + string(zone), ID: region + "-az" + string(zone)})
		}
		return zones
	}
	if _, _, err := account.Bootstrap(t.Context(), w.Env, servicetest.Account); err != nil {
		t.Fatal(err)
	}
	api := &API{Env: w.Env}
	ctx := servicetest.As(t, servicetest.Account, servicetest.Region)
	other := servicetest.OtherAccount
	if _, err := api.CreateAccount(ctx, &shape.CreateAccountInput{AccountId: &other}); err != nil {
		t.Fatal(err)
	}
	for _, account := range []string{servicetest.Account, other} {
		vpcs := 0
		for _, region := range w.Regions {
			vpcs += state.VPCs.CountScope(w.DB.Snapshot(), account, region)
		}
		if vpcs != regions {
			t.Errorf("account %s has %d VPCs, want one in each of %d regions", account, vpcs, regions)
		}
	}
	if _, err := api.CreateAccount(ctx, &shape.CreateAccountInput{AccountId: &other}); err == nil {
		t.Error("an account is made twice")
	}
}
