// SPDX-License-Identifier: Apache-2.0

package sdk

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestServicesForEndpoints finds Postern's own APIs as AWS has its own, page by page and by
// name.
func TestServicesForEndpoints(t *testing.T) {
	t.Parallel()
	c := newAccount(t)
	found := must(c.ec2.DescribeVpcEndpointServices(c.ctx, &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{"com.amazonaws.us-east-1.ec2"}}))(c).ServiceDetails
	equal(t, "services", len(found), 1)
	equal(t, "owner", found[0].Owner, new("amazon"))
	equal(t, "type", found[0].ServiceType, []types.ServiceTypeDetail{{ServiceType: types.ServiceTypeInterface}})
	zones := must(c.ec2.DescribeAvailabilityZones(c.ctx, &ec2.DescribeAvailabilityZonesInput{}))(c).AvailabilityZones
	equal(t, "number of zones", len(found[0].AvailabilityZones), len(zones))
	equal(t, "addresses", found[0].SupportedIpAddressTypes, []types.ServiceConnectivityType{types.ServiceConnectivityTypeIpv4, types.ServiceConnectivityTypeIpv6})
	var names []string
	in := &ec2.DescribeVpcEndpointServicesInput{MaxResults: new(int32(5)), Filters: []types.Filter{{Name: new("owner"), Values: []string{"amazon"}}}}
	for more := true; more; more = in.NextToken != nil {
		page := must(c.ec2.DescribeVpcEndpointServices(c.ctx, in))(c)
		names, in.NextToken = append(names, page.ServiceNames...), page.NextToken
	}
	if !slices.IsSorted(names) || !slices.Contains(names, "com.amazonaws.us-east-1.rds") {
		t.Errorf("page by page: %q", names)
	}
	refused(t, failure(c.ec2.DescribeVpcEndpointServices(c.ctx, &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{"com.amazonaws.us-east-1.nothing"}})), "InvalidServiceName")
}

// TestEndpointServices is the life of a service that one account offers and another has an
// endpoint to: allowed, asked, accepted, rejected, gone.
func TestEndpointServices(t *testing.T) {
	t.Parallel()
	c, other := newAccount(t), newAccount(t)
	v := c.vpc("10.0.0.0/16")
	arn := c.balancer("offered", nil, c.subnet(v, "10.0.1.0/24", "a")).LoadBalancerArn
	made := must(c.ec2.CreateVpcEndpointServiceConfiguration(c.ctx, &ec2.CreateVpcEndpointServiceConfigurationInput{
		NetworkLoadBalancerArns: []string{*arn}, AcceptanceRequired: new(true), PrivateDnsName: new("api.example.com"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVpcEndpointService, Tags: []types.Tag{{Key: new("a"), Value: new("b")}}}},
	}))(c).ServiceConfiguration
	matches(t, "id", made.ServiceId, "vpce-svc-[0-9a-f]{17}")
	equal(t, "state of the name", made.PrivateDnsNameConfiguration.State, types.DnsNameStatePendingVerification)
	id := made.ServiceId
	must(c.ec2.StartVpcEndpointServicePrivateDnsVerification(c.ctx, &ec2.StartVpcEndpointServicePrivateDnsVerificationInput{ServiceId: id}))(c)
	must(c.ec2.ModifyVpcEndpointServicePayerResponsibility(c.ctx, &ec2.ModifyVpcEndpointServicePayerResponsibilityInput{ServiceId: id, PayerResponsibility: types.PayerResponsibilityServiceOwner}))(c)
	must(c.ec2.ModifyVpcEndpointServiceConfiguration(c.ctx, &ec2.ModifyVpcEndpointServiceConfigurationInput{ServiceId: id, RemovePrivateDnsName: new(true)}))(c)
	seen := must(c.ec2.DescribeVpcEndpointServiceConfigurations(c.ctx, &ec2.DescribeVpcEndpointServiceConfigurationsInput{ServiceIds: []string{*id}}))(c).ServiceConfigurations[0]
	equal(t, "load balancers", seen.NetworkLoadBalancerArns, []string{*arn})
	equal(t, "tags", seen.Tags, []types.Tag{{Key: new("a"), Value: new("b")}})

	root := "arn:aws:iam::" + other.key.Account + ":root"
	there := other.vpc("10.0.0.0/16")
	ask := &ec2.CreateVpcEndpointInput{VpcEndpointType: types.VpcEndpointTypeInterface, VpcId: &there, ServiceName: made.ServiceName, SubnetIds: []string{other.subnet(there, "10.0.1.0/24", "a")}}
	refused(t, failure(other.ec2.CreateVpcEndpoint(other.ctx, ask)), "InvalidServiceName")
	added := must(c.ec2.ModifyVpcEndpointServicePermissions(c.ctx, &ec2.ModifyVpcEndpointServicePermissionsInput{ServiceId: id, AddAllowedPrincipals: []string{root}}))(c).AddedPrincipals
	equal(t, "type of the principal", added[0].PrincipalType, types.PrincipalTypeAccount)
	allowed := must(c.ec2.DescribeVpcEndpointServicePermissions(c.ctx, &ec2.DescribeVpcEndpointServicePermissionsInput{ServiceId: id}))(c).AllowedPrincipals
	equal(t, "permission", allowed[0].ServicePermissionId, added[0].ServicePermissionId)

	e := must(other.ec2.CreateVpcEndpoint(other.ctx, ask))(other).VpcEndpoint.VpcEndpointId
	state := func() types.State {
		all := must(c.ec2.DescribeVpcEndpointConnections(c.ctx, &ec2.DescribeVpcEndpointConnectionsInput{Filters: []types.Filter{{Name: new("service-id"), Values: []string{*id}}}}))(c)
		equal(t, "owner of the endpoint", all.VpcEndpointConnections[0].VpcEndpointOwner, &other.key.Account)
		return all.VpcEndpointConnections[0].VpcEndpointState
	}
	equal(t, "at first", state(), types.State("pendingAcceptance"))
	equal(t, "not accepted", len(must(c.ec2.AcceptVpcEndpointConnections(c.ctx, &ec2.AcceptVpcEndpointConnectionsInput{ServiceId: id, VpcEndpointIds: []string{*e}}))(c).Unsuccessful), 0)
	kept := must(c.ec2.DeleteVpcEndpointServiceConfigurations(c.ctx, &ec2.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{*id}}))(c).Unsuccessful
	equal(t, "with an endpoint", kept[0].Error.Code, new("ExistingVpcEndpointConnections"))
	equal(t, "not rejected", len(must(c.ec2.RejectVpcEndpointConnections(c.ctx, &ec2.RejectVpcEndpointConnectionsInput{ServiceId: id, VpcEndpointIds: []string{*e}}))(c).Unsuccessful), 0)
	equal(t, "rejected", state(), types.State("rejected"))
	must(other.ec2.DeleteVpcEndpoints(other.ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*e}}))(other)
	equal(t, "not deleted", len(must(c.ec2.DeleteVpcEndpointServiceConfigurations(c.ctx, &ec2.DeleteVpcEndpointServiceConfigurationsInput{ServiceIds: []string{*id}}))(c).Unsuccessful), 0)
}
