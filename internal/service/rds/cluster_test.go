// SPDX-License-Identifier: Apache-2.0

package rds_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

func TestAClusterHasItsNamesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.cluster("Shop", func(in *shape.CreateDBClusterInput) { in.EngineVersion = new("15") })
	got := w.describeCluster("shop")
	if *got.Status != "available" || *got.EngineVersion != "15.18" || *got.EngineMode != "provisioned" || *got.DBSubnetGroup != "group" || *got.Port != 5432 || *got.StorageType != "aurora" ||
		*got.DBClusterParameterGroup != "default.aurora-postgresql15" || *got.IAMDatabaseAuthenticationEnabled || *got.StorageEncrypted || *got.BackupRetentionPeriod != 1 {
		t.Errorf("cluster %+v", got)
	}
	if !regexp.MustCompile(`^shop\.cluster-[a-z0-9]{12}\.us-east-1\.rds\.amazonaws\.com$`).MatchString(*got.Endpoint) ||
		strings.Replace(*got.Endpoint, ".cluster-", ".cluster-ro-", 1) != *got.ReaderEndpoint || !strings.HasPrefix(*got.HostedZoneId, "Z") {
		t.Errorf("endpoints %s and %s, zone %s", *got.Endpoint, *got.ReaderEndpoint, *got.HostedZoneId)
	}
	if want := []string{"us-east-1a", "us-east-1b", "us-east-1c"}; !slices.Equal(got.AvailabilityZones, want) {
		t.Errorf("zones %v, want those of the subnets", got.AvailabilityZones)
	}
	w.cluster("two", func(in *shape.CreateDBClusterInput) { in.AvailabilityZones = []string{"us-east-1c", "us-east-1a"} })
	if got := w.describeCluster("two"); !slices.Equal(got.AvailabilityZones, []string{"us-east-1c", "us-east-1a"}) {
		t.Errorf("zones %v, want what was asked", got.AvailabilityZones)
	}
}

func TestMembersAreSpreadOverZones(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	var zones []string
	for i := range 4 {
		m := w.member("shop", fmt.Sprintf("shop-%d", i))
		zones = append(zones, *m.AvailabilityZone)
		if *m.DBClusterIdentifier != "shop" || *m.EngineVersion != "15.18" || *m.MasterUsername != "boss" || *m.StorageType != "aurora" {
			t.Errorf("member %+v", m)
		}
	}
	if want := []string{"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1a"}; !slices.Equal(zones, want) {
		t.Errorf("members are in %v, want %v", zones, want)
	}
	c := w.clusterRow("shop")
	if first := w.instanceRow("shop-0"); c.Writer != first.ID || c.Epoch != 1 {
		t.Errorf("the writer is %s of epoch %d, want the first member", c.Writer, c.Epoch)
	}
	var shown []string
	got := w.describeCluster("shop")
	for _, m := range got.DBClusterMembers {
		shown = append(shown, fmt.Sprint(*m.DBInstanceIdentifier, " ", *m.IsClusterWriter, " ", *m.PromotionTier, " ", *m.DBClusterParameterGroupStatus))
	}
	if diff := cmp.Diff([]string{"shop-0 true 1 in-sync", "shop-1 false 1 in-sync", "shop-2 false 1 in-sync", "shop-3 false 1 in-sync"}, shown); diff != "" || !*got.MultiAZ || *got.Status != "available" {
		t.Errorf("members (-want +got):\n%s\nMultiAZ %v, status %s", diff, *got.MultiAZ, *got.Status)
	}
	in := &shape.CreateDBInstanceInput{DBInstanceIdentifier: new("x"), DBClusterIdentifier: new("shop"), DBInstanceClass: new("db.r6g.large"), Engine: new("aurora-postgresql")}
	for name, change := range map[string]func(*shape.CreateDBInstanceInput){
		"password": func(i *shape.CreateDBInstanceInput) { i.MasterUserPassword = new("secret-of-boss") },
		"groups":   func(i *shape.CreateDBInstanceInput) { i.VpcSecurityGroupIds = []string{w.group("mine")} },
		"engine":   func(i *shape.CreateDBInstanceInput) { i.Engine = new("postgres") },
		"version":  func(i *shape.CreateDBInstanceInput) { i.EngineVersion = new("17") },
	} {
		request := *in
		change(&request)
		refused(w, name, "InvalidParameterCombination", "luster", func() (*shape.CreateDBInstanceOutput, error) { return w.rds.CreateDBInstance(w.Ctx, &request) })
	}
	w.Quotas.ReplicasPerDB = 3
	refused(w, "too many", "InstanceQuotaExceeded", "3 readers", func() (*shape.CreateDBInstanceOutput, error) { return w.rds.CreateDBInstance(w.Ctx, in) })
}

