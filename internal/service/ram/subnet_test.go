// SPDX-License-Identifier: Apache-2.0

package ram_test

import (
	"slices"
	"testing"

	"github.com/posternhq/postern/internal/aws/fault"
	ec2shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	shape "github.com/posternhq/postern/internal/aws/shape/ram"
	"github.com/posternhq/postern/internal/control/audit"
	"github.com/posternhq/postern/internal/model"
	"github.com/posternhq/postern/internal/organization"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/ram"
	"github.com/posternhq/postern/internal/service/servicetest"
	"github.com/posternhq/postern/internal/state"
	"github.com/posternhq/postern/internal/table"
)

// landlord is an owner with two subnets of a VPC, the first of which it shares, and a
// participant and a third account in its organization.
type landlord struct {
	*world
	owner, guest, third   *ec2test.World
	vpc, shared, unshared string
	share                 string
}

func newLandlord(t *testing.T) *landlord {
	n := ec2test.NewWorld(t)
	of := func(account string) *ec2test.World {
		return &ec2test.World{World: n.World, API: n.API, Ctx: servicetest.As(t, account, servicetest.Region)}
	}
	l := &landlord{world: &world{World: n.World, t: t, now: servicetest.Now, api: &ram.API{Env: n.Env}}, owner: n, guest: of(consumer), third: of(third)}
	l.vpc = *n.VPC(t, "10.0.0.0/16").VpcId
	l.shared, l.unshared = *n.Subnet(t, l.vpc, "10.0.1.0/24").SubnetId, *n.Subnet(t, l.vpc, "10.0.2.0/24").SubnetId
	return l
}

// organize puts all accounts into an organization that RAM may look into.
func (l *landlord) organize() {
	l.put(func(tx *table.Txn) {
		for _, id := range []string{owner, consumer, third} {
			state.Accounts.Put(tx, &model.Account{ID: id, Name: id})
		}
		state.Organizations.Put(tx, &model.Organization{
			Meta: model.Meta{Account: owner, ID: "o-aaaaaaaaaa"}, Root: "r-aaaa", Services: []model.EnabledService{{Principal: organization.RAM}},
		})
	})
}

func subnetARN(id string) string { return model.ARN("ec2", servicetest.Region, owner, "subnet/"+id) }

func (l *landlord) offer(principals ...string) error {
	out, err := l.api.CreateResourceShare(l.as(owner), &shape.CreateResourceShareInput{
		Name: new("network"), ResourceArns: []string{subnetARN(l.shared)}, Principals: principals,
	})
	if err == nil {
		l.share = *out.ResourceShare.ResourceShareArn
	}
	return err
}

// subnets and interfaces are the ids of what an account sees of the VPC.
func (l *landlord) subnets(w *ec2test.World) (ids []string) {
	l.t.Helper()
	out, err := w.API.DescribeSubnets(w.Ctx, &ec2shape.DescribeSubnetsInput{Filters: []ec2shape.Filter{{Name: new("vpc-id"), Values: []string{l.vpc}}}})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range out.Subnets {
		ids = append(ids, *s.SubnetId)
		if *s.OwnerId != owner {
			l.t.Errorf("%s is of %s", *s.SubnetId, *s.OwnerId)
		}
	}
	slices.Sort(ids)
	return ids
}

func (l *landlord) interfaces(w *ec2test.World) (ids []string) {
	l.t.Helper()
	out, err := w.API.DescribeNetworkInterfaces(w.Ctx, &ec2shape.DescribeNetworkInterfacesInput{})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, ni := range out.NetworkInterfaces {
		ids = append(ids, *ni.NetworkInterfaceId)
	}
	slices.Sort(ids)
	return ids
}

func (l *landlord) group(w *ec2test.World) (string, error) {
	out, err := w.API.CreateSecurityGroup(w.Ctx, &ec2shape.CreateSecurityGroupInput{VpcId: &l.vpc, GroupName: new("web"), Description: new("web")})
	if err != nil {
		return "", err
	}
	return *out.GroupId, nil
}

