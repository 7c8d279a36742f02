// SPDX-License-Identifier: Apache-2.0

package group_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/ec2/ec2test"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// In the default VPC, everything that takes a group's id takes its name.
func TestGroupsOfTheDefaultVPCHaveNames(t *testing.T) {
	w := ec2test.NewWorld(t)
	w.DefaultVPC(t)
	create := func(name string) string {
		out, err := w.API.CreateSecurityGroup(w.Ctx, &shape.CreateSecurityGroupInput{GroupName: &name, Description: new("d")})
		if err != nil {
			t.Fatal(err)
		}
		return *out.GroupId
	}
	db, web := create("db"), create("web")
	name := new("db")
	byName := shape.UserIdGroupPair{GroupName: new("web"), UserId: new(servicetest.Account)}
	described := byName
	described.Description = new("from the web")
	steps := []struct {
		what string
		call func() error
		want []string
	}{
		{"authorize", func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupName: name, IpPermissions: []shape.IpPermission{
				{IpProtocol: new("tcp"), FromPort: new(int32(1)), ToPort: new(int32(1)), UserIdGroupPairs: []shape.UserIdGroupPair{byName}},
			}}))
		}, []string{"tcp 1-1 " + web}},
		{"describe the rule", func() error {
			return ec2test.Failure(w.API.UpdateSecurityGroupRuleDescriptionsIngress(w.Ctx, &shape.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupName: name, IpPermissions: []shape.IpPermission{
				{IpProtocol: new("tcp"), FromPort: new(int32(1)), ToPort: new(int32(1)), UserIdGroupPairs: []shape.UserIdGroupPair{described}},
			}}))
		}, []string{"tcp 1-1 " + web}},
		{"revoke", func() error {
			return ec2test.Failure(w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{GroupName: name, IpPermissions: []shape.IpPermission{
				{IpProtocol: new("tcp"), FromPort: new(int32(1)), ToPort: new(int32(1)), UserIdGroupPairs: []shape.UserIdGroupPair{byName}},
			}}))
		}, nil},
		{"authorize all of a group", func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{
				GroupName: name, SourceSecurityGroupName: new("web"), SourceSecurityGroupOwnerId: new(servicetest.Account),
			}))
		}, []string{"tcp 0-65535 " + web, "udp 0-65535 " + web, "icmp -1--1 " + web}},
		{"revoke all of a group", func() error {
			return ec2test.Failure(w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{GroupName: name, SourceSecurityGroupName: new("web")}))
		}, nil},
		{"authorize a port of a group", func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{
				GroupId: &db, SourceSecurityGroupName: new("web"), IpProtocol: new("tcp"), FromPort: new(int32(3306)), ToPort: new(int32(3306)),
			}))
		}, []string{"tcp 3306-3306 " + web}},
	}
	for _, s := range steps {
		if err := s.call(); err != nil {
			t.Errorf("%s: %v", s.what, err)
		}
		if diff := cmp.Diff(s.want, ingressText(t, w, db)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", s.what, diff)
		}
	}
	// A group's own rules refer to it by name, too.
	if err := ec2test.Failure(w.API.AuthorizeSecurityGroupEgress(w.Ctx, &shape.AuthorizeSecurityGroupEgressInput{GroupId: &web, IpPermissions: []shape.IpPermission{
		{IpProtocol: new("-1"), UserIdGroupPairs: []shape.UserIdGroupPair{{GroupName: name}}},
	}})); err != nil {
		t.Error(err)
	}
	namesAreRefused(t, w)
	if err := ec2test.Failure(w.API.RevokeSecurityGroupIngress(w.Ctx, &shape.RevokeSecurityGroupIngressInput{
		GroupName: name, SourceSecurityGroupName: new("web"), IpProtocol: new("tcp"), FromPort: new(int32(3306)), ToPort: new(int32(3306)),
	})); err != nil {
		t.Error(err)
	}
	for _, each := range []struct{ name, id string }{{"web", web}, {"db", db}} {
		out, err := w.API.DeleteSecurityGroup(w.Ctx, &shape.DeleteSecurityGroupInput{GroupName: &each.name})
		if err != nil || *out.GroupId != each.id {
			t.Errorf("delete %s: got %v, %v, want %s", each.name, out, err, each.id)
		}
	}
}

func namesAreRefused(t *testing.T, w *ec2test.World) {
	t.Helper()
	elsewhere := w.VPC(t, "10.0.0.0/16")
	other := w.Group(t, *elsewhere.VpcId, "other")
	pair := func(p shape.UserIdGroupPair) []shape.IpPermission {
		return []shape.IpPermission{{IpProtocol: new("-1"), UserIdGroupPairs: []shape.UserIdGroupPair{p}}}
	}
	w.RefusedAll(t, []ec2test.Refusal{
		{Name: "group of another VPC by name", Code: "InvalidGroup.NotFound", Call: func() error {
			return ec2test.Failure(w.API.DeleteSecurityGroup(w.Ctx, &shape.DeleteSecurityGroupInput{GroupName: new("other")}))
		}},
		{Name: "source that does not exist", Code: "InvalidGroup.NotFound", Call: func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupName: new("db"), IpPermissions: pair(shape.UserIdGroupPair{GroupName: new("none")})}))
		}},
		{Name: "source of another account", Code: "InvalidGroup.NotFound", Call: func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{
				GroupName: new("db"), SourceSecurityGroupName: new("web"), SourceSecurityGroupOwnerId: new(servicetest.OtherAccount),
			}))
		}},
		{Name: "source of the default VPC in another one", Code: "InvalidGroup.NotFound", Call: func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupId: &other, IpPermissions: pair(shape.UserIdGroupPair{GroupName: new("web")})}))
		}},
		{Name: "source without name and id", Code: "MissingParameter", Call: func() error {
			return ec2test.Failure(w.API.AuthorizeSecurityGroupIngress(w.Ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupName: new("db"), IpPermissions: pair(shape.UserIdGroupPair{UserId: new(servicetest.Account)})}))
		}},
		{Name: "the default group", Code: "CannotDelete", Call: func() error {
			return ec2test.Failure(w.API.DeleteSecurityGroup(w.Ctx, &shape.DeleteSecurityGroupInput{GroupName: new("default")}))
		}},
		{Name: "neither", Code: "MissingParameter", Call: func() error {
			return ec2test.Failure(w.API.DeleteSecurityGroup(w.Ctx, &shape.DeleteSecurityGroupInput{}))
		}},
	})
}