func TestFailoverIsAskedFor(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	w.cluster("other", nil)
	w.member("other", "stranger")
	failover := func(target string) func() (*shape.FailoverDBClusterOutput, error) {
		return func() (*shape.FailoverDBClusterOutput, error) {
			return w.rds.FailoverDBCluster(w.Ctx, &shape.FailoverDBClusterInput{DBClusterIdentifier: new("shop"), TargetDBInstanceIdentifier: &target})
		}
	}
	one, two := w.member("shop", "one"), w.member("shop", "two")
	w.says(*one.DbiResourceId, model.DatabaseAvailable)
	w.says(w.clusterRow("shop").ID, model.DatabaseAvailable)
	refused(w, "no reader that is up", "InvalidDBClusterStateFault", "no other instance", failover(""))
	refused(w, "target that is not up", "InvalidDBInstanceState", "creating", failover("two"))
	w.says(*two.DbiResourceId, model.DatabaseAvailable)
	refused(w, "unknown", "DBInstanceNotFound", "three", failover("three"))
	refused(w, "of another cluster", "InvalidDBInstanceState", "not a member", failover("stranger"))
	refused(w, "the writer", "InvalidDBInstanceState", "already", failover("one"))
	out, err := failover("two")()
	if got := get(t, out, err).DBCluster; *got.Status != "failing-over" {
		t.Errorf("the answer has the status %s", *got.Status)
	}
	if got := w.describeCluster("shop"); *got.Status != "failing-over" {
		t.Errorf("meanwhile the status is %s", *got.Status)
	}
	c := w.clusterRow("shop")
	if c.Turn != 1 || c.Prefer != *two.DbiResourceId {
		t.Errorf("turn %d, prefer %s", c.Turn, c.Prefer)
	}
	refused(w, "while it goes on", "InvalidDBClusterStateFault", "failing-over", failover(""))
	w.Put(t, func(tx *table.Txn) { // as the host decides
		c = c.Clone()
		c.Writer, c.Epoch, c.Turned = c.Prefer, c.Epoch+1, c.Turn
		state.DBClusters.Put(tx, c)
	})
	if got := w.describeCluster("shop"); *got.Status != "available" || *got.DBClusterMembers[0].IsClusterWriter || !*got.DBClusterMembers[1].IsClusterWriter {
		t.Errorf("afterwards: %s %+v", *got.Status, got.DBClusterMembers)
	}
}

func TestClustersAreChanged(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	m := w.member("shop", "one")
	id := w.clusterRow("shop").ID
	w.says(id, model.DatabaseAvailable)
	w.says(*m.DbiResourceId, model.DatabaseAvailable)
	group := w.group("other")
	modify := func(in shape.ModifyDBClusterInput) (*shape.ModifyDBClusterOutput, error) {
		in.DBClusterIdentifier = new("shop")
		return w.rds.ModifyDBCluster(w.Ctx, &in)
	}
	out, err := modify(shape.ModifyDBClusterInput{VpcSecurityGroupIds: []string{group}, DeletionProtection: new(true), MasterUserPassword: new("another-secret"), EngineVersion: new("15")})
	if got := get(t, out, err).DBCluster; *got.Status != "resetting-master-credentials" || *got.VpcSecurityGroups[0].VpcSecurityGroupId != group || !*got.DeletionProtection {
		t.Errorf("changed to %+v", got)
	}
	if ni := w.interfaces()[0]; *ni.Groups[0].GroupId != group {
		t.Errorf("the member's interface has the group %s", *ni.Groups[0].GroupId)
	}
	w.says(id, model.DatabaseAvailable)
	if got := w.describeCluster("shop"); *got.Status != "available" {
		t.Errorf("afterwards: %s", *got.Status)
	}
	refused(w, "another name", "InvalidParameterCombination", "renamed", func() (*shape.ModifyDBClusterOutput, error) {
		return modify(shape.ModifyDBClusterInput{NewDBClusterIdentifier: new("two")})
	})
	refused(w, "member's own groups", "InvalidParameterCombination", "ModifyDBCluster", func() (*shape.ModifyDBInstanceOutput, error) {
		return w.rds.ModifyDBInstance(w.Ctx, &shape.ModifyDBInstanceInput{DBInstanceIdentifier: new("one"), VpcSecurityGroupIds: []string{group}})
	})

	stopped, err := w.rds.StopDBCluster(w.Ctx, &shape.StopDBClusterInput{DBClusterIdentifier: new("shop")})
	if got := get(t, stopped, err).DBCluster; *got.Status != "stopping" || *w.describeInstance("one").DBInstanceStatus != "stopping" {
		t.Errorf("after stop: %s, and its member %s", *got.Status, *w.describeInstance("one").DBInstanceStatus)
	}
	w.says(id, model.DatabaseStopped)
	w.says(*m.DbiResourceId, model.DatabaseStopped)
	started, err := w.rds.StartDBCluster(w.Ctx, &shape.StartDBClusterInput{DBClusterIdentifier: new("shop")})
	if got := get(t, started, err).DBCluster; *got.Status != "starting" {
		t.Errorf("after start: %s", *got.Status)
	}
	w.says(id, model.DatabaseAvailable)
	w.says(*m.DbiResourceId, model.DatabaseAvailable)
	rebooted, err := w.rds.RebootDBCluster(w.Ctx, &shape.RebootDBClusterInput{DBClusterIdentifier: new("shop")})
	if got := get(t, rebooted, err).DBCluster; *got.Status != "rebooting" || *w.describeInstance("one").DBInstanceStatus != "rebooting" {
		t.Errorf("after reboot: %s, and its member %s", *got.Status, *w.describeInstance("one").DBInstanceStatus)
	}
}

