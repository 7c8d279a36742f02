// SPDX-License-Identifier: Apache-2.0

package postern

import (
	"context"
	"fmt"
	"slices"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/test/instance"
)

// Balance makes a load balancer of the VPC whose ports lead to others of an address, which are
// so much further on, and gives its own address when these are healthy. They are asked seldom.
func (v *VPC) Balance(ctx context.Context, name, address string, ports []int32, further int32) (string, error) {
	p := v.p
	made, err := Call[elbv2.CreateLoadBalancerOutput](ctx, p, elbv2.Service, "CreateLoadBalancer", &elbv2.CreateLoadBalancerInput{
		Name: &name, Type: new(elbv2.LoadBalancerTypeEnumNetwork), Scheme: new(elbv2.LoadBalancerSchemeEnumInternal), Subnets: []string{v.Subnet}, SecurityGroups: []string{v.Group},
	})
	if err != nil {
		return "", err
	}
	balancer := made.LoadBalancers[0].LoadBalancerArn
	for _, port := range ports {
		group, err := Call[elbv2.CreateTargetGroupOutput](ctx, p, elbv2.Service, "CreateTargetGroup", &elbv2.CreateTargetGroupInput{
			Name: new(fmt.Sprintf("%s-%d", name, port)), Protocol: new(elbv2.ProtocolEnumTcp), Port: new(port + further), VpcId: &v.ID, TargetType: new(elbv2.TargetTypeEnumIp),
			HealthCheckIntervalSeconds: new(int32(300)), HealthCheckTimeoutSeconds: new(int32(60)),
		})
		if err != nil {
			return "", err
		}
		arn := group.TargetGroups[0].TargetGroupArn
		if err := p.Client.Do(ctx, elbv2.Service, "RegisterTargets", &elbv2.RegisterTargetsInput{TargetGroupArn: arn, Targets: []elbv2.TargetDescription{{Id: &address}}}, nil); err != nil {
			return "", err
		}
		err = p.Client.Do(ctx, elbv2.Service, "CreateListener", &elbv2.CreateListenerInput{
			LoadBalancerArn: balancer, Protocol: new(elbv2.ProtocolEnumTcp), Port: &port,
			DefaultActions: []elbv2.Action{{Type: new(elbv2.ActionTypeEnumForward), TargetGroupArn: arn}},
		}, nil)
		if err != nil {
			return "", err
		}
		err = instance.Poll(ctx, settled, "health of "+*arn, func() (bool, error) {
			out, err := Call[elbv2.DescribeTargetHealthOutput](ctx, p, elbv2.Service, "DescribeTargetHealth", &elbv2.DescribeTargetHealthInput{TargetGroupArn: arn})
			return err == nil && *out.TargetHealthDescriptions[0].TargetHealth.State == elbv2.TargetHealthStateEnumHealthy, err
		})
		if err != nil {
			return "", err
		}
	}
	all, err := Call[ec2.DescribeNetworkInterfacesOutput](ctx, p, ec2.Service, "DescribeNetworkInterfaces", &ec2.DescribeNetworkInterfacesInput{
		Filters: []ec2.Filter{{Name: new("requester-id"), Values: []string{"amazon-elb"}}},
	})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all.NetworkInterfaces, func(ni ec2.NetworkInterface) bool { return *ni.VpcId == v.ID })
	if i < 0 {
		return "", fmt.Errorf("load balancer %s has no network interface", name)
	}
	return *all.NetworkInterfaces[i].PrivateIpAddress, nil
}
