// SPDX-License-Identifier: Apache-2.0

package ec2_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	shape "github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/service/servicetest"
)

// defaultVPC makes the default VPC and gives its id.
func (w *world) defaultVPC(t *testing.T) string {
	t.Helper()
	out, err := w.api.CreateDefaultVpc(w.ctx, &shape.CreateDefaultVpcInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *out.Vpc.VpcId
}

// In the default VPC, everything that takes a group's id takes its name.
func TestGroupsOfTheDefaultVPCHaveNames(t *testing.T) {
	w := newWorld(t)
	w.defaultVPC(t)
	create := func(name string) string {
		out, err := w.api.CreateSecurityGroup(w.ctx, &shape.CreateSecurityGroupInput{GroupName: &name, Description: new("d")})
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
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupName: name, IpPermissions: []shape.IpPermission{
				{IpProtocol: new("tcp"), FromPort: new(int32(1)), ToPort: new(int32(1)), UserIdGroupPairs: []shape.UserIdGroupPair{byName}},
			}}))
		}, []string{"tcp 1-1 " + web}},
		{"describe the rule", func() error {
			return failure(w.api.UpdateSecurityGroupRuleDescriptionsIngress(w.ctx, &shape.UpdateSecurityGroupRuleDescriptionsIngressInput{GroupName: name, IpPermissions: []shape.IpPermission{
				{IpProtocol: new("tcp"), FromPort: new(int32(1)), ToPort: new(int32(1)), UserIdGroupPairs: []shape.UserIdGroupPair{described}},
			}}))
		}, []string{"tcp 1-1 " + web}},
		{"revoke", func() error {
			return failure(w.api.RevokeSecurityGroupIngress(w.ctx, &shape.RevokeSecurityGroupIngressInput{GroupName: name, IpPermissions: []shape.IpPermission{
				{IpProtocol: new("tcp"), FromPort: new(int32(1)), ToPort: new(int32(1)), UserIdGroupPairs: []shape.UserIdGroupPair{byName}},
			}}))
		}, nil},
		{"authorize all of a group", func() error {
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{
				GroupName: name, SourceSecurityGroupName: new("web"), SourceSecurityGroupOwnerId: new(servicetest.Account),
			}))
		}, []string{"tcp 0-65535 " + web, "udp 0-65535 " + web, "icmp -1--1 " + web}},
		{"revoke all of a group", func() error {
			return failure(w.api.RevokeSecurityGroupIngress(w.ctx, &shape.RevokeSecurityGroupIngressInput{GroupName: name, SourceSecurityGroupName: new("web")}))
		}, nil},
		{"authorize a port of a group", func() error {
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{
				GroupId: &db, SourceSecurityGroupName: new("web"), IpProtocol: new("tcp"), FromPort: new(int32(3306)), ToPort: new(int32(3306)),
			}))
		}, []string{"tcp 3306-3306 " + web}},
	}
	for _, s := range steps {
		if err := s.call(); err != nil {
			t.Errorf("%s: %v", s.what, err)
		}
		if diff := cmp.Diff(s.want, w.ingressText(t, db)); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", s.what, diff)
		}
	}
	// A group's own rules refer to it by name, too.
	if err := failure(w.api.AuthorizeSecurityGroupEgress(w.ctx, &shape.AuthorizeSecurityGroupEgressInput{GroupId: &web, IpPermissions: []shape.IpPermission{
		{IpProtocol: new("-1"), UserIdGroupPairs: []shape.UserIdGroupPair{{GroupName: name}}},
	}})); err != nil {
		t.Error(err)
	}
	w.namesAreRefused(t)
	if err := failure(w.api.RevokeSecurityGroupIngress(w.ctx, &shape.RevokeSecurityGroupIngressInput{
		GroupName: name, SourceSecurityGroupName: new("web"), IpProtocol: new("tcp"), FromPort: new(int32(3306)), ToPort: new(int32(3306)),
	})); err != nil {
		t.Error(err)
	}
	for _, each := range []struct{ name, id string }{{"web", web}, {"db", db}} {
		out, err := w.api.DeleteSecurityGroup(w.ctx, &shape.DeleteSecurityGroupInput{GroupName: &each.name})
		if err != nil || *out.GroupId != each.id {
			t.Errorf("delete %s: got %v, %v, want %s", each.name, out, err, each.id)
		}
	}
}

func (w *world) namesAreRefused(t *testing.T) {
	t.Helper()
	elsewhere := w.vpc(t, "10.0.0.0/16")
	other := w.group(t, *elsewhere.VpcId, "other")
	pair := func(p shape.UserIdGroupPair) []shape.IpPermission {
		return []shape.IpPermission{{IpProtocol: new("-1"), UserIdGroupPairs: []shape.UserIdGroupPair{p}}}
	}
	w.refused(t, []refusal{
		{"group of another VPC by name", "InvalidGroup.NotFound", func() error {
			return failure(w.api.DeleteSecurityGroup(w.ctx, &shape.DeleteSecurityGroupInput{GroupName: new("other")}))
		}},
		{"source that does not exist", "InvalidGroup.NotFound", func() error {
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupName: new("db"), IpPermissions: pair(shape.UserIdGroupPair{GroupName: new("none")})}))
		}},
		{"source of another account", "InvalidGroup.NotFound", func() error {
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{
				GroupName: new("db"), SourceSecurityGroupName: new("web"), SourceSecurityGroupOwnerId: new(servicetest.OtherAccount),
			}))
		}},
		{"source of the default VPC in another one", "InvalidGroup.NotFound", func() error {
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupId: &other, IpPermissions: pair(shape.UserIdGroupPair{GroupName: new("web")})}))
		}},
		{"source without name and id", "MissingParameter", func() error {
			return failure(w.api.AuthorizeSecurityGroupIngress(w.ctx, &shape.AuthorizeSecurityGroupIngressInput{GroupName: new("db"), IpPermissions: pair(shape.UserIdGroupPair{UserId: new(servicetest.Account)})}))
		}},
		{"the default group", "CannotDelete", func() error {
			return failure(w.api.DeleteSecurityGroup(w.ctx, &shape.DeleteSecurityGroupInput{GroupName: new("default")}))
		}},
		{"neither", "MissingParameter", func() error {
			return failure(w.api.DeleteSecurityGroup(w.ctx, &shape.DeleteSecurityGroupInput{}))
		}},
	})
}
