// SPDX-License-Identifier: Apache-2.0

package system

import (
	"slices"
	"strings"

	"github.com/posternhq/postern/internal/aws/shape/ec2"
	"github.com/posternhq/postern/test/postern"
)

func filter(name string, values ...string) ec2.Filter { return ec2.Filter{Name: &name, Values: values} }

func (tf terraform) createVPC() string {
	tf.t.Helper()
	made := postern.Call[ec2.CreateVpcOutput](tf.Postern, ec2.Service, "CreateVpc", &ec2.CreateVpcInput{
		CidrBlock: new("10.0.0.0/16"), InstanceTenancy: new(ec2.TenancyDefault), AmazonProvidedIpv6CidrBlock: new(false), TagSpecifications: tags(ec2.ResourceTypeVpc),
	})
	id := *made.Vpc.VpcId
	tf.Await("VPC "+id, func() (bool, error) {
		var out ec2.DescribeVpcsOutput
		err := tf.Do(ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{VpcIds: []string{id}}, &out)
		return err == nil && *out.Vpcs[0].State == ec2.VpcStateAvailable, err
	})
	return id
}

// readVPC finds exactly one of each thing that a VPC comes with.
func (tf terraform) readVPC(id string) []any {
	tf.t.Helper()
	vpcs := postern.Call[ec2.DescribeVpcsOutput](tf.Postern, ec2.Service, "DescribeVpcs", &ec2.DescribeVpcsInput{VpcIds: []string{id}}).Vpcs
	seen := []any{vpcs}
	for _, attribute := range []string{ec2.VpcAttributeNameEnableDnsHostnames, ec2.VpcAttributeNameEnableDnsSupport, ec2.VpcAttributeNameEnableNetworkAddressUsageMetrics} {
		out := postern.Call[ec2.DescribeVpcAttributeOutput](tf.Postern, ec2.Service, "DescribeVpcAttribute", &ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: &attribute})
		seen = append(seen, out)
	}
	acls := postern.Call[ec2.DescribeNetworkAclsOutput](tf.Postern, ec2.Service, "DescribeNetworkAcls",
		&ec2.DescribeNetworkAclsInput{Filters: []ec2.Filter{filter("default", "true"), filter("vpc-id", id)}}).NetworkAcls
	tables := postern.Call[ec2.DescribeRouteTablesOutput](tf.Postern, ec2.Service, "DescribeRouteTables",
		&ec2.DescribeRouteTablesInput{Filters: []ec2.Filter{filter("association.main", "true"), filter("vpc-id", id)}}).RouteTables
	groups := postern.Call[ec2.DescribeSecurityGroupsOutput](tf.Postern, ec2.Service, "DescribeSecurityGroups",
		&ec2.DescribeSecurityGroupsInput{Filters: []ec2.Filter{filter("group-name", "default"), filter("vpc-id", id)}}).SecurityGroups
	if len(acls) != 1 || len(tables) != 1 || len(groups) != 1 {
		tf.t.Errorf("VPC %s has %d default ACLs, %d main route tables, %d default groups", id, len(acls), len(tables), len(groups))
	}
	return append(seen, acls, tables, groups)
}

// updateVPC sets one attribute a call and asks until it shows.
func (tf terraform) updateVPC(id string) {
	tf.t.Helper()
	postern.Call[ec2.ModifyVpcAttributeOutput](tf.Postern, ec2.Service, "ModifyVpcAttribute",
		&ec2.ModifyVpcAttributeInput{VpcId: &id, EnableDnsHostnames: &ec2.AttributeBooleanValue{Value: new(true)}})
	tf.Await("the attribute", func() (bool, error) {
		var out ec2.DescribeVpcAttributeOutput
		err := tf.Do(ec2.Service, "DescribeVpcAttribute", &ec2.DescribeVpcAttributeInput{VpcId: &id, Attribute: new(ec2.VpcAttributeNameEnableDnsHostnames)}, &out)
		return err == nil && *out.EnableDnsHostnames.Value, err
	})
	postern.Call[ec2.DeleteTagsOutput](tf.Postern, ec2.Service, "DeleteTags", &ec2.DeleteTagsInput{Resources: []string{id}, Tags: []ec2.Tag{{Key: new("Owner")}}})
	postern.Call[ec2.CreateTagsOutput](tf.Postern, ec2.Service, "CreateTags", &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2.Tag{{Key: new("Name"), Value: new("renamed")}}})
}