func (l *landlord) plug(w *ec2test.World, subnet string, in ec2shape.CreateNetworkInterfaceInput, groups ...string) (*ec2shape.NetworkInterface, error) {
	in.SubnetId, in.Groups = &subnet, groups
	out, err := w.API.CreateNetworkInterface(w.Ctx, &in)
	if err != nil {
		return nil, err
	}
	return out.NetworkInterface, nil
}

// TestSubnetsAreSharedInOrganizationsOnly asks without an organization, and with one that RAM
// may look into.
func TestSubnetsAreSharedInOrganizationsOnly(t *testing.T) {
	l := newLandlord(t)
	l.refused("sharing without an organization", "OperationNotPermittedException", func() error { return l.offer(consumer) })
	l.organize()
	const stranger = "123123123123"
	l.refused("sharing with somebody outside", "OperationNotPermittedException", func() error { return l.offer(stranger) })
	if err := l.offer(consumer); err != nil {
		t.Fatal(err)
	}
	l.refused("adding somebody outside", "OperationNotPermittedException", func() error {
		return failure(l.api.AssociateResourceShare(l.as(owner), &shape.AssociateResourceShareInput{ResourceShareArn: &l.share, Principals: []string{stranger}}))
	})
	if got := l.subnets(l.guest); !slices.Equal(got, []string{l.shared}) {
		t.Errorf("the participant sees %q", got)
	}
	// Without the organization nothing is shared any more.
	l.put(func(tx *table.Txn) { state.Organizations.Delete(tx, owner, "", "o-aaaaaaaaaa") })
	if got := l.subnets(l.guest); got != nil {
		t.Errorf("after the organization the participant sees %q", got)
	}
}

