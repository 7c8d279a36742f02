// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"testing"

	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

func (c *client) balancers() *elb.Client { return elb.NewFromConfig(c.config) }

// balancer makes an internal load balancer and waits until it is there.
func (c *client) balancer(name string, groups []string, subnets ...string) types.LoadBalancer {
	c.t.Helper()
	arn := must(c.balancers().CreateLoadBalancer(c.ctx, &elb.CreateLoadBalancerInput{
		Name: &name, Type: types.LoadBalancerTypeEnumNetwork, Scheme: types.LoadBalancerSchemeEnumInternal, Subnets: subnets, SecurityGroups: groups,
		Tags: []types.Tag{{Key: new("team"), Value: new("shop")}},
	}))(c).LoadBalancers[0].LoadBalancerArn
	in := &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{*arn}}
	if err := elb.NewLoadBalancerAvailableWaiter(c.balancers()).Wait(c.ctx, in, patience); err != nil {
		c.t.Fatal(err)
	}
	return must(c.balancers().DescribeLoadBalancers(c.ctx, in))(c).LoadBalancers[0]
}

// targetGroup makes a target group of port 8443, and gives its ARN.
func (c *client) targetGroup(name, vpc string) string {
	c.t.Helper()
	return *must(c.balancers().CreateTargetGroup(c.ctx, &elb.CreateTargetGroupInput{
		Name: &name, VpcId: &vpc, Protocol: types.ProtocolEnumTcp, Port: new(int32(8443)), TargetType: types.TargetTypeEnumIp,
	}))(c).TargetGroups[0].TargetGroupArn
}

func forward(group string) []types.Action {
	return []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &group}}
}

// TestNetworkLoadBalancer is the life of a load balancer with a listener and a target group.
func TestNetworkLoadBalancer(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	v := c.vpc("10.0.0.0/16")
	one, two := c.subnet(v, "10.0.1.0/24", "a"), c.subnet(v, "10.0.2.0/24", "b")
	group, other := c.group(v, "clients"), c.group(v, "others")
	b := c.balancer("shop", []string{group}, one)
	matches(t, "ARN", b.LoadBalancerArn, "arn:aws:elasticloadbalancing:us-east-1:"+c.key.Account+":loadbalancer/net/shop/[0-9a-f]{16}")
	matches(t, "name", b.DNSName, `shop-[0-9a-f]{16}\.elb\.us-east-1\..+`)
	arn := b.LoadBalancerArn
	equal(t, "subnets", len(must(c.balancers().SetSubnets(c.ctx, &elb.SetSubnetsInput{LoadBalancerArn: arn, Subnets: []string{one, two}}))(c).AvailabilityZones), 2)
	equal(t, "groups", must(c.balancers().SetSecurityGroups(c.ctx, &elb.SetSecurityGroupsInput{LoadBalancerArn: arn, SecurityGroups: []string{other}}))(c).SecurityGroupIds, []string{other})
	must(c.balancers().SetIpAddressType(c.ctx, &elb.SetIpAddressTypeInput{LoadBalancerArn: arn, IpAddressType: types.IpAddressTypeIpv4}))(c)
	c.balancerSettings(arn)

	tg := c.targetGroup("shop", v)
	c.groupSettings(tg)
	l := must(c.balancers().CreateListener(c.ctx, &elb.CreateListenerInput{LoadBalancerArn: arn, Protocol: types.ProtocolEnumTcp, Port: new(int32(443)), DefaultActions: forward(tg)}))(c).Listeners[0]
	refused(t, failure(c.balancers().DeleteTargetGroup(c.ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &tg})), "ResourceInUse")
	must(c.balancers().ModifyListener(c.ctx, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, Port: new(int32(444)), DefaultActions: forward(tg)}))(c)
	equal(t, "port", *must(c.balancers().DescribeListeners(c.ctx, &elb.DescribeListenersInput{LoadBalancerArn: arn}))(c).Listeners[0].Port, 444)
	idle := must(c.balancers().DescribeListenerAttributes(c.ctx, &elb.DescribeListenerAttributesInput{ListenerArn: l.ListenerArn}))(c).Attributes
	must(c.balancers().ModifyListenerAttributes(c.ctx, &elb.ModifyListenerAttributesInput{ListenerArn: l.ListenerArn, Attributes: idle}))(c)
	c.targets(tg)

	must(c.balancers().DeleteListener(c.ctx, &elb.DeleteListenerInput{ListenerArn: l.ListenerArn}))(c)
	must(c.balancers().DeleteTargetGroup(c.ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &tg}))(c)
	must(c.balancers().DeleteLoadBalancer(c.ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: arn}))(c)
	gone := &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{*arn}}
	if err := elb.NewLoadBalancersDeletedWaiter(c.balancers()).Wait(c.ctx, gone, patience); err != nil {
		t.Fatal(err)
	}
	refused(t, failure(c.balancers().DescribeLoadBalancers(c.ctx, gone)), "LoadBalancerNotFound")
}

