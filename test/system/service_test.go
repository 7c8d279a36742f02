// SPDX-License-Identifier: Apache-2.0

package system

import (
	"net/netip"
	"slices"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/internal/aws/shape/elbv2"
	"github.com/posternhq/postern/test/postern"
)

// offerServer has a network load balancer lead to the server of a pair, and gives the endpoint
// service in front of it, which its account must be asked for.
func (s *pair) offerServer(principal string) (id, name string) {
	s.t.Helper()
	lb := postern.Call[elbv2.CreateLoadBalancerOutput](s.Postern, elbv2.Service, "CreateLoadBalancer", &elbv2.CreateLoadBalancerInput{
		Name: new("offer"), Type: new("network"), Scheme: new("internal"), Subnets: []string{s.servers.ID}, SecurityGroups: []string{s.openServer},
	}).LoadBalancers[0]
	group := postern.Call[elbv2.CreateTargetGroupOutput](s.Postern, elbv2.Service, "CreateTargetGroup", &elbv2.CreateTargetGroupInput{
		Name: new("offer"), Protocol: new("TCP"), Port: new(int32(5433)), VpcId: &s.provider.ID, TargetType: new("ip"),
	}).TargetGroups[0]
	postern.Call[elbv2.RegisterTargetsOutput](s.Postern, elbv2.Service, "RegisterTargets", &elbv2.RegisterTargetsInput{
		TargetGroupArn: group.TargetGroupArn, Targets: []elbv2.TargetDescription{{Id: new(s.server.IP.String())}},
	})
	postern.Call[elbv2.CreateListenerOutput](s.Postern, elbv2.Service, "CreateListener", &elbv2.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Protocol: new("TCP"), Port: new(int32(5432)), DefaultActions: []elbv2.Action{{Type: new("forward"), TargetGroupArn: group.TargetGroupArn}},
	})
	s.Await("the load balancer to be active", func() (bool, error) {
		found := postern.Call[elbv2.DescribeLoadBalancersOutput](s.Postern, elbv2.Service, "DescribeLoadBalancers", &elbv2.DescribeLoadBalancersInput{LoadBalancerArns: []string{*lb.LoadBalancerArn}})
		return *found.LoadBalancers[0].State.Code == "active", nil
	})
	made := postern.Call[ec2.CreateVpcEndpointServiceConfigurationOutput](s.Postern, ec2.Service, "CreateVpcEndpointServiceConfiguration", &ec2.CreateVpcEndpointServiceConfigurationInput{
		NetworkLoadBalancerArns: []string{*lb.LoadBalancerArn}, AcceptanceRequired: new(true),
	}).ServiceConfiguration
	postern.Call[ec2.ModifyVpcEndpointServicePermissionsOutput](s.Postern, ec2.Service, "ModifyVpcEndpointServicePermissions", &ec2.ModifyVpcEndpointServicePermissionsInput{
		ServiceId: made.ServiceId, AddAllowedPrincipals: []string{"arn:aws:iam::" + principal + ":root"},
	})
	return *made.ServiceId, *made.ServiceName
}

// A service of one account is reached from another by an interface endpoint when its owner has
// accepted that, and not before. When he rejects it connections that live are cut.
func (b *company) asksToBeAccepted(s *pair) {
	t := s.t
	id, name := s.offerServer(stranger)
	in := &ec2.CreateVpcEndpointInput{VpcEndpointType: new("Interface"), VpcId: &b.vpc.ID, ServiceName: &name, SubnetIds: []string{b.clients.ID}, SecurityGroupIds: []string{b.group}}
	made := postern.Call[ec2.CreateVpcEndpointOutput](b.Postern, ec2.Service, "CreateVpcEndpoint", in).VpcEndpoint
	if *made.State != "pendingAcceptance" {
		t.Errorf("before it is accepted the endpoint is %s", *made.State)
	}
	state := func(want string) func() (bool, error) {
		return func() (bool, error) {
			found := postern.Call[ec2.DescribeVpcEndpointsOutput](b.Postern, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{*made.VpcEndpointId}})
			return *found.VpcEndpoints[0].State == want, nil
		}
	}
	ni := postern.Call[ec2.DescribeNetworkInterfacesOutput](b.Postern, ec2.Service, "DescribeNetworkInterfaces", &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: made.NetworkInterfaceIds}).NetworkInterfaces[0]
	door := netip.MustParseAddr(*ni.PrivateIpAddress)
	expectRefusal(t, b.client, at(door))
	postern.Call[ec2.AcceptVpcEndpointConnectionsOutput](s.Postern, ec2.Service, "AcceptVpcEndpointConnections", &ec2.AcceptVpcEndpointConnectionsInput{ServiceId: &id, VpcEndpointIds: []string{*made.VpcEndpointId}})
	b.Await("the endpoint to be available", state("available"))
	expectAnswer(t, b.client, at(door))
	regional := *made.DnsEntries[0].DnsName
	for who, from := range map[string]*postern.Workload{"its VPC": b.client, "another account's VPC": s.client} {
		if named, err := resolve(from, regional); err != nil || !slices.Equal(named, []netip.Addr{door}) {
			t.Errorf("in %s %s is %v, %v", who, regional, named, err)
		}
	}
	kept := dial(t, b.client, at(door))
	postern.Call[ec2.RejectVpcEndpointConnectionsOutput](s.Postern, ec2.Service, "RejectVpcEndpointConnections", &ec2.RejectVpcEndpointConnectionsInput{ServiceId: &id, VpcEndpointIds: []string{*made.VpcEndpointId}})
	expectReset(t, "a client of a rejected endpoint", kept)
	expectRefusal(t, b.client, at(door))
	b.Await("the endpoint to be rejected", state("rejected"))
	b.Await("the name of the endpoint to be gone", func() (bool, error) {
		_, err := resolve(b.client, regional)
		return err != nil, nil
	})
	postern.Call[ec2.DeleteVpcEndpointsOutput](b.Postern, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*made.VpcEndpointId}})
}
