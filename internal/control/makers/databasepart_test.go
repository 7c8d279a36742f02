// SPDX-License-Identifier: Apache-2.0

package makers

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

const suffix = "rds.example."

// putDatabase writes the configuration of a database, whose gateway has so many interfaces.
func putDatabase(tx *table.Txn, database string, interfaces int) {
	g := &model.ResourceGateway{Meta: row("rgw-1")}
	for i := range interfaces {
		ni := &model.NetworkInterface{Meta: row(fmt.Sprint("eni-g", i))}
		state.NetworkInterfaces.Put(tx, ni)
		g.Interfaces = append(g.Interfaces, ni.ID)
	}
	state.ResourceGateways.Put(tx, g)
	state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{
		Meta: row("rcfg-arn"), Name: "shop", Type: model.TypeARN, Gateway: "rgw-1", Protocol: "TCP", Database: database, DatabaseARN: "arn:aws:rds:x",
	})
}

func dbCluster(id string) *model.DBCluster {
	return &model.DBCluster{Meta: row(id), Database: model.Database{Identifier: "shop", Engine: "aurora-postgresql", Port: 5432}}
}

func instance(id, cluster string, phase model.DatabasePhase) func(*table.Txn) {
	return func(tx *table.Txn) {
		state.DBInstances.Put(tx, &model.DBInstance{
			Meta: row(id), Database: model.Database{Identifier: "i-" + id, Port: 5432}, Cluster: cluster, Addr: netip.MustParseAddr("10.0.0.7"),
		})
		if phase != "" {
			state.DatabaseStates.Put(tx, &model.DatabaseState{Account: account, Region: region, ID: id, Phase: phase})
		}
	}
}

// drawDatabases gives a configuration of a database, whose members, names and end are drawn.
// Without interfaces it has no targets, and nothing is handed out of which it would matter
// who is first.
func drawDatabases(t *rapid.T) func(*table.Txn) {
	have, members := rapid.IntRange(0, 2).Draw(t, "databases"), rapid.IntRange(0, 3).Draw(t, "members")
	phases := rapid.SliceOfN(rapid.SampledFrom([]model.DatabasePhase{"", model.DatabaseCreating, model.DatabaseAvailable}), members, members).Draw(t, "phases")
	custom, gone, stale := rapid.Bool().Draw(t, "custom"), rapid.IntRange(0, 3).Draw(t, "gone"), rapid.Bool().Draw(t, "stale")
	return func(tx *table.Txn) {
		putDatabase(tx, "cluster-1", 0)
		if stale {
			state.ResourceConfigurations.Put(tx, &model.ResourceConfiguration{
				Meta: row("rcfg-old"), Type: model.TypeChild, Group: "rcfg-arn", Database: "cluster-1", Part: model.PartMember, Member: "db-0", AmazonManaged: true,
			})
		}
		if have == 0 {
			return
		}
		c := dbCluster("cluster-1")
		if gone&1 > 0 {
			c.Delete(zero)
		}
		state.DBClusters.Put(tx, c)
		for i, phase := range phases {
			instance(fmt.Sprint("db-", i), "cluster-1", phase)(tx)
		}
		if custom {
			state.DBClusterEndpoints.Put(tx, &model.DBClusterEndpoint{Meta: row("analysts"), Cluster: "cluster-1"})
		}
		if gone&2 > 0 {
			above, _ := state.ResourceConfigurations.Get(tx, account, region, "rcfg-arn")
			above = above.Clone()
			above.Delete(zero)
			state.ResourceConfigurations.Put(tx, above)
		}
	}
}

// children tells of a configuration's children, in the order of their names.
func children(tx *table.Txn) (all []string) {
	for c := range state.ResourceConfigurationsByGroup.Rows(tx, (&model.ResourceConfiguration{Meta: row("rcfg-arn")}).Ref()) {
		first, _, _ := strings.Cut(c.DNS.Name, ".")
		kind, _, _ := strings.Cut(strings.TrimPrefix(c.DNS.Name, first+"."), ".")
		kind = kind[:max(0, strings.LastIndex(kind, "-"))]
		text := fmt.Sprintf("%s %s %s/%s port %d, %d targets", c.Part, c.Member, first, kind, c.Ports[0].From, len(c.Targets))
		if c.Deleting() {
			text += ", ends"
		}
		all = append(all, text)
		if !c.AmazonManaged || c.Type != model.TypeChild || !c.Is4() || c.Database == "" || len(c.Name) > 40 {
			all = append(all, fmt.Sprintf("wrong: %+v", c))
		}
	}
	slices.Sort(all)
	return all
}

