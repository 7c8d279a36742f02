// SPDX-License-Identifier: Apache-2.0

package rds

import (
	"maps"
	"slices"
	"strings"
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func (w *world) createEndpoint(name, kind string, static, excluded []string) (*shape.CreateDBClusterEndpointOutput, error) {
	return w.CreateDBClusterEndpoint(w.ctx, &shape.CreateDBClusterEndpointInput{
		DBClusterIdentifier: new("orders"), DBClusterEndpointIdentifier: &name, EndpointType: &kind, StaticMembers: static, ExcludedMembers: excluded,
	})
}

// endpoints lists the names of clusters, each as its type, name and members.
func (w *world) endpoints(t *testing.T, in *shape.DescribeDBClusterEndpointsInput) (list []string) {
	t.Helper()
	out, err := w.DescribeDBClusterEndpoints(w.ctx, in)
	for _, e := range must(t, out, err).DBClusterEndpoints {
		name, _, generated := strings.Cut(*e.Endpoint, ".us-east-1.")
		if generated { // what all names of the account have is left out
			name = name[:strings.LastIndex(name, "-")]
		}
		list = append(list, strings.TrimSpace(strings.Join([]string{
			*e.EndpointType, service.Value(e.CustomEndpointType), name, *e.Status, strings.Join(e.StaticMembers, ","), strings.Join(e.ExcludedMembers, ","),
		}, " ")))
	}
	return list
}

// Custom endpoints are listed with those that every cluster has, changed and removed.
func TestEndpointsOfClusters(t *testing.T) {
	w := newWorld(t)
	w.putCluster(t, "orders", "orders-1", "orders-2", "orders-3")
	made, err := w.createEndpoint("Reports", "READER", []string{"orders-2", "ORDERS-3", "orders-2"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *made.EndpointType != "CUSTOM" || *made.CustomEndpointType != "READER" || *made.DBClusterEndpointIdentifier != "reports" || *made.DBClusterEndpointArn != "arn:aws:rds:us-east-1:111122223333:cluster-endpoint:reports" {
		t.Errorf("made %+v", made)
	}
	expect := func(when string, in *shape.DescribeDBClusterEndpointsInput, want ...string) {
		t.Helper()
		if got := w.endpoints(t, in); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	writer, reader := "WRITER  orders.cluster available", "READER  orders.cluster-ro available"
	expect("made", &shape.DescribeDBClusterEndpointsInput{DBClusterIdentifier: new("orders")}, "CUSTOM READER reports.cluster-custom available orders-2,orders-3", reader, writer)
	expect("one", &shape.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: new("REPORTS")}, "CUSTOM READER reports.cluster-custom available orders-2,orders-3")
	expect("none", &shape.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: new("other")})
	expect("custom ones", &shape.DescribeDBClusterEndpointsInput{Filters: []shape.Filter{{Name: new("db-cluster-endpoint-type"), Values: []string{"custom"}}}}, "CUSTOM READER reports.cluster-custom available orders-2,orders-3")
	change := func(in shape.ModifyDBClusterEndpointInput) {
		t.Helper()
		in.DBClusterEndpointIdentifier = new("reports")
		if _, err := w.ModifyDBClusterEndpoint(w.ctx, &in); err != nil {
			t.Error(err)
		}
	}
	change(shape.ModifyDBClusterEndpointInput{EndpointType: new("ANY"), ExcludedMembers: []string{"orders-1"}})
	expect("changed", &shape.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: new("reports")}, "CUSTOM ANY reports.cluster-custom available  orders-1")
	change(shape.ModifyDBClusterEndpointInput{StaticMembers: []string{"orders-3"}})
	expect("changed again", &shape.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: new("reports")}, "CUSTOM ANY reports.cluster-custom available orders-3")

	// The last member of an endpoint goes: it does not lead to the others then.
	w.put(t, func(tx *table.Txn) {
		state.DBInstances.Delete(tx, servicetest.Account, servicetest.Region, "db-ORDERS-3")
	})
	expect("without its member", &shape.DescribeDBClusterEndpointsInput{DBClusterEndpointIdentifier: new("reports")}, "CUSTOM ANY reports.cluster-custom available")
	if row, _ := state.DBClusterEndpoints.Get(w.DB.Snapshot(), servicetest.Account, servicetest.Region, "reports"); len(row.Static) != 1 {
		t.Errorf("the row leads to %q", row.Static)
	}
	gone, err := w.DeleteDBClusterEndpoint(w.ctx, &shape.DeleteDBClusterEndpointInput{DBClusterEndpointIdentifier: new("reports")})
	if err != nil || *gone.Status != "deleting" {
		t.Errorf("removed: %v, %v", gone, err)
	}
	expect("removed", &shape.DescribeDBClusterEndpointsInput{}, reader, writer)
}

func TestEndpointsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.putCluster(t, "orders", "orders-1")
	w.putCluster(t, "shop", "shop-1")
	w.putCluster(t, "going")
	w.putCluster(t, "outside")
	w.put(t, func(tx *table.Txn) {
		for _, c := range slices.Collect(state.DBClusters.Scope(tx, servicetest.Account, servicetest.Region)) {
			c = c.Clone()
			switch c.Identifier {
			case "going":
				c.Delete(servicetest.Now)
			case "outside":
				c.Registered = model.RegisteredDatabase{Ask: model.AskPostgres, Writer: "pg.prod.internal."}
			}
			state.DBClusters.Put(tx, c)
		}
	})
	if _, err := w.createEndpoint("taken", "ANY", nil, nil); err != nil {
		t.Fatal(err)
	}
	before := w.base.Dump(t)
	create := func(name, kind string, static, excluded []string) error {
		_, err := w.createEndpoint(name, kind, static, excluded)
		return err
	}
	of := func(cluster string) error {
		_, err := w.CreateDBClusterEndpoint(w.ctx, &shape.CreateDBClusterEndpointInput{DBClusterIdentifier: &cluster, DBClusterEndpointIdentifier: new("new"), EndpointType: new("ANY")})
		return err
	}
	modify := func(in shape.ModifyDBClusterEndpointInput) error {
		_, err := w.ModifyDBClusterEndpoint(w.ctx, &in)
		return err
	}
	remove := func(name string) error {
		_, err := w.DeleteDBClusterEndpoint(w.ctx, &shape.DeleteDBClusterEndpointInput{DBClusterEndpointIdentifier: &name})
		return err
	}
	for _, test := range []struct {
		what, code, words string
		err               error
	}{
		{"a name that is taken", "DBClusterEndpointAlreadyExistsFault", "taken", create("TAKEN", "ANY", nil, nil)},
		{"a bad name", badValue, "DBClusterEndpointIdentifier", create("a_b", "ANY", nil, nil)},
		{"another type", badValue, "READER or ANY", create("new", "WRITER", nil, nil)},
		{"both lists", badCombination, "together", create("new", "ANY", []string{"orders-1"}, []string{"orders-1"})},
		{"an unknown member", "DBInstanceNotFound", "orders-9", create("new", "ANY", []string{"orders-9"}, nil)},
		{"another cluster's", "InvalidDBInstanceState", "not a member", create("new", "ANY", nil, []string{"shop-1"})},
		{"an unknown cluster", "DBClusterNotFoundFault", "nobody", of("nobody")},
		{"a cluster that goes", "InvalidDBClusterStateFault", "already being deleted", of("going")},
		{"a cluster that is not ours", "InvalidDBClusterStateFault", "registered, not managed", of("outside")},
		{"a change of none", "DBClusterEndpointNotFoundFault", "none", modify(shape.ModifyDBClusterEndpointInput{DBClusterEndpointIdentifier: new("none")})},
		{"a change to another's member", "InvalidDBInstanceState", "shop-1", modify(shape.ModifyDBClusterEndpointInput{DBClusterEndpointIdentifier: new("taken"), StaticMembers: []string{"shop-1"}})},
		{"a removal of none", "DBClusterEndpointNotFoundFault", "none", remove("none")},
	} {
		refused(t, test.what, test.err, test.code, test.words)
	}
	_, err := w.DeleteDBClusterEndpoint(w.other, &shape.DeleteDBClusterEndpointInput{DBClusterEndpointIdentifier: new("taken")})
	refused(t, "another account's", err, "DBClusterEndpointNotFoundFault", "")
	_, err = w.DescribeDBClusterEndpoints(w.ctx, &shape.DescribeDBClusterEndpointsInput{DBClusterIdentifier: new("nobody")})
	refused(t, "a list of an unknown cluster", err, "DBClusterNotFoundFault", "")
	for range 4 {
		if _, err := w.createEndpoint(strings.Repeat("x", 1+w.DBEndpoints()), "ANY", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, "one too many", create("last", "ANY", nil, nil), "DBClusterEndpointQuotaExceededFault", "5")
	after := w.base.Dump(t)
	for key := range before {
		if before[key] != after[key] {
			t.Errorf("a refused request changed %s", key)
		}
	}
	if len(after) < len(before) || maps.Equal(before, after) {
		t.Error("endpoints that were made are not there")
	}
	if got := w.endpoints(t, &shape.DescribeDBClusterEndpointsInput{DBClusterIdentifier: new("outside")}); !slices.Contains(got, "WRITER  pg.prod.internal available") {
		t.Errorf("a registered cluster has %q", got)
	}
}

// DBEndpoints counts the account's custom endpoints.
func (w *world) DBEndpoints() int {
	return state.DBClusterEndpoints.CountScope(w.DB.Snapshot(), servicetest.Account, servicetest.Region)
}
