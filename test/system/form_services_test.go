// SPDX-License-Identifier: Apache-2.0

package system

import (
	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/test/postern"
)

// storeName is that of the service that forms have.
const storeName = "com.example.store"

// fillServices makes a load balancer with a listener and a target group, a service of that which
// an account may have, a service that the operator registers, and endpoints to both and to an
// API of Postern's own.
func fillServices(s *pair, account string) {
	p := s.Postern
	lead := func(name string, private bool) *string {
		return postern.Call[ec2.CreateVpcEndpointOutput](p, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
			VpcEndpointType: new(ec2.VpcEndpointTypeInterface), VpcId: &s.consumer.ID, ServiceName: &name, PrivateDnsEnabled: &private,
			SubnetIds: []string{s.clients.ID}, SecurityGroupIds: []string{s.openClient},
		}).VpcEndpoint.VpcEndpointId
	}
	tags := []elbv2.Tag{{Key: new("Name"), Value: new("thing")}}
	balancer := postern.Call[elbv2.CreateLoadBalancerOutput](p, elbv2.Service, "CreateLoadBalancer", &elbv2.CreateLoadBalancerInput{
		Name: new("front"), Type: new(elbv2.LoadBalancerTypeEnumNetwork), Scheme: new(elbv2.LoadBalancerSchemeEnumInternal),
		Subnets: []string{s.servers.ID}, SecurityGroups: []string{s.openServer}, Tags: tags,
	}).LoadBalancers[0].LoadBalancerArn
	targets := postern.Call[elbv2.CreateTargetGroupOutput](p, elbv2.Service, "CreateTargetGroup", &elbv2.CreateTargetGroupInput{
		Name: new("front"), Protocol: new(elbv2.ProtocolEnumTcp), Port: new(int32(5432)), VpcId: &s.provider.ID, TargetType: new(elbv2.TargetTypeEnumIp), Tags: tags,
	}).TargetGroups[0].TargetGroupArn
	postern.Call[elbv2.RegisterTargetsOutput](p, elbv2.Service, "RegisterTargets", &elbv2.RegisterTargetsInput{
		TargetGroupArn: targets, Targets: []elbv2.TargetDescription{{Id: new(s.server.IP.String())}, {Id: new(s.server.IP.String()), Port: new(int32(8443))}},
	})
	postern.Call[elbv2.CreateListenerOutput](p, elbv2.Service, "CreateListener", &elbv2.CreateListenerInput{
		LoadBalancerArn: balancer, Protocol: new(elbv2.ProtocolEnumTcp), Port: new(int32(443)), Tags: tags,
		DefaultActions: []elbv2.Action{{Type: new(elbv2.ActionTypeEnumForward), TargetGroupArn: targets}},
	})
	if r := p.Command("service", "register", storeName, "--target", "127.0.0.1:9000", "--port", "443", "--wildcard"); r.Status != 0 {
		s.t.Fatal(r.Stderr)
	}
	postern.Call[ec2.ModifyVpcAttributeOutput](p, ec2.Service, "ModifyVpcAttribute", &ec2.ModifyVpcAttributeInput{VpcId: &s.consumer.ID, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	lead(storeName, true)
	postern.Call[ec2.ModifyVpcEndpointOutput](p, ec2.Service, "ModifyVpcEndpoint", &ec2.ModifyVpcEndpointInput{
		VpcEndpointId:  lead("com.amazonaws.us-east-1.sts", true),
		PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:GetCallerIdentity","Resource":"*"}]}`),
	})
	offered := postern.Call[ec2.CreateVpcEndpointServiceConfigurationOutput](p, ec2.Service, "CreateVpcEndpointServiceConfiguration", &ec2.CreateVpcEndpointServiceConfigurationInput{
		NetworkLoadBalancerArns: []string{*balancer}, AcceptanceRequired: new(true), PrivateDnsName: new("api.example.com"),
		TagSpecifications: []ec2.TagSpecification{{ResourceType: new("vpc-endpoint-service"), Tags: []ec2.Tag{{Key: new("Name"), Value: new("thing")}}}},
	}).ServiceConfiguration
	postern.Call[ec2.ModifyVpcEndpointServicePermissionsOutput](p, ec2.Service, "ModifyVpcEndpointServicePermissions", &ec2.ModifyVpcEndpointServicePermissionsInput{
		ServiceId: offered.ServiceId, AddAllowedPrincipals: []string{"arn:aws:iam::" + account + ":root", "*"},
	})
	postern.Call[ec2.StartVpcEndpointServicePrivateDnsVerificationOutput](p, ec2.Service, "StartVpcEndpointServicePrivateDnsVerification", &ec2.StartVpcEndpointServicePrivateDnsVerificationInput{ServiceId: offered.ServiceId})
	accepted := lead(*offered.ServiceName, false)
	postern.Call[ec2.AcceptVpcEndpointConnectionsOutput](p, ec2.Service, "AcceptVpcEndpointConnections", &ec2.AcceptVpcEndpointConnectionsInput{
		ServiceId: offered.ServiceId, VpcEndpointIds: []string{*accepted},
	})
	lead(*offered.ServiceName, false) // and waits
}

// deleteServices deletes what fillServices makes, when the endpoints have gone.
func deleteServices(p *postern.Postern) {
	p.T.Helper()
	for _, c := range postern.Call[ec2.DescribeVpcEndpointServiceConfigurationsOutput](p, ec2.Service, "DescribeVpcEndpointServiceConfigurations", &ec2.DescribeVpcEndpointServiceConfigurationsInput{}).ServiceConfigurations {
		p.Await("the configuration of a service to go", func() (bool, error) {
			out := postern.Call[ec2.DeleteVpcEndpointServiceConfigurationsOutput](p, ec2.Service, "DeleteVpcEndpointServiceConfigurations", &ec2.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{*c.ServiceId}})
			return len(out.Unsuccessful) == 0, nil
		})
	}
	for _, b := range postern.Call[elbv2.DescribeLoadBalancersOutput](p, elbv2.Service, "DescribeLoadBalancers", &elbv2.DescribeLoadBalancersInput{}).LoadBalancers {
		postern.Call[elbv2.DeleteLoadBalancerOutput](p, elbv2.Service, "DeleteLoadBalancer", &elbv2.DeleteLoadBalancerInput{LoadBalancerArn: b.LoadBalancerArn})
	}
	for _, g := range postern.Call[elbv2.DescribeTargetGroupsOutput](p, elbv2.Service, "DescribeTargetGroups", &elbv2.DescribeTargetGroupsInput{}).TargetGroups {
		postern.Call[elbv2.DeleteTargetGroupOutput](p, elbv2.Service, "DeleteTargetGroup", &elbv2.DeleteTargetGroupInput{TargetGroupArn: g.TargetGroupArn})
	}
	if len(services(p)) == 0 {
		return
	}
	p.Await("the service to go", func() (bool, error) { return p.Command("service", "deregister", storeName).Status == 0, nil })
}

// services are the one that the operator registered, if it is there.
func services(p *postern.Postern) []ec2.ServiceDetail {
	p.T.Helper()
	return postern.Call[ec2.DescribeVpcEndpointServicesOutput](p, ec2.Service, "DescribeVpcEndpointServices", onlyStore()).ServiceDetails
}

func onlyStore() *ec2.DescribeVpcEndpointServicesInput {
	return &ec2.DescribeVpcEndpointServicesInput{Filters: []ec2.Filter{{Name: new("service-name"), Values: []string{storeName}}}}
}
