// SPDX-License-Identifier: Apache-2.0

package control

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// databaseRows are a cluster with one instance behind the gateway of gatewayRows, and its
// configuration with a child.
func databaseRows(tx *table.Txn) {
	gatewayRows(tx)
	state.DBClusters.Put(tx, &model.DBCluster{Meta: meta("cluster-1"), Database: model.Database{Identifier: "shop", VPC: "vpc-b", Port: 5432}})
	state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{
		Meta: meta("rcfg-arn"), Type: model.TypeARN, Gateway: "rgw-1", Database: "cluster-1", DatabaseARN: "arn:aws:rds:us-east-1:1:cluster:shop",
	})
	state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{
		Meta: meta("rcfg-w"), Type: model.TypeChild, Group: "rcfg-arn", Gateway: "rgw-1", Database: "cluster-1", Part: model.PartWriter, AmazonManaged: true,
		DNS: model.DNSResource{Name: "shop.cluster-1.example", Family: model.FamilyIPv4}, Ports: []model.PortRange{{From: 5432, To: 5432}},
		Targets: []model.TransitTarget{{Interface: "eni-g", Index: 1}},
	})
}

// The configuration of a database fails when that is gone, and says why: also when there is
// another one with the same name.
func TestAConfigurationOutlivesItsDatabase(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(databaseRows)
		f.settle(nil)
		f.expect("with its database", "rcfg-arn", model.Ready)
		f.update(func(tx *table.Txn) {
			state.DBClusters.Delete(tx, account, region, "cluster-1")
			state.DBClusters.Put(tx, &model.DBCluster{Meta: meta("cluster-2"), Database: model.Database{Identifier: "shop", VPC: "vpc-b", Port: 5432}})
		})
		f.settle(nil)
		f.expect("without it", "rcfg-arn", model.UpdateFailed)
		if s, _ := state.Statuses.Get(f.db.Snapshot(), account, region, "rcfg-arn"); s == nil || !strings.Contains(s.Reason, "cluster-1") {
			t.Errorf("its status is %+v", s)
		}
	})
}

// The configuration of a database goes after its children.
func TestChildrenOfADatabaseGoBeforeItsConfiguration(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(databaseRows)
		f.settle(nil)
		f.update(func(tx *table.Txn) {
			for _, id := range []string{"rcfg-arn", "rcfg-w"} {
				row, _ := state.ResourceConfigurations.Get(tx, account, region, id)
				row = row.Clone()
				row.Delete(time.Unix(2, 0))
				state.ResourceConfigurations.Put(tx, row)
			}
		})
		f.expect("before the child is gone", "rcfg-arn", model.Deleting)
		busy := map[desired.Key]string{}
		for _, kind := range []desired.Kind{desired.KindFollow, desired.KindFollowDatabase} {
			busy[desired.Key{Kind: kind, Realm: "vpc-b", ID: model.TransitTarget{Index: 1}.Addr(true).String()}] = "busy"
		}
		f.settle(busy)
		f.expect("while the child's target is there", "rcfg-arn", model.DeleteFailed)
		f.settle(nil, slices.Collect(maps.Keys(busy))...)
		f.expect("in the end", "rcfg-w", "gone")
		f.expect("in the end", "rcfg-arn", "gone")
	})
}