// balancerSettings changes the settings and the tags of a load balancer.
func (c *client) balancerSettings(arn *string) {
	c.t.Helper()
	must(c.balancers().ModifyLoadBalancerAttributes(c.ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: arn, Attributes: []types.LoadBalancerAttribute{
		{Key: new("load_balancing.cross_zone.enabled"), Value: new("true")}, {Key: new("deletion_protection.enabled"), Value: new("true")},
	}}))(c)
	refused(c.t, failure(c.balancers().DeleteLoadBalancer(c.ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: arn})), "OperationNotPermitted")
	must(c.balancers().ModifyLoadBalancerAttributes(c.ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: arn, Attributes: []types.LoadBalancerAttribute{
		{Key: new("deletion_protection.enabled"), Value: new("false")},
	}}))(c)
	for _, at := range must(c.balancers().DescribeLoadBalancerAttributes(c.ctx, &elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: arn}))(c).Attributes {
		if *at.Key == "load_balancing.cross_zone.enabled" {
			equal(c.t, *at.Key, *at.Value, "true")
		}
	}
	must(c.balancers().AddTags(c.ctx, &elb.AddTagsInput{ResourceArns: []string{*arn}, Tags: []types.Tag{{Key: new("stage"), Value: new("test")}}}))(c)
	must(c.balancers().RemoveTags(c.ctx, &elb.RemoveTagsInput{ResourceArns: []string{*arn}, TagKeys: []string{"team"}}))(c)
	equal(c.t, "tags", must(c.balancers().DescribeTags(c.ctx, &elb.DescribeTagsInput{ResourceArns: []string{*arn}}))(c).TagDescriptions[0].Tags, []types.Tag{{Key: new("stage"), Value: new("test")}})
	if limits := must(c.balancers().DescribeAccountLimits(c.ctx, &elb.DescribeAccountLimitsInput{}))(c).Limits; len(limits) == 0 {
		c.t.Error("the account has no limits")
	}
}

// groupSettings changes the settings of a target group.
func (c *client) groupSettings(tg string) {
	c.t.Helper()
	must(c.balancers().ModifyTargetGroup(c.ctx, &elb.ModifyTargetGroupInput{TargetGroupArn: &tg, HealthCheckIntervalSeconds: new(int32(5)), HealthCheckTimeoutSeconds: new(int32(2))}))(c)
	seen := must(c.balancers().DescribeTargetGroups(c.ctx, &elb.DescribeTargetGroupsInput{Names: []string{"shop"}}))(c).TargetGroups[0]
	equal(c.t, "interval", *seen.HealthCheckIntervalSeconds, 5)
	equal(c.t, "port of the check", *seen.HealthCheckPort, "traffic-port")
	must(c.balancers().ModifyTargetGroupAttributes(c.ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &tg, Attributes: []types.TargetGroupAttribute{
		{Key: new("deregistration_delay.timeout_seconds"), Value: new("0")},
	}}))(c)
	refused(c.t, failure(c.balancers().ModifyTargetGroupAttributes(c.ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &tg, Attributes: []types.TargetGroupAttribute{
		{Key: new("proxy_protocol_v2.enabled"), Value: new("true")},
	}})), "InvalidConfigurationRequest")
	for _, at := range must(c.balancers().DescribeTargetGroupAttributes(c.ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: &tg}))(c).Attributes {
		if *at.Key == "deregistration_delay.timeout_seconds" {
			equal(c.t, *at.Key, *at.Value, "0")
		}
	}
}

// targets adds a target to a group, and takes it away.
func (c *client) targets(tg string) {
	c.t.Helper()
	target := []types.TargetDescription{{Id: new("10.0.1.10")}}
	must(c.balancers().RegisterTargets(c.ctx, &elb.RegisterTargetsInput{TargetGroupArn: &tg, Targets: target}))(c)
	health := must(c.balancers().DescribeTargetHealth(c.ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &tg}))(c).TargetHealthDescriptions
	equal(c.t, "port", *health[0].Target.Port, 8443)
	equal(c.t, "zone", *health[0].Target.AvailabilityZone, "us-east-1a")
	refused(c.t, failure(c.balancers().RegisterTargets(c.ctx, &elb.RegisterTargetsInput{TargetGroupArn: &tg, Targets: []types.TargetDescription{{Id: new("192.0.2.1")}}})), "InvalidTarget")
	must(c.balancers().DeregisterTargets(c.ctx, &elb.DeregisterTargetsInput{TargetGroupArn: &tg, Targets: target}))(c)
	health = must(c.balancers().DescribeTargetHealth(c.ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: &tg, Targets: target}))(c).TargetHealthDescriptions
	equal(c.t, "reason", health[0].TargetHealth.Reason, types.TargetHealthReasonEnumNotRegistered)
}