func wantChildren(w *world, when string, want ...string) {
	w.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, children(w.db.Snapshot())); diff != "" {
		w.Errorf("%s the children are others than wanted:\n%s", when, diff)
	}
}

// TestChildrenComeAndGoWithTheNamesOfADatabase follows a cluster from before its first
// instance to after its end, and a second one with the same name.
func TestChildrenComeAndGoWithTheNamesOfADatabase(t *testing.T) {
	run(t, nil, func(w *world) {
		_, stop := w.start(w.db, nil, DatabaseParts{Alloc: first(), Suffix: suffix})
		defer stop()
		writer, reader := "writer  shop/cluster port 5432, 2 targets", "reader  shop/cluster-ro port 5432, 2 targets"
		one, two := "member db-1 i-db-1/ port 5432, 2 targets", "member db-2 i-db-2/ port 5432, 2 targets"
		custom := "custom analysts analysts/cluster-custom port 5432, 2 targets"

		w.update(func(tx *table.Txn) {
			state.DBClusters.Put(tx, dbCluster("cluster-1"))
			instance("db-1", "cluster-1", "")(tx)
			putDatabase(tx, "cluster-1", 2)
		})
		wantChildren(w, "before the first instance is made", writer, reader)
		w.update(instance("db-1", "cluster-1", model.DatabaseAvailable))
		w.update(instance("db-2", "cluster-1", model.DatabaseCreating))
		wantChildren(w, "with one instance", writer, reader, one)
		w.update(func(tx *table.Txn) {
			instance("db-2", "cluster-1", model.DatabaseAvailable)(tx)
			state.DBClusterEndpoints.Put(tx, &model.DBClusterEndpoint{Meta: row("analysts"), Cluster: "cluster-1"})
		})
		wantChildren(w, "with two instances and an endpoint", writer, reader, one, two, custom)
		w.update(instance("db-2", "cluster-1", model.DatabaseRebooting))
		wantChildren(w, "while one starts anew", writer, reader, one, two, custom)
		w.update(func(tx *table.Txn) {
			i, _ := state.DBInstances.Get(tx, account, region, "db-2")
			i = i.Clone()
			i.Delete(zero)
			state.DBInstances.Put(tx, i)
			state.DBClusterEndpoints.Delete(tx, account, region, "analysts")
		})
		wantChildren(w, "after an instance and the endpoint", writer, reader, one, two+", ends", custom+", ends")
		w.update(func(tx *table.Txn) {
			c := dbCluster("cluster-1")
			c.Port = 6000
			state.DBClusters.Put(tx, c)
		})
		wantChildren(w, "with another port", strings.ReplaceAll(writer, "5432", "6000"), strings.ReplaceAll(reader, "5432", "6000"), one, two+", ends", custom+", ends")
		w.update(func(tx *table.Txn) {
			state.DBClusters.Delete(tx, account, region, "cluster-1")
			state.DBInstances.Delete(tx, account, region, "db-1")
			state.DBClusters.Put(tx, dbCluster("cluster-2"))
			instance("db-3", "cluster-2", model.DatabaseAvailable)(tx)
		})
		for _, c := range children(w.db.Snapshot()) {
			if !strings.HasSuffix(c, ", ends") || strings.Contains(c, "db-3") {
				t.Errorf("after its database the configuration has %s", c)
			}
		}
	})
}

// TestAnInstanceHasOneChild: its own name, also when it is a member of a cluster.
func TestAnInstanceHasOneChild(t *testing.T) {
	run(t, nil, func(w *world) {
		_, stop := w.start(w.db, nil, DatabaseParts{Alloc: first(), Suffix: suffix})
		defer stop()
		w.update(func(tx *table.Txn) {
			state.DBClusters.Put(tx, dbCluster("cluster-1"))
			instance("db-1", "cluster-1", model.DatabaseAvailable)(tx)
			putDatabase(tx, "db-1", 1)
		})
		wantChildren(w, "for an instance", "member db-1 i-db-1/ port 5432, 1 targets")
		w.update(func(tx *table.Txn) {
			above, _ := state.ResourceConfigurations.Get(tx, account, region, "rcfg-arn")
			above = above.Clone()
			above.Delete(zero)
			state.ResourceConfigurations.Put(tx, above)
		})
		wantChildren(w, "after its configuration", "member db-1 i-db-1/ port 5432, 1 targets, ends")
	})
}
