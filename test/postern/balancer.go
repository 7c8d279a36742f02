// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"net/netip"

	"github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/test/instance"
	"github.com/posternhq/postern/test/testnet"
)

// Balancer is a network load balancer with one target group.
type Balancer struct {
	p   *Postern
	ARN string
	// Name is its name in DNS, and Addresses are its addresses by zone.
	Name      string
	Addresses map[string]netip.Addr
	Group     string
}

// Balancer makes an internal load balancer with a listener at a port and a target group of
// another port, whose targets are asked often, and waits until it is active.
func (v *VPC) Balancer(name string, subnets []*Subnet, groups []string, port, to int32) *Balancer {
	p := v.p
	p.T.Helper()
	made := Call[elbv2.CreateLoadBalancerOutput](p, elbv2.Service, "CreateLoadBalancer", &elbv2.CreateLoadBalancerInput{
		Name: &name, Type: new(elbv2.LoadBalancerTypeEnumNetwork), Scheme: new(elbv2.LoadBalancerSchemeEnumInternal), Subnets: ids(subnets), SecurityGroups: groups,
	}).LoadBalancers[0]
	b := &Balancer{p: p, ARN: *made.LoadBalancerArn, Name: *made.DNSName, Addresses: map[string]netip.Addr{}}
	b.Group = *Call[elbv2.CreateTargetGroupOutput](p, elbv2.Service, "CreateTargetGroup", &elbv2.CreateTargetGroupInput{
		Name: &name, Protocol: new(elbv2.ProtocolEnumTcp), Port: &to, VpcId: &v.ID, TargetType: new(elbv2.TargetTypeEnumIp),
		HealthCheckIntervalSeconds: new(int32(5)), HealthCheckTimeoutSeconds: new(int32(2)), HealthyThresholdCount: new(int32(2)), UnhealthyThresholdCount: new(int32(2)),
	}).TargetGroups[0].TargetGroupArn
	Call[elbv2.CreateListenerOutput](p, elbv2.Service, "CreateListener", &elbv2.CreateListenerInput{
		LoadBalancerArn: &b.ARN, Protocol: new(elbv2.ProtocolEnumTcp), Port: &port,
		DefaultActions: []elbv2.Action{{Type: new(elbv2.ActionTypeEnumForward), TargetGroupArn: &b.Group}},
	})
	err := instance.Poll(context.Background(), testnet.Patience, "load balancer "+name, func() (bool, error) {
		var out elbv2.DescribeLoadBalancersOutput
		err := p.Do(elbv2.Service, "DescribeLoadBalancers", &elbv2.DescribeLoadBalancersInput{LoadBalancerArns: []string{b.ARN}}, &out)
		return err == nil && *out.LoadBalancers[0].State.Code == elbv2.LoadBalancerStateEnumActive, err
	})
	if err != nil {
		p.T.Fatal(err)
	}
	for _, ni := range p.Interfaces("description", "ELB "+b.ARN[len(b.ARN)-len("net//0123456789abcdef")-len(name):]) {
		b.Addresses[*ni.AvailabilityZone] = netip.MustParseAddr(*ni.PrivateIpAddress)
	}
	return b
}

// Register adds targets.
func (b *Balancer) Register(addrs ...netip.Addr) {
	b.p.T.Helper()
	Call[elbv2.RegisterTargetsOutput](b.p, elbv2.Service, "RegisterTargets", &elbv2.RegisterTargetsInput{TargetGroupArn: &b.Group, Targets: targets(addrs)})
}

// Deregister takes targets away.
func (b *Balancer) Deregister(addrs ...netip.Addr) {
	b.p.T.Helper()
	Call[elbv2.DeregisterTargetsOutput](b.p, elbv2.Service, "DeregisterTargets", &elbv2.DeregisterTargetsInput{TargetGroupArn: &b.Group, Targets: targets(addrs)})
}

func targets(addrs []netip.Addr) (list []elbv2.TargetDescription) {
	for _, a := range addrs {
		list = append(list, elbv2.TargetDescription{Id: new(a.String())})
	}
	return list
}

// AwaitHealth waits until a target is in a state.
func (b *Balancer) AwaitHealth(addr netip.Addr, state string) {
	b.p.T.Helper()
	b.p.Await("target "+addr.String()+" "+state, func() (bool, error) {
		var out elbv2.DescribeTargetHealthOutput
		err := b.p.Do(elbv2.Service, "DescribeTargetHealth", &elbv2.DescribeTargetHealthInput{TargetGroupArn: &b.Group, Targets: targets([]netip.Addr{addr})}, &out)
		return err == nil && *out.TargetHealthDescriptions[0].TargetHealth.State == state, err
	})
}

// Set changes an attribute of the load balancer.
func (b *Balancer) Set(key, value string) {
	b.p.T.Helper()
	Call[elbv2.ModifyLoadBalancerAttributesOutput](b.p, elbv2.Service, "ModifyLoadBalancerAttributes", &elbv2.ModifyLoadBalancerAttributesInput{
		LoadBalancerArn: &b.ARN, Attributes: []elbv2.LoadBalancerAttribute{{Key: &key, Value: &value}},
	})
}

// Delete deletes the load balancer and its target group, and waits until its interfaces are
// gone.
func (b *Balancer) Delete() {
	b.p.T.Helper()
	Call[elbv2.DeleteLoadBalancerOutput](b.p, elbv2.Service, "DeleteLoadBalancer", &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: &b.ARN})
	Call[elbv2.DeleteTargetGroupOutput](b.p, elbv2.Service, "DeleteTargetGroup", &elbv2.DeleteTargetGroupInput{TargetGroupArn: &b.Group})
	b.p.Await("the load balancer's interfaces to be gone", func() (bool, error) { return len(b.p.Interfaces("requester-id", "amazon-elb")) == 0, nil })
}