// TestSubnetsOfOthers has a participant live in a shared subnet: what it sees and may, what
// the owner sees and may not, and what is left when the subnet is not shared any more.
func TestSubnetsOfOthers(t *testing.T) {
	l := newLandlord(t)
	l.organize()
	_, err := l.group(l.guest)
	if !fault.Is(err, "InvalidVpcID.NotFound") {
		t.Fatalf("a group before it is shared: %v", err)
	}
	if err := l.offer(consumer); err != nil {
		t.Fatal(err)
	}
	sg, err := l.group(l.guest)
	if err != nil {
		t.Fatal(err)
	}
	own, err := l.group(l.owner)
	if err != nil {
		t.Fatal(err) // with the same name
	}
	at := ec2shape.CreateNetworkInterfaceInput{PrivateIpAddress: new("10.0.1.10")}
	for what, try := range map[string]func() error{
		"InvalidSubnetID.NotFound":    func() error { return failure(l.plug(l.guest, l.unshared, at, sg)) },
		"InvalidGroup.NotFound":       func() error { return failure(l.plug(l.guest, l.shared, at, own)) },
		"InvalidParameterCombination": func() error { return failure(l.plug(l.guest, l.shared, at)) },
	} {
		l.refused(what, what, try)
	}
	ni, err := l.plug(l.guest, l.shared, at, sg)
	if err != nil {
		t.Fatal(err)
	}
	if *ni.OwnerId != consumer || *ni.VpcId != l.vpc || *ni.SubnetId != l.shared {
		t.Errorf("made %s of %s in %s", *ni.NetworkInterfaceId, *ni.OwnerId, *ni.SubnetId)
	}
	l.refused("an address that the participant has", "InvalidIPAddress.InUse", func() error { return failure(l.plug(l.owner, l.shared, at, own)) })
	l.refused("taking that address away", "InvalidParameterValue", func() error {
		other, err := l.plug(l.owner, l.shared, ec2shape.CreateNetworkInterfaceInput{}, own)
		if err != nil {
			t.Fatal(err)
		}
		defer l.owner.API.DeleteNetworkInterface(l.owner.Ctx, &ec2shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: other.NetworkInterfaceId})
		return failure(l.owner.API.AssignPrivateIpAddresses(l.owner.Ctx, &ec2shape.AssignPrivateIpAddressesInput{
			NetworkInterfaceId: other.NetworkInterfaceId, PrivateIpAddresses: []string{"10.0.1.10"},
		}))
	})
	mine, err := l.plug(l.owner, l.shared, ec2shape.CreateNetworkInterfaceInput{}, own)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.interfaces(l.guest); !slices.Equal(got, []string{*ni.NetworkInterfaceId}) {
		t.Errorf("the participant sees interfaces %q", got)
	}
	if got := l.interfaces(l.third); got != nil {
		t.Errorf("a third sees interfaces %q", got)
	}
	both := []string{*ni.NetworkInterfaceId, *mine.NetworkInterfaceId}
	slices.Sort(both)
	if got := l.interfaces(l.owner); !slices.Equal(got, both) {
		t.Errorf("the owner sees interfaces %q, want %q", got, both)
	}
	l.participantMayNot(own)
	l.ownerMayNot(*ni.NetworkInterfaceId, sg)
	l.sound()

	if _, err := l.api.DeleteResourceShare(l.as(owner), &shape.DeleteResourceShareInput{ResourceShareArn: &l.share}); err != nil {
		t.Fatal(err)
	}
	if got := l.subnets(l.guest); got != nil {
		t.Errorf("the participant still sees subnets %q", got)
	}
	l.refused("a new interface", "InvalidSubnetID.NotFound", func() error { return failure(l.plug(l.guest, l.shared, ec2shape.CreateNetworkInterfaceInput{}, sg)) })
	l.refused("deleting what is lived in", "DependencyViolation", func() error {
		return failure(l.owner.API.DeleteSubnet(l.owner.Ctx, &ec2shape.DeleteSubnetInput{SubnetId: &l.shared}))
	})
	if _, err := l.guest.API.DeleteNetworkInterface(l.guest.Ctx, &ec2shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: ni.NetworkInterfaceId}); err != nil {
		t.Errorf("the participant cannot leave: %v", err)
	}
	if _, err := l.guest.API.DeleteSecurityGroup(l.guest.Ctx, &ec2shape.DeleteSecurityGroupInput{GroupId: &sg}); err != nil {
		t.Errorf("the participant cannot delete its group: %v", err)
	}
	if _, err := l.owner.API.DeleteNetworkInterface(l.owner.Ctx, &ec2shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: mine.NetworkInterfaceId}); err != nil {
		t.Error(err)
	}
	if _, err := l.owner.API.DeleteSubnet(l.owner.Ctx, &ec2shape.DeleteSubnetInput{SubnetId: &l.shared}); err != nil {
		t.Errorf("the owner cannot delete the empty subnet: %v", err)
	}
	l.sound()
}