func (tf terraform) deleteVPC(id string) {
	tf.t.Helper()
	tf.delete("DeleteVpc", &ec2.DeleteVpcInput{VpcId: &id}, "DependencyViolation")
	tf.gone("DescribeVpcs", &ec2.DescribeVpcsInput{VpcIds: []string{id}}, "InvalidVpcID.NotFound")
}

// delete calls again while the answer is one of the codes the provider knows
// as passing.
func (tf terraform) delete(operation string, in any, passing ...string) {
	tf.t.Helper()
	tf.Await(operation, func() (bool, error) {
		err := tf.Do(ec2.Service, operation, in, nil)
		if slices.Contains(passing, postern.Code(err)) {
			return false, nil
		}
		return err == nil, err
	})
}

// gone asks until the answer is that there is no such thing.
func (tf terraform) gone(operation string, in any, code string) {
	tf.t.Helper()
	tf.Await(operation+" to answer "+code, func() (bool, error) {
		err := tf.Do(ec2.Service, operation, in, nil)
		if postern.Code(err) == code {
			return true, nil
		}
		return false, err
	})
}

func (tf terraform) createSubnet(vpc string) string {
	tf.t.Helper()
	made := postern.Call[ec2.CreateSubnetOutput](tf.Postern, ec2.Service, "CreateSubnet", &ec2.CreateSubnetInput{
		VpcId: &vpc, CidrBlock: new("10.0.1.0/24"), AvailabilityZone: &postern.Zones[0], TagSpecifications: tags(ec2.ResourceTypeSubnet),
	})
	id := *made.Subnet.SubnetId
	tf.Await("subnet "+id, func() (bool, error) {
		var out ec2.DescribeSubnetsOutput
		err := tf.Do(ec2.Service, "DescribeSubnets", &ec2.DescribeSubnetsInput{SubnetIds: []string{id}}, &out)
		return err == nil && *out.Subnets[0].State == ec2.SubnetStateAvailable, err
	})
	return id
}

// readSubnet wants the members without which the provider sees a difference.
func (tf terraform) readSubnet(id string) any {
	tf.t.Helper()
	s := postern.Call[ec2.DescribeSubnetsOutput](tf.Postern, ec2.Service, "DescribeSubnets", &ec2.DescribeSubnetsInput{SubnetIds: []string{id}}).Subnets[0]
	if s.PrivateDnsNameOptionsOnLaunch == nil || s.AssignIpv6AddressOnCreation == nil || s.EnableDns64 == nil || s.MapPublicIpOnLaunch == nil {
		tf.t.Errorf("subnet %s lacks members: %+v", id, s)
	}
	return s
}

func (tf terraform) deleteSubnet(id string) {
	tf.t.Helper()
	tf.Interfaces("subnet-id", id)
	tf.delete("DeleteSubnet", &ec2.DeleteSubnetInput{SubnetId: &id}, "DependencyViolation")
	tf.gone("DescribeSubnets", &ec2.DescribeSubnetsInput{SubnetIds: []string{id}}, "InvalidSubnetID.NotFound")
}

// createGroup makes a group, takes its default rules away and adds its own.
func (tf terraform) createGroup(vpc string) string {
	tf.t.Helper()
	made := postern.Call[ec2.CreateSecurityGroupOutput](tf.Postern, ec2.Service, "CreateSecurityGroup", &ec2.CreateSecurityGroupInput{
		GroupName: new("stack"), Description: new("Managed by Terraform"), VpcId: &vpc, TagSpecifications: tags(ec2.ResourceTypeSecurityGroup),
	})
	tf.readGroup(*made.GroupId)
	all4 := []ec2.IpPermission{{IpProtocol: new("-1"), IpRanges: []ec2.IpRange{{CidrIp: new("0.0.0.0/0")}}}}
	all6 := []ec2.IpPermission{{IpProtocol: new("-1"), Ipv6Ranges: []ec2.Ipv6Range{{CidrIpv6: new("::/0")}}}}
	tf.Revoke(*made.GroupId, nil, all4)
	err := tf.Do(ec2.Service, "RevokeSecurityGroupEgress", &ec2.RevokeSecurityGroupEgressInput{GroupId: made.GroupId, IpPermissions: all6}, nil)
	if code := postern.Code(err); code != "InvalidPermission.NotFound" {
		tf.t.Errorf("revoke a rule that is not there: %v", err)
	}
	tf.Authorize(*made.GroupId, all4, all4)
	return *made.GroupId
}

