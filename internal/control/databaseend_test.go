// SPDX-License-Identifier: Apache-2.0

package control

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/posternhq/postern/internal/desired"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// serverRows are a cluster with one instance, its interface, its address, an endpoint and
// what the host has said of both.
func serverRows(tx *table.Txn) {
	a := netip.MustParseAddr("10.0.1.60")
	state.VPCs.Put(tx, &model.VPC{Meta: meta("vpc-b"), CIDRs: []model.CIDRAssociation{{Prefix: netip.MustParsePrefix("10.0.0.0/16")}}})
	state.Subnets.Put(tx, &model.Subnet{Meta: meta("subnet-b"), VPC: "vpc-b", CIDR: netip.MustParsePrefix("10.0.1.0/24")})
	state.NetworkInterfaces.Put(tx, &model.NetworkInterface{
		Meta: meta("eni-d"), VPC: "vpc-b", Subnet: "subnet-b", Type: model.InterfaceDatabase, Owner: "db-1", MAC: "02:00:00:00:00:0d", Addresses: []netip.Addr{a},
	})
	state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-b", Addr: a, Interface: "eni-d"})
	state.DBClusters.Put(tx, &model.DBCluster{Meta: meta("cluster-1"), Database: model.Database{Identifier: "shop", VPC: "vpc-b", Port: 5432, Writer: "db-1"}})
	state.DBInstances.Put(tx, &model.DBInstance{
		Meta: meta("db-1"), Database: model.Database{Identifier: "shop-1", VPC: "vpc-b", Port: 5432}, Cluster: "cluster-1", Class: "db.t3.micro", Interface: "eni-d", Addr: a,
	})
	state.DBClusterEndpoints.Put(tx, &model.DBClusterEndpoint{Meta: meta("reports"), Cluster: "cluster-1"})
	for _, id := range []string{"cluster-1", "db-1"} {
		state.DatabaseStates.Put(tx, &model.DatabaseState{Account: account, Region: region, ID: id, Phase: model.DatabaseAvailable})
	}
}

// there counts the rows that are left of a database.
func (f *fixture) there() (left map[string]int) {
	tx, left := f.db.Snapshot(), map[string]int{}
	count := func(name string, n int) {
		if n > 0 {
			left[name] = n
		}
	}
	count("clusters", state.DBClusters.CountScope(tx, account, region))
	count("instances", state.DBInstances.CountScope(tx, account, region))
	count("endpoints", state.DBClusterEndpoints.CountScope(tx, account, region))
	count("snapshots", state.DBSnapshots.CountScope(tx, account, region))
	count("states", state.DatabaseStates.CountScope(tx, account, region))
	count("interfaces", state.NetworkInterfaces.CountScope(tx, account, region))
	count("claims", state.AddressClaims.CountScope(tx, account, region))
	count("statuses", state.Statuses.CountScope(tx, account, region))
	return left
}

func (f *fixture) expectLeft(when string, want map[string]int) {
	f.t.Helper()
	if got := f.there(); !maps.Equal(got, want) {
		f.t.Errorf("%s there is %v, want %v", when, got, want)
	}
}

// What was deleted of a database goes, with all that is its, when the host has let go of
// it: an instance before its cluster, and a cluster after its last snapshot.
func TestRowsOfADatabaseGoWhenTheHostHasLetGo(t *testing.T) {
	run(t, func(f *fixture) {
		f.update(serverRows)
		f.settle(nil)
		for _, id := range []string{"db-1", "cluster-1"} {
			if got := f.status(id); got != "ready" {
				t.Errorf("when the host has it the status of %s is %q, want ready", id, got)
			}
		}

		f.update(func(tx *table.Txn) {
			c, _ := state.DBClusters.Get(tx, account, region, "cluster-1")
			i, _ := state.DBInstances.Get(tx, account, region, "db-1")
			c, i = c.Clone(), i.Clone()
			c.FinalSnapshot = "last"
			c.Delete(time.Unix(2, 0))
			i.Delete(time.Unix(2, 0))
			state.DBClusters.Put(tx, c)
			state.DBInstances.Put(tx, i)
			state.DBSnapshots.Put(tx, &model.DBSnapshot{Meta: meta("snap-1"), Identifier: "last", OfCluster: true, Source: "cluster-1", Final: true})
		})
		member := desired.DatabaseMember{Database: "cluster-1", ID: "db-1"}.Key()
		f.settle(map[desired.Key]string{member: "its server is being stopped"})
		f.expectLeft("while the server stops", map[string]int{"clusters": 1, "instances": 1, "endpoints": 1, "snapshots": 1, "states": 2, "interfaces": 1, "claims": 1, "statuses": 3})
		f.settle(nil, member)
		f.expectLeft("when the server is gone", map[string]int{"clusters": 1, "endpoints": 1, "snapshots": 1, "states": 1, "statuses": 2})
		f.settle(nil)
		f.expectLeft("before the last snapshot is there", map[string]int{"clusters": 1, "endpoints": 1, "snapshots": 1, "states": 1, "statuses": 2})

		f.update(func(tx *table.Txn) {
			state.DatabaseStates.Put(tx, &model.DatabaseState{Account: account, Region: region, ID: "snap-1", Phase: model.DatabaseAvailable})
		})
		f.settle(nil)
		f.expectLeft("after it", map[string]int{"snapshots": 1, "states": 1, "statuses": 1})
		f.update(func(tx *table.Txn) {
			s, _ := state.DBSnapshots.Get(tx, account, region, "snap-1")
			s = s.Clone()
			s.Delete(time.Unix(3, 0))
			state.DBSnapshots.Put(tx, s)
		})
		f.expectLeft("before the host has removed the snapshot", map[string]int{"snapshots": 1, "states": 1, "statuses": 1})
		f.settle(nil)
		f.expectLeft("in the end", nil)
	})
}
