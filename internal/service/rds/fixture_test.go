// SPDX-License-Identifier: Apache-2.0

package rds_test

import (
	"strings"
	"testing"

	ec2shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/rds"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// world is RDS with a VPC of three subnets in as many zones, a subnet group "group" of them,
// and somebody who says what hosts would.
type world struct {
	*ec2test.Network
	t       *testing.T
	rds     *rds.API
	subnets []string
}

func newWorld(t *testing.T) *world {
	w := &world{Network: ec2test.NewNetwork(t), t: t}
	w.rds = &rds.API{Env: w.Env}
	for i, zone := range []string{"a", "b", "c"} {
		w.subnets = append(w.subnets, w.AddSubnet(t, w.Net, zone, []string{"10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"}[i], -1))
	}
	w.must(w.rds.CreateDBSubnetGroup(w.Ctx, &shape.CreateDBSubnetGroupInput{DBSubnetGroupName: new("Group"), DBSubnetGroupDescription: new("for tests"), SubnetIds: w.subnets}))
	return w
}

// must fails the test for an error of a call whose answer does not matter.
func (w *world) must(_ any, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// get gives the answer of a call that must not fail.
func get[T any](t *testing.T, out T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// instance makes one that is a database of its own; with lets the request have more.
func (w *world) instance(name string, with func(*shape.CreateDBInstanceInput)) *shape.DBInstance {
	w.t.Helper()
	in := instanceInput(name)
	if with != nil {
		with(in)
	}
	out, err := w.rds.CreateDBInstance(w.Ctx, in)
	return get(w.t, out, err).DBInstance
}

func instanceInput(name string) *shape.CreateDBInstanceInput {
	return &shape.CreateDBInstanceInput{
		DBInstanceIdentifier: &name, DBInstanceClass: new("db.t3.micro"), Engine: new("postgres"), EngineVersion: new("15"), AllocatedStorage: new(int32(20)),
		MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"), DBSubnetGroupName: new("group"),
	}
}

// cluster makes a cluster without instances.
func (w *world) cluster(name string, with func(*shape.CreateDBClusterInput)) *shape.DBCluster {
	w.t.Helper()
	in := clusterInput(name)
	if with != nil {
		with(in)
	}
	out, err := w.rds.CreateDBCluster(w.Ctx, in)
	return get(w.t, out, err).DBCluster
}

func clusterInput(name string) *shape.CreateDBClusterInput {
	return &shape.CreateDBClusterInput{
		DBClusterIdentifier: &name, Engine: new("aurora-postgresql"), EngineVersion: new("15.18"), DatabaseName: new("app"),
		MasterUsername: new("boss"), MasterUserPassword: new("secret-of-boss"), DBSubnetGroupName: new("group"),
	}
}

// member makes an instance of a cluster.
func (w *world) member(cluster, name string) *shape.DBInstance {
	w.t.Helper()
	out, err := w.rds.CreateDBInstance(w.Ctx, &shape.CreateDBInstanceInput{
		DBInstanceIdentifier: &name, DBClusterIdentifier: &cluster, DBInstanceClass: new("db.r6g.large"), Engine: new("aurora-postgresql"),
	})
	return get(w.t, out, err).DBInstance
}

// says has a host say how something is, by its resource id, as well as that it has seen to
// all that was asked.
func (w *world) says(id string, phase model.DatabasePhase, more ...func(*model.DatabaseState)) {
	w.t.Helper()
	w.Put(w.t, func(tx *table.Txn) {
		s := &model.DatabaseState{Account: servicetest.Account, Region: servicetest.Region, ID: id, Phase: phase, At: servicetest.Now}
		if c, ok := state.DBClusters.Get(tx, s.Account, s.Region, id); ok {
			s.Secret = c.Secret
		}
		if i, ok := state.DBInstances.Get(tx, s.Account, s.Region, id); ok {
			s.Secret, s.Reboot = i.Secret, i.Reboot
		}
		for _, change := range more {
			change(s)
		}
		state.DatabaseStates.Put(tx, s)
	})
}

func (w *world) describeInstance(name string) shape.DBInstance {
	w.t.Helper()
	out, err := w.rds.DescribeDBInstances(w.Ctx, &shape.DescribeDBInstancesInput{DBInstanceIdentifier: &name})
	return get(w.t, out, err).DBInstances[0]
}

func (w *world) describeCluster(name string) shape.DBCluster {
	w.t.Helper()
	out, err := w.rds.DescribeDBClusters(w.Ctx, &shape.DescribeDBClustersInput{DBClusterIdentifier: &name})
	return get(w.t, out, err).DBClusters[0]
}

// instanceRow and clusterRow give rows by identifiers.
func (w *world) instanceRow(name string) *model.DBInstance {
	w.t.Helper()
	for i := range state.DBInstancesByIdentifier.Rows(w.DB.Snapshot(), model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: name}) {
		return i
	}
	w.t.Fatalf("there is no instance %s", name)
	return nil
}

func (w *world) clusterRow(name string) *model.DBCluster {
	w.t.Helper()
	for c := range state.DBClustersByIdentifier.Rows(w.DB.Snapshot(), model.Ref{Account: servicetest.Account, Region: servicetest.Region, ID: name}) {
		return c
	}
	w.t.Fatalf("there is no cluster %s", name)
	return nil
}

// refused checks that a call fails with a code and a text, and changes nothing.
func refused[T any](w *world, name, code, text string, call func() (T, error)) {
	w.t.Helper()
	var err error
	w.Refused(w.t, name, code, func() error { _, err = call(); return err })
	if !contains(err, text) {
		w.t.Errorf("%s: got %v, want a text with %q", name, err, text)
	}
}

// group makes a security group of the VPC.
func (w *world) group(name string) string { return w.Group(w.t, *w.Net.VpcId, name) }

func (w *world) interfaces() []ec2shape.NetworkInterface {
	w.t.Helper()
	out, err := w.API.DescribeNetworkInterfaces(w.Ctx, &ec2shape.DescribeNetworkInterfacesInput{})
	return get(w.t, out, err).NetworkInterfaces
}

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