func (tf terraform) readGroup(id string) any {
	tf.t.Helper()
	return postern.Call[ec2.DescribeSecurityGroupsOutput](tf.Postern, ec2.Service, "DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}}).SecurityGroups
}

func (tf terraform) deleteGroup(id string) {
	tf.t.Helper()
	tf.Interfaces("group-id", id)
	tf.delete("DeleteSecurityGroup", &ec2.DeleteSecurityGroupInput{GroupId: &id}, "DependencyViolation", "InvalidGroup.InUse")
	tf.gone("DescribeSecurityGroups", &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}}, "InvalidGroup.NotFound")
}

// createRule is aws_vpc_security_group_ingress_rule.
func (tf terraform) createRule(group string) string {
	tf.t.Helper()
	out := postern.Call[ec2.AuthorizeSecurityGroupIngressOutput](tf.Postern, ec2.Service, "AuthorizeSecurityGroupIngress", &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId:           &group,
		IpPermissions:     []ec2.IpPermission{{IpProtocol: new("tcp"), FromPort: new(int32(5432)), ToPort: new(int32(5432)), IpRanges: []ec2.IpRange{{CidrIp: new("10.0.0.0/16")}}}},
		TagSpecifications: tags(ec2.ResourceTypeSecurityGroupRule),
	})
	if len(out.SecurityGroupRules) != 1 {
		tf.t.Fatalf("%d rules authorized, want 1", len(out.SecurityGroupRules))
	}
	return *out.SecurityGroupRules[0].SecurityGroupRuleId
}

func (tf terraform) readRule(id string) any {
	tf.t.Helper()
	return postern.Call[ec2.DescribeSecurityGroupRulesOutput](tf.Postern, ec2.Service, "DescribeSecurityGroupRules", &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{id}}).SecurityGroupRules
}

func (tf terraform) updateRule(group, id string) {
	tf.t.Helper()
	postern.Call[ec2.ModifySecurityGroupRulesOutput](tf.Postern, ec2.Service, "ModifySecurityGroupRules", &ec2.ModifySecurityGroupRulesInput{
		GroupId: &group, SecurityGroupRules: []ec2.SecurityGroupRuleUpdate{{SecurityGroupRuleId: &id, SecurityGroupRule: &ec2.SecurityGroupRuleRequest{
			IpProtocol: new("tcp"), FromPort: new(int32(5432)), ToPort: new(int32(5433)), CidrIpv4: new("10.0.0.0/16"),
		}}},
	})
	postern.Call[ec2.CreateTagsOutput](tf.Postern, ec2.Service, "CreateTags", &ec2.CreateTagsInput{Resources: []string{id}, Tags: []ec2.Tag{{Key: new("Name"), Value: new("renamed")}}})
}

func (tf terraform) deleteRule(group, id string) {
	tf.t.Helper()
	postern.Call[ec2.RevokeSecurityGroupIngressOutput](tf.Postern, ec2.Service, "RevokeSecurityGroupIngress", &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, SecurityGroupRuleIds: []string{id}})
	tf.gone("DescribeSecurityGroupRules", &ec2.DescribeSecurityGroupRulesInput{SecurityGroupRuleIds: []string{id}}, "InvalidSecurityGroupRuleId.NotFound")
}