func TestClustersAreDeletedAfterTheirMembers(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	remove := func(skip bool, final *string) func() (*shape.DeleteDBClusterOutput, error) {
		return func() (*shape.DeleteDBClusterOutput, error) {
			return w.rds.DeleteDBCluster(w.Ctx, &shape.DeleteDBClusterInput{DBClusterIdentifier: new("shop"), SkipFinalSnapshot: &skip, FinalDBSnapshotIdentifier: final})
		}
	}
	refused(w, "nothing to keep", "InvalidDBClusterStateFault", "never had an instance", remove(false, new("last")))
	w.member("shop", "one")
	refused(w, "with a member", "InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state.", remove(true, nil))
	refused(w, "member's snapshot", "InvalidParameterCombination", "FinalDBSnapshotIdentifier", func() (*shape.DeleteDBInstanceOutput, error) {
		return w.rds.DeleteDBInstance(w.Ctx, &shape.DeleteDBInstanceInput{DBInstanceIdentifier: new("one"), FinalDBSnapshotIdentifier: new("last")})
	})
	w.must(w.rds.DeleteDBInstance(w.Ctx, &shape.DeleteDBInstanceInput{DBInstanceIdentifier: new("one")}))
	w.must(w.rds.ModifyDBCluster(w.Ctx, &shape.ModifyDBClusterInput{DBClusterIdentifier: new("shop"), DeletionProtection: new(true)}))
	refused(w, "protected", "InvalidParameterCombination", "disable deletion protection", remove(true, nil))
	w.must(w.rds.ModifyDBCluster(w.Ctx, &shape.ModifyDBClusterInput{DBClusterIdentifier: new("shop"), DeletionProtection: new(false)}))
	out, err := remove(false, new("last"))()
	if got := get(t, out, err).DBCluster; *got.Status != "deleting" {
		t.Errorf("after delete: %s", *got.Status)
	}
	refused(w, "twice", "InvalidDBClusterStateFault", "already being deleted", remove(true, nil))
	snapshots, err := w.rds.DescribeDBClusterSnapshots(w.Ctx, &shape.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: new("last")})
	if s := get(t, snapshots, err).DBClusterSnapshots[0]; *s.Status != "creating" || *s.DBClusterIdentifier != "shop" || *s.DbClusterResourceId != w.clusterRow("shop").ID {
		t.Errorf("final snapshot %+v", s)
	}
}

// TestRegisteredDatabasesAreLeftAlone sees that what Postern only watches is shown, and never
// changed.
func TestRegisteredDatabasesAreLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.cluster("shop", nil)
	w.Put(t, func(tx *table.Txn) {
		c := w.clusterRow("shop").Clone()
		c.Registered = model.RegisteredDatabase{Ask: model.AskPostgres, Writer: "pg.prod.internal."}
		state.DBClusters.Put(tx, c)
	})
	if got := w.describeCluster("shop"); *got.Endpoint != "pg.prod.internal" {
		t.Errorf("endpoint %s", *got.Endpoint)
	}
	name := new("shop")
	for _, call := range []func() (any, error){
		func() (any, error) {
			return w.rds.ModifyDBCluster(w.Ctx, &shape.ModifyDBClusterInput{DBClusterIdentifier: name})
		},
		func() (any, error) {
			return w.rds.DeleteDBCluster(w.Ctx, &shape.DeleteDBClusterInput{DBClusterIdentifier: name, SkipFinalSnapshot: new(true)})
		},
		func() (any, error) {
			return w.rds.FailoverDBCluster(w.Ctx, &shape.FailoverDBClusterInput{DBClusterIdentifier: name})
		},
		func() (any, error) {
			return w.rds.StopDBCluster(w.Ctx, &shape.StopDBClusterInput{DBClusterIdentifier: name})
		},
		func() (any, error) {
			return w.rds.CreateDBInstance(w.Ctx, &shape.CreateDBInstanceInput{DBInstanceIdentifier: new("x"), DBClusterIdentifier: name, DBInstanceClass: new("db.r6g.large"), Engine: new("aurora-postgresql")})
		},
	} {
		refused(w, "change", "InvalidDBClusterStateFault", "registered, not managed", call)
	}
}
