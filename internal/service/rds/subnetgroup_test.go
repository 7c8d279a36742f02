// SPDX-License-Identifier: Apache-2.0

package rds_test

import (
	"testing"

	shape "github.com/posternhq/postern/internal/aws/shape/rds"
)

func TestSubnetGroups(t *testing.T) {
	w := newWorld(t)
	out, err := w.rds.DescribeDBSubnetGroups(w.Ctx, &shape.DescribeDBSubnetGroupsInput{DBSubnetGroupName: new("GROUP")})
	g := get(t, out, err).DBSubnetGroups[0]
	if *g.DBSubnetGroupName != "group" || *g.VpcId != *w.Net.VpcId || *g.SubnetGroupStatus != "Complete" || len(g.Subnets) != 3 || *g.Subnets[1].SubnetAvailabilityZone.Name != "us-east-1b" ||
		*g.DBSubnetGroupArn != "arn:aws:rds:us-east-1:111122223333:subgrp:group" {
		t.Errorf("group %+v", g)
	}
	create := func(name string, subnets ...string) func() (*shape.CreateDBSubnetGroupOutput, error) {
		return func() (*shape.CreateDBSubnetGroupOutput, error) {
			return w.rds.CreateDBSubnetGroup(w.Ctx, &shape.CreateDBSubnetGroupInput{DBSubnetGroupName: &name, DBSubnetGroupDescription: new("d"), SubnetIds: subnets})
		}
	}
	other := w.OfOther(t)
	foreign := other.AddSubnet(t, other.Net, "b", "10.0.1.0/24", -1)
	elsewhere := w.AddSubnet(t, w.AddVPC(t), "b", "10.0.1.0/24", -1)
	refused(w, "taken", "DBSubnetGroupAlreadyExists", "'group'", create("grouP", w.subnets...))
	refused(w, "default", "InvalidParameterValue", "default", create("Default", w.subnets...))
	refused(w, "one zone", "DBSubnetGroupDoesNotCoverEnoughAZs", "us-east-1a", create("one", w.subnets[0]))
	refused(w, "another account's", "InvalidSubnet", foreign, create("x", w.subnets[0], foreign))
	refused(w, "two VPCs", "InvalidSubnet", "different VPCs", create("x", w.subnets[0], elsewhere))
	refused(w, "twice", "InvalidParameterValue", "twice", create("x", w.subnets[0], w.subnets[0]))

	i := w.instance("one", nil)
	modify := func(subnets ...string) func() (*shape.ModifyDBSubnetGroupOutput, error) {
		return func() (*shape.ModifyDBSubnetGroupOutput, error) {
			return w.rds.ModifyDBSubnetGroup(w.Ctx, &shape.ModifyDBSubnetGroupInput{DBSubnetGroupName: new("group"), SubnetIds: subnets})
		}
	}
	if *i.AvailabilityZone != "us-east-1a" {
		t.Errorf("the instance is in %s", *i.AvailabilityZone)
	}
	refused(w, "subnet of an instance", "SubnetAlreadyInUse", w.subnets[0], modify(w.subnets[1:]...))
	w.must(modify(w.subnets[:2]...)())
	refused(w, "in use", "InvalidDBSubnetGroupStateFault", "Cannot delete the subnet group 'group' because at least one database instance: one is still using it.", func() (*shape.DeleteDBSubnetGroupOutput, error) {
		return w.rds.DeleteDBSubnetGroup(w.Ctx, &shape.DeleteDBSubnetGroupInput{DBSubnetGroupName: new("group")})
	})
	w.must(create("free", w.subnets...)())
	w.must(w.rds.DeleteDBSubnetGroup(w.Ctx, &shape.DeleteDBSubnetGroupInput{DBSubnetGroupName: new("free")}))
	refused(w, "gone", "DBSubnetGroupNotFoundFault", "'free'", func() (*shape.DescribeDBSubnetGroupsOutput, error) {
		return w.rds.DescribeDBSubnetGroups(w.Ctx, &shape.DescribeDBSubnetGroupsInput{DBSubnetGroupName: new("free")})
	})
}

func TestDatabasesWithoutASubnetGroupAreInTheDefaultVPC(t *testing.T) {
	w := newWorld(t)
	none := func(in *shape.CreateDBInstanceInput) { in.DBSubnetGroupName = nil }
	in := instanceInput("one")
	none(in)
	refused(w, "no default VPC", "InvalidSubnet", "default VPC", func() (*shape.CreateDBInstanceOutput, error) { return w.rds.CreateDBInstance(w.Ctx, in) })
	vpc := w.DefaultVPC(t)
	if i := w.instance("one", none); *i.DBSubnetGroup.DBSubnetGroupName != "default" || *i.DBSubnetGroup.VpcId != vpc {
		t.Errorf("the instance is in %+v", i.DBSubnetGroup)
	}
	if i := w.instance("two", func(in *shape.CreateDBInstanceInput) { in.DBSubnetGroupName = new("default") }); *i.DBSubnetGroup.VpcId != vpc {
		t.Errorf("the second instance is in %+v", i.DBSubnetGroup)
	}
}