// createEndpoint is aws_vpc_endpoint of type Resource.
func (tf terraform) createEndpoint(s *stack) {
	tf.t.Helper()
	made := postern.Call[ec2.CreateVpcEndpointOutput](tf.Postern, ec2.Service, "CreateVpcEndpoint", &ec2.CreateVpcEndpointInput{
		ClientToken: new("terraform-vpce"), PrivateDnsEnabled: new(false), VpcEndpointType: new(ec2.VpcEndpointTypeResource), VpcId: &s.consumer,
		ResourceConfigurationArn: &s.configuration, SubnetIds: []string{s.clients}, TagSpecifications: tags(ec2.ResourceTypeVpcEndpoint),
	})
	s.endpoint = *made.VpcEndpoint.VpcEndpointId
	tf.Await("endpoint "+s.endpoint, func() (bool, error) {
		switch state := tf.endpointState(*s); state {
		case "available":
			return true, nil
		case "pending":
			return false, nil
		default:
			tf.t.Fatalf("endpoint %s is %s: the provider expects pending or available", s.endpoint, state)
			return false, nil
		}
	})
	tf.Await("the name of "+s.endpoint, func() (bool, error) {
		var out ec2.DescribeVpcEndpointAssociationsOutput
		err := tf.Do(ec2.Service, "DescribeVpcEndpointAssociations", &ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{s.endpoint}}, &out)
		return err == nil && len(out.VpcEndpointAssociations) == 1 && out.VpcEndpointAssociations[0].DnsEntry != nil, err
	})
}

func (tf terraform) endpointState(s stack) string {
	tf.t.Helper()
	out := postern.Call[ec2.DescribeVpcEndpointsOutput](tf.Postern, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint}})
	return strings.ToLower(*out.VpcEndpoints[0].State)
}

func (tf terraform) readEndpoint(s stack) []any {
	tf.t.Helper()
	endpoints := postern.Call[ec2.DescribeVpcEndpointsOutput](tf.Postern, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint}}).VpcEndpoints
	associations := postern.Call[ec2.DescribeVpcEndpointAssociationsOutput](tf.Postern, ec2.Service, "DescribeVpcEndpointAssociations",
		&ec2.DescribeVpcEndpointAssociationsInput{VpcEndpointIds: []string{s.endpoint}}).VpcEndpointAssociations
	if len(associations) != 1 {
		tf.t.Errorf("endpoint %s has %d associations, want 1", s.endpoint, len(associations))
	}
	return []any{endpoints, associations, tf.endpointInterfaces(s)}
}

// endpointInterfaces asks for each interface by itself.
func (tf terraform) endpointInterfaces(s stack) (all []ec2.NetworkInterface) {
	tf.t.Helper()
	out := postern.Call[ec2.DescribeVpcEndpointsOutput](tf.Postern, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint}})
	for _, id := range out.VpcEndpoints[0].NetworkInterfaceIds {
		all = append(all, postern.Call[ec2.DescribeNetworkInterfacesOutput](tf.Postern, ec2.Service, "DescribeNetworkInterfaces",
			&ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{id}}).NetworkInterfaces...)
	}
	return all
}

func (tf terraform) updateEndpoint(s stack) {
	tf.t.Helper()
	var groups []string
	out := postern.Call[ec2.DescribeVpcEndpointsOutput](tf.Postern, ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint}})
	for _, g := range out.VpcEndpoints[0].Groups {
		groups = append(groups, *g.GroupId)
	}
	postern.Call[ec2.ModifyVpcEndpointOutput](tf.Postern, ec2.Service, "ModifyVpcEndpoint",
		&ec2.ModifyVpcEndpointInput{VpcEndpointId: &s.endpoint, AddSecurityGroupIds: []string{s.endpointGroup}, RemoveSecurityGroupIds: groups})
	tf.Await("the endpoint", func() (bool, error) { return tf.endpointState(s) == "available", nil })
	postern.Call[ec2.CreateTagsOutput](tf.Postern, ec2.Service, "CreateTags", &ec2.CreateTagsInput{Resources: []string{s.endpoint}, Tags: []ec2.Tag{{Key: new("Name"), Value: new("renamed")}}})
}

func (tf terraform) deleteEndpoint(s stack) {
	tf.t.Helper()
	out := postern.Call[ec2.DeleteVpcEndpointsOutput](tf.Postern, ec2.Service, "DeleteVpcEndpoints", &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint}})
	if len(out.Unsuccessful) > 0 {
		tf.t.Errorf("delete endpoint: %s", *out.Unsuccessful[0].Error.Message)
	}
	tf.Await("the endpoint to go", func() (bool, error) {
		var out ec2.DescribeVpcEndpointsOutput
		err := tf.Do(ec2.Service, "DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{s.endpoint}}, &out)
		if postern.Code(err) == "InvalidVpcEndpointId.NotFound" {
			return true, nil
		}
		return err == nil && len(out.VpcEndpoints) == 0, err
	})
}
