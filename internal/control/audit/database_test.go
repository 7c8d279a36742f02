// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/netip"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

var serverAddr = netip.MustParseAddr("10.0.1.60")

// server is the instance of a cluster of one, with its interface.
func server(tx *table.Txn, change func(*model.DBCluster, *model.DBInstance, *model.NetworkInterface)) {
	c := &model.DBCluster{Meta: meta("cluster-1"), Database: model.Database{Identifier: "orders", VPC: "vpc-1", Writer: "db-1"}}
	i := &model.DBInstance{
		Meta: meta("db-1"), Database: model.Database{Identifier: "orders-1", VPC: "vpc-1"}, Cluster: "cluster-1", Subnet: "subnet-1", Interface: "eni-2", Addr: serverAddr,
	}
	ni := &model.NetworkInterface{Meta: meta("eni-2"), VPC: "vpc-1", Subnet: "subnet-1", Type: model.InterfaceDatabase, Owner: "db-1", Addresses: []netip.Addr{serverAddr}}
	change(c, i, ni)
	state.DBClusters.Put(tx, c)
	state.DBInstances.Put(tx, i)
	state.NetworkInterfaces.Put(tx, ni)
	for _, a := range ni.Addresses {
		state.AddressClaims.Put(tx, &model.AddressClaim{Account: account, Region: region, Subnet: "subnet-1", Addr: a, Interface: "eni-2"})
	}
	state.DatabaseStates.Put(tx, &model.DatabaseState{Account: account, Region: region, ID: "db-1"})
	state.Statuses.Put(tx, &model.Status{Account: account, Region: region, ID: "db-1"})
}

func mistakesOfDatabases() map[string]mistake {
	with := func(change func(*model.DBCluster, *model.DBInstance, *model.NetworkInterface), says string) mistake {
		return mistake{func(tx *table.Txn) { server(tx, change) }, says}
	}
	return map[string]mistake{
		"a database": with(func(*model.DBCluster, *model.DBInstance, *model.NetworkInterface) {}, ""),
		"a database of an address that it has not": with(func(_ *model.DBCluster, i *model.DBInstance, _ *model.NetworkInterface) { i.Addr = i.Addr.Next() },
			"it has address 10.0.1.61, which its interface eni-2 does not have"),
		"a database with the interface of another one": with(func(_ *model.DBCluster, i *model.DBInstance, _ *model.NetworkInterface) { i.Interface = "eni-1" },
			"its interface eni-1 does not exist, or is not its own"),
		"a writer of another cluster": with(func(c *model.DBCluster, i *model.DBInstance, _ *model.NetworkInterface) { i.Cluster = "" }, "its writer db-1 is not one of its instances"),
		"a writer that is gone":       with(func(c *model.DBCluster, _ *model.DBInstance, _ *model.NetworkInterface) { c.Writer = "db-9" }, ""),
		"a registered database": with(func(c *model.DBCluster, i *model.DBInstance, ni *model.NetworkInterface) {
			c.Registered.Ask, i.Interface, ni.Owner = model.AskTCP, "", ""
		}, ""),
		"a registered database with an interface": with(func(c *model.DBCluster, _ *model.DBInstance, _ *model.NetworkInterface) {
			c.Registered.Ask = model.AskTCP
		},
			"it is registered only, and has interface eni-2"),
		"the state of a database that is gone": {func(tx *table.Txn) {
			state.DatabaseStates.Put(tx, &model.DatabaseState{Account: account, Region: region, ID: "db-9"})
		}, "it is the state of something that does not exist"},
	}
}