// participantMayNot tries what is the owner's alone, but sees what its packets meet.
func (l *landlord) participantMayNot(group string) {
	l.t.Helper()
	g := l.guest
	tables, err := g.API.DescribeRouteTables(g.Ctx, &ec2shape.DescribeRouteTablesInput{})
	if err != nil || len(tables.RouteTables) != 1 || *tables.RouteTables[0].OwnerId != owner {
		l.t.Fatalf("the participant sees route tables %v, %v", tables, err)
	}
	acls, err := g.API.DescribeNetworkAcls(g.Ctx, &ec2shape.DescribeNetworkAclsInput{})
	if err != nil || len(acls.NetworkAcls) != 1 || *acls.NetworkAcls[0].OwnerId != owner {
		l.t.Fatalf("the participant sees network ACLs %v, %v", acls, err)
	}
	vpcs, err := g.API.DescribeVpcs(g.Ctx, &ec2shape.DescribeVpcsInput{VpcIds: []string{l.vpc}})
	if err != nil || *vpcs.Vpcs[0].OwnerId != owner {
		l.t.Errorf("the participant sees VPCs %v, %v", vpcs, err)
	}
	l.refused("describing the group of the owner", "InvalidGroup.NotFound", func() error {
		return failure(g.API.DescribeSecurityGroups(g.Ctx, &ec2shape.DescribeSecurityGroupsInput{GroupIds: []string{group}}))
	})
	l.refused("deleting the subnet", "InvalidSubnetID.NotFound", func() error {
		return failure(g.API.DeleteSubnet(g.Ctx, &ec2shape.DeleteSubnetInput{SubnetId: &l.shared}))
	})
	l.refused("changing the subnet", "InvalidSubnetID.NotFound", func() error {
		return failure(g.API.ModifySubnetAttribute(g.Ctx, &ec2shape.ModifySubnetAttributeInput{
			SubnetId: &l.shared, MapPublicIpOnLaunch: &ec2shape.AttributeBooleanValue{Value: new(true)},
		}))
	})
	l.refused("deleting the VPC", "InvalidVpcID.NotFound", func() error {
		return failure(g.API.DeleteVpc(g.Ctx, &ec2shape.DeleteVpcInput{VpcId: &l.vpc}))
	})
	l.refused("a route", "InvalidRouteTableID.NotFound", func() error {
		return failure(g.API.DeleteRouteTable(g.Ctx, &ec2shape.DeleteRouteTableInput{RouteTableId: tables.RouteTables[0].RouteTableId}))
	})
	l.refused("a network ACL", "InvalidNetworkAclID.NotFound", func() error {
		return failure(g.API.DeleteNetworkAcl(g.Ctx, &ec2shape.DeleteNetworkAclInput{NetworkAclId: acls.NetworkAcls[0].NetworkAclId}))
	})
	l.refused("a subnet", "InvalidVpcID.NotFound", func() error {
		return failure(g.API.CreateSubnet(g.Ctx, &ec2shape.CreateSubnetInput{VpcId: &l.vpc, CidrBlock: new("10.0.9.0/24")}))
	})
}

// ownerMayNot tries to take away what the participant has.
func (l *landlord) ownerMayNot(ni, group string) {
	l.t.Helper()
	o := l.owner
	groups, err := o.API.DescribeSecurityGroups(o.Ctx, &ec2shape.DescribeSecurityGroupsInput{GroupIds: []string{group}})
	if err != nil || *groups.SecurityGroups[0].OwnerId != consumer {
		l.t.Errorf("the owner sees %v, %v", groups, err)
	}
	rules, err := o.API.DescribeSecurityGroupRules(o.Ctx, &ec2shape.DescribeSecurityGroupRulesInput{Filters: []ec2shape.Filter{{Name: new("group-id"), Values: []string{group}}}})
	if err != nil || len(rules.SecurityGroupRules) != 1 || *rules.SecurityGroupRules[0].GroupOwnerId != consumer {
		l.t.Errorf("the owner sees rules %v, %v", rules, err)
	}
	l.refused("changing the group", "InvalidGroup.NotFound", func() error {
		return failure(o.API.RevokeSecurityGroupEgress(o.Ctx, &ec2shape.RevokeSecurityGroupEgressInput{
			GroupId: &group, SecurityGroupRuleIds: []string{*rules.SecurityGroupRules[0].SecurityGroupRuleId},
		}))
	})
	l.refused("deleting the interface", "InvalidNetworkInterfaceID.NotFound", func() error {
		return failure(o.API.DeleteNetworkInterface(o.Ctx, &ec2shape.DeleteNetworkInterfaceInput{NetworkInterfaceId: &ni}))
	})
	l.refused("deleting the group", "InvalidGroup.NotFound", func() error {
		return failure(o.API.DeleteSecurityGroup(o.Ctx, &ec2shape.DeleteSecurityGroupInput{GroupId: &group}))
	})
	l.refused("deleting the subnet", "DependencyViolation", func() error {
		return failure(o.API.DeleteSubnet(o.Ctx, &ec2shape.DeleteSubnetInput{SubnetId: &l.shared}))
	})
	l.refused("deleting the VPC", "DependencyViolation", func() error {
		return failure(o.API.DeleteVpc(o.Ctx, &ec2shape.DeleteVpcInput{VpcId: &l.vpc}))
	})
}

// sound wants rows that go together.
func (l *landlord) sound() {
	l.t.Helper()
	for _, p := range audit.Rows(l.DB.Snapshot()) {
		l.t.Errorf("audit: %v", p)
	}
}
